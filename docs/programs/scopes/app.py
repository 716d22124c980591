from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, requires
from starlette_auth_hashers import Argon2Hasher

password_hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password
    role: str


SCOPES = {
    "reader": ("authenticated", "articles:read"),
    "editor": ("authenticated", "articles:read", "articles:write"),
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


# The same page is not there at all for who may not see it.
@requires("articles:write", status_code=404)
async def drafts(request: Request) -> Response:
    return JSONResponse(["A draft"])


# A page for people sends them to the login.
@requires("authenticated", redirect="login")
async def profile(request: Request) -> Response:
    return PlainTextResponse(f"This is {request.user.username}")


async def login(request: Request) -> Response:
    return PlainTextResponse("Please log in")


app = Starlette(
    routes=[
        Route("/articles", Articles),
        Route("/comments", comment, methods=["POST"]),
        Route("/drafts", drafts),
        Route("/profile", profile),
        Route("/login", login, name="login"),
    ],
    middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth())],
)
