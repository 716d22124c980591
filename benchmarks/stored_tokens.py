"""A bearer token that is stored with SQLAlchemy, next to the database strategy of fastapi-users.

Both look up a token of the same user in one SQLite file, in a FastAPI app whose endpoint gets the
user. Each has a table of tokens of its own, since fastapi-users stores the tokens themselves. The
requests are ASGI calls in one event loop.
"""

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin
from fastapi_users.authentication import AuthenticationBackend, BearerTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from measure import (
    Result,
    Spread,
    Steps,
    Table,
    hand_over,
    in_turns,
    options,
    processor_time,
    wall_time,
)
from per_request import asgi_calls, fastapi_app, ours
from sqlalchemy import ForeignKey, event
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

from starlette_auth_core import BearerAuth, authorize
from starlette_auth_core.tokens import Tokens
from starlette_auth_sqlalchemy import SQLAlchemyTokenStore, TokenMixin

HOUR = timedelta(hours=1)
THEIRS = "fastapi-users, database"
CLOCKS = {"Processor time": processor_time, "Time": wall_time}


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    pass


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base):
    pass


class Token(TokenMixin, Base):
    __tablename__ = "token"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), index=True
    )
    user: Mapped[User] = relationship()


class Manager(UUIDIDMixin, BaseUserManager[Any, uuid.UUID]):
    pass


Sessions = async_sessionmaker[AsyncSession]
Requests = Callable[[], Awaitable[None]]


async def with_ours(sessions: Sessions, user: User) -> tuple[ASGIApp, str]:
    tokens = Tokens(SQLAlchemyTokenStore(Token, sessions, active_field="is_active"), prefix="bench")
    token, _ = await tokens.issue(user, expires_in=HOUR)

    async def current_user(conn: HTTPConnection) -> Any:
        authorize(conn, "authenticated")
        return conn.user

    return fastapi_app(current_user, ours(BearerAuth(tokens))), token


async def with_theirs(sessions: Sessions, user: User) -> tuple[ASGIApp, str]:
    """Build it as their documentation does."""

    async def session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    async def manager(session: Annotated[AsyncSession, Depends(session)]) -> Manager:
        return Manager(SQLAlchemyUserDatabase[Any, uuid.UUID](session, User))

    # Their documentation has a plain function, which FastAPI runs in a thread for each request.
    async def strategy(session: Annotated[AsyncSession, Depends(session)]) -> Any:
        tokens: Any = SQLAlchemyAccessTokenDatabase(session, AccessToken)
        return DatabaseStrategy(tokens, lifetime_seconds=int(HOUR.total_seconds()))

    backend: Any = AuthenticationBackend(
        name="database", transport=BearerTransport(tokenUrl="login"), get_strategy=strategy
    )
    async with sessions() as own:
        written: str = await (await strategy(own)).write_token(user)
    users = FastAPIUsers[Any, uuid.UUID](manager, [backend])
    return fastapi_app(users.current_user(active=True)), written


async def fill(engine: AsyncEngine) -> dict[str, Requests]:
    """Return the requests of each contestant."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    user = User(email="alice@example.com", hashed_password="$argon2id$")
    async with sessions.begin() as session:
        session.add(user)
    contestants = {"ours": with_ours, THEIRS: with_theirs}
    apps = {name: await build(sessions, user) for name, build in contestants.items()}
    return {name: asgi_calls(app, f"Bearer {token}") for name, (app, token) in apps.items()}


async def count_queries(engine: AsyncEngine, request: Requests) -> int:
    queries: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        queries.append(statement)

    await request()  # The first use is stored.
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    await request()
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    return len(queries)


def several(runner: asyncio.Runner, request: Requests, calls: int) -> Callable[[], None]:
    async def make_requests() -> None:
        for _ in range(calls):
            await request()

    return lambda: runner.run(make_requests())


def main() -> None:
    rounds, calls = (60, 200) if options(__doc__).full else (12, 60)
    steps = Steps(len(CLOCKS) * rounds)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        engine = create_async_engine(f"sqlite+aiosqlite:///{Path(folder, 'tokens.db')}")
        requests = runner.run(fill(engine))
        queries = {
            name: runner.run(count_queries(engine, request)) for name, request in requests.items()
        }
        figures = {
            title: in_turns(
                {
                    name: clock(several(runner, request, calls))
                    for name, request in requests.items()
                },
                *(rounds, steps, title),
            )
            for title, clock in CLOCKS.items()
        }
        runner.run(engine.dispose())
    result = Result()
    result.used("starlette-auth-sqlalchemy", "SQLAlchemy", "aiosqlite")
    result.used("fastapi", "fastapi-users", "fastapi-users-db-sqlalchemy")
    ratios = {
        title: Spread.of_ratios(times["ours"], times[THEIRS]) for title, times in figures.items()
    }
    table = Table(
        "A stored bearer token, in a FastAPI app",
        ["Contestant", "Queries", *CLOCKS, *(f"{title}: ours / theirs" for title in CLOCKS)],
        note=f"SQLite in a file, {rounds} rounds of {calls} requests: medians, and quartiles. "
        "Processor time is that of all threads.",
    )
    for name, number in queries.items():
        medians = [Spread.of(times[name]).median / calls for times in figures.values()]
        compared = ["", ""] if name == "ours" else [ratio.text() for ratio in ratios.values()]
        table.rows.append(
            [name, str(number), *(f"{median * 1e6:,.0f} µs" for median in medians), *compared]
        )
    result.tables.append(table)
    result.aim(
        "a stored token is one query, and faster than fastapi-users",
        f"{queries['ours']} against {queries[THEIRS]} queries, "
        f"{ratios['Processor time'].median:.2f} of the processor time, "
        f"{ratios['Time'].median:.2f} of the time",
        met=queries["ours"] == 1 and all(ratio.median < 1 for ratio in ratios.values()),
        why_not="A query runs in a task of its own, so that a client who leaves can't leave a "
        "transaction open.",
    )
    hand_over(result)


if __name__ == "__main__":
    main()
