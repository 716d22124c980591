"""Statements, and the tasks that run them.

orm's own `all()` builds a statement, runs it, and makes objects, in one call. Here the three are
apart: only running a statement may fail because of the database, and only that becomes
`AuthenticationUnavailable`. Its `update()` and `load()` are not used either: the one changes what
it stores (it strips text), the other sets some fields to what the driver returned.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy
from anyio import move_on_after

from starlette_auth_core import AuthenticationUnavailable
from starlette_auth_core.storage import exactly_one

from ._failures import is_unstorable, log_failure
from ._models import key_of

__all__ = ["count", "fetch", "find", "is_sqlite", "run", "select", "to_object", "transaction"]

logger = logging.getLogger("starlette_auth_orm")

ResultT = TypeVar("ResultT")

_SETTLE_SECONDS = 2.0

# The event loop itself keeps no reference to a task.
_queries: set[asyncio.Task[Any]] = set()

# A connection that several tasks share (`force_rollback`) runs the statements of one at a time.
_locks: WeakKeyDictionary[Any, asyncio.Lock] = WeakKeyDictionary()


def select(model: Any, **related: Any) -> Any:
    """Return the statement that selects *model*, and by a join the models that fields refer to."""
    joined = model.table
    for field, other in related.items():
        joined = joined.join(other.table, model.table.columns[field] == key_of(other))
    tables = (each.table for each in (model, *related.values()))
    return sqlalchemy.select(*tables).select_from(joined)


def to_object(row: Any, model: Any, **related: Any) -> Any:
    """Make an object of a *row* of `select`, and objects of what its fields refer to."""
    # By position: `databases` gets lost in the names where SQL quotes that of a table, and
    # SQLAlchemy 1.4 warns about columns.
    position = 0
    made = []
    for each in (model, *related.values()):
        names = each.table.columns.keys()
        made.append({name: row[position + number] for number, name in enumerate(names)})
        position += len(names)
    own, *others = made
    for (name, other), values in zip(related.items(), others, strict=True):
        own[name] = other(**values)
    return model(**own)


async def run(
    model: Any,
    work: Callable[[Any], Coroutine[Any, Any, ResultT]],
    *,
    seconds: float | None = None,
    settle: bool = False,
) -> ResultT:
    """Run *work* with the connection of the caller's task, in a task of its own.

    A query that is cancelled ends when the server says so, which a silent one never does. So it has
    a task of its own, to be left alone with that.

    Args:
        model: A model of the database.
        work: The statements.
        seconds: How long they may take, the wait for a connection included. None: for ever.
        settle: Whether a call that is cancelled waits for the end of the work, up to two seconds,
            so that nothing changes after it.

    Returns:
        What *work* returned.

    Raises:
        TimeoutError: If it took longer.
        RuntimeError: If the database is connected in another event loop.
        Exception: Whatever the database's driver raises.
    """
    database = model.registry.database
    _check_loop(database)
    # That of the caller's task: in a transaction there is no other.
    connection = database.connection()

    async def query() -> ResultT:
        async with _locks.setdefault(connection, asyncio.Lock()), connection:
            return await work(connection)

    task = asyncio.create_task(query())
    _queries.add(task)
    task.add_done_callback(_forget)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()
        if settle and not task.done():
            with move_on_after(_SETTLE_SECONDS, shield=True):
                await asyncio.wait({task})


async def fetch(model: Any, statement: Any, *, seconds: float | None = None) -> Sequence[Any]:
    """Run *statement*, and return its rows; see `run`."""

    async def work(connection: Any) -> Sequence[Any]:
        rows: Sequence[Any] = await connection.fetch_all(statement)
        return rows

    return await run(model, work, seconds=seconds)


async def find(
    model: Any, field: str, value: str, *, seconds: float | None = None, **related: Any
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
    statement = select(model, **related).where(model.table.columns[field] == value)
    position = list(model.table.columns.keys()).index(field)
    try:
        rows = await fetch(model, statement, seconds=seconds)
    except Exception as error:
        # MariaDB and MySQL refuse to look for an emoji in a column of `utf8mb3`: nobody has it.
        if not value.isascii() and is_unstorable(error):
            return None
        log_failure(model, error)
        raise AuthenticationUnavailable from error
    padded = _is_postgresql(model)
    row = exactly_one(
        rows,
        value,
        read=lambda row: row[position],
        model=model.__name__,
        field=field,
        logger=logger,
        ignore_padding=padded,
    )
    if row is None:
        return None
    found = to_object(row, model, **related)
    if padded:
        setattr(found, field, value)
    return found


async def count(connection: Any, model: Any, statement: Any) -> int:
    """Run an UPDATE or DELETE, and return how many rows it changed.

    `databases` tells nothing of that. On MariaDB and MySQL a row that was as it should be is not
    changed.
    """
    if _is_postgresql(model):
        changed = statement.returning(key_of(model)).cte("changed")
        statement = sqlalchemy.select(sqlalchemy.func.count()).select_from(changed)
        return int(await connection.fetch_val(statement))
    await connection.execute(statement)
    last = "changes" if is_sqlite(model) else "ROW_COUNT"
    return int(await connection.fetch_val(f"SELECT {last}()"))


@asynccontextmanager
async def transaction(connection: Any) -> AsyncIterator[None]:
    """Run statements together, or, where one of them raises, not at all; in work of `run`.

    That of `databases` keeps its connection for ever where it is cancelled while it begins or ends.
    Here the connection is given back by `run`, and its pool ends what was left open.
    """
    begin, commit, rollback = ("BEGIN", "COMMIT", "ROLLBACK")
    if connection._transaction_stack:  # The caller is in a transaction of `databases`.
        name = "starlette_auth"
        begin, commit, rollback = (
            f"{words} {name}"
            for words in ("SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT")
        )
    await connection.execute(begin)
    try:
        yield
    except BaseException:
        await connection.execute(rollback)
        raise
    await connection.execute(commit)


def _check_loop(database: Any) -> None:
    # asyncpg would only say that "another operation is in progress", and never again give the
    # connection back.
    loop = getattr(getattr(database._backend, "_pool", None), "_loop", None)
    if loop is not None and loop is not asyncio.get_running_loop():
        raise RuntimeError(
            "the database is connected in another event loop: "
            "await its connect() in the one that uses it, such as in the app's lifespan"
        )


def is_sqlite(model: Any) -> bool:
    """Return whether the database of *model* is SQLite."""
    return bool(model.registry.database.url.dialect == "sqlite")


def _is_postgresql(model: Any) -> bool:
    # `databases` knows `postgres://` too.
    return bool(model.registry.database.url.dialect.startswith("postgres"))


def _forget(task: asyncio.Task[Any]) -> None:
    _queries.discard(task)
    if not task.cancelled():
        task.exception()  # Otherwise asyncio logs it, values of the query and all.
