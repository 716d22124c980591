"""The databases of these tests, each with drivers for async and sync sessions, and the doubles."""

from __future__ import annotations

import logging
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from sqlalchemy import (
    URL,
    Boolean,
    Engine,
    ForeignKey,
    String,
    create_engine,
    event,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
    sessionmaker,
)
from sqlalchemy.pool import NullPool

from starlette_auth_sqlalchemy import TokenMixin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

# Driver -> whether its sessions are async.
DRIVERS = {
    "sqlite+aiosqlite": True,
    "sqlite+pysqlite": False,
    "postgresql+asyncpg": True,
    "postgresql+psycopg_async": True,
    "postgresql+psycopg": False,
    "mysql+aiomysql": True,
    "mysql+asyncmy": True,
    "mysql+pymysql": False,
}
# Sync sessions run on trio too.
ON_TRIO = " on trio"
SQLITE = ["sqlite+aiosqlite", "sqlite+pysqlite", f"sqlite+pysqlite{ON_TRIO}"]
# An async and a sync driver of each server.
SERVERS = ["postgresql+asyncpg", "postgresql+psycopg", "mysql+aiomysql", "mysql+pymysql"]
CASES = [*SQLITE, *SERVERS]


class Base(DeclarativeBase):
    pass


class User(Base):
    """A user; without a unique index, so that there may be two of one name."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(150), index=True)
    password: Mapped[str | None] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool | None] = mapped_column(Boolean, default=True)


class Token(TokenMixin, Base):
    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    user: Mapped[User] = relationship()


@dataclass
class Server:
    """Where a test's tables are: a file, a schema of PostgreSQL, a database of MariaDB."""

    url: URL  # without a driver
    search_path: str = ""
    engines: dict[str, Engine | AsyncEngine] = field(default_factory=dict)

    @cached_property
    def admin(self) -> Engine:
        """The app's own way in: sync, with a connection for each use."""
        engine = self.engine(sync_driver(self.url.drivername), poolclass=NullPool)
        assert isinstance(engine, Engine)
        return engine

    def shared_engine(self, driver: str) -> Engine | AsyncEngine:
        """Return the same engine for all tests, since it knows the database and the statements."""
        if driver not in self.engines:
            self.engines[driver] = self.engine(driver)
        return self.engines[driver]

    def engine(self, driver: str, **options: Any) -> Engine | AsyncEngine:
        kind = driver.replace("psycopg_async", "psycopg")
        url = self.url.set(drivername=kind)
        options["connect_args"] = self._arguments(kind) | options.get("connect_args", {})
        engine = (create_async_engine if DRIVERS[driver] else create_engine)(url, **options)
        if kind.startswith("sqlite"):
            event.listen(sync(engine), "connect", _hurry)
        return engine

    def _arguments(self, driver: str) -> dict[str, Any]:
        if driver == "postgresql+asyncpg":
            return {"server_settings": {"search_path": self.search_path}}
        if driver == "postgresql+psycopg":
            return {"options": f"-c search_path={self.search_path}"}
        # For TLS, PyMySQL reads the certificates of the system for every connection.
        return {"ssl_disabled": True} if driver == "mysql+pymysql" else {}


def _hurry(connection: Any, record: object) -> None:
    # No test loses power.
    with closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA synchronous = OFF")


@dataclass
class Database:
    """One database through one driver, and the app's own way to its tables."""

    server: Server
    driver: str
    engine: Engine | AsyncEngine
    admin: Engine  # sync, a connection for each use

    @property
    def sessions(self) -> Any:
        return self.make_sessions()

    def make_sessions(self, engine: Any = None, **options: Any) -> Any:
        kind: Any = async_sessionmaker if DRIVERS[self.driver] else sessionmaker
        return kind(engine or self.engine, **options)

    @property
    def kind(self) -> str:
        return self.server.url.drivername

    @property
    def sync_engine(self) -> Engine:
        return sync(self.engine)

    def add(self, *rows: Any) -> Any:
        """Store objects of any model, and return the first, detached."""
        with Session(self.admin, expire_on_commit=False) as session:
            session.add_all(rows)
            session.commit()
        return rows[0]

    def user(self, username: str = "alice", password: str | None = None, **fields: Any) -> Any:
        return self.add(User(username=username, password=password, **fields))

    def stored(self, user: Any) -> Any:
        """Return the password as it is in the database now."""
        kind = type(user)
        with Session(self.admin) as session:
            return session.scalar(select(kind.password).where(kind.id == user.id))

    def change(self, user: Any, **values: Any) -> None:
        kind = type(user)
        with Session(self.admin) as session:
            session.execute(update(kind).where(kind.id == user.id).values(values))
            session.commit()

    def execute(self, *statements: str) -> None:
        with self.admin.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    @contextmanager
    def tables(self, base: Any) -> Iterator[None]:
        base.metadata.create_all(self.admin)
        try:
            yield
        finally:
            base.metadata.drop_all(self.admin)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Let every statement fail, as those of a database that is down."""

        def fail(*args: Any) -> None:
            raise ConnectionRefusedError

        event.listen(self.sync_engine, "before_cursor_execute", fail)
        try:
            yield
        finally:
            event.remove(self.sync_engine, "before_cursor_execute", fail)

    def checked_out(self) -> int:
        pool: Any = self.sync_engine.pool
        return int(pool.checkedout())


def sync(engine: Any) -> Engine:
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


async def dispose(engine: Any) -> None:
    if isinstance(engine, AsyncEngine):
        await engine.dispose()
    else:
        engine.dispose()


def sync_driver(kind: str) -> str:
    return {
        "sqlite": "sqlite+pysqlite",
        "postgresql": "postgresql+psycopg",
        "mysql": "mysql+pymysql",
    }[kind]


class Statements:
    """The statements that an engine was given since `clear`."""

    def __init__(self, engine: Engine) -> None:
        self.seen: list[str] = []
        self._engine = engine
        event.listen(engine, "before_cursor_execute", self._keep)

    def _keep(self, connection: Any, cursor: Any, statement: str, *args: Any) -> None:
        self.seen.append(statement)

    def clear(self) -> None:
        self.seen.clear()

    def stop(self) -> None:
        event.remove(self._engine, "before_cursor_execute", self._keep)


class Log:
    """Our own records, with their levels."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    @property
    def messages(self) -> list[str]:
        return [
            f"{record.levelname} {logging.Formatter().format(record)}"
            for record in self._caplog.records
            if record.name.startswith("starlette_auth")
        ]

    def clear(self) -> None:
        self._caplog.clear()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread or task does, which has no event of its own."""
    waiting = threading.Event()
    while not condition():
        await to_thread.run_sync(waiting.wait, 0.01)


def lock(connection: Any) -> None:
    """Keep everybody else from reading the tables, until the connection is closed."""
    if connection.dialect.name == "mysql":
        connection.execute(text("LOCK TABLES users WRITE, tokens WRITE"))
    elif connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE users, tokens IN ACCESS EXCLUSIVE MODE"))
    else:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
