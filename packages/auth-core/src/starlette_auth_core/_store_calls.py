"""Calls of a store: each ends in time, was awaited, and returned the right kind of thing.

What a store returns decides who is let in, so a forgotten `await` must not pass for a row.
"""

import logging
import math
from collections.abc import Awaitable, Mapping
from typing import Any

from anyio import CancelScope, current_time

from ._exceptions import AuthenticationUnavailable
from ._results import awaitable, finished, named
from ._typing import TypeVar
from .storage import log_unavailable

__all__ = ["check_extra", "check_row", "finish", "wait"]

_logger = logging.getLogger("starlette_auth_core")

_ResultT = TypeVar("_ResultT")

_ROW_FIELDS = ("digest", "user", "scopes", "created_at", "expires_at")


async def wait(name: str, call: Awaitable[_ResultT], seconds: float | None) -> _ResultT:
    """Do what `finish` does, but log a `TimeoutError` and raise `AuthenticationUnavailable`."""
    try:
        return await finish(name, call, seconds)
    except TimeoutError as error:
        log_unavailable(error, logger=_logger, text=f"{name} of the store took too long")
        raise AuthenticationUnavailable from error


async def finish(name: str, call: Awaitable[_ResultT], seconds: float | None) -> _ResultT:
    """Await the call of the store's method *name* for at most *seconds*."""
    hook = f"{name} of the store"
    pending = awaitable(call, hook)
    # `fail_after` does the same at half as much again, and this is in every request with a token.
    deadline = math.inf if seconds is None else current_time() + seconds
    with CancelScope(deadline=deadline):
        return finished(await pending, hook)
    raise TimeoutError


def check_row(name: str, row: object) -> None:
    """Raise a `TypeError` unless *row*, which came out of *name*, is a row."""
    missing = [field for field in _ROW_FIELDS if not hasattr(row, field)]
    if missing:
        raise TypeError(
            f"{name} returned {named(row)}, which is not the row of a token: "
            f"it lacks {', '.join(missing)}"
        )


def check_extra(extra: object) -> Mapping[str, Any]:
    """Return what `extra` of a store returned, or raise a `TypeError`."""
    found = finished(extra, "extra of the store")
    if not isinstance(found, Mapping):
        raise TypeError(f"extra of the store must return a mapping, not {named(found)}")
    return found
