"""Units of work, each in a short session of its own that no cancellation can reach.

A session that is cancelled may give its connection back with a transaction open, and a query that
is cancelled ends when the server says so, which a silent one never does. So each unit runs in a
task of its own, or in a thread for sync sessions, and is left to finish.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from anyio import CancelScope, CapacityLimiter, move_on_after, to_thread
from anyio.lowlevel import RunVar
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
from sqlalchemy.orm import Mapper, Session, sessionmaker

from starlette_auth_core import AuthenticationUnavailable

from ._failures import is_outage, log_outage
from ._sockets import hang_up

__all__ = ["Sessions", "ask", "check_sessions", "run"]

ResultT = TypeVar("ResultT")

#: What makes the sessions.
Sessions: TypeAlias = async_sessionmaker[Any] | sessionmaker[Any]

# How long a cancelled call waits for the end of a unit that writes.
_SETTLE_SECONDS = 2.0
# When a unit that nobody waits for is cancelled, and how long until it is cancelled again: some
# drivers wait for the server even then.
_LAST_RESORT_SECONDS = 30.0
_AGAIN_SECONDS = 5.0

# The event loop itself keeps no reference to a task.
_tasks: set[asyncio.Task[Any]] = set()

_THREADS = 20
_limiter: RunVar[CapacityLimiter] = RunVar("starlette_auth_sqlalchemy")


def check_sessions(sessions: object) -> None:
    """Raise a `TypeError` unless *sessions* makes sessions that fit."""
    wanted = "sessions must be an async_sessionmaker or a sessionmaker"
    if isinstance(sessions, async_sessionmaker):
        if not issubclass(sessions.class_, AsyncSession) or not all(
            isinstance(bind, AsyncEngine) for bind in _binds(sessions)
        ):
            raise TypeError(
                f"{wanted}; this async_sessionmaker needs an AsyncEngine, from "
                "create_async_engine, and a class_ of async sessions"
            )
        return
    if not isinstance(sessions, sessionmaker):
        kind = sessions if isinstance(sessions, type) else type(sessions)
        shown = f"{'the class' if isinstance(sessions, type) else 'a'} {kind.__name__}"
        raise TypeError(
            f"{wanted}, such as async_sessionmaker(engine); got {shown}"
            + _HINTS.get(kind.__name__, "")
        )
    if issubclass(sessions.class_, AsyncSession) or any(
        isinstance(bind, AsyncEngine) for bind in _binds(sessions)
    ):
        raise TypeError(
            f"{wanted}; this sessionmaker is one of async sessions: use async_sessionmaker"
        )
    if not all(isinstance(bind, Engine) and not bind.dialect.is_async for bind in _binds(sessions)):
        raise TypeError(
            f"{wanted}; this sessionmaker needs an Engine, from create_engine, whose driver is not "
            "async: a single connection can't be used by several threads"
        )


def _binds(sessions: Sessions) -> list[Any]:
    # A maker without any may be configured later.
    options: dict[str, Any] = sessions.kw
    binds = [options.get("bind"), *(options.get("binds") or {}).values()]
    return [bind for bind in binds if bind is not None]


_HINTS = {
    "AsyncEngine": ": write async_sessionmaker(engine)",
    "Engine": ": write sessionmaker(engine)",
    "async_scoped_session": ": pass its session_factory",
    "scoped_session": ": pass its session_factory",
}


class _Call(Generic[ResultT]):
    """One unit of work, and whether somebody still waits for it."""

    def __init__(
        self, mapper: Mapper[Any], unit: Callable[[Session], ResultT], *, writes: bool
    ) -> None:
        self.abandoned = False
        self.started = False
        self.ended = threading.Event()
        self.is_sqlite = False
        self.connection: Any = None  # the driver's
        self.writes = writes
        self._mapper = mapper
        self._unit = unit

    def carry_out(self, session: Session) -> ResultT | None:
        """Do the work and close the session; in a greenlet of SQLAlchemy's, or in a thread."""
        # Whoever gives up sets `abandoned` first and then looks whether this has started.
        self.started = True
        try:
            return None if self.abandoned else self._carry_out(session)
        finally:
            self.connection = None
            session.close()
            self.ended.set()

    def _carry_out(self, session: Session) -> ResultT:
        event.listen(session, "after_begin", self._keep)
        try:
            self.is_sqlite = session.get_bind(self._mapper).dialect.name == "sqlite"
            if not session.in_transaction():
                session.begin()  # A session with `autobegin=False` wants that.
            result = self._unit(session)
            session.expunge_all()  # A commit expires what is in the session.
            # Nothing is stored any more after its caller gave up.
            if self.writes and not self.abandoned:
                session.commit()
        except BaseException as error:
            # A connection that may be dead must not go back into the pool. One of SQLite does not
            # die, and may be all there is of a database in memory.
            if not isinstance(error, Exception) or (is_outage(error) and not self.is_sqlite):
                session.invalidate()
            if isinstance(error, StatementError):
                error.hide_parameters = True  # They are user-ids, digests and hashes.
            raise
        return result

    def _keep(self, session: Session, transaction: object, connection: Connection) -> None:
        self.connection = connection.connection.driver_connection


async def ask(
    sessions: Sessions,
    mapper: Mapper[Any],
    unit: Callable[[Session], ResultT],
    *,
    seconds: float | None = None,
    writes: bool = False,
) -> ResultT:
    """Do what `run` does; an outage is logged, and becomes `AuthenticationUnavailable`."""
    try:
        return await run(sessions, mapper, unit, seconds=seconds, writes=writes)
    except Exception as error:
        if not is_outage(error):
            raise
        log_outage(error)
        raise AuthenticationUnavailable from error


async def run(
    sessions: Sessions,
    mapper: Mapper[Any],
    unit: Callable[[Session], ResultT],
    *,
    seconds: float | None = None,
    writes: bool = False,
) -> ResultT:
    """Run a unit of work in a session of its own.

    Args:
        sessions: What makes the session.
        mapper: The mapper whose database it is.
        unit: The work, which is given a session in a transaction.
        seconds: How long it may take, the wait for a connection included. None: for ever.
        writes: Whether to commit. A call that is cancelled then waits for the end of the work, up
            to two seconds, and work that goes on after that is not committed.

    Returns:
        What *unit* returned. All objects are detached.

    Raises:
        TimeoutError: If it took longer.
        RuntimeError: If the sessions are async and this is not asyncio.
        Exception: Whatever *unit* raises.
    """
    call = _Call(mapper, unit, writes=writes)
    if isinstance(sessions, sessionmaker):
        return await _in_thread(sessions, call, seconds)
    return await _in_task(sessions, call, seconds)


async def _in_task(
    sessions: async_sessionmaker[Any], call: _Call[ResultT], seconds: float | None
) -> ResultT:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError as error:
        raise RuntimeError(
            "an async_sessionmaker works on asyncio only: use a sessionmaker here"
        ) from error

    async def work() -> Any:
        return await sessions().run_sync(call.carry_out)

    task = loop.create_task(work())
    _tasks.add(task)
    task.add_done_callback(_forget)
    patience = _LAST_RESORT_SECONDS
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if done:
            result: ResultT = task.result()
            return result
        # SQLite has no server that could be silent, and its lock has a limit of its own.
        patience = _LAST_RESORT_SECONDS if call.is_sqlite else 0
        raise TimeoutError
    finally:
        call.abandoned = True
        if not task.done():
            _end_later(call, task, patience)
            if call.writes:
                with move_on_after(_SETTLE_SECONDS, shield=True):
                    await asyncio.wait({task})


def _end_later(call: _Call[Any], task: asyncio.Task[Any], seconds: float) -> None:
    def end() -> None:
        # Cancelled, psycopg asks a silent server to cancel the query, and before libpq 17 the whole
        # process waits for the answer.
        if not hang_up(call.connection):
            task.cancel()
        _end_later(call, task, _AGAIN_SECONDS)

    handle = task.get_loop().call_later(seconds, end)
    task.add_done_callback(lambda _: handle.cancel())


def _forget(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled():
        task.exception()  # Otherwise asyncio logs it, values of the query and all.


async def _in_thread(
    sessions: sessionmaker[Any], call: _Call[ResultT], seconds: float | None
) -> ResultT:
    def work() -> Any:
        return call.carry_out(sessions())

    patience = _LAST_RESORT_SECONDS
    try:
        with move_on_after(seconds):
            result: ResultT = await to_thread.run_sync(
                work, abandon_on_cancel=True, limiter=_threads()
            )
            return result
        patience = 0
        raise TimeoutError
    finally:
        call.abandoned = True
        if call.started and not call.ended.is_set():
            if not call.is_sqlite:
                _hang_up_later(call, patience)
            if call.writes:
                with CancelScope(shield=True):
                    await to_thread.run_sync(
                        call.ended.wait, _SETTLE_SECONDS, limiter=CapacityLimiter(1)
                    )


def _threads() -> CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(_THREADS)
        _limiter.set(limiter)
        return limiter


def _hang_up_later(call: _Call[Any], seconds: float) -> None:
    def wait() -> None:
        if not call.ended.wait(seconds):
            hang_up(call.connection)

    threading.Thread(target=wait, daemon=True).start()
