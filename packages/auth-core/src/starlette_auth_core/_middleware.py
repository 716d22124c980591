"""Authenticates each request, and answers those whose credentials are wrong."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, TypeAlias

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
)
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._asking import ask, check_backend, forgetful
from ._backend import check_names
from ._refusals import (
    Lines,
    challenge_lines,
    deny,
    error_response,
    merge_vary,
    status_of,
    vary_of,
)

__all__ = ["AuthenticationMiddleware"]

logger = logging.getLogger("starlette_auth_core")

Observer: TypeAlias = Callable[[HTTPConnection, AuthCredentials | AuthenticationError], None]

_RESPONSE_START = ("http.response.start", "websocket.http.response.start")
_REFUSES = (
    "websocket.close",
    "websocket.http.response.start",
    "websocket.http.response.body",
)
_STARTS = (*_RESPONSE_START, "websocket.accept", "websocket.close")


class AuthenticationMiddleware:
    """Authenticates requests and WebSockets with a backend, in the place of Starlette's own.

    Failed credentials are answered with 401 and all of the backend's challenges, each in a
    `WWW-Authenticate` line of its own: browsers read a combined line wrongly. A 401 that the app
    sends without a challenge gets them too (RFC 9110 section 15.5.2 demands one). A check that
    can't be made now is a 503 with `Retry-After`. An `AuthenticationError` that is raised beneath
    is answered in the same way, while no response has started; its `status_code` is honoured.

    Every response names in `Vary` the header fields of the backend's `vary`.

    On a WebSocket the answer is a denial response where the server offers the extension
    `websocket.http.response`, and a close with code 1008 (RFC 6455 section 7.4.1) elsewhere.

    Args:
        app: The app.
        backend: Ours or Starlette's, which may have a method `challenges`.
        on_error: Makes the response to an error, in the place of all this; a 401 of it without a
            challenge gets the backend's.
        on_invalid: `"reject"` answers failed credentials with 401. With `"anonymous"` a request
            whose error has the status 401 goes on without a user, so that public pages stay
            readable with an expired token, and the 401 of a protected page says what was wrong
            with it.
        observer: Called once for each request that carried credentials for the backend, with what
            they granted or the error; `conn.user` is set by then. It must return at once. An
            exception that it raises is logged, and changes nothing.

    Raises:
        TypeError: If *backend* has no `authenticate`, or *observer* is not a sync callable.
        ValueError: If *on_invalid* is neither of the two.
    """

    def __init__(
        self,
        app: ASGIApp,
        backend: AuthenticationBackend,
        on_error: Callable[[HTTPConnection, AuthenticationError], Response] | None = None,
        *,
        on_invalid: Literal["reject", "anonymous"] = "reject",
        observer: Observer | None = None,
    ) -> None:
        check_backend(backend)
        check_names("vary", getattr(backend, "vary", ()))
        if on_invalid not in ("reject", "anonymous"):
            raise ValueError(f'on_invalid must be "reject" or "anonymous", not {on_invalid!r}')
        if observer is not None and (
            not callable(observer)
            or inspect.iscoroutinefunction(observer)
            or inspect.iscoroutinefunction(type(observer).__call__)
        ):
            raise TypeError("observer must be a function that is not async: it is not awaited")
        self.app = app
        self.backend = backend
        self.on_error = on_error or error_response
        self.on_invalid = on_invalid
        self.observer = observer
        self._vary = vary_of(backend)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, a WebSocket, or hand on anything else."""
        if scope["type"] == "http":
            answer = _Answer(scope, self.backend, self._vary, send)
        elif scope["type"] == "websocket":
            answer = websocket = _WebSocketAnswer(scope, self.backend, self._vary, send)
            receive = websocket.watch(receive)
        else:
            await self.app(scope, receive, send)
            return
        try:
            try:
                await ask(answer.conn, self.backend, self.observer and self._observe)
            except AuthenticationError as error:
                if self.on_invalid == "reject" or status_of(error) != 401:
                    raise
                answer.keep(error)
            await self.app(scope, receive, answer.send)
        except AuthenticationError as error:
            if answer.started:
                raise
            answer.keep(error)
            await deny(answer.conn, self.on_error(answer.conn, error), receive, answer.send)
        except HTTPException as error:
            # An endpoint that is a class lets it out. In a part of an app that has this middleware
            # of its own, the app's handlers answer it further out, past `answer.send`.
            answer.complete(error)
            raise

    def _observe(
        self, conn: HTTPConnection, outcome: AuthCredentials | AuthenticationError
    ) -> None:
        try:
            assert self.observer is not None  # noqa: S101 - it is called where there is one
            self.observer(conn, outcome)
        except Exception as error:  # noqa: BLE001 - it only looks on
            logger.error(  # noqa: TRY400 - the text of the error may show anything
                "The observer of a login failed: %s", type(error).__name__
            )


class _Answer:
    # The response to one request, on its way out: a 401 without a challenge gets the backend's.

    __slots__ = ("_backend", "_error", "_send", "_vary", "conn", "started")

    def __init__(
        self, scope: Scope, backend: AuthenticationBackend, vary: tuple[str, ...], send: Send
    ) -> None:
        self.conn = HTTPConnection(scope)
        self.started = False
        self._backend = backend
        self._error: AuthenticationError | None = None
        self._send = send
        self._vary = vary

    def keep(self, error: AuthenticationError) -> None:
        # Not the error itself: it holds the frame that holds this answer, and in such a circle
        # both would stay, credentials and all, until a garbage collection.
        self._error = forgetful(error)

    # No coroutine: handing on what the server returns is half the cost.
    def send(self, message: Message) -> Awaitable[None]:
        if not self.started and message["type"] in _STARTS:
            self.started = True
            if message["type"] in _RESPONSE_START and (self._vary or message["status"] == 401):
                # A copy: the app may send the same message again, to somebody else.
                message = {
                    **message,
                    "headers": self._completed(message["status"], message.get("headers", ())),
                }
        return self._send(message)

    def complete(self, error: HTTPException) -> None:
        # In a copy: an app may raise the same object for somebody else.
        headers = self._completed(error.status_code, Headers(error.headers).raw)
        if headers != Headers(error.headers).raw:
            copy = error.__class__.__new__(error.__class__, *error.args)
            copy.__dict__.update(error.__dict__)
            copy.headers = Headers(raw=headers)
            raise copy.with_traceback(error.__traceback__) from error.__cause__

    def _completed(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Lines:
        lines = merge_vary(headers, self._vary)
        if status == 401:
            names = {name.lower() for name, _ in lines}
            if b"www-authenticate" not in names:
                lines += challenge_lines(self.conn, self._backend, self._error)
            if self._error is not None:
                # It answers a credential, though the app may take the request for anonymous.
                lines = [line for line in lines if line[0].lower() != b"cache-control"]
                lines.append((b"cache-control", b"no-store"))
        return lines


class _WebSocketAnswer(_Answer):
    # A WebSocket ends once. Starlette closes it for each exception, also when it was closed before,
    # as in an `on_disconnect` that asks for a scope; a server raises an error then.

    __slots__ = ("_ended",)

    def __init__(
        self, scope: Scope, backend: AuthenticationBackend, vary: tuple[str, ...], send: Send
    ) -> None:
        super().__init__(scope, backend, vary, send)
        self._ended = False

    def watch(self, receive: Receive) -> Receive:
        async def watched() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self._ended = True
            return message

        return watched

    def send(self, message: Message) -> Awaitable[None]:
        if self._ended and message["type"] in _REFUSES:
            return _nothing()
        self._ended = self._ended or message["type"] == "websocket.close"
        return super().send(message)


async def _nothing() -> None:
    return None
