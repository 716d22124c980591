"""Calls of a store: each ends in time, and what it returns is looked at."""

import logging
import math
from collections.abc import Awaitable
from typing import Any, TypeVar

from anyio import CancelScope, current_time

from starlette_auth_core import AuthenticationUnavailable
from starlette_auth_core.storage import log_unavailable

from ._arguments import close_unawaited, is_unfinished, named

__all__ = ["check_row", "check_store", "finish", "wait"]

_logger = logging.getLogger("starlette_auth_sessions")

_ResultT = TypeVar("_ResultT")

_METHODS = ("find", "insert", "touch", "delete", "delete_all", "list", "purge")
_ROW_FIELDS = ("digest", "user", "created_at", "expires_at")


def check_store(store: object) -> None:
    """Raise an error unless *store* is an object that can keep sessions."""
    if isinstance(store, type) or not all(
        callable(getattr(store, name, None)) for name in _METHODS
    ):
        raise TypeError(
            f"store must be a TokenStore object, such as MemoryTokenStore(); got {named(store)}"
        )
    # Optional: only a storage that knows its columns can tell.
    if getattr(store, "records_use", True) is False:
        raise ValueError(
            "the rows of store have no last_used_at, so that each session would end `idle` after "
            "its login, used or not: add that column to the model"
        )


async def wait(name: str, call: Awaitable[_ResultT], seconds: float | None) -> _ResultT:
    """Do what `finish` does, but log a `TimeoutError` and raise `AuthenticationUnavailable`."""
    try:
        return await finish(name, call, seconds)
    except TimeoutError as error:
        log_unavailable(error, logger=_logger, text=f"{name} of the store took too long")
        raise AuthenticationUnavailable from error


async def finish(name: str, call: Awaitable[_ResultT], seconds: float | None) -> _ResultT:
    """Await the call of the store's method *name* for at most *seconds*.

    Raises:
        TimeoutError: If it takes longer, or the store raises one.
        TypeError: If the method is not async, or forgot an `await` itself: a query that never runs
            must not count as done.
    """
    if not hasattr(type(call), "__await__"):
        raise TypeError(
            f"{name} of the store returned {named(call)}, which can't be awaited: define it with "
            "`async def`"
        )
    # `fail_after` does the same at half as much again, and this is in every request with a cookie.
    deadline = math.inf if seconds is None else current_time() + seconds
    with CancelScope(deadline=deadline):
        result = await call
        if is_unfinished(result):
            close_unawaited(result)
            raise TypeError(
                f"{name} of the store returned {named(result)}, which is not a result yet: write "
                "`return await …`"
            )
        return result
    raise TimeoutError


def check_row(name: str, row: Any) -> None:
    """Raise a `TypeError` unless *row*, which the store's method *name* returned, is a row."""
    missing = [field for field in _ROW_FIELDS if not hasattr(row, field)]
    if missing:
        raise TypeError(
            f"{name} of the store returned {named(row)}, which is not the row of a session: "
            f"it lacks {', '.join(missing)}"
        )
