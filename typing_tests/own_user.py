"""What users write with a user type of their own: it is seen in every method."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, assert_type

from starlette.authentication import AuthCredentials, SimpleUser
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    Challenge,
    PasswordHasher,
    requires,
)
from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    CachingHasher,
    MultiHasher,
    PBKDF2Hasher,
)
from starlette_auth_multi import AnyOf, MultiAuth


@dataclass
class User:
    """Somebody in a database; not even a `BaseUser`."""

    name: str
    password: str = field(repr=False)
    roles: Sequence[str] = ()


USERS = {"alice": User("alice", "hash")}


class BasicAuth(BaseBasicAuth[User]):
    hasher = MultiHasher([Argon2Hasher(), PBKDF2Hasher()])

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)

    async def replace_password_hash(self, user: User, old: str, new: str) -> None:
        assert_type(user.roles, Sequence[str])
        user.password = new

    def get_scopes(self, user: User) -> Sequence[str]:
        return (*self.scopes, *user.roles)


class VerifyingAuth(BaseBasicAuth[User]):
    async def verify(self, username: str, password: str) -> User | None:
        return USERS.get(username)


class BearerAuth(BaseBearerAuth[User]):
    prefix = "acme"

    async def verify(self, token: str) -> User | None:
        return USERS.get(token)


class TokenAuth(BaseTokenAuth[User]):
    async def verify(self, token: str) -> User | None:
        return USERS.get(token)

    async def resolve(self, token: str) -> tuple[User, Sequence[str]] | None:
        user = await self.verify(token)
        return None if user is None else (user, ("read",))


class APIKeyAuth(BaseAPIKeyAuth[SimpleUser]):
    header = "X-Key"

    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser(token)


class CookieAuth(AuthBackend[User]):
    # Starlette's own base class has `BaseUser` here.
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        return None

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        return (Challenge("Cookie", realm=self.realm),)


async def users_come_back_as_what_they_are() -> None:
    assert_type(await BasicAuth().verify("alice", "secret"), User | None)
    assert_type(await BasicAuth().find_user("alice"), User | None)
    assert_type(await VerifyingAuth().verify("alice", "secret"), User | None)
    assert_type(await BearerAuth().verify("token"), User | None)
    assert_type(await BearerAuth().resolve("token"), tuple[User, Sequence[str]] | None)
    assert_type(await APIKeyAuth().verify("key"), SimpleUser | None)


class WrongUser(BaseBasicAuth[User]):
    async def find_user(self, username: str) -> SimpleUser | None:  # type: ignore[override]
        return SimpleUser(username)


class WrongArguments(BaseTokenAuth[User]):
    async def verify(self, token: bytes) -> User | None:  # type: ignore[override]
        return None


class WrongHasher(BaseBasicAuth[User]):
    hasher = "argon2"  # type: ignore[assignment]


class OwnHasher:
    """Fits `PasswordHasher` by its shape."""

    async def verify(self, secret: str, hashed: str | None) -> bool:
        return secret == hashed

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        return secret == hashed, None

    async def dummy_verify(self, secret: str, username: str) -> None:
        return None


class OwnHasherAuth(BaseBasicAuth[User]):
    hasher = OwnHasher()

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


def hashers_fit_what_backends_need(hasher: BaseHasher) -> PasswordHasher:
    cached: PasswordHasher = CachingHasher(hasher, ttl=60, max_entries=1_000)
    own: PasswordHasher = OwnHasher()
    wrong: PasswordHasher = User("alice", "")  # type: ignore[assignment]
    return [cached, own, wrong][0]


def backends_fit_what_starlette_needs() -> AuthenticationMiddleware:
    async def app(*_: object) -> None: ...

    backend = MultiAuth([BasicAuth(), AnyOf([BearerAuth(), TokenAuth()]), APIKeyAuth()])
    AuthenticationMiddleware(app, backend, on_invalid="accept")  # type: ignore[arg-type]
    return AuthenticationMiddleware(app, backend, on_invalid="anonymous")


@requires(["authenticated", "admin"], any_of=("read", "write"))
async def endpoint(conn: HTTPConnection, answer: int) -> str:
    return str(answer)


async def requires_keeps_the_signature(conn: HTTPConnection) -> None:
    await endpoint(conn, 42)
    await endpoint(conn, "42")  # type: ignore[arg-type]
