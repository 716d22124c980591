"""Calls of a store: each ends in time, and what it returns is looked at."""

import logging
import math
import sys
from collections.abc import Awaitable
from types import CoroutineType
from typing import Any, TypeVar

from anyio import CancelScope, current_time

from starlette_auth_core import AuthenticationUnavailable
from starlette_auth_core.storage import log_unavailable

__all__ = ["check_row", "check_store", "check_user", "wait"]

_logger = logging.getLogger("starlette_auth_sessions")

_ResultT = TypeVar("_ResultT")

_METHODS = ("find", "insert", "touch", "delete", "delete_all", "list", "purge")
# Of what can still be awaited or iterated: coroutines, lazy queries, cursors, generators.
_UNFINISHED = ("__await__", "__aiter__", "__anext__", "__next__")
_ROW_FIELDS = ("digest", "user", "created_at", "expires_at")


def check_store(store: object) -> None:
    """Raise an error unless *store* is an object that can keep sessions."""
    if isinstance(store, type) or not all(
        callable(getattr(store, name, None)) for name in _METHODS
    ):
        raise TypeError(
            f"store must be a TokenStore object, such as MemoryTokenStore(); got {_named(store)}"
        )
    # Optional: only a storage that knows its columns can tell.
    if getattr(store, "records_use", True) is False:
        raise ValueError(
            "the rows of store have no last_used_at, so that each session would end `idle` after "
            "its login, used or not: add that column to the model"
        )


async def wait(name: str, call: Awaitable[_ResultT], seconds: float | None) -> _ResultT:
    """Await the call of the store's method *name* for at most *seconds*.

    Raises:
        AuthenticationUnavailable: If it takes longer, or the store raises a `TimeoutError`.
    """
    # `fail_after` does the same at half as much again, and this is in every request with a cookie.
    deadline = math.inf if seconds is None else current_time() + seconds
    try:
        with CancelScope(deadline=deadline):
            return await call
        raise TimeoutError  # noqa: TRY301  # The deadline has cancelled the call.
    except TimeoutError as error:
        log_unavailable(error, logger=_logger, text=f"{name} of the store took too long")
        raise AuthenticationUnavailable from error


def check_row(name: str, row: Any) -> None:
    """Raise a `TypeError` unless *row*, which the store's method *name* returned, is a row."""
    missing = [field for field in _ROW_FIELDS if not hasattr(row, field)]
    if missing:
        raise TypeError(
            f"{name} of the store returned {_named(row)}, which is not the row of a session: "
            f"it lacks {', '.join(missing)}"
        )


def check_user(user: object) -> None:
    """Raise a `TypeError` unless *user* is a user, and not nobody or a forgotten `await`."""
    # A false object of Python's own, such as an empty dict, is what databases return for nobody.
    nobody = type(user).__module__.partition(".")[0] in sys.stdlib_module_names and not user
    if nobody or any(hasattr(type(user), name) for name in _UNFINISHED):
        if isinstance(user, CoroutineType):
            user.close()  # Otherwise Python warns that it was never awaited.
        raise TypeError(f"user must be a user, found and awaited before; got {_named(user)}")


def _named(value: object) -> str:
    # Its `repr` may show a secret.
    kind = value if isinstance(value, type) else type(value)
    return f"{'the class' if isinstance(value, type) else 'an object of the class'} {kind.__name__}"
