"""Checks the scopes that an endpoint, a mounted app or a dependency asks for, and refuses."""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, ParamSpec
from urllib.parse import urlencode

from starlette.authentication import AuthenticationBackend, AuthenticationError
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from ._asking import ask, check_backend, last_asked
from ._challenges import add_parameters
from ._exceptions import InvalidCredentials
from ._grammar import is_scope_token
from ._refusals import (
    challenges_of,
    deny,
    merge_vary,
    raisable,
    refusal,
    refusal_headers,
    vary_of,
)
from ._results import is_anonymous, is_async

__all__ = ["RequiresMiddleware", "authenticate", "authorize", "requires"]

P = ParamSpec("P")


async def authenticate(conn: HTTPConnection, backend: AuthenticationBackend) -> None:
    """Authenticate a connection, for frameworks that have dependencies instead of middleware.

    It sets `conn.user` and `conn.auth` as the middleware does. A backend is asked once for each
    connection, however often this is called; a refusal is remembered too, without credentials.

    Args:
        conn: The request or WebSocket.
        backend: The backend, ours or Starlette's.

    Raises:
        HTTPException: If the backend refuses, as `refusal` makes it; a `WebSocketException` for a
            WebSocket that can't be denied by a response.
        TypeError: If *conn* is not a connection, or *backend* not a backend.
    """
    _check_connection(conn)
    check_backend(backend)
    refused: HTTPException | WebSocketException | None = None
    try:
        await ask(conn, backend)
    except AuthenticationError as error:
        refused = refusal(conn, error)
    # Raised out of the handler: the frames of the error hold credentials.
    if refused is not None:
        raise refused


def authorize(
    conn: HTTPConnection, scopes: str | Sequence[str], *, any_of: Sequence[str] | None = None
) -> None:
    """Refuse a connection that was not granted these scopes.

    Call `authenticate` before, or use `AuthenticationMiddleware`.

    Args:
        conn: The request or WebSocket.
        scopes: The scope or scopes that are needed, all of them.
        any_of: Scopes of which one is enough, beside *scopes*. None: none are asked for.

    Raises:
        HTTPException: 401 for the anonymous, with the challenges of the backend that was asked
            last on this connection, and 403 for a user who lacks a scope (RFC 9110 sections 15.5.2
            and 15.5.4); a `WebSocketException` for a WebSocket that can't be denied by a response.
        TypeError: If *conn* is not a connection, or the scopes are not strings.
        ValueError: If no scope is asked for.
        RuntimeError: If nothing has authenticated the connection.
    """
    _Rule.of(scopes, any_of).enforce(conn)


def requires(
    scopes: str | Sequence[str],
    status_code: int | None = None,
    redirect: str | None = None,
    *,
    any_of: Sequence[str] | None = None,
) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Let an endpoint be called only with these scopes, in the place of Starlette's decorator.

    It goes on functions and methods that take a `request` or a `websocket`. It refuses by raising,
    so that nothing after it runs, in a helper or a dependency either.

    Args:
        scopes: The scope or scopes that are needed, all of them.
        status_code: The status of a refusal. None: 401 for the anonymous and 403 for a user who
            lacks a scope (RFC 9110 sections 15.5.2 and 15.5.4), where a bearer token is answered
            with `error="insufficient_scope"` (RFC 6750 section 3.1).
        redirect: The name of the route to send a refused request to, with the URL in `next`. A
            WebSocket can't be sent elsewhere, and is refused.
        any_of: Scopes of which one is enough, beside *scopes*. None: none are asked for.

    Returns:
        The decorator. What it decorates raises an `HTTPException` for a refusal (303 with
        `Location` for a redirect), or a `WebSocketException` for a WebSocket that can't be denied
        by a response; and a `TypeError` where its argument is not a connection.

    Raises:
        TypeError: If the function takes neither a `request` nor a `websocket`, or a scope is not
            a string.
        ValueError: If no scope is asked for.
    """
    rule = _Rule.of(scopes, any_of, status_code, redirect)

    def decorator(function: Callable[P, Any]) -> Callable[P, Any]:
        name, position = _find_parameter(function)

        def connection(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            # The place is empty where the function has a default.
            return kwargs.get(name, args[position] if position < len(args) else None)

        def enforce(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            rule.enforce(connection(args, kwargs))

        def is_last_call(websocket: object) -> bool:
            return (
                isinstance(websocket, WebSocket)
                and websocket.client_state is WebSocketState.DISCONNECTED
                and getattr(function, "__name__", "") == "on_disconnect"
            )

        @functools.wraps(function)
        async def of_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
            try:
                enforce(args, kwargs)
            except WebSocketException:
                # Nothing comes after `on_disconnect`. For what it raises, Starlette closes a
                # WebSocket that is closed, and the server has an error.
                if is_last_call(connection(args, kwargs)):
                    return None
                raise
            return await function(*args, **kwargs)

        @functools.wraps(function)
        def of_function(*args: P.args, **kwargs: P.kwargs) -> Any:
            enforce(args, kwargs)
            return function(*args, **kwargs)

        return of_coroutine if is_async(function) else of_function

    return decorator


class RequiresMiddleware:
    """Lets an ASGI app be reached only with these scopes: `requires` for what is mounted.

    It goes inside an `AuthenticationMiddleware`, around an app that can't be decorated.

    Args:
        app: The app.
        scopes: The scope or scopes that are needed, all of them.
        any_of: Scopes of which one is enough, beside *scopes*. None: none are asked for.

    Raises:
        TypeError: If a scope is not a string.
        ValueError: If no scope is asked for.
    """

    def __init__(
        self, app: ASGIApp, scopes: str | Sequence[str], *, any_of: Sequence[str] | None = None
    ) -> None:
        self.app = app
        self._rule = _Rule.of(scopes, any_of)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request or WebSocket that has the scopes; hand on what is neither."""
        if scope["type"] in ("http", "websocket"):
            conn = HTTPConnection(scope)
            try:
                self._rule.enforce(conn)
            except HTTPException as error:
                # Not left to handlers: those of the app around a mounted one are past its own
                # middleware, which makes a 500 of what passes through.
                response = PlainTextResponse(error.detail, error.status_code, error.headers)
                await deny(conn, response, receive, send)
                return
            except WebSocketException as error:
                await send({"type": "websocket.close", "code": error.code, "reason": error.reason})
                return
        await self.app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Rule:
    scopes: tuple[str, ...]
    any_of: tuple[str, ...]
    status_code: int | None
    redirect: str | None

    @classmethod
    def of(
        cls,
        scopes: str | Sequence[str],
        any_of: Sequence[str] | None,
        status_code: int | None = None,
        redirect: str | None = None,
    ) -> "_Rule":
        needed = _as_tuple("scopes", scopes)
        one_of = () if any_of is None else _as_tuple("any_of", any_of)
        if any_of is not None and not one_of:
            raise ValueError("any_of is empty, so that nobody could have one of them: name a scope")
        if not (needed or one_of):
            raise ValueError("no scope is asked for, which would let everybody in: name a scope")
        return cls(needed, one_of, status_code, redirect)

    def enforce(self, conn: HTTPConnection) -> None:
        _check_connection(conn)
        if "auth" not in conn.scope:
            raise RuntimeError(
                "nothing has authenticated this connection: add AuthenticationMiddleware to the "
                "app, or call authenticate(conn, backend) before"
            )
        granted = conn.auth.scopes
        if not (
            all(scope in granted for scope in self.scopes)
            and (not self.any_of or any(scope in granted for scope in self.any_of))
        ):
            self._refuse(conn)

    def _refuse(self, conn: HTTPConnection) -> NoReturn:
        if self.redirect is not None and conn.scope["type"] == "http":
            location = f"{conn.url_for(self.redirect)}?{urlencode({'next': str(conn.url)})}"
            response = RedirectResponse(location)
            headers = [(b"cache-control", b"no-store")]
            headers += [line for line in response.raw_headers if line[0] == b"location"]
            raise raisable(conn, 303, None, self._varying(conn, headers))
        status = self.status_code or (401 if is_anonymous(conn.user) else 403)
        asked = last_asked(conn)
        if status == 401:
            remembered = asked.error if asked is not None else None
            error = remembered if isinstance(remembered, InvalidCredentials) else None
            headers = refusal_headers(conn, error or AuthenticationError())
        else:
            headers = self._varying(conn, [(b"cache-control", b"no-store")])
            if self.status_code is None:
                headers += self._insufficient_scope(conn)
        raise raisable(conn, status, None, headers)

    def _varying(
        self, conn: HTTPConnection, headers: list[tuple[bytes, bytes]]
    ) -> list[tuple[bytes, bytes]]:
        asked = last_asked(conn)
        return headers if asked is None else merge_vary(headers, vary_of(asked.backend))

    def _insufficient_scope(self, conn: HTTPConnection) -> list[tuple[bytes, bytes]]:
        asked = last_asked(conn)
        if asked is None:
            return []
        scheme: str = getattr(conn.auth, "scheme", "") or getattr(asked.backend, "scheme", "")
        if scheme.lower() != "bearer":
            return []
        needed = (*self.scopes, *self.any_of)
        parameters = {"error": "insufficient_scope"}
        if all(map(is_scope_token, needed)):
            parameters["scope"] = " ".join(needed)
        challenges = add_parameters(challenges_of(conn, asked.backend), scheme, parameters)
        bearer = (entry for entry in challenges if entry.scheme.lower() == "bearer")
        return [(b"www-authenticate", entry.to_header().encode("ascii")) for entry in bearer][:1]


def _check_connection(conn: object) -> None:
    # A body that a client sends may be called `request` too, and say anything of its scopes.
    if not isinstance(conn, HTTPConnection):
        raise TypeError(
            "scopes are read from a Request, WebSocket or HTTPConnection of Starlette, not from an "
            f"object of the class {type(conn).__qualname__}"
        )


def _as_tuple(setting: str, scopes: str | Sequence[str]) -> tuple[str, ...]:
    names = (scopes,) if isinstance(scopes, str) else tuple(scopes)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"{setting} must be a string or a sequence of strings")
    return names


def _find_parameter(function: Callable[..., Any]) -> tuple[str, int]:
    for position, name in enumerate(inspect.signature(function).parameters):
        if name in ("request", "websocket"):
            return name, position
    raise TypeError(f"{function!r} must take an argument named request or websocket")
