"""Asks a backend who sends a request, once for each connection and backend, and remembers it.

The memory is in the ASGI scope. It holds no credentials: an error is remembered without its
traceback, whose frames would, and without the user-id.
"""

from collections.abc import Callable
from types import CoroutineType
from typing import Any, NamedTuple, TypeAlias

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    UnauthenticatedUser,
)
from starlette.requests import HTTPConnection
from starlette.types import Scope

from ._backend import SchemeCredentials
from ._exceptions import InvalidCredentials
from ._results import awaitable, finished, user_or_none

__all__ = ["Asked", "ask", "check_backend", "forgetful", "last_asked"]

#: The key of the scope under which the answers of backends stand, the last one first.
_ASKED = "starlette_auth_core.asked"


class Asked(NamedTuple):
    """The answer of one backend about one connection, and the answers before it."""

    backend: AuthenticationBackend
    result: tuple[AuthCredentials, Any] | None
    error: AuthenticationError | None
    previous: "_Stored | None"


# A plain tuple of the same form is what stands in the scope: it costs half.
_Stored: TypeAlias = tuple[
    AuthenticationBackend,
    tuple[AuthCredentials, Any] | None,
    AuthenticationError | None,
    "_Stored | None",
]


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
    stored: _Stored | None = conn.scope.get(_ASKED)
    return None if stored is None else Asked(*stored)


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
    previous: _Stored | None = scope.get(_ASKED)
    if previous is not None and (asked := _find(previous, backend)) is not None:
        _set(scope, (backend, asked.result, asked.error, previous))
        if asked.error is not None:
            raise forgetful(asked.error)
        return
    try:
        pending = backend.authenticate(conn)
        if type(pending) is not CoroutineType:
            awaitable(pending, "authenticate")
        result = await pending
        if not (type(result) is tuple and result and isinstance(result[0], SchemeCredentials)):
            result = _checked(result)
    except AuthenticationError as error:
        _set(scope, (backend, None, forgetful(error), previous))
        if observer is not None:
            observer(conn, error)
        raise
    _set(scope, (backend, result, None, previous))
    if observer is not None and result is not None:
        observer(conn, result[0])


def _find(stored: _Stored, backend: AuthenticationBackend) -> Asked | None:
    asked: Asked | None = Asked(*stored)
    while asked is not None and asked.backend is not backend:
        asked = None if asked.previous is None else Asked(*asked.previous)
    return asked


def _set(scope: Scope, stored: _Stored) -> None:
    scope[_ASKED] = stored
    result = stored[1]
    if result is None:
        scope["auth"], scope["user"] = AuthCredentials(), UnauthenticatedUser()
    else:
        scope["auth"], scope["user"] = result


def _checked(result: tuple[AuthCredentials, Any] | None) -> tuple[AuthCredentials, Any] | None:
    # What backends of the app's own and of Starlette return; ours have looked at it already.
    if not finished(result, "authenticate") or result is None:
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
