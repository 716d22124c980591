"""The models, the queries, and the difference between a database that fails and a wrong program.

orm's own `all()` builds a statement, runs it, and makes objects, in one call. Here the three are
apart: only running a statement may fail because of the database, and only that becomes
`AuthenticationUnavailable`. Its `update()` and `load()` are not used either: the one changes what
it stores (it strips text), the other sets some fields to what the driver returned.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeAlias, TypeGuard, TypeVar, cast

import orm
import sqlalchemy

from starlette_auth_core import AuthenticationUnavailable, UserT

__all__ = [
    "QUERY_TIMEOUT",
    "ModelSource",
    "check_field",
    "check_source",
    "execute",
    "fetch",
    "find",
    "from_row",
    "is_active",
    "is_model",
    "key_of",
    "load_model",
    "select",
]

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")

#: A model, or what returns one.
ModelSource: TypeAlias = type[UserT] | Callable[[], type[UserT]]

#: How long a query may take, in seconds, the wait for a connection included.
QUERY_TIMEOUT = 10.0

# The event loop itself keeps no reference to a task.
_queries: set[asyncio.Task[Any]] = set()


def is_model(candidate: object) -> TypeGuard[type[Any]]:
    """Tell whether *candidate* is a model that has a database; an abstract one has none."""
    return (
        isinstance(candidate, type)
        and issubclass(candidate, orm.Model)
        and hasattr(candidate, "registry")
        and hasattr(candidate, "pkname")
    )


def check_source(source: object) -> None:
    """Raise a `TypeError` unless *source* is a model, or may return one."""
    if is_model(source):
        return
    if isinstance(source, type) or not callable(source) or inspect.iscoroutinefunction(source):
        raise TypeError(
            "model must be a subclass of orm.Model with a registry and a primary key, or a "
            f"function that returns one; got {_shown(source)}"
        )


def load_model(source: ModelSource[UserT]) -> type[UserT]:
    """Return the model that *source* is, or returns now.

    Raises:
        TypeError: If it returns something else.
    """
    if is_model(source):
        return source
    model = cast("Callable[[], type[UserT]]", source)()
    if not is_model(model):
        raise TypeError(
            "model must return a subclass of orm.Model with a registry and a primary key; "
            f"it returned {_shown(model)}"
        )
    return model


def _shown(value: object) -> str:
    # The `repr` of a user may be anything.
    kind = value if isinstance(value, type) else type(value)
    return f"{'the class' if isinstance(value, type) else 'a'} {kind.__name__}"


def check_field(model: Any, option: str, name: str | None, *kinds: type[Any]) -> None:
    """Raise a `ValueError` unless *name*, set by *option*, is a field of one of the *kinds*."""
    # `model.table` stays untouched: orm's `create_all` fails on a table with an index that was
    # built before.
    if name is None:
        return
    if name not in model.fields:
        raise ValueError(
            f"{option}: {model.__name__} has no field {name!r}, "
            f"it has {', '.join(map(repr, model.fields))}"
        )
    # Most databases refuse to compare text with a number. It would look like a failure of theirs.
    if kinds and not isinstance(model.fields[name], kinds):
        raise ValueError(
            f"{option}: the field {name!r} of {model.__name__} must be of the type "
            f"{' or '.join(kind.__name__ for kind in kinds)}"
        )


def is_active(user: Any, active_field: str | None) -> bool:
    """Tell whether *user* may log in."""
    return active_field is None or bool(getattr(user, active_field))


def key_of(model: Any) -> Any:
    """Return the column of the primary key: orm's `filter(pk=…)` takes a key of 0 for none."""
    return model.table.columns[model.pkname]


def select(model: Any, **related: Any) -> Any:
    """Return the statement that selects *model*, and by a join the models that fields refer to."""
    joined = model.table
    for field, other in related.items():
        joined = joined.join(other.table, model.table.columns[field] == key_of(other))
    tables = (each.table for each in (model, *related.values()))
    return sqlalchemy.select(*tables).select_from(joined)


async def fetch(model: Any, statement: Any, *, seconds: float | None) -> Sequence[Any]:
    """Run *statement* on the database of *model*, and return its rows.

    Raises:
        TimeoutError: If it took longer than *seconds*.
        Exception: Whatever the database's driver raises.
    """
    connection = model.registry.database.connection()

    async def query() -> Sequence[Any]:
        async with connection:
            rows: Sequence[Any] = await connection.fetch_all(statement)
            return rows

    return await _wait_for(query(), seconds)


async def execute(model: Any, statement: Any, *, seconds: float | None = None) -> None:
    """Run a *statement* that has no rows; see `fetch`."""
    connection = model.registry.database.connection()

    async def query() -> None:
        async with connection:
            await connection.execute(statement)

    await _wait_for(query(), seconds)


async def find(
    model: Any, field: str, value: str, *, seconds: float | None, **related: Any
) -> Any | None:
    """Return the one object of *model* whose *field* is exactly *value*, or None.

    Args:
        model: The model.
        field: The name of a field of text.
        value: What to look for.
        seconds: How long the query may take. None: for ever.
        **related: The models that fields refer to, to be loaded by the same query.

    Returns:
        The object. None where there is none, and where there are several, which is logged.

    Raises:
        AuthenticationUnavailable: If the database did not answer.
    """
    column = model.table.columns[field]
    statement = select(model, **related).where(column == value)
    try:
        rows = await fetch(model, statement, seconds=seconds)
    except Exception as error:
        _log_failure(model, error)
        raise AuthenticationUnavailable from error
    # To some databases `alice`, `ALICE`, `alicé` and `alice ` are the same.
    exact = [row for row in rows if row[column] == value]
    if len(exact) > 1:
        logger.error(
            "Nobody is let in by %d rows of %s that have the same %s: make that column unique",
            len(exact),
            model.__name__,
            field,
        )
        return None
    return from_row(model, exact[0], related.items()) if exact else None


def from_row(model: Any, row: Any, related: Iterable[tuple[str, Any]] = ()) -> Any:
    """Make an object of *model* of a *row*, and objects of what its fields refer to."""
    values = {name: row[column] for name, column in model.table.columns.items()}
    return model(**values | {name: from_row(other, row) for name, other in related})


async def _wait_for(query: Coroutine[Any, Any, ResultT], seconds: float | None) -> ResultT:
    # A query that is cancelled ends when the server says so, which a silent one never does. So it
    # has a task of its own, to be left alone with that. The connection is that of the caller's
    # task: in a transaction there is no other.
    task = asyncio.create_task(query)
    _queries.add(task)
    task.add_done_callback(_forget)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    _queries.discard(task)
    if not task.cancelled():
        task.exception()  # Otherwise asyncio logs it, values of the query and all.


def _log_failure(model: Any, error: Exception) -> None:
    # The class only: the text of some errors quotes the values of the query.
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    if model.registry.database.is_connected:
        logger.error("Authentication is unavailable, a query failed: %s", kind)
    else:
        logger.error(
            "Authentication is unavailable, the database is not connected: %s. "
            "Await its connect() when the app starts",
            kind,
        )
