"""Looks at each result of an override point: the one place that decides what counts as a user.

A forgotten `await` and an empty result of a database must not let anybody in.
"""

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, Literal, TypeAlias, TypeVar

__all__ = [
    "accepted_keywords",
    "as_bool",
    "awaitable",
    "close_unawaited",
    "finished",
    "is_anonymous",
    "is_async",
    "is_unfinished",
    "named",
    "user_or_none",
]

T = TypeVar("T")

_Kind: TypeAlias = Literal["unfinished", "builtin", "own"]


def accepted_keywords(hook: Callable[..., Any]) -> frozenset[str]:
    """Return the names of the keywords that a hook takes, beside its other arguments."""
    # The function of a method is there for as long as its class is; a method is made anew.
    try:
        return _accepted_keywords(getattr(hook, "__func__", hook))
    except (TypeError, ValueError):  # It can't be hashed, or has no signature.
        return frozenset()


@functools.lru_cache(maxsize=256)
def _accepted_keywords(function: Callable[..., Any]) -> frozenset[str]:
    # A decorator may not hand on what the function in it takes.
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    return frozenset(
        each.name
        for each in parameters
        if each.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    )


def awaitable(pending: Awaitable[T], hook: str) -> Awaitable[T]:
    """Return what a hook returned, provided that it can be awaited.

    Raises:
        TypeError: If it can't. The message names the hook.
    """
    if type(pending) is CoroutineType or hasattr(type(pending), "__await__"):
        return pending
    # A generator-based coroutine (`types.coroutine`) is awaitable too, but it is also what a
    # `yield` in the wrong place makes. Neither is what a hook returns.
    raise TypeError(
        f"{hook} returned {named(pending)}, which can't be awaited: define it with `async def`"
    )


def user_or_none(result: T | None, hook: str) -> T | None:
    """Return the user that a hook found, or None where it found nobody.

    A false object of one of Python's own types (`{}`, `[]`, `0`, `""`, `False`) is nobody, as None
    is: databases return such for "nothing found". An object of the app's own class is a user,
    whatever its truth or length.

    Raises:
        TypeError: If the result can still be awaited or iterated. The message names the hook.
    """
    if result is None:
        return None
    cls: Any = type(result)
    kind = _kind(cls)
    if kind == "own":
        return result
    if kind == "unfinished":
        raise _unfinished(result, hook)
    return result or None


def is_anonymous(user: object) -> bool:
    """Return whether *user* says that nobody has logged in.

    An object without `is_authenticated` is a user. So is one of a class of Starlette's `BaseUser`
    that does not override the property, which raises `NotImplementedError` then.
    """
    try:
        return not getattr(user, "is_authenticated", True)
    except NotImplementedError:
        return False


def as_bool(answer: object, hook: str) -> bool:
    """Return the answer of a hook that says whether a password is right.

    Raises:
        TypeError: If the answer is true without being a bool or an int, which some databases
            return for one: a tuple, say, is true whatever it holds.
    """
    if type(answer) is bool:
        return answer
    if finished(answer, hook) and not isinstance(answer, int):
        raise TypeError(f"{hook} must return a bool; it returned {named(answer)}")
    return bool(answer)


def finished(result: T, hook: str) -> T:
    """Return *result*, provided that it is not something which can still be awaited or iterated.

    Raises:
        TypeError: If it is. The message names the hook.
    """
    if is_unfinished(result):
        raise _unfinished(result, hook)
    return result


def is_unfinished(result: object) -> bool:
    """Return whether *result* can still be awaited, or iterated once."""
    cls: Any = type(result)
    return _kind(cls) == "unfinished"


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether calling *function* makes a coroutine."""
    # An object may be called too, as Starlette allows for endpoints, and be wrapped in a partial.
    while isinstance(function, functools.partial):
        function = function.func
    call = getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def named(value: object) -> str:
    """Describe an object by its class only: its `repr` may show a secret."""
    return f"an object of the class {type(value).__qualname__}"


@functools.lru_cache(maxsize=256)
def _kind(cls: type[Any]) -> _Kind:
    # `__await__`: coroutines, futures, tasks, lazy queries. `__anext__` and `__aiter__`: async
    # generators and cursors. `__next__`: generators, and `filter(…)`, which is always true.
    if any(hasattr(cls, name) for name in ("__await__", "__anext__", "__aiter__", "__next__")):
        return "unfinished"
    # Python's whole standard library: an empty OrderedDict is as empty as an empty dict.
    if cls.__module__.partition(".")[0] in sys.stdlib_module_names:
        return "builtin"
    return "own"


def close_unawaited(result: object) -> None:
    """Close a coroutine; otherwise Python warns that it was never awaited."""
    if isinstance(result, CoroutineType):
        result.close()


def _unfinished(result: object, hook: str) -> TypeError:
    close_unawaited(result)
    if isinstance(result, CoroutineType):
        return TypeError(f"{result.__qualname__} was not awaited: write `return await …` in {hook}")
    return TypeError(
        f"{hook} returned {named(result)}, which is not a result yet: write `return await …`, or "
        "take the first object out of it"
    )
