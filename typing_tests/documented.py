"""The forms that release 0.5.0 documented: no type argument, and imports from its paths."""

from typing import Any, NamedTuple, assert_type

from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

from starlette_auth_toolkit.backends import MultiAuth
from starlette_auth_toolkit.base.backends import AuthBackend, BaseBasicAuth, BaseTokenAuth
from starlette_auth_toolkit.cryptography import (
    Argon2Hasher,
    BaseHasher,
    Hasher,
    MultiHasher,
    PBKDF2Hasher,
    generate_random_string,
)
from starlette_auth_toolkit.datatypes import AuthResult
from starlette_auth_toolkit.exceptions import InvalidCredentials

hasher = PBKDF2Hasher()


class User(NamedTuple):
    username: str
    password: str


USERS = {"alice": User("alice", hasher.make_sync("alicepwd"))}


class FindingAuth(BaseBasicAuth):
    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)

    async def verify_password(self, user: User, password: str) -> bool:
        return await hasher.verify(password, user.password)


class VerifyingAuth(BaseBasicAuth):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        if (username, password) != ("bob", "s3kr3t"):
            return None
        return SimpleUser(username)


class TokenAuth(BaseTokenAuth):
    async def verify(self, token: str) -> SimpleUser | None:
        if token != "abcd":
            return None
        return SimpleUser("bob")


class OwnAuth(AuthBackend):
    async def authenticate(self, conn: HTTPConnection) -> AuthResult:
        if "x" in conn.headers:
            raise InvalidCredentials
        return None


async def users_are_any() -> None:
    assert_type(await FindingAuth().verify("alice", "alicepwd"), Any | None)
    assert_type(await VerifyingAuth().verify("bob", "s3kr3t"), SimpleUser | None)
    assert_type(await TokenAuth().verify("abcd"), SimpleUser | None)


async def hashers_are_typed() -> None:
    multi = MultiHasher([Argon2Hasher(), PBKDF2Hasher(), Hasher(algorithm="pbkdf2_sha512")])
    assert_type(multi.hashers, tuple[BaseHasher, ...])
    hashed = await multi.make("hello")
    assert_type(hashed, str)
    assert_type(await multi.verify("hello", hashed), bool)
    assert_type(multi.needs_update(hashed), bool)
    assert_type(await multi.verify_and_update("hello", hashed), tuple[bool, str | None])
    assert_type(generate_random_string(size=32), str)
    MultiHasher(["argon2"])  # type: ignore[list-item]
    Hasher()  # type: ignore[call-arg]


app = Starlette(
    middleware=[
        Middleware(
            AuthenticationMiddleware,
            backend=MultiAuth([TokenAuth(), FindingAuth(), OwnAuth()]),
            on_error=lambda _, exc: PlainTextResponse(str(exc), status_code=401),
        )
    ]
)
