from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from starlette_auth_core import (
    AuthenticationMiddleware,
    BaseBasicAuth,
    RequiresMiddleware,
    authorize,
    requires,
)
from starlette_auth_hashers import Argon2Hasher

password_hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password
    role: str


SCOPES = {
    "reader": ("authenticated", "articles:read"),
    "editor": ("authenticated", "articles:read", "articles:write", "section:news"),
}
USERS = {
    "alice": User("alice", password_hasher.make_sync("alicepwd"), "editor"),
    "bob": User("bob", password_hasher.make_sync("bobpwd"), "reader"),
}


class BasicAuth(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)

    def get_scopes(self, user: User) -> Sequence[str]:
        return SCOPES[user.role]


class Articles(HTTPEndpoint):
    @requires("articles:read")
    async def get(self, request: Request) -> Response:
        return JSONResponse(["An article"])

    # All of these scopes are needed.
    @requires(["articles:read", "articles:write"])
    async def post(self, request: Request) -> Response:
        return PlainTextResponse("Created", 201)


# One of these is enough.
@requires("authenticated", any_of=["articles:write", "comments:write"])
async def comment(request: Request) -> Response:
    return PlainTextResponse("Commented", 201)


# The needed scope is known in the endpoint only.
async def section(request: Request) -> Response:
    name = request.path_params["name"]
    authorize(request, f"section:{name}")
    return PlainTextResponse(f"The section {name}")


# The same page is not there at all for those who may not see it.
@requires("articles:write", status_code=404)
async def drafts(request: Request) -> Response:
    return JSONResponse(["A draft"])


# A page for people sends them to the login.
@requires("authenticated", redirect="login")
async def profile(request: Request) -> Response:
    return PlainTextResponse(f"This is {request.user.username}")


# Stands for any ASGI app, such as StaticFiles or an admin interface.
async def reports(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("The reports")(scope, receive, send)


async def login(request: Request) -> Response:
    return PlainTextResponse("Please log in")


app = Starlette(
    routes=[
        Route("/articles", Articles),
        Route("/comments", comment, methods=["POST"]),
        Route("/sections/{name}", section),
        Route("/drafts", drafts),
        Mount("/reports", RequiresMiddleware(reports, "articles:write")),
        Route("/profile", profile),
        Route("/login", login, name="login"),
    ],
    middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth())],
)
