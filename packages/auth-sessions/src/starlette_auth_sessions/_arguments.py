"""Looks at the arguments of `Sessions`: requests, responses and users."""

import sys
from contextlib import suppress
from types import CoroutineType
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response

__all__ = [
    "check_conn",
    "check_logged_in",
    "check_response",
    "check_user",
    "close_unawaited",
    "is_nobody",
    "is_unfinished",
    "named",
]

# Of what can still be awaited or iterated: coroutines, lazy queries, cursors, generators.
_UNFINISHED = ("__await__", "__aiter__", "__anext__", "__next__")


def check_conn(name: str, conn: object) -> None:
    """Raise a `TypeError` unless the argument *name* is a connection."""
    if not isinstance(conn, HTTPConnection):
        raise TypeError(f"{name} must be a request of Starlette; got {named(conn)}")


def check_response(response: object) -> None:
    """Raise a `TypeError` unless *response* is a response."""
    if not isinstance(response, Response):
        raise TypeError(f"response must be a response of Starlette; got {named(response)}")


def check_user(user: object) -> None:
    """Raise a `TypeError` unless *user* is a user, and not nobody or a forgotten `await`."""
    if is_nobody(user) or is_unfinished(user):
        close_unawaited(user)
        raise TypeError(f"user must be a user, found and awaited before; got {named(user)}")


def check_logged_in(user: object) -> None:
    """Raise a `TypeError` if *user* says that nobody has logged in."""
    # Starlette's `BaseUser` raises where a class does not override the property.
    with suppress(NotImplementedError):
        if not getattr(user, "is_authenticated", True):
            raise TypeError(f"user must have logged in; got {named(user)}")


def is_nobody(user: object) -> bool:
    """Return whether *user* is what databases return for nobody.

    That is a false object of Python's own, such as None or an empty dict.
    """
    return type(user).__module__.partition(".")[0] in sys.stdlib_module_names and not user


def is_unfinished(value: object) -> bool:
    """Return whether *value* can still be awaited, or iterated once."""
    cls: Any = type(value)
    return any(hasattr(cls, name) for name in _UNFINISHED)


def close_unawaited(value: object) -> None:
    """Close a coroutine; otherwise Python warns that it was never awaited."""
    if isinstance(value, CoroutineType):
        value.close()


def named(value: object) -> str:
    """Describe an object by its class only: its `repr` may show a secret."""
    kind = value if isinstance(value, type) else type(value)
    return f"{'the class' if isinstance(value, type) else 'an object of the class'} {kind.__name__}"
