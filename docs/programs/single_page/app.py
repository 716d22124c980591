from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, Challenge, requires
from starlette_auth_hashers import Argon2Hasher, CachingHasher

# A right password is remembered for a minute: this scheme sends it with every request.
password_hasher = CachingHasher(Argon2Hasher(), ttl=60, max_entries=10_000)


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


USERS = {"alice": User("alice", password_hasher.make_sync("alicepwd"))}


class BasicAuth(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        # The browser's own dialogue comes up for `Basic`. A script gets a scheme that the browser
        # does not know, and shows the page's form.
        if conn.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
            return (Challenge("FormBased", realm=self.realm),)
        return super().challenges(conn)


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[
        # First, so that it answers preflights itself, and adds its headers to a 401 too.
        Middleware(
            CORSMiddleware,
            allow_origins=["https://app.example.org"],
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization"],
        ),
        Middleware(AuthenticationMiddleware, backend=BasicAuth()),
    ],
)
