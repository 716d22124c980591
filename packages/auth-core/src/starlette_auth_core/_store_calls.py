"""Calls of a store: each ends in time, was awaited, and returned the right kind of thing.

What a store returns decides who is let in, so a forgotten `await` must not pass for a row.
"""

import math
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any

from anyio import CancelScope, current_time

from ._exceptions import AuthenticationUnavailable
from ._typing import TypeVar

__all__ = ["check_extra", "check_row", "finish", "is_nobody", "kind", "wait"]

_ResultT = TypeVar("_ResultT")

_ROW_FIELDS = ("digest", "user", "scopes", "created_at", "expires_at")


async def wait(name: str, call: Awaitable[_ResultT], seconds: float | None) -> _ResultT:
    """Do what `finish` does; a `TimeoutError` becomes `AuthenticationUnavailable`."""
    try:
        return await finish(name, call, seconds)
    except TimeoutError as error:
        raise AuthenticationUnavailable from error


async def finish(name: str, call: Awaitable[_ResultT], seconds: float | None) -> _ResultT:
    """Await the call of the store's method *name* for at most *seconds*."""
    if not isinstance(call, Awaitable):
        raise TypeError(f"{name} of the store must be async: {kind(call)} can't be awaited")
    # `fail_after` does the same at half as much again, and this is in every request with a token.
    deadline = math.inf if seconds is None else current_time() + seconds
    with CancelScope(deadline=deadline):
        result = await call
        if isinstance(result, Awaitable):
            _close(result)
            raise TypeError(f"{name} of the store returned {kind(result)} that was not awaited")
        return result
    raise TimeoutError


def check_row(name: str, row: object) -> None:
    """Raise a `TypeError` unless *row*, which the method *name* returned, is a row."""
    missing = [field for field in _ROW_FIELDS if not hasattr(row, field)]
    if missing:
        raise TypeError(
            f"{name} of the store returned {kind(row)}, which is not the row of a token: "
            f"the value has no {', no '.join(missing)}"
        )


def check_extra(extra: object) -> Mapping[str, Any]:
    """Return what `extra` of a store returned, or raise a `TypeError`."""
    if not isinstance(extra, Mapping):
        _close(extra)
        raise TypeError(f"extra of the store must return a mapping, not {kind(extra)}")
    return extra


def is_nobody(value: object) -> bool:
    """Return whether *value* is a false value of a builtin type, such as None or `{}`."""
    return type(value).__module__ == "builtins" and not value


def kind(value: object) -> str:
    """Describe *value* by its type only: the value may hold a digest."""
    return f"a value of type {type(value).__name__}"


def _close(result: object) -> None:
    # A coroutine that nobody awaits would add a warning to the error.
    if isinstance(result, Coroutine):
        result.close()
