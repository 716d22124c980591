import logging
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationError
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import (
    AuthenticationMiddleware,
    BaseBasicAuth,
    TooManyAttempts,
    requires,
)
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_throttle import Limit, Throttled, by_address, by_username

logging.basicConfig(filename="app.log", format="%(levelname)s %(name)s %(message)s")
logger = logging.getLogger("logins")

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


backend = Throttled(
    BasicAuth(),
    Limit(by_username, 5, per=timedelta(minutes=1)),
    Limit(by_username, 100, per=timedelta(hours=12)),
    Limit(by_address, 20, per=timedelta(minutes=1)),
)


def log(conn: HTTPConnection, outcome: AuthCredentials | AuthenticationError) -> None:
    # Not the user name: people type their password into the wrong field.
    address = conn.client.host if conn.client else "somewhere"
    if isinstance(outcome, TooManyAttempts):
        logger.warning("A login from %s was refused: too many attempts", address)
    elif isinstance(outcome, AuthenticationError):
        logger.warning("A login from %s failed", address)


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend, observer=log)],
)
