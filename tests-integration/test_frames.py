"""A login that fails shows error reporters no password, whichever of the parts fails.

They send the local variables of every frame of an error and of its causes, without those of names
such as `password`; Starlette's and ASGI's `scope` has the header, and they filter that.
"""

import base64
import logging
import threading
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import anyio
import anyio.lowlevel
import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationError
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, requires
from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    CachingHasher,
    HasherBusy,
    MultiHasher,
    PBKDF2Hasher,
)

pytestmark = pytest.mark.anyio

PASSWORD = "pa55word"
PAIR = base64.b64encode(f"alice:{PASSWORD}".encode())
SHOWN = (PASSWORD, base64.b64encode(PASSWORD.encode()).decode().rstrip("="), PAIR.decode()[:16])
HIDDEN = {"password", "secret", "token", "scope"}

ARGON2 = Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1)
PBKDF2 = PBKDF2Hasher(rounds=1)
HASHERS = [
    ARGON2,
    MultiHasher([ARGON2, PBKDF2]),
    CachingHasher(MultiHasher([ARGON2, PBKDF2]), ttl=60, max_entries=10),
]
STORED = PBKDF2.make_sync("another")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


class NoMemory(BaseHasher):
    def make_sync(self, secret: str) -> str:
        raise MemoryError

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        raise MemoryError


class Gated(BaseHasher):
    """A hasher that works only once its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def make_sync(self, secret: str) -> str:
        self.gate.wait(30)
        return "hash"

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        return False


@dataclass
class User:
    username: str
    password: str = field(repr=False)


class BasicAuth(BaseBasicAuth[User]):
    def __init__(self, hasher: BaseHasher, stored: str | None = STORED) -> None:
        self.hasher = hasher
        self.stored = stored

    async def find_user(self, username: str) -> User | None:
        return None if self.stored is None else User(username, self.stored)

    async def replace_password_hash(self, user: User, old: str, new: str) -> None:
        raise ConnectionError(f"UPDATE users SET password = {new}")


class WithoutDatabase(BasicAuth):
    async def find_user(self, username: str) -> NoReturn:
        raise ConnectionError


@requires("authenticated")
async def home(request: Request) -> Response:
    return PlainTextResponse("Hello")


class Login:
    """One request with the password, and all errors that anybody was given on the way."""

    def __init__(self, backend: BaseBasicAuth[User]) -> None:
        middleware = Middleware(
            AuthenticationMiddleware, backend=backend, on_error=self.refuse, observer=self.observe
        )
        self.app = Starlette(routes=[Route("/", home)], middleware=[middleware])
        self.errors: list[BaseException] = []
        self.status: int | None = None

    def refuse(self, conn: HTTPConnection, error: AuthenticationError) -> Response:
        self.errors.append(error)
        return PlainTextResponse(str(error), getattr(error, "status_code", 401))

    def observe(self, conn: HTTPConnection, found: AuthCredentials | AuthenticationError) -> None:
        if isinstance(found, AuthenticationError):
            self.errors.append(found)

    async def run(self, header: bytes = b"Basic " + PAIR) -> None:
        async def receive() -> Message:
            if asked:
                await anyio.sleep_forever()  # The client stays.
            asked.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            self.status = message.get("status", self.status)

        asked: list[bool] = []
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "query_string": b"",
            "headers": [(b"authorization", header)],
        }
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - what a server and a reporter would be given
            self.errors.append(error)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk over all that an error reporter would follow."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)
        if isinstance(error, BaseExceptionGroup):
            for each in error.exceptions:
                yield from chain(each)


def assert_hidden(error: BaseException) -> None:
    for each in chain(error):
        captured = traceback.TracebackException.from_exception(each, capture_locals=True)
        for frame in captured.stack:
            if frame.filename != __file__:
                for name, value in (frame.locals or {}).items():
                    where = f"{frame.filename}:{frame.lineno} {frame.name}: {name}"
                    assert name in HIDDEN or not any(text in value for text in SHOWN), where
        assert not any(text in str(captured) for text in SHOWN)


@asynccontextmanager
async def full_queue() -> AsyncIterator[None]:
    """Give the worker threads so much to do that one more hash is refused."""
    gated = Gated()
    full = anyio.Event()

    async def fill() -> None:
        try:
            await gated.make("another")
        except HasherBusy:
            full.set()

    async with anyio.create_task_group() as tasks:
        try:
            while not full.is_set():
                tasks.start_soon(fill)
                await anyio.lowlevel.checkpoint()
            yield
        finally:
            gated.gate.set()


@pytest.mark.parametrize(
    "header",
    [
        b"Basic " + PAIR + b"!",
        b"Basic " + PAIR[:-1],
        b"Basic " + base64.b64encode(f"alice:{PASSWORD}\0".encode()),
        b"Basic " + base64.b64encode(f"alice:{PASSWORD}".encode() + b"\xff"),
        b"Basic " + base64.b64encode(PASSWORD.encode()),
        b"Basic " + base64.b64encode(f"alice:{PASSWORD * 2000}".encode()),
        PAIR,
    ],
)
async def test_malformed_header(header: bytes) -> None:
    login = Login(BasicAuth(PBKDF2))
    await login.run(header)
    assert login.status == 401
    assert login.errors
    for error in login.errors:
        assert_hidden(error)


@pytest.mark.parametrize(
    "stored",
    [STORED, ARGON2.make_sync("another"), "!", None],
    ids=["outdated", "current", "damaged", "unknown user"],
)
@pytest.mark.parametrize("hasher", HASHERS, ids=repr)
async def test_wrong_password(hasher: BaseHasher, stored: str | None) -> None:
    login = Login(BasicAuth(hasher, stored))
    await login.run()
    assert login.status == 401
    assert login.errors
    for error in login.errors:
        assert_hidden(error)


@pytest.mark.parametrize("stored", [STORED, None], ids=["known user", "unknown user"])
@pytest.mark.parametrize("hasher", HASHERS, ids=repr)
async def test_busy_hasher(hasher: BaseHasher, stored: str | None) -> None:
    login = Login(BasicAuth(hasher, stored))
    async with full_queue():
        await login.run()
    assert login.status == 503
    assert any(isinstance(each, HasherBusy) for error in login.errors for each in chain(error))
    for error in login.errors:
        assert_hidden(error)


@pytest.mark.parametrize("stored", [STORED, None], ids=["known user", "unknown user"])
@pytest.mark.parametrize(
    "hasher",
    [
        NoMemory(),
        MultiHasher([NoMemory(), PBKDF2]),
        CachingHasher(NoMemory(), ttl=60, max_entries=10),
    ],
    ids=["itself", "behind MultiHasher", "behind CachingHasher"],
)
async def test_hasher_without_memory(hasher: BaseHasher, stored: str | None) -> None:
    login = Login(BasicAuth(hasher, stored))
    await login.run()
    assert any(isinstance(each, MemoryError) for error in login.errors for each in chain(error))
    for error in login.errors:
        assert_hidden(error)


async def test_find_user_that_fails() -> None:
    login = Login(WithoutDatabase(PBKDF2))
    await login.run()
    assert any(isinstance(each, ConnectionError) for error in login.errors for each in chain(error))
    for error in login.errors:
        assert_hidden(error)


@pytest.mark.parametrize("hasher", HASHERS[1:], ids=repr)
async def test_upgrade_that_fails(hasher: BaseHasher, caplog: pytest.LogCaptureFixture) -> None:
    login = Login(BasicAuth(hasher, PBKDF2.make_sync(PASSWORD)))
    with caplog.at_level(logging.DEBUG):
        await login.run()
    assert login.status == 200
    assert login.errors == []
    assert "upgraded" in caplog.text
    for record in caplog.records:
        assert record.exc_info is None
        assert not any(text in repr(vars(record)) for text in (*SHOWN, "UPDATE", "$argon2"))
