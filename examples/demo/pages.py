"""A login page in plain HTML: a form, the devices that are logged in, and a way out."""

from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from starlette_auth_core import BaseBasicAuth
from starlette_auth_sessions import Sessions

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 28rem; margin: 3rem auto }}
label, input, button {{ display: block; font: inherit }}
input {{ width: 100%; box-sizing: border-box; margin-bottom: 1rem }}
</style>
<h1>{title}</h1>
{body}
"""
FORM = """<p>Two users are here: alice (alicepwd), and bob (bobpwd).</p>
<form method="post">
<label>Name <input name="username" autocomplete="username" autofocus></label>
<label>Password
<input name="password" type="password" autocomplete="current-password"></label>
<button>Log in</button>
</form>"""
LOGOUT = '<form method="post" action="/logout"><button>Log out</button></form>'
WRONG = "<p>The name or the password is wrong.</p>"


def make_routes(passwords: BaseBasicAuth[Any], sessions: Sessions[Any, Any]) -> list[Route]:
    async def show(request: Request) -> Response:
        # A request with a token or a password has no session to show.
        if "via:session" not in request.auth.scopes:
            return page("Log in", FORM)
        items = []
        for row in await sessions.list(request.user):
            this = " (this one)" if row.digest == request.auth.token.digest else ""
            since = f"{row.created_at:%Y-%m-%d %H:%M}"
            items.append(f"<li>{escape(row.name or 'unknown')}, since {since} UTC{this}</li>")
        devices = "\n".join(items)
        body = f"<p>You are logged in on:</p>\n<ul>\n{devices}\n</ul>\n{LOGOUT}"
        return page(f"Hello, {escape(request.user.username)}!", body)

    async def log_in(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=10) as form:
            username, password = form.get("username"), form.get("password")
        user = None
        if isinstance(username, str) and isinstance(password, str):
            user = await passwords.verify(username, password)
        if user is None:
            return page("Log in", f"{WRONG}\n{FORM}", 401)
        response = RedirectResponse("/login", 303)
        device = request.headers.get("User-Agent", "")[:200]
        await sessions.login(request, response, user, name=device)
        return response

    async def log_out(request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        await sessions.logout(request, response)
        return response

    return [
        Route("/login", show),
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
    ]


def page(title: str, body: str, status: int = 200) -> HTMLResponse:
    # The browser keeps no copy, so the back button shows nothing after a logout.
    return HTMLResponse(PAGE.format(title=title, body=body), status, {"Cache-Control": "no-store"})
