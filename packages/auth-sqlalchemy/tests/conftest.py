"""The databases: a file, a schema of PostgreSQL's and a database of MariaDB's of this run's own."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.pool import NullPool
from sqlalchemy_databases import (
    ON_TRIO,
    SQLITE,
    Base,
    Database,
    Log,
    Server,
    Statements,
    dispose,
    sync_driver,
)

from starlette_auth_core.testing import ContractHasher
from starlette_auth_sqlalchemy._sessions import _tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

POSTGRESQL_URL = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/test")
MYSQL_URL = os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test")


def _execute(url: URL, statement: str) -> None:
    engine = create_engine(url.set(drivername=sync_driver(url.drivername)), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(statement))


def _unreachable(name: str, variable: str, error: Exception) -> None:
    reason = f"{name} can't be reached ({type(error).__name__}): set {variable} to its address"
    # In CI a skipped test looks like one that passed.
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    schema, url = f"starlette_auth_{uuid.uuid4().hex}", make_url(POSTGRESQL_URL)
    try:
        _execute(url, f"CREATE SCHEMA {schema}")
    except Exception as error:  # noqa: BLE001  # Drivers have no common one.
        _unreachable("PostgreSQL", "TEST_POSTGRESQL_URL", error)
    yield with_tables(Server(url, schema))
    _execute(url, f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(scope="session")
def mysql() -> Iterator[Server]:
    name, url = f"starlette_auth_{uuid.uuid4().hex}", make_url(MYSQL_URL)
    try:
        _execute(url, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    except Exception as error:  # noqa: BLE001  # Drivers have no common one.
        _unreachable("MariaDB", "TEST_MYSQL_URL", error)
    yield with_tables(Server(url.set(database=name)))
    _execute(url, f"DROP DATABASE {name}")


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return with_tables(Server(make_url(f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'db'}")))


def with_tables(server: Server) -> Server:
    Base.metadata.create_all(server.admin)
    return server


@pytest.fixture(params=SQLITE)
def case(request: pytest.FixtureRequest) -> str:
    """A driver, and the event loop: sessions on SQLite, unless a test says otherwise."""
    name: str = request.param
    return name


@pytest.fixture
def driver(case: str) -> str:
    return case.removesuffix(ON_TRIO)


@pytest.fixture
def anyio_backend(case: str) -> str:
    return "trio" if case.endswith(ON_TRIO) else "asyncio"


@pytest.fixture
def server(request: pytest.FixtureRequest, driver: str) -> Server:
    server: Server = request.getfixturevalue(driver.partition("+")[0])
    return server


@pytest.fixture(autouse=True)
async def nothing_left_behind(anyio_backend: Any) -> AsyncIterator[None]:
    """Wait for what needs the event loop to come to an end, before that is closed."""
    yield
    while _tasks:
        await asyncio.wait(_tasks)


@pytest.fixture
async def database(
    server: Server, driver: str, nothing_left_behind: None
) -> AsyncIterator[Database]:
    """The tables, empty, on a database, by a driver."""
    engine = server.shared_engine(driver)
    database = Database(server, driver, engine, server.admin)
    with server.admin.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
    yield database
    while _tasks:
        await asyncio.wait(_tasks)
    await dispose(engine)


@pytest.fixture
def hasher() -> ContractHasher:
    return ContractHasher()


@pytest.fixture
def statements(database: Database) -> Iterator[Statements]:
    statements = Statements(database.sync_engine)
    yield statements
    statements.stop()


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.DEBUG, "starlette_auth_core")
    caplog.set_level(logging.DEBUG, "starlette_auth_sqlalchemy")
    return Log(caplog)
