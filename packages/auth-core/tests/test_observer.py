"""The observer of logins, for an audit log or a counter."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
)
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from starlette_auth_core import (
    AuthenticationMiddleware,
    AuthenticationUnavailable,
    BaseBasicAuth,
    InvalidCredentials,
    TooManyAttempts,
)

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[httpx.Response]]

GOOD, WRONG, SLOW, MANY = (("alice", word) for word in ("secret", "wrong", "slow", "many"))


class BasicAuth(BaseBasicAuth[SimpleUser]):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        if password == "slow":
            raise TimeoutError
        if password == "many":
            raise TooManyAttempts
        return SimpleUser(username) if password == "secret" else None


class Observer:
    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def __call__(
        self, conn: HTTPConnection, outcome: AuthCredentials | AuthenticationError
    ) -> None:
        said = outcome.scopes if isinstance(outcome, AuthCredentials) else type(outcome)
        self.seen.append((conn.user.display_name, said))


@pytest.mark.parametrize("on_invalid", ["reject", "anonymous"])
@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (None, []),
        (GOOD, [("alice", ["authenticated"])]),
        (WRONG, [("", InvalidCredentials)]),
        (SLOW, [("", AuthenticationUnavailable)]),
        (MANY, [("", TooManyAttempts)]),
    ],
)
async def test_it_sees_what_credentials_came_to(
    auth: tuple[str, str] | None, expected: list[Any], on_invalid: Any, fetch: Fetch
) -> None:
    observer = Observer()
    app = AuthenticationMiddleware(
        PlainTextResponse("Hello"), BasicAuth(), on_invalid=on_invalid, observer=observer
    )
    await fetch(app, auth=auth)
    assert observer.seen == expected


async def test_it_gets_the_error_itself_with_the_claimed_user_id(fetch: Fetch) -> None:
    names: list[str | None] = []

    def observer(conn: HTTPConnection, outcome: AuthCredentials | AuthenticationError) -> None:
        assert isinstance(outcome, InvalidCredentials)
        names.append(outcome.username)

    app = AuthenticationMiddleware(PlainTextResponse("Hello"), BasicAuth(), observer=observer)
    await fetch(app, auth=WRONG)
    assert names == ["alice"]


async def test_the_header_of_another_scheme_is_not_for_it(fetch: Fetch) -> None:
    observer = Observer()
    app = AuthenticationMiddleware(PlainTextResponse("Hello"), BasicAuth(), observer=observer)
    await fetch(app, bearer="abcd")
    assert observer.seen == []


async def test_nor_is_an_error_that_an_endpoint_raises(fetch: Fetch) -> None:
    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        raise InvalidCredentials

    observer = Observer()
    app = AuthenticationMiddleware(endpoint, BasicAuth(), observer=observer)
    assert (await fetch(app)).status_code == 401
    assert observer.seen == []
    await fetch(app, auth=GOOD)
    assert observer.seen == [("alice", ["authenticated"])]


async def test_a_middleware_that_does_not_ask_again_observes_nothing(fetch: Fetch) -> None:
    backend, outer, inner = BasicAuth(), Observer(), Observer()
    app = AuthenticationMiddleware(PlainTextResponse("Hello"), backend, observer=inner)
    await fetch(AuthenticationMiddleware(app, backend, observer=outer), auth=GOOD)
    assert (len(outer.seen), len(inner.seen)) == (1, 0)


@pytest.mark.parametrize(("auth", "status"), [(GOOD, 200), (WRONG, 401)])
async def test_an_exception_of_it_is_logged_and_changes_nothing(
    auth: tuple[str, str], status: int, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    def observer(conn: HTTPConnection, outcome: object) -> None:
        raise ValueError(f"{conn.headers['Authorization']} {outcome!r}")

    app = AuthenticationMiddleware(PlainTextResponse("Hello"), BasicAuth(), observer=observer)
    assert (await fetch(app, auth=auth)).status_code == status
    (record,) = caplog.records
    assert record.getMessage() == "The observer of a login failed: ValueError"
    assert (record.name, record.levelno) == ("starlette_auth_core", logging.ERROR)


async def test_a_coroutine_of_it_is_logged(fetch: Fetch, caplog: pytest.LogCaptureFixture) -> None:
    def observer(conn: HTTPConnection, outcome: object) -> Any:
        return async_observer(conn, outcome)

    app = AuthenticationMiddleware(PlainTextResponse("Hello"), BasicAuth(), observer=observer)
    assert (await fetch(app, auth=GOOD)).status_code == 200
    assert caplog.messages == ["The observer of a login failed: TypeError"]


async def test_a_backend_that_says_anonymous_by_a_user_shows_nobody(fetch: Fetch) -> None:
    class OwnAuth(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            return AuthCredentials(), UnauthenticatedUser()

    observer = Observer()
    await fetch(AuthenticationMiddleware(PlainTextResponse("Hello"), OwnAuth(), observer=observer))
    assert observer.seen == []


@pytest.mark.parametrize("scopes", [[], ["read"]])
async def test_a_user_who_does_not_say_is_authenticated_counts(
    scopes: list[str], fetch: Fetch
) -> None:
    class Own:
        display_name = "own"

    class OwnAuth(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            return AuthCredentials(scopes), Own()

    observer = Observer()
    await fetch(AuthenticationMiddleware(PlainTextResponse("Hello"), OwnAuth(), observer=observer))
    assert observer.seen == [("own", scopes)]


async def test_a_user_who_does_not_override_is_authenticated_counts(fetch: Fetch) -> None:
    class Own(BaseUser):
        @property
        def display_name(self) -> str:
            return "own"

    class OwnAuth(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            return AuthCredentials(), Own()

    observer = Observer()
    app = AuthenticationMiddleware(PlainTextResponse("Hello"), OwnAuth(), observer=observer)
    assert (await fetch(app)).status_code == 200
    assert observer.seen == [("own", [])]


async def test_scopes_without_a_user_count(fetch: Fetch) -> None:
    class OwnAuth(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            return AuthCredentials(["read"]), UnauthenticatedUser()

    observer = Observer()
    await fetch(AuthenticationMiddleware(PlainTextResponse("Hello"), OwnAuth(), observer=observer))
    assert observer.seen == [("", ["read"])]


async def test_it_sees_websockets() -> None:
    observer = Observer()

    async def nothing(*args: Any) -> Any:
        return None

    app = AuthenticationMiddleware(nothing, BasicAuth(), observer=observer)
    scope = {"type": "websocket", "headers": [(b"authorization", b"Basic YWxpY2U6d3Jvbmc=")]}
    await app(scope, nothing, nothing)
    assert observer.seen == [("", InvalidCredentials)]


class AsyncObserver:
    async def __call__(self, conn: HTTPConnection, outcome: object) -> None:
        return None


async def async_observer(conn: HTTPConnection, outcome: object) -> None:
    return None


@pytest.mark.parametrize("observer", [async_observer, AsyncObserver(), "log", 5])
def test_it_has_to_be_a_function_that_is_not_async(observer: Any) -> None:
    for name in "observer", "on_error":
        options: dict[str, Any] = {name: observer}
        with pytest.raises(TypeError, match=name):
            AuthenticationMiddleware(PlainTextResponse("Hello"), BasicAuth(), **options)
