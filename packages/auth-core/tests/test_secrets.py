"""No secret, and no user-id, in an error's chain, in a repr or in a log record."""

import base64
import logging
import traceback
from collections.abc import Callable, Iterator

import pytest
from starlette.authentication import AuthenticationError
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    AuthBackend,
    AuthenticationUnavailable,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    InvalidCredentials,
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
    found += [repr(getattr(error, name, None)) for name in ("object", "challenge", "__notes__")]
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
