import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import (
    AuthenticationMiddleware,
    BaseBasicAuth,
    InvalidCredentials,
    TooManyAttempts,
    requires,
)
from starlette_auth_hashers import Argon2Hasher

logging.basicConfig(filename="app.log", format="%(levelname)s %(name)s %(message)s")
logger = logging.getLogger("logins")

password_hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


USERS = {"alice": User("alice", password_hasher.make_sync("alicepwd"))}


class Failures:
    """Counts failures by key, in windows of a minute. Several servers would share it, in Redis."""

    def __init__(self, limit: int, *, window: float = 60, max_keys: int = 100_000) -> None:
        self.limit = limit
        self.window = window
        self.max_keys = max_keys
        self.counts: OrderedDict[str, tuple[float, int]] = OrderedDict()  # the oldest first

    def check(self, key: str) -> None:
        started, count = self.counts.get(key, (0.0, 0))
        left = started + self.window - time.monotonic()
        if left > 0 and count >= self.limit:
            raise TooManyAttempts("Too many failed logins", retry_after=int(left) + 1)

    def add(self, key: str) -> None:
        now = time.monotonic()
        started, count = self.counts.get(key, (now, 0))
        if started + self.window <= now:
            self.counts.pop(key)
            started, count = now, 0
        self.counts[key] = (started, count + 1)
        while len(self.counts) > self.max_keys:
            self.counts.popitem(last=False)


by_address = Failures(limit=20)
by_username = Failures(limit=5)


def address_of(conn: HTTPConnection) -> str:
    return conn.client.host if conn.client else "unknown"


class ThrottledAuth(BaseBasicAuth[User]):
    hasher = password_hasher

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        address = address_of(conn)
        try:
            if "Authorization" in conn.headers:
                by_address.check(address)
            return await super().authenticate(conn)
        except TooManyAttempts:
            logger.warning("A login from %s was refused: too many failures", address)
            raise
        except InvalidCredentials as error:
            by_address.add(address)
            # Known or not: who exists must not show. None where the header was malformed.
            if error.username is not None:
                by_username.add(error.username)
            # Not the user-id: people type their password into the wrong field.
            logger.warning("A login from %s failed", address)
            raise

    async def verify(self, username: str, password: str) -> User | None:
        by_username.check(username)
        user = await super().verify(username, password)
        # Again: of guesses that are sent at once, no more are answered than of those in turn.
        by_username.check(username)
        return user

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=ThrottledAuth())],
)
