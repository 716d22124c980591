"""Asks a backend who sends a request, once for each connection and backend, and remembers it.

The memory is in the ASGI scope. It holds no credentials: an error is remembered without its
traceback, whose frames would, and without the user-id.
"""

from collections.abc import Callable
from types import CoroutineType
from typing import Any

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    UnauthenticatedUser,
)
from starlette.requests import HTTPConnection

from ._exceptions import InvalidCredentials
from ._results import awaitable, user_or_none

__all__ = ["Asked", "ask", "check_backend", "forgetful", "last_asked"]

#: The key of the scope under which the answers of backends stand, the last one first.
_ASKED = "starlette_auth_core.asked"


class Asked:
    """The answer of one backend about one connection, and the answers before it."""

    __slots__ = ("backend", "error", "previous", "result")

    def __init__(
        self,
        backend: AuthenticationBackend,
        result: tuple[AuthCredentials, Any] | None,
        error: AuthenticationError | None,
        previous: "Asked | None",
    ) -> None:
        self.backend = backend
        self.result = result
        self.error = error
        self.previous = previous


def check_backend(backend: object) -> None:
    """Raise a `TypeError` unless *backend* is an object with a method `authenticate`."""
    if isinstance(backend, type) or not callable(getattr(backend, "authenticate", None)):
        # Its `repr` may show a secret.
        shown = backend if isinstance(backend, type) else type(backend)
        raise TypeError(
            "backend must be an object with a method authenticate; "
            f"got {'the class' if isinstance(backend, type) else 'a'} {shown.__name__}"
        )


def last_asked(conn: HTTPConnection) -> Asked | None:
    """Return the answer of the backend that was asked last on *conn*, if one was."""
    asked: Asked | None = conn.scope.get(_ASKED)
    return asked


async def ask(
    conn: HTTPConnection,
    backend: AuthenticationBackend,
    observer: Callable[[HTTPConnection, AuthCredentials | AuthenticationError], None] | None = None,
) -> None:
    """Have *backend* authenticate *conn*, unless it already did, and set its user and scopes.

    Args:
        conn: The request or WebSocket.
        backend: The backend.
        observer: Called where the backend is asked now and the request carried credentials for it.

    Raises:
        AuthenticationError: The backend's own; one without credentials where it was asked before.
    """
    scope = conn.scope
    previous: Asked | None = scope.get(_ASKED)
    asked = previous
    while asked is not None and asked.backend is not backend:
        asked = asked.previous
    if asked is not None:
        _set(scope, Asked(backend, asked.result, asked.error, previous))
        if asked.error is not None:
            raise forgetful(asked.error)
        return
    try:
        pending = backend.authenticate(conn)
        if type(pending) is not CoroutineType:
            awaitable(pending, "authenticate")
        result = await pending
        if result is not None:
            result = _checked(result)
    except AuthenticationError as error:
        _set(scope, Asked(backend, None, forgetful(error), previous))
        if observer is not None:
            observer(conn, error)
        raise
    _set(scope, Asked(backend, result, None, previous))
    if observer is not None and result is not None:
        observer(conn, result[0])


def _set(scope: Any, asked: Asked) -> None:
    scope[_ASKED] = asked
    scope["auth"], scope["user"] = asked.result or (AuthCredentials(), UnauthenticatedUser())


def _checked(result: tuple[AuthCredentials, Any]) -> tuple[AuthCredentials, Any] | None:
    # Backends of the app's own and of Starlette pass here too.
    if not result:
        return None
    credentials, user = result
    if user_or_none(user, "authenticate") is not None:
        return result
    if credentials.scopes:
        raise InvalidCredentials
    return None


def forgetful(error: AuthenticationError) -> AuthenticationError:
    """Return a copy of *error* that holds what a response needs, and no credentials."""
    cls = type(error)
    kept: Any = cls.__new__(cls)
    kept.args = (str(error),)
    # Named one by one: an error of the app's own may hold anything.
    for name in ("parameters", "retry_after", "scheme", "status_code"):
        if name in vars(error):
            setattr(kept, name, getattr(error, name))
    if isinstance(kept, InvalidCredentials):
        kept.username = None
    remembered: AuthenticationError = kept
    return remembered
