"""No secret, and no user-id, in an error's chain, in a repr or in a log record."""

import base64
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.authentication import AuthenticationError
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    AuthenticationUnavailable,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    InvalidCredentials,
    authenticate,
)
from starlette_auth_core.credentials import read_basic

pytestmark = pytest.mark.anyio

Connect = Callable[..., HTTPConnection]

USERNAME, PASSWORD = "alice-by-name", "pa55word"
TOKEN = f"{USERNAME}.{PASSWORD}"


class BasicAuth(BaseBasicAuth[str]):
    async def verify(self, username: str, password: str) -> str | None:
        return None


class AsciiBasicAuth(BasicAuth):
    fallback_charset = "ascii"


class BearerAuth(BaseBearerAuth[str]):
    async def verify(self, token: str) -> str | None:
        return None


class APIKeyAuth(BaseAPIKeyAuth[str]):
    async def verify(self, token: str) -> str | None:
        return None


class UnavailableAuth(BaseBasicAuth[str]):
    async def find_user(self, username: str) -> str | None:
        raise TimeoutError

    async def verify_password(self, user: str, password: str) -> bool:
        raise NotImplementedError


def basic(decoded: bytes) -> bytes:
    return b"Basic " + base64.b64encode(decoded)


PAIR = f"{USERNAME}:{PASSWORD}".encode()

CASES: list[tuple[AuthBackend, bytes | tuple[bytes, bytes]]] = [
    (BasicAuth(), basic(PAIR)),
    (BasicAuth(), basic(PAIR) + b"!"),
    (BasicAuth(), basic(PAIR)[:-1]),
    (BasicAuth(), basic(PAIR + b"\xff")),
    (BasicAuth(), basic(PAIR + b"\x00")),
    (BasicAuth(), basic(PAIR.replace(b":", b""))),
    (BasicAuth(), b"Basic " + PAIR),
    (AsciiBasicAuth(), basic(PAIR + b"\xff")),
    (UnavailableAuth(), basic(PAIR)),
    (BearerAuth(), b"Bearer " + TOKEN.encode()),
    (BearerAuth(), b"Bearer " + TOKEN.encode() + b"\xff"),
    (APIKeyAuth(), (b"x-api-key", TOKEN.encode())),
    (APIKeyAuth(), (b"x-api-key", TOKEN.encode() + b"\xff")),
]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk over everything that an error reporter would follow."""
    while error is not None:
        yield error
        if error.__cause__ is not None and error.__context__ is not error.__cause__:
            yield from chain(error.__context__)
        error = error.__cause__ or error.__context__


def shown(error: BaseException) -> str:
    """Return all that an error shows: text, arguments, and what a codec's error carries."""
    found = [str(error), repr(error), repr(error.args)]
    found += [repr(getattr(error, name, None)) for name in ("object", "parameters", "__notes__")]
    return " ".join(found)


def assert_no_secret(text: str) -> None:
    encoded = base64.b64encode(PAIR).decode()
    for secret in (PASSWORD, USERNAME, encoded[:20]):
        assert secret not in text


@pytest.mark.parametrize(("backend", "header"), CASES)
async def test_nothing_that_is_shown_holds_a_secret(
    backend: AuthBackend,
    header: bytes | tuple[bytes, bytes],
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises((InvalidCredentials, AuthenticationUnavailable)) as caught,
    ):
        await backend.authenticate(connect(header))
    for error in chain(caught.value):
        assert isinstance(error, AuthenticationError | TimeoutError)
        assert_no_secret(shown(error))
    assert_no_secret("".join(traceback.format_exception(caught.value)))
    assert_no_secret(caplog.text)


HIDDEN = {"password", "secret", "token", "scope"}  # Error reporters do not show these.


def shown_locals(error: BaseException) -> Iterator[str]:
    """Return what an error reporter shows of the frames of ours."""
    for each in chain(error):
        captured = traceback.TracebackException.from_exception(each, capture_locals=True)
        for frame in captured.stack:
            if frame.filename == __file__:
                continue
            for name, value in (frame.locals or {}).items():
                if name not in HIDDEN:
                    yield f"{frame.name}: {name}={value}"


class Failing:
    """A hasher, a store and a table of users, where the named step fails."""

    def __init__(self, step: str) -> None:
        self.step = step

    def fail(self, step: str) -> None:
        if step == self.step:
            raise MemoryError if step == "no memory" else ConnectionError

    async def verify(self, secret: str, hashed: str | None) -> bool:
        self.fail("hasher")
        self.fail("no memory")
        raise TimeoutError

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        raise NotImplementedError

    async def dummy_verify(self, secret: str, username: str) -> None:
        self.fail("dummy")
        raise TimeoutError


@dataclass
class User:
    username: str
    password: str = field(repr=False)


class FailingAuth(BaseBasicAuth[User]):
    def __init__(self, step: str) -> None:
        self.hasher = self.failing = Failing(step)

    async def find_user(self, username: str) -> User | None:
        self.failing.fail("find_user")
        return None if self.failing.step == "dummy" else User(username, "a hash")

    def get_scopes(self, user: User) -> list[str]:
        raise NotImplementedError


class FailingToken(BaseBearerAuth[str]):
    async def verify(self, token: str) -> str | None:
        raise ConnectionError


class FailingKey(BaseAPIKeyAuth[str]):
    async def verify(self, token: str) -> str | None:
        raise TimeoutError


STEPS = ["find_user", "hasher", "no memory", "dummy", "busy"]
OTHER_CASES: list[tuple[AuthBackend, bytes | tuple[bytes, bytes]]] = [
    *((FailingAuth(step), basic(PAIR)) for step in STEPS),
    (FailingToken(), b"Bearer " + TOKEN.encode()),
    (FailingKey(), (b"x-api-key", TOKEN.encode())),
    # The scheme was forgotten.
    (BasicAuth(), base64.b64encode(PAIR + b":")),
    (BearerAuth(), TOKEN.encode() + b"="),
    # Too long.
    (BasicAuth(), basic(PAIR * 1000)),
    (BearerAuth(), b"Bearer " + TOKEN.encode() * 1000),
]


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize(("backend", "header"), [*CASES, *OTHER_CASES])
async def test_no_frame_shows_a_secret_by_another_name(
    backend: AuthBackend,
    header: bytes | tuple[bytes, bytes],
    doubled: bool,
    connect: Connect,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ConnectionError

    async def nothing(*args: Any) -> Any:
        return None

    def on_error(conn: HTTPConnection, error: AuthenticationError) -> Response:
        raise error

    conn = connect(header, header) if doubled else connect(header)
    caught: list[BaseException] = []
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: backend.authenticate(conn),
        lambda: authenticate(conn, backend),
        lambda: AuthenticationMiddleware(app, backend, on_error)(conn.scope, nothing, nothing),
    ]
    for call in calls:
        conn.scope.pop("starlette_auth_core.asked", None)
        try:
            await call()
        except Exception as error:  # noqa: BLE001 - whatever it is
            caught.append(error)
    assert len(caught) == 3
    for each in caught:
        for line in shown_locals(each):
            for secret in (PASSWORD, base64.b64encode(PAIR).decode()[:20]):
                assert secret not in line


def test_credentials_do_not_show_in_a_repr(connect: Connect) -> None:
    credentials = read_basic(connect(basic(PAIR)))
    assert credentials is not None
    assert (credentials.username, credentials.password) == (USERNAME, PASSWORD)
    assert_no_secret(repr(credentials))


def test_errors_need_no_argument() -> None:
    assert str(InvalidCredentials()) == "Invalid credentials"
    assert str(InvalidCredentials("Wrong")) == "Wrong"
    assert issubclass(InvalidCredentials, AuthenticationError)
    assert str(AuthenticationUnavailable()) == "Authentication is unavailable"
    assert issubclass(AuthenticationUnavailable, AuthenticationError)


def test_the_user_id_is_for_throttling_only() -> None:
    error = InvalidCredentials(username=USERNAME)
    assert error.username == USERNAME
    assert_no_secret(shown(error))
