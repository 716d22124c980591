"""Rare ways for an answer to pass through the middleware, which mutated copies of it got wrong."""

import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
)
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from starlette_auth_core import (
    AuthenticationMiddleware,
    BaseBasicAuth,
    BaseBearerAuth,
    InvalidCredentials,
)

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[httpx.Response]]

BASIC = 'Basic realm="Restricted", charset="UTF-8"'


class BasicAuth(BaseBasicAuth[SimpleUser]):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        return None


class AsksForNothing(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        return None


async def please_log_in(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("Please log in", 401)(scope, receive, send)


async def test_each_middleware_adds_the_challenges_of_its_own_backend(fetch: Fetch) -> None:
    inner = AuthenticationMiddleware(please_log_in, AsksForNothing())
    response = await fetch(AuthenticationMiddleware(inner, BasicAuth()))
    assert response.headers["www-authenticate"] == BASIC


async def test_the_response_to_an_error_may_read_the_request(fetch: Fetch) -> None:
    class Echo(Response):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            body = await Request(scope, receive).body()
            await PlainTextResponse(body, 401)(scope, receive, send)

    def on_error(conn: HTTPConnection, error: AuthenticationError) -> Response:
        return Echo()

    app = AuthenticationMiddleware(please_log_in, BasicAuth(), on_error)
    response = await fetch(app, auth=("alice", "wrong"))
    assert (response.status_code, response.content) == (401, b"")


async def test_a_message_ahead_of_the_response_is_none() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette's templates tell the TestClient what they rendered.
        await send({"type": "http.response.debug", "info": {}})
        raise InvalidCredentials

    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nobody reads the request")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": []}
    await AuthenticationMiddleware(app, BasicAuth())(scope, receive, send)
    assert [message["type"] for message in sent] == [
        "http.response.debug",
        "http.response.start",
        "http.response.body",
    ]
    assert sent[1]["status"] == 401


class BearerAuth(BaseBearerAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return None


async def test_a_message_that_is_sent_again_and_again_stays_as_it_is(fetch: Fetch) -> None:
    start: Message = {"type": "http.response.start", "status": 401, "headers": []}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body"})

    protected = AuthenticationMiddleware(app, BearerAuth(), on_invalid="anonymous")
    response = await fetch(protected, bearer="expired")
    assert response.headers["www-authenticate"].endswith('error="invalid_token"')
    response = await fetch(protected)
    assert response.headers["www-authenticate"] == 'Bearer realm="Restricted"'
    assert start["headers"] == []


async def test_headers_that_can_be_read_only_once_arrive(fetch: Fetch) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = iter([(b"www-authenticate", b"Own"), (b"x-more", b"1")])
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body"})

    response = await fetch(AuthenticationMiddleware(app, BasicAuth()))
    assert (response.headers["www-authenticate"], response.headers["x-more"]) == ("Own", "1")


@pytest.mark.parametrize("on_invalid", ["reject", "anonymous"])
async def test_credentials_are_gone_with_the_request(on_invalid: Any, fetch: Fetch) -> None:
    class Secret:
        pass

    secrets: list[weakref.ref[Secret]] = []

    class RememberingAuth(BasicAuth):
        async def verify(self, username: str, password: str) -> SimpleUser | None:
            secret = Secret()
            secrets.append(weakref.ref(secret))
            raise InvalidCredentials

    app = AuthenticationMiddleware(please_log_in, RememberingAuth(), on_invalid=on_invalid)
    gc.collect()
    gc.disable()
    try:
        await fetch(app, auth=("alice", "wrong"))
        assert [secret() for secret in secrets] == [None]
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("backend", "got"), [(BasicAuth, "the class BasicAuth"), (5, "a int"), (None, "a NoneType")]
)
async def test_the_message_says_what_is_no_backend(backend: Any, got: str) -> None:
    with pytest.raises(TypeError) as raised:
        AuthenticationMiddleware(please_log_in, backend)
    assert str(raised.value) == f"backend must be an object with a method authenticate; got {got}"
