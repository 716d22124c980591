"""starlette-auth-core alone: the backends, with a hasher of the user's own and no passlib."""

import asyncio
import base64
import hashlib
import hmac
import importlib.util
import os
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, requires


class Scrypt:
    """Fits `starlette_auth_core.PasswordHasher` by its methods alone."""

    def make(self, secret: str, salt: bytes | None = None) -> str:
        salt = salt or os.urandom(16)
        derived = hashlib.scrypt(secret.encode(), salt=salt, n=2**14, r=8, p=5)
        return f"{salt.hex()}:{derived.hex()}"

    async def verify(self, secret: str, hashed: str | None) -> bool:
        if hashed is None:
            await self.dummy_verify(secret)
            return False
        salt = bytes.fromhex(hashed.partition(":")[0])
        return hmac.compare_digest(await asyncio.to_thread(self.make, secret, salt), hashed)

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        return await self.verify(secret, hashed), None

    async def dummy_verify(self, secret: str, username: str = "") -> None:
        await asyncio.to_thread(self.make, secret)


class User(NamedTuple):
    username: str
    password: str


hasher_of_mine = Scrypt()
USERS = {"alice": User("alice", hasher_of_mine.make("alicepwd"))}


class BasicAuth(BaseBasicAuth[User]):
    hasher = hasher_of_mine

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse(request.user.username)


app = Starlette(
    routes=[Route("/", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth())],
)


async def get(username: str, password: str) -> int:
    """Make a request, without a server and a client, and return the status."""
    credentials = base64.b64encode(f"{username}:{password}".encode())
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"authorization", b"Basic " + credentials)],
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


assert importlib.util.find_spec("passlib") is None
assert importlib.util.find_spec("starlette_auth_hashers") is None
assert asyncio.run(get("alice", "alicepwd")) == 200
assert asyncio.run(get("alice", "wrong")) == 401
assert asyncio.run(get("eve", "x")) == 401
