"""Authenticates each request, and answers those whose credentials are wrong."""

from collections.abc import Awaitable, Callable
from typing import Literal

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    UnauthenticatedUser,
)
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ._challenges import Challenge, replace_entry
from ._exceptions import AuthenticationUnavailable, InvalidCredentials
from ._refusals import BACKEND, challenges_of, deny, error_response

__all__ = ["AuthenticationMiddleware"]

_RESPONSE_START = ("http.response.start", "websocket.http.response.start")
_WWW_AUTHENTICATE = b"www-authenticate"
_STARTS = (*_RESPONSE_START, "websocket.accept", "websocket.close")


class AuthenticationMiddleware:
    """Authenticates requests and WebSockets with a backend, in the place of Starlette's own.

    Failed credentials are answered with 401 and all of the backend's challenges, each in a
    `WWW-Authenticate` line of its own: browsers read a combined line wrongly. A 401 that the app
    sends without a challenge gets them too (RFC 9110 section 15.5.2 demands one). A check that
    can't be made now is a 503 with `Retry-After`. An `AuthenticationError` that is raised beneath
    is answered in the same way, while no response has started.

    On a WebSocket the answer is a denial response where the server offers the extension
    `websocket.http.response`, and a close with code 1008 (RFC 6455 section 7.4.1) elsewhere.

    Args:
        app: The app.
        backend: Ours or Starlette's, which may have a method `challenges`.
        on_error: Makes the response to an error, in the place of all this; a 401 of it without a
            challenge gets the backend's.
        on_invalid: `"reject"` answers failed credentials with 401. With `"anonymous"` the request
            goes on without a user, so that public pages stay readable with an expired token, and
            the 401 of a protected page says what was wrong with it.

    Raises:
        TypeError: If *backend* has no `authenticate`.
        ValueError: If *on_invalid* is none of the two.
    """

    def __init__(
        self,
        app: ASGIApp,
        backend: AuthenticationBackend,
        on_error: Callable[[HTTPConnection, AuthenticationError], Response] | None = None,
        *,
        on_invalid: Literal["reject", "anonymous"] = "reject",
    ) -> None:
        if isinstance(backend, type) or not callable(getattr(backend, "authenticate", None)):
            # Its `repr` may show a secret.
            shown = backend if isinstance(backend, type) else type(backend)
            raise TypeError(
                "backend must be an object with a method authenticate; "
                f"got {'the class' if isinstance(backend, type) else 'a'} {shown.__name__}"
            )
        if on_invalid not in ("reject", "anonymous"):
            raise ValueError(f'on_invalid must be "reject" or "anonymous", not {on_invalid!r}')
        self.app = app
        self.backend = backend
        self.on_error = on_error or error_response
        self.on_invalid = on_invalid

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, a WebSocket, or hand on anything else."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        scope[BACKEND] = self.backend
        conn = HTTPConnection(scope)
        answer = _Answer(conn, self.backend, send)
        try:
            try:
                result = await self.backend.authenticate(conn)
            except AuthenticationError as error:
                if self.on_invalid == "reject" or isinstance(error, AuthenticationUnavailable):
                    raise
                answer.keep(error)
                result = None
            scope["auth"], scope["user"] = result or (AuthCredentials(), UnauthenticatedUser())
            await self.app(scope, receive, answer.send)
        except AuthenticationError as error:
            if answer.started:
                raise
            answer.keep(error)
            await deny(conn, self.on_error(conn, error), receive, answer.send)
        except HTTPException as error:
            # An endpoint that is a class lets it out. In a part of an app that has this middleware
            # of its own, the app's handlers answer it further out, past `answer.send`.
            if error.status_code == 401:
                answer.challenge(error)
            raise


class _Answer:
    # The response to one request, on its way out: a 401 without a challenge gets the backend's.

    __slots__ = ("_backend", "_conn", "_own", "_send", "started")

    def __init__(self, conn: HTTPConnection, backend: AuthenticationBackend, send: Send) -> None:
        self._conn = conn
        self._backend = backend
        self._send = send
        self._own: Challenge | None = None
        self.started = False

    def keep(self, error: AuthenticationError) -> None:
        # Not the error itself: it holds the frame that holds this answer, and in such a circle
        # both would stay, credentials and all, until a garbage collection.
        self._own = error.challenge if isinstance(error, InvalidCredentials) else None

    # No coroutine: handing on what the server returns is half the cost.
    def send(self, message: Message) -> Awaitable[None]:
        if not self.started and message["type"] in _STARTS:
            self.started = True
            if message.get("status") == 401 and message["type"] in _RESPONSE_START:
                message = self._challenged(message)
        return self._send(message)

    def challenge(self, error: HTTPException) -> None:
        headers = Headers(error.headers)
        if "www-authenticate" not in headers:
            error.headers = Headers(raw=headers.raw + self._lines())

    def _challenged(self, start: Message) -> Message:
        headers = list(start.get("headers", ()))
        if not any(name.lower() == _WWW_AUTHENTICATE for name, _ in headers):
            headers += self._lines()
        # A copy: the app may send the same message again, to somebody else.
        return {**start, "headers": headers}

    def _lines(self) -> list[tuple[bytes, bytes]]:
        challenges = replace_entry(challenges_of(self._conn, self._backend), self._own)
        return [(_WWW_AUTHENTICATE, entry.to_header().encode("ascii")) for entry in challenges]
