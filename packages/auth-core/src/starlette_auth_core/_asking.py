"""Asks a backend who sends a request, once for each connection and backend, and remembers it.

The memory is in the ASGI scope. It holds no credentials: an error is remembered without its
traceback, whose frames would, and without the user-id.
"""

from collections.abc import Callable
from types import CoroutineType
from typing import Any

from anyio import Event
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    UnauthenticatedUser,
)
from starlette.requests import HTTPConnection
from starlette.types import Scope

from ._basic import BaseBasicAuth
from ._exceptions import (
    AuthenticationUnavailable,
    InvalidCredentials,
    TooManyAttempts,
    status_of,
)
from ._results import awaitable, finished, is_anonymous, user_or_none
from ._token_auth import BaseTokenAuth

__all__ = ["Asked", "ask", "check_backend", "forgetful", "last_asked"]

#: The key of the scope under which the answers of backends stand in a list, the last one last.
_ASKED = "starlette_auth_core.asked"


class Asked:
    """The answer of one backend about one connection."""

    __slots__ = ("answered", "backend", "error", "result", "waiting")

    def __init__(self, backend: AuthenticationBackend) -> None:
        self.backend = backend
        self.answered = False
        self.error: AuthenticationError | None = None
        self.result: tuple[AuthCredentials, Any] | None = None
        # Of those who ask while the backend has not answered yet.
        self.waiting: Event | None = None


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
    memory: list[Asked] = conn.scope.get(_ASKED, [])
    return memory[-1] if memory else None


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
    memory: list[Asked] | None = conn.scope.get(_ASKED)
    if memory is None:
        memory = conn.scope[_ASKED] = []
    elif await _was_asked(conn, backend, memory):
        return
    asked = Asked(backend)
    memory.append(asked)
    try:
        pending = backend.authenticate(conn)
        if type(pending) is not CoroutineType:
            awaitable(pending, "authenticate")
        asked.result = await pending
        # Those of core have looked at their user already.
        if type(backend).authenticate not in _LOOKED_AT:
            asked.result = _checked(asked.result)
        asked.answered = True
    except AuthenticationError as error:
        asked.answered, asked.error = True, forgetful(error)
        _set(conn.scope, None)
        if observer is not None:
            observer(conn, error)
        raise
    finally:
        if not asked.answered:
            memory.remove(asked)
        if asked.waiting is not None:
            asked.waiting.set()
    _set(conn.scope, asked.result)
    if observer is not None and asked.result is not None and not _is_anonymous(*asked.result):
        observer(conn, asked.result[0])


async def _was_asked(
    conn: HTTPConnection, backend: AuthenticationBackend, memory: list[Asked]
) -> bool:
    while (asked := next((each for each in memory if each.backend is backend), None)) is not None:
        if asked.answered:
            memory.remove(asked)
            memory.append(asked)
            _set(conn.scope, asked.result)
            if asked.error is not None:
                raise forgetful(asked.error)
            return True
        if asked.waiting is None:
            asked.waiting = Event()
        await asked.waiting.wait()
    return False


def _set(scope: Scope, result: tuple[AuthCredentials, Any] | None) -> None:
    if result is None:
        scope["auth"], scope["user"] = AuthCredentials(), UnauthenticatedUser()
    else:
        scope["auth"], scope["user"] = result


def _is_anonymous(credentials: AuthCredentials, user: Any) -> bool:
    return not credentials.scopes and is_anonymous(user)


def _checked(result: tuple[AuthCredentials, Any] | None) -> tuple[AuthCredentials, Any] | None:
    if not finished(result, "authenticate") or result is None:
        return None
    credentials, user = result
    if user_or_none(user, "authenticate") is not None:
        return result
    if credentials.scopes:
        raise InvalidCredentials
    return None


def forgetful(error: AuthenticationError) -> AuthenticationError:
    """Return an error that holds what a response needs of *error*, and no credentials.

    It is of a class of core: one of the app's own may hold anything, and be made in any way.
    """
    kept: Any
    if isinstance(error, InvalidCredentials):
        kept = InvalidCredentials(str(error), scheme=error.scheme, parameters=error.parameters)
    elif isinstance(error, TooManyAttempts):
        kept = TooManyAttempts(str(error))
    elif isinstance(error, AuthenticationUnavailable):
        kept = AuthenticationUnavailable(str(error))
    else:
        kept = AuthenticationError(str(error))
    kept.status_code = status_of(error)
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        kept.retry_after = retry_after
    remembered: AuthenticationError = kept
    return remembered


_LOOKED_AT = (BaseTokenAuth.authenticate, BaseBasicAuth.authenticate)
