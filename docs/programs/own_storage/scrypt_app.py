import hashlib
import secrets
from dataclasses import dataclass, field

from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, requires


class ScryptHasher:
    """Hashes to `salt$key`, with settings that OWASP recommends."""

    def make(self, secret: str) -> str:
        salt = secrets.token_hex(16)
        return f"{salt}${self._key(secret, salt)}"

    async def verify(self, secret: str, hashed: str | None) -> bool:
        # Whatever is stored costs one hash, and nothing is equal to an empty or malformed key.
        salt, _, key = (hashed or "").partition("$")
        found = await to_thread.run_sync(self._key, secret, salt)
        return secrets.compare_digest(found.encode(), key.encode())

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        return await self.verify(secret, hashed), None  # there is nothing better to move to yet

    async def dummy_verify(self, secret: str, username: str) -> None:
        await self.verify(secret, None)

    def _key(self, secret: str, salt: str) -> str:
        return hashlib.scrypt(secret.encode(), salt=salt.encode(), n=2**14, r=8, p=5).hex()


@dataclass
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


scrypt = ScryptHasher()
USERS = {"alice": User("alice", scrypt.make("alicepwd"))}


class BasicAuth(BaseBasicAuth[User]):
    hasher = scrypt

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth())],
)
