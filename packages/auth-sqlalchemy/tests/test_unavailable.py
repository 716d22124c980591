"""A database that fails is `AuthenticationUnavailable`; a program that is wrong is not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from sqlalchemy import event, exc, text
from sqlalchemy_databases import (
    CASES,
    DRIVERS,
    SERVERS,
    Base,
    Database,
    Server,
    Token,
    User,
    dispose,
    lock,
    sync,
    until,
)

from starlette_auth_core import AuthenticationUnavailable
from starlette_auth_core.tokens import Tokens, generate_token
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, _sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy_databases import Log

    from starlette_auth_core.testing import ContractHasher

pytestmark = pytest.mark.anyio

everywhere = pytest.mark.parametrize("case", CASES, indirect=True)
on_servers = pytest.mark.parametrize("case", SERVERS, indirect=True)
# Every driver of the servers, since each has errors of its own.
by_every_driver = pytest.mark.parametrize(
    "case", [driver for driver in DRIVERS if "sqlite" not in driver], indirect=True
)

TOKEN = generate_token("shop")
MESSAGE = "ERROR Authentication is unavailable, a query failed: "
# What is waited for never comes: no test gets to an end earlier or later because of it.
SOON = 0.05


class App:
    """What an app asks: a login, and the use of a token."""

    def __init__(self, sessions: Any, hasher: ContractHasher) -> None:
        self.basic = SQLAlchemyBasicAuth(User, sessions, hasher=hasher)
        self.store = SQLAlchemyTokenStore(Token, sessions)
        self.tokens: Tokens[Any, Token] = Tokens(self.store, prefix="shop")

    def attempts(self) -> list[Callable[[], Awaitable[Any]]]:
        return [lambda: self.basic.verify("alice", "pwd"), lambda: self.tokens.find(TOKEN)]


async def assert_unavailable(
    attempt: Callable[[], Awaitable[Any]], log: Log, text: str = ""
) -> None:
    log.clear()
    with pytest.raises(AuthenticationUnavailable) as error:
        await attempt()
    (logged,) = log.messages
    assert logged.startswith(MESSAGE)
    assert text in logged
    for secret in ("alice", "pwd", TOKEN):
        assert secret not in logged
        assert secret not in str(error.value)


@asynccontextmanager
async def app_of(
    database: Database, hasher: ContractHasher, server: Server | None = None, **options: Any
) -> AsyncIterator[tuple[App, Any]]:
    engine = (server or database.server).engine(database.driver, **options)
    yield App(database.make_sessions(engine), hasher), engine
    while _sessions._tasks:
        await asyncio.wait(_sessions._tasks)
    await dispose(engine)


def elsewhere(server: Server, **url: Any) -> Server:
    return Server(server.url.set(**url), server.search_path)


@by_every_driver
async def test_server_is_not_there(database: Database, hasher: ContractHasher, log: Log) -> None:
    async with app_of(database, hasher, elsewhere(database.server, port=9)) as (app, _):
        for attempt in app.attempts():
            await assert_unavailable(attempt, log)
    assert hasher.work == []


@by_every_driver
async def test_database_does_not_exist(
    database: Database, hasher: ContractHasher, log: Log
) -> None:
    async with app_of(database, hasher, elsewhere(database.server, database="nowhere")) as (app, _):
        for attempt in app.attempts():
            await assert_unavailable(attempt, log)


@by_every_driver
async def test_password_of_the_database_is_wrong(
    database: Database, hasher: ContractHasher, log: Log
) -> None:
    nobody = elsewhere(database.server, username="nobody", password="wrong")
    async with app_of(database, hasher, nobody) as (app, _):
        for attempt in app.attempts():
            await assert_unavailable(attempt, log)


async def test_file_that_can_not_be_opened(
    database: Database, hasher: ContractHasher, log: Log
) -> None:
    async with app_of(database, hasher, elsewhere(database.server, database="/nowhere/at.all")) as (
        app,
        _,
    ):
        for attempt in app.attempts():
            await assert_unavailable(attempt, log, "unable to open database file")


@by_every_driver
async def test_connection_that_was_cut_fails_once(
    database: Database, hasher: ContractHasher, log: Log
) -> None:
    alice = database.user(password=hasher.make("pwd"))
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = ANY(:ids)"
        if database.kind == "postgresql"
        else "KILL {}"
    )
    ids: list[int] = []

    def keep(connection: Any, record: Any) -> None:
        with closing(connection.cursor()) as cursor:
            which = "pg_backend_pid" if database.kind == "postgresql" else "connection_id"
            cursor.execute(f"SELECT {which}()")
            ids.append(cursor.fetchone()[0])
        connection.rollback()

    async with app_of(database, hasher, pool_size=3, max_overflow=0) as (app, engine):
        event.listen(sync(engine), "connect", keep)

        async def log_in(results: list[Any]) -> None:
            try:
                user = await app.basic.verify("alice", "pwd")
                results.append(user is not None and user.id == alice.id)
            except AuthenticationUnavailable:
                results.append(None)

        async def many() -> list[Any]:
            results: list[Any] = []
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(log_in, results)
            return results

        assert await many() == [True] * 3
        with database.admin.begin() as connection:
            if database.kind == "postgresql":
                connection.execute(text(kill), {"ids": ids})
            else:
                for number in ids:
                    connection.exec_driver_sql(kill.format(number))
        failures = 0
        for _ in ids:
            failures += (await many()).count(None)
        assert 1 <= failures <= len(set(ids))
        assert len(log.messages) == failures
        assert await many() == [True] * 3


@everywhere
async def test_no_connection_is_free(database: Database, hasher: ContractHasher, log: Log) -> None:
    pool: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": SOON}
    async with app_of(database, hasher, **pool) as (app, engine):
        taken = await _take(engine)
        for attempt in app.attempts():
            await assert_unavailable(attempt, log, "QueuePool limit of size 1 overflow 0 reached")
        await _give_back(taken)
        assert await app.basic.verify("alice", "pwd") is None


async def _take(engine: Any) -> Any:
    connection = engine.connect()
    return (
        connection
        if hasattr(connection, "invalidate") and engine is sync(engine)
        else await connection
    )


async def _give_back(connection: Any) -> None:
    closed = connection.close()
    if closed is not None:
        await closed


LOCK_TIMEOUTS = {
    "postgresql": "SET SESSION lock_timeout = '50ms'",
    "mysql": "SET SESSION lock_wait_timeout = 1",
}
STATEMENT_TIMEOUTS = {
    "postgresql": "SET SESSION statement_timeout = '50ms'",
    "mysql": "SET SESSION max_statement_time = 0.05",
}


@on_servers
@pytest.mark.parametrize("timeouts", [LOCK_TIMEOUTS, STATEMENT_TIMEOUTS])
async def test_timeout_of_the_databases_own(
    database: Database, hasher: ContractHasher, log: Log, timeouts: dict[str, str]
) -> None:
    database.user(password=hasher.make("pwd"))

    def hurry(connection: Any, record: Any) -> None:
        with closing(connection.cursor()) as cursor:
            cursor.execute(timeouts[database.kind])
        connection.commit()

    async with app_of(database, hasher) as (app, engine):
        event.listen(sync(engine), "connect", hurry)
        with database.admin.connect() as connection:
            lock(connection)
            await assert_unavailable(app.attempts()[0], log)
        assert await app.basic.verify("alice", "pwd") is not None


async def test_file_that_is_locked(database: Database, hasher: ContractHasher, log: Log) -> None:
    database.user(password=hasher.make("pwd"))
    async with app_of(database, hasher, connect_args={"timeout": SOON}) as (app, _):
        with database.admin.connect() as connection:
            lock(connection)
            for attempt in app.attempts():
                await assert_unavailable(attempt, log, "database is locked")
        assert await app.basic.verify("alice", "pwd") is not None


@everywhere
async def test_limit_of_our_own(database: Database, hasher: ContractHasher, log: Log) -> None:
    database.user(password=hasher.make("pwd"))
    async with app_of(database, hasher, pool_size=1, max_overflow=0) as (app, engine):
        app.basic.query_timeout = SOON
        with database.admin.connect() as connection:
            lock(connection)
            await assert_unavailable(app.attempts()[0], log, "builtins.TimeoutError")
        app.basic.query_timeout = None
        assert await app.basic.verify("alice", "pwd") is not None
        pool: Any = sync(engine).pool
        await until(lambda: pool.checkedout() == 0)


@by_every_driver
@pytest.mark.parametrize("pooled", [True, False])
async def test_server_is_silent(
    database: Database,
    hasher: ContractHasher,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    *,
    pooled: bool,
) -> None:
    monkeypatch.setattr(_sessions, "_AGAIN_SECONDS", 0.2)
    # Neither an answer nor the end of the connection: a query can't even be cancelled.
    alice = database.user(password=hasher.make("pwd"))
    async with (
        proxy(database.server) as way,
        app_of(database, hasher, way.server, pool_size=1, max_overflow=0) as (app, engine),
    ):
        if pooled:
            assert await app.basic.verify("alice", "pwd") is not None
        way.silence()
        app.basic.query_timeout = 0.2
        await assert_unavailable(app.attempts()[0], log, "builtins.TimeoutError")
        # The old connections stay dead, new ones work: the only one of the pool was thrown away.
        way.open_for_new_ones()
        app.basic.query_timeout = None
        if not pooled:
            way.hang_up()  # What only waits for a connection has time limits of its driver's.
            await until(lambda: sync(engine).pool.checkedout() == 0)  # type: ignore[attr-defined]  # a QueuePool
        user = await app.basic.verify("alice", "pwd")
        assert user is not None
        assert user.id == alice.id
        assert await app.tokens.revoke_all(alice) == 0
        way.hang_up()


@on_servers
async def test_tokens_of_a_silent_server(
    database: Database, hasher: ContractHasher, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sessions, "_SETTLE_SECONDS", SOON)
    monkeypatch.setattr(_sessions, "_LAST_RESORT_SECONDS", SOON)
    monkeypatch.setattr(_sessions, "_AGAIN_SECONDS", SOON)
    alice = database.user()
    async with (
        proxy(database.server) as way,
        app_of(database, hasher, way.server, pool_size=1, max_overflow=0) as (app, engine),
    ):
        token, _ = await app.tokens.issue(alice)
        way.silence()
        app.tokens.query_timeout = SOON
        await assert_unavailable(
            lambda: app.tokens.find(token), log, "find of the store took too long"
        )
        with pytest.raises(AuthenticationUnavailable):
            await app.tokens.revoke_all(alice)
        way.open_for_new_ones()
        way.hang_up()  # A driver that blocks has a limit of its own for connecting.
        app.tokens.query_timeout = None
        await until(lambda: sync(engine).pool.checkedout() == 0)  # type: ignore[attr-defined]  # a QueuePool
        assert await app.tokens.find(token) is not None
        way.hang_up()


class Way:
    """A way to a server, which can be made to let nothing through."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._there = server.url.host, server.url.port
        self._flow = asyncio.Event()
        self._flow.set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    def silence(self) -> None:
        self._flow.clear()

    def open_for_new_ones(self) -> None:
        self._flow = asyncio.Event()
        self._flow.set()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow = self._flow
        there = await asyncio.open_connection(*self._there)
        self._writers += [writer, there[1]]
        for pumped in ((reader, there[1]), (there[0], writer)):
            self._pumps.add(asyncio.create_task(self._pump(*pumped, flow)))

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: asyncio.Event
    ) -> None:
        try:
            while data := await reader.read(65536):
                await flow.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def stop(self) -> None:
        self.hang_up()
        for pump in self._pumps:
            pump.cancel()


@asynccontextmanager
async def proxy(server: Server) -> AsyncIterator[Way]:
    way = Way(server)
    listening = await asyncio.start_server(way.accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    way.server = Server(server.url.set(host="127.0.0.1", port=port), server.search_path)
    yield way
    listening.close()
    way.stop()
    await asyncio.wait(way._pumps)


class TestProgramIsWrong:
    @by_every_driver
    @pytest.mark.parametrize("missing", ["users", "email"])
    async def test_missing_tables_and_columns_stay_errors(
        self, database: Database, hasher: ContractHasher, log: Log, missing: str
    ) -> None:
        rename = {
            "users": "ALTER TABLE users RENAME TO elsewhere",
            "email": "ALTER TABLE users RENAME COLUMN email TO elsewhere",
        }[missing]
        back = {
            "users": "ALTER TABLE elsewhere RENAME TO users",
            "email": "ALTER TABLE users RENAME COLUMN elsewhere TO email",
        }[missing]
        app = App(database.sessions, hasher)
        database.execute(rename)
        try:
            for attempt in app.attempts():
                with pytest.raises(exc.DBAPIError) as error:
                    await attempt()
                assert "alice" not in str(error.value)
        finally:
            database.execute(back)
        assert log.messages == []

    async def test_missing_tables_and_columns_of_sqlite(
        self, database: Database, hasher: ContractHasher
    ) -> None:
        app = App(database.sessions, hasher)
        Base.metadata.drop_all(database.admin)
        for attempt in app.attempts():
            with pytest.raises(exc.OperationalError, match="no such table"):
                await attempt()
        Base.metadata.create_all(database.admin)

    async def test_sessions_without_a_database(
        self, database: Database, hasher: ContractHasher
    ) -> None:
        kind: Any = type(database.sessions)
        with pytest.raises(exc.UnboundExecutionError):
            await App(kind(), hasher).basic.verify("alice", "pwd")

    async def test_column_that_does_not_exist(
        self, database: Database, hasher: ContractHasher
    ) -> None:
        backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
        with pytest.raises(ValueError, match="find_by: User has no column 'nick', it has 'id', "):
            await backend.find_by("nick", "alice")


@pytest.mark.parametrize("case", ["sqlite+pysqlite on trio"], indirect=True)
async def test_async_sessions_on_trio_say_so(database: Database, hasher: ContractHasher) -> None:
    aio = Database(
        database.server,
        "sqlite+aiosqlite",
        database.server.engine("sqlite+aiosqlite"),
        database.admin,
    )
    with pytest.raises(RuntimeError, match="works on asyncio only: use a sessionmaker"):
        await App(aio.sessions, hasher).basic.verify("alice", "pwd")
