"""Keeps a browser's password dialogue away from scripts.

A browser that gets a challenge which it knows opens its own dialogue, also for the request of a
script, which waits meanwhile. `Sec-Fetch-Mode` says what makes a request (Fetch Metadata Request
Headers, section 2.3): `navigate` is a page that somebody opens. Other clients do not send it.
"""

import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException, WebSocketException
from starlette.types import Message, Scope, Send

__all__ = ["allow_dialog", "quiet_send", "quieted"]

_ALLOWED = "starlette_auth_fastapi.browser_dialog"
# The schemes that browsers answer themselves, where a challenge begins: an app may put several into
# one line (RFC 9110 section 11.6.1).
_KNOWN = re.compile(rb"(^|,)(\s*)(?=(?:basic|digest|negotiate|ntlm)(?:[\s,]|$))", re.IGNORECASE)

_Lines = list[tuple[bytes, bytes]]


def allow_dialog(scope: Scope) -> None:
    """Let the challenges of this request be as the backends make them."""
    scope[_ALLOWED] = True


def quieted(
    scope: Scope, error: HTTPException | WebSocketException
) -> HTTPException | WebSocketException:
    """Return *error*, or one in its place whose challenges open no dialogue in a script."""
    if not (isinstance(error, HTTPException) and error.headers and _is_quiet(scope)):
        return error
    headers = _renamed(Headers(error.headers).raw)
    return HTTPException(error.status_code, error.detail, headers=Headers(raw=headers))


def quiet_send(scope: Scope, send: Send) -> Send:
    """Return *send*, or one in its place that does the same for responses."""
    if not _is_quiet(scope):
        return send

    async def quiet(message: Message) -> None:
        if message.get("status") == 401:
            message = {**message, "headers": _renamed(message.get("headers", ()))}
        await send(message)

    return quiet


def _is_quiet(scope: Scope) -> bool:
    if _ALLOWED in scope:
        return False
    return Headers(scope=scope).get("sec-fetch-mode", "navigate") != "navigate"


def _renamed(headers: Iterable[tuple[bytes, bytes]]) -> _Lines:
    return [
        (name, _KNOWN.sub(rb"\1\2X", value) if name.lower() == b"www-authenticate" else value)
        for name, value in headers
    ]
