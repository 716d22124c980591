"""Backends that count their hashes, and how tests send guesses."""

import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anyio
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    AuthBackend,
    BaseBasicAuth,
    InvalidCredentials,
)

HOME = "198.51.100.1"
ELSEWHERE = "203.0.113.9"


class User:
    def __init__(self, username: str) -> None:
        self.username = username


class Passwords(BaseBasicAuth[User]):
    """Alice's and bob's passwords; it counts the hashes that it would make."""

    def __init__(self, *, fallback_charset: str | None = None) -> None:
        self.fallback_charset = fallback_charset
        self.passwords = {"alice": "alicepwd", "bob": "bobpwd"}
        self.hashed = 0
        self.most_at_once = 0
        self._at_once = 0
        # Where it is set, a check waits for it.
        self.gate: anyio.Event | None = None

    async def verify(self, username: str, password: str) -> User | None:
        self.hashed += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.gate is None:
                await anyio.lowlevel.checkpoint()
            else:
                await self.gate.wait()
        finally:
            self._at_once -= 1
        return User(username) if self.passwords.get(username) == password else None


class Answering(AuthenticationBackend):
    """Answers as a function says, and counts how often it was asked."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer
        self.asked = 0

    async def authenticate(self, conn: HTTPConnection) -> Any:
        self.asked += 1
        return self.answer()


class FirstRight(AuthBackend[Any]):
    """Tries one backend after the other, as AnyOf of starlette-auth-multi does."""

    def __init__(self, *backends: AuthenticationBackend) -> None:
        self.backends = backends

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        for backend in self.backends:
            try:
                result = await backend.authenticate(conn)
            except InvalidCredentials:
                continue
            if result is not None:
                return result
        raise InvalidCredentials


def basic(username: str, password: str, charset: str = "utf-8") -> bytes:
    return b"Basic " + base64.b64encode(f"{username}:{password}".encode(charset))


def connection(*authorization: bytes, address: str | None = HOME) -> HTTPConnection:
    return HTTPConnection(
        {
            "type": "http",
            "headers": [(b"authorization", value) for value in authorization],
            "client": None if address is None else (address, 50_000),
        }
    )


async def answer(backend: AuthenticationBackend, conn: HTTPConnection) -> int:
    """Return the status of the answer, where 204 is an anonymous request."""
    try:
        result = await backend.authenticate(conn)
    except AuthenticationError as error:
        status = getattr(error, "status_code", None)
        return status if isinstance(status, int) else 401
    return 204 if result is None else 200


async def guess(
    backend: AuthenticationBackend,
    username: str = "alice",
    password: str = "wrong",
    *,
    address: str | None = HOME,
) -> int:
    return await answer(backend, connection(basic(username, password), address=address))


async def guesses(
    backend: AuthenticationBackend, count: int, username: str = "alice", **options: Any
) -> list[int]:
    return [await guess(backend, username, **options) for _ in range(count)]


async def at_once(calls: Iterable[Callable[[], Any]]) -> Sequence[Any]:
    """Return the results of all calls, in their order."""
    pending = list(calls)
    results: list[Any] = [None] * len(pending)

    async def keep(position: int) -> None:
        results[position] = await pending[position]()

    async with anyio.create_task_group() as tasks:
        for position in range(len(pending)):
            tasks.start_soon(keep, position)
    return results
