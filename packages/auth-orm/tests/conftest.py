"""The three databases, a schema of this run's own in each, and the doubles of these tests."""

import asyncio
import logging
import os
import re
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import databases
import orm
import pytest
from sqlalchemy.engine.url import make_url
from sqlalchemy.schema import CreateIndex, CreateTable, DropTable

from starlette_auth_orm import token_fields
from starlette_auth_orm._queries import _queries

POSTGRESQL_URL = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/test")
MYSQL_URL = os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test")

SERVERS = ["postgresql", "mysql"]


class Hasher:
    """A hasher whose hashes are `old:` or `new:`, a number, and the password in plain text.

    Attributes:
        work: Of each hash that was computed to check a password, the method that did.
        gate: Hash work waits until it is set.
    """

    def __init__(self) -> None:
        self.work: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._made = 0
        self._arrived = asyncio.Condition()

    def make(self, secret: str, kind: str = "new") -> str:
        self._made += 1
        return f"{kind}:{self._made}:{secret}"

    async def verify(self, secret: str, hashed: str | None, /) -> bool:
        await self._compute("verify")
        return re.fullmatch(rf"(old|new):\d+:{re.escape(secret)}", hashed or "") is not None

    async def verify_and_update(
        self, secret: str, hashed: str | None, /
    ) -> tuple[bool, str | None]:
        valid = await self.verify(secret, hashed)
        outdated = hashed is not None and hashed.startswith("old:")
        return valid, self.make(secret) if valid and outdated else None

    async def dummy_verify(self, secret: str, username: str, /) -> None:
        await self._compute("dummy_verify")

    async def arrived(self, number: int) -> None:
        """Wait until that many checks have begun."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.work) >= number)

    async def _compute(self, method: str) -> None:
        self.work.append(method)
        async with self._arrived:
            self._arrived.notify_all()
        await self.gate.wait()


@dataclass
class Server:
    """Where a test's tables are: a file, a schema of PostgreSQL, a database of MariaDB."""

    kind: str
    url: str
    options: dict[str, Any] = field(default_factory=dict)

    def open(self, **options: Any) -> databases.Database:
        """Return a database that is not connected."""
        return databases.Database(self.url, **self.options | options)


@dataclass
class Store:
    """The tables of one test. `User` has no unique index, so that there may be two of one name."""

    server: Server
    database: databases.Database
    User: Any
    Token: Any

    async def add(self, username: str, password: str | None, **fields: Any) -> Any:
        return await self.User.objects.create(
            username=username, password=password, **{"active": True} | fields
        )

    async def stored(self, user: Any) -> Any:
        """Return the password as it is in the database now."""
        return await self.database.fetch_val(
            self.User.table.select()
            .where(self.User.table.c.id == user.id)
            .with_only_columns(self.User.table.c.password)
        )

    def tables(self, *models: Any) -> AbstractAsyncContextManager[None]:
        """Create more tables, and drop them at the end."""
        return tables(self.database, *models)


def models_of(database: databases.Database) -> tuple[Any, Any]:
    """Return new models for the tables of a `Store`."""
    registry_ = orm.ModelRegistry(database=database)

    class User(orm.Model):
        tablename = "users"
        registry = registry_
        fields = {
            "id": orm.Integer(primary_key=True),
            "username": orm.String(max_length=150, index=True, trim_whitespace=False),
            "password": orm.String(max_length=255, allow_null=True),
            "email": orm.String(max_length=255, allow_null=True),
            "active": orm.Boolean(allow_null=True),
        }

    class Token(orm.Model):
        tablename = "tokens"
        registry = registry_
        fields = {**token_fields(User), "name": orm.String(max_length=100, allow_null=True)}

    return User, Token


@asynccontextmanager
async def tables(database: databases.Database, *models: Any) -> AsyncIterator[None]:
    """Create the tables of *models*, and drop them at the end."""
    # orm's `create_all` connects in a way of its own, which leaves out the options of a database.
    dialect = make_url(f"{database.url.dialect}://").get_dialect()()
    for model in models:
        statements: list[Any] = [CreateTable(model.table), *map(CreateIndex, model.table.indexes)]
        for statement in statements:
            await database.execute(str(statement.compile(dialect=dialect)))
    try:
        yield
    finally:
        for model in reversed(models):
            await database.execute(str(DropTable(model.table).compile(dialect=dialect)))


@asynccontextmanager
async def open_store(server: Server) -> AsyncIterator[Store]:
    # One connection to start with: asyncpg opens ten.
    small = {} if server.kind == "sqlite" else {"min_size": 1}
    async with server.open(**small) as database:
        user, token = models_of(database)
        async with tables(database, user, token):
            yield Store(server, database, user, token)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[databases.Database]:
    async with databases.Database(url, min_size=1) as database:
        yield database


def _execute(url: str, statement: str) -> None:
    async def execute() -> None:
        async with _connected(url) as database:
            await database.execute(statement)

    asyncio.run(execute())


def _unreachable(name: str, variable: str, error: Exception) -> None:
    reason = f"{name} can't be reached ({type(error).__name__}): set {variable} to its address"
    # In CI a skipped test looks like one that passed.
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    schema = f"starlette_auth_{uuid.uuid4().hex}"
    try:
        _execute(POSTGRESQL_URL, f"CREATE SCHEMA {schema}")
    except Exception as error:  # noqa: BLE001 - drivers have no common one
        _unreachable("PostgreSQL", "TEST_POSTGRESQL_URL", error)
    yield Server("postgresql", POSTGRESQL_URL, {"server_settings": {"search_path": schema}})
    _execute(POSTGRESQL_URL, f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(scope="session")
def mysql() -> Iterator[Server]:
    name = f"starlette_auth_{uuid.uuid4().hex}"
    try:
        _execute(MYSQL_URL, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    except Exception as error:  # noqa: BLE001 - drivers have no common one
        _unreachable("MariaDB", "TEST_MYSQL_URL", error)
    yield Server("mysql", str(databases.DatabaseURL(MYSQL_URL).replace(database=name)))
    _execute(MYSQL_URL, f"DROP DATABASE {name}")


@pytest.fixture
def sqlite(tmp_path: Path) -> Server:
    return Server("sqlite", f"sqlite:///{tmp_path / 'test.db'}")


@pytest.fixture(params=["sqlite", *SERVERS])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the three databases."""
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # the only one that `databases` runs on


@pytest.fixture(autouse=True)
async def nothing_left_behind(anyio_backend: str) -> AsyncIterator[None]:
    """Wait for what needs the event loop to come to an end, before that is closed."""
    yield
    while _queries:  # those that were given up
        await asyncio.wait(_queries)
    for thread in threading.enumerate():  # aiosqlite's, after a file that could not be opened
        if "_connection_worker_thread" in thread.name:
            thread.join()
    await asyncio.sleep(0)  # Now the event loop lets go of what the threads gave it.


@pytest.fixture
async def store(server: Server, anyio_backend: str) -> AsyncIterator[Store]:
    """The tables, on each of the three databases, connected."""
    async with open_store(server) as store:
        yield store


@pytest.fixture
def hasher() -> Hasher:
    return Hasher()


class Log:
    """What was logged: our own records, and the statements that `databases` logs."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def messages(self) -> list[str]:
        """Our own records, with their levels; of the middleware too."""
        return [
            f"{record.levelname} {logging.Formatter().format(record)}"
            for record in self._caplog.records
            if record.name.startswith("starlette_auth")
        ]

    @property
    def statements(self) -> list[str]:
        """The SQL that was sent to a database since `clear`."""
        return [
            record.getMessage().removeprefix("Query: ")
            for record in self._caplog.records
            if record.name == "databases" and record.msg.startswith("Query:")
        ]

    def clear(self) -> None:
        self._caplog.clear()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.DEBUG, "databases")
    caplog.set_level(logging.DEBUG, "starlette_auth_core")
    caplog.set_level(logging.DEBUG, "starlette_auth_orm")
    return Log(caplog)
