from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, requires
from starlette_auth_hashers import Argon2Hasher, configure, waiting

# Before the first hash. In all: 2 x 64 MiB at most, and 503 where 100 logins wait already.
configure(workers=2, max_waiting=100)
password_hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


USERS = {"alice": User("alice", password_hasher.make_sync("alicepwd"))}


class BasicAuth(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


async def health(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def metrics(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"password_hashes_waiting {waiting()}\n")


app = Starlette(
    routes=[
        # For the load balancer and the monitoring, which send no credentials.
        Route("/health", health),
        Route("/metrics", metrics),
        Mount(
            "/api",
            routes=[Route("/protected", protected)],
            middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth())],
        ),
    ],
)
