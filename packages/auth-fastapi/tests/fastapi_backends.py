"""The users and backends of the apps that the tests make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from fastapi import FastAPI
from starlette.authentication import AuthCredentials, AuthenticationBackend
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from starlette_auth_core import AuthBackend, BaseBasicAuth, BearerAuth, Challenge

Client: TypeAlias = Callable[[FastAPI], TestClient]


@dataclass
class User:
    """A user as an app may have one: it says nothing of `is_authenticated`."""

    username: str
    password: str = field(repr=False)
    scopes: Sequence[str] = ("authenticated",)
    active: bool = True


class Hasher:
    """Compares, and counts how often."""

    def __init__(self) -> None:
        self.hashes = 0

    async def verify(self, secret: str, hashed: str | None, /) -> bool:
        self.hashes += 1
        return secret == hashed

    async def verify_and_update(
        self, secret: str, hashed: str | None, /
    ) -> tuple[bool, str | None]:
        return await self.verify(secret, hashed), None

    async def dummy_verify(self, secret: str, username: str, /) -> None:
        self.hashes += 1


class Passwords(BaseBasicAuth[User]):
    active_field = "active"

    def __init__(self, *users: User) -> None:
        self.counted = Hasher()
        self.hasher = self.counted
        self.users = {user.username: user for user in users}

    async def find_user(self, username: str) -> User | None:
        return self.users.get(username)

    def get_scopes(self, user: User) -> Sequence[str]:
        return user.scopes

    @property
    def hashes(self) -> int:
        return self.counted.hashes


class Bearer(BearerAuth[User]):
    def get_scopes(self, user: User) -> Sequence[str]:
        return user.scopes


class Several(AuthBackend[Any]):
    """The first of several backends that finds credentials decides, as in starlette-auth-multi."""

    def __init__(self, *backends: AuthenticationBackend) -> None:
        self.backends = backends

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        for backend in self.backends:
            result = await backend.authenticate(conn)
            if result is not None:
                return result
        return None

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        return tuple(
            challenge
            for backend in self.backends
            if isinstance(backend, AuthBackend)
            for challenge in backend.challenges(conn)
        )


class Wrapper(AuthBackend[Any]):
    """Holds another backend, as a throttle does, and knows nothing of `vary`."""

    def __init__(self, backend: AuthBackend[Any]) -> None:
        self.backend = backend

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        return await self.backend.authenticate(conn)

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        return self.backend.challenges(conn)
