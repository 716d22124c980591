"""Pages that ask for data, with a backend that browsers react to, and with one that they do not."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from store import HASHER, Store, whoami

from starlette_auth_core import AuthenticationMiddleware, Challenge, requires
from starlette_auth_orm import ModelBasicAuth

store = Store(os.environ["DATABASE_URL"])


class Quiet(ModelBasicAuth):
    """Asks scripts in a scheme that browsers do not know: the recipe of the documentation."""

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        # The browser's own dialogue comes up for `Basic`. A script gets a scheme that the browser
        # does not know, and shows the page's form.
        if conn.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
            return (Challenge("FormBased", realm=self.realm),)
        return super().challenges(conn)


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>page</title><link rel=icon href=data:,>")


@requires("authenticated")
async def who(request: Request) -> JSONResponse:
    return JSONResponse(whoami(request))


async def login(request: Request) -> Response:
    data = await request.json()
    user = await store_passwords.verify(data["username"], data["password"])
    return Response(status_code=401) if user is None else JSONResponse({"user": user.username})


store_passwords = ModelBasicAuth(store.User, hasher=HASHER)


def part(backend: ModelBasicAuth) -> Starlette:
    return Starlette(
        routes=[Route("/who", who), Route("/login", login, methods=["POST"])],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    )


app = Starlette(
    routes=[
        Route("/", page),
        Mount("/loud", part(store_passwords)),
        Mount("/quiet", part(Quiet(store.User, hasher=HASHER))),
    ],
    lifespan=store.lifespan(),
)
