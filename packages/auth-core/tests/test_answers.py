"""Rare ways for an answer to pass through the middleware, which mutated copies of it got wrong."""

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
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, InvalidCredentials

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
            message = await receive()
            await PlainTextResponse(message["body"], 401)(scope, receive, send)

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
