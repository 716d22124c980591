"""Authenticates each request, and answers those whose credentials are wrong."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, TypeAlias

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
)
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._asking import ask, check_backend, forgetful
from ._disconnect import WATCHED, Client, ClientLeft, dismiss
from ._exceptions import status_of
from ._refusals import (
    POLICY_VIOLATION,
    Lines,
    challenge_lines,
    deny,
    error_response,
    merge_vary,
    vary_of,
)
from ._results import finished, is_async

__all__ = ["AuthenticationMiddleware"]

logger = logging.getLogger("starlette_auth_core")

Observer: TypeAlias = Callable[[HTTPConnection, AuthCredentials | AuthenticationError], None]

_REFUSES = (
    "websocket.close",
    "websocket.http.response.start",
    "websocket.http.response.body",
)
_STARTS = ("websocket.http.response.start", "websocket.accept", "websocket.close")


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
        if on_invalid not in ("reject", "anonymous"):
            raise ValueError(f'on_invalid must be "reject" or "anonymous", not {on_invalid!r}')
        for name, function in (("observer", observer), ("on_error", on_error)):
            if function is not None and (not callable(function) or is_async(function)):
                raise TypeError(f"{name} must be a function that is not async: it is not awaited")
        self.app = app
        self.backend = backend
        self.on_error = on_error or error_response
        self.on_invalid = on_invalid
        self.observer = observer
        self._vary = vary_of(backend)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, a WebSocket, or hand on anything else."""
        make_exchange = _EXCHANGES.get(scope["type"])
        if make_exchange is None:
            await self.app(scope, receive, send)
            return
        exchange = make_exchange(self, scope, receive, send)
        receive = exchange.receive
        try:
            try:
                scope[WATCHED] = exchange
                try:
                    await ask(exchange.conn, self.backend, self.observer and self._observe)
                finally:
                    # No view is watched.
                    del scope[WATCHED]
                    if exchange.client is not None:
                        # It raises where the client has left, whatever became of that on the way.
                        receive = exchange.client.app_receive
            except AuthenticationError as error:
                if self.on_invalid == "reject" or status_of(error) != 401:
                    raise
                exchange.keep(error)
            await self.app(scope, receive, exchange.send)
        except AuthenticationError as error:
            if exchange.started:
                raise
            exchange.keep(error)
            await deny(exchange.conn, self.on_error(exchange.conn, error), receive, exchange.send)
        except (HTTPException, WebSocketException) as error:
            # An endpoint that is a class lets it out. In a part of an app that has this middleware
            # of its own, the app's handlers answer it further out, past `exchange.send`.
            exchange.pass_on(error)
        except ClientLeft:
            await dismiss(scope, receive, send)
        finally:
            if exchange.client is not None:
                await exchange.client.close()

    def _observe(
        self, conn: HTTPConnection, outcome: AuthCredentials | AuthenticationError
    ) -> None:
        try:
            assert self.observer is not None  # noqa: S101 - it is called where there is one
            finished(self.observer(conn, outcome), "observer")
        except Exception as error:  # noqa: BLE001 - it only looks on
            logger.error(  # noqa: TRY400 - the text of the error may show anything
                "The observer of a login failed: %s", type(error).__name__
            )


class _Exchange:
    # One request: its client, who may leave, and its response on the way out, where a 401 without a
    # challenge gets the backend's. One object for both, since making one is a good part of what a
    # request costs here.

    __slots__ = ("_error", "_middleware", "_send", "client", "conn", "receive", "started")

    # Whether nobody can be answered any more.
    ended = False

    def __init__(
        self, middleware: AuthenticationMiddleware, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.conn = HTTPConnection(scope)
        self.receive = receive
        self.client: Client | None = None
        self.started = False
        self._error: AuthenticationError | None = None
        self._middleware = middleware
        self._send = send

    def keep(self, error: AuthenticationError) -> None:
        # Not the error itself: it holds the frame that holds this object, and in such a circle
        # both would stay, credentials and all, until a garbage collection.
        self._error = forgetful(error)

    # No coroutine: handing on what the server returns is half the cost.
    def send(self, message: Message) -> Awaitable[None]:
        if not self.started and message["type"] == "http.response.start":
            self.started = True
            if message["status"] == 401 or self._middleware._vary:
                message = self._with_headers(message)
        # By way of a name: Python 3.11 looks `self._send(…)` up as a method first.
        send = self._send
        return send(message)

    def _with_headers(self, message: Message) -> Message:
        # A copy: the app may send the same message again, to somebody else.
        headers = self._completed(message["status"], message.get("headers", ()))
        return {**message, "headers": headers}

    def pass_on(self, error: HTTPException | WebSocketException) -> None:
        if self.ended:
            return
        if isinstance(error, HTTPException):
            headers = self._completed(error.status_code, Headers(error.headers).raw)
            if headers != Headers(error.headers).raw:
                # In a copy: an app may raise the same object for somebody else.
                copy = error.__class__.__new__(error.__class__, *error.args)
                copy.__dict__.update(error.__dict__)
                copy.headers = Headers(raw=headers)
                raise copy.with_traceback(error.__traceback__) from error.__cause__
        raise error

    def _completed(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Lines:
        lines = merge_vary(headers, self._middleware._vary)
        if status == 401:
            names = {name.lower() for name, _ in lines}
            if b"www-authenticate" not in names:
                lines += challenge_lines(self.conn, self._middleware.backend, self._error)
            if self._error is not None:
                # It answers a credential, though the app may take the request for anonymous.
                lines = [line for line in lines if line[0].lower() != b"cache-control"]
                lines.append((b"cache-control", b"no-store"))
        return lines


class _WebSocketExchange(_Exchange):
    # A WebSocket ends once. Starlette closes it for each exception, also when it was closed before,
    # as in an `on_disconnect` that asks for a scope; a server raises an error then.

    __slots__ = ("ended",)

    def __init__(
        self, middleware: AuthenticationMiddleware, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async def noting() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.ended = True
            return message

        super().__init__(middleware, scope, noting, send)
        self.ended = False

    def send(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if self.ended and kind in _REFUSES:
            return _nothing()
        if kind == "websocket.http.response.start":
            if self.started:
                # It was accepted, and can't be denied any more.
                message = {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""}
                kind = "websocket.close"
            else:
                message = self._with_headers(message)
        self.started = self.started or kind in _STARTS
        self.ended = self.ended or kind == "websocket.close"
        return self._send(message)


_EXCHANGES = {"http": _Exchange, "websocket": _WebSocketExchange}


async def _nothing() -> None:
    return None
