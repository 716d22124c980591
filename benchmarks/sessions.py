"""A request with a session, next to Starlette's `SessionMiddleware` and starsessions.

Each app knows the user of the request: ours by the row of the session, theirs by the id of a user
in the session, and a query for that user. The users are in one SQLite file, or in memory.
`SessionMiddleware` keeps the session in the cookie and so can't end it; starsessions keeps it in
the memory of the process. The requests are ASGI calls in one event loop.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import (
    Result,
    Spread,
    Steps,
    Table,
    hand_over,
    in_turns,
    options,
    processor_time,
)
from per_request import ALICE, asgi_calls, ours
from sqlalchemy import ForeignKey, event, select
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend
from starlette.middleware import Middleware
from starlette.middleware.authentication import (
    AuthenticationMiddleware as StarletteAuthenticationMiddleware,
)
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message
from starsessions import InMemoryStore, SessionAutoloadMiddleware
from starsessions import SessionMiddleware as Starsessions

from starlette_auth_core.tokens import MemoryTokenStore, TokenStore
from starlette_auth_sessions import SessionAuth, Sessions
from starlette_auth_sqlalchemy import SQLAlchemyTokenStore, TokenMixin

THEIRS = ("SessionMiddleware", "starsessions")

Find = Callable[[int], Awaitable[Any]]
LogIn = Callable[[Request, Response], Awaitable[None]]


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]


class Session(TokenMixin, Base):
    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    user: Mapped[User] = relationship()


class BySession(AuthenticationBackend):
    """What one writes around a session that is a dictionary."""

    def __init__(self, find: Find) -> None:
        self.find = find

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        user_id = conn.session.get("user")
        user = None if user_id is None else await self.find(user_id)
        return None if user is None else (AuthCredentials(["authenticated"]), user)


@dataclass
class Users:
    """Where the users are, and the user of the requests."""

    alice: Any
    find: Find
    store: TokenStore[Any, Any]


async def hello(request: Request) -> Response:
    assert request.auth.scopes
    return JSONResponse({"message": f"Hello, {request.path_params['name']}!"})


def app_with(log_in: LogIn, *middleware: Middleware) -> ASGIApp:
    async def login(request: Request) -> Response:
        response = Response()
        await log_in(request, response)
        return response

    routes = [Route("/hello/{name}", hello), Route("/login", login)]
    return Starlette(routes=routes, middleware=list(middleware))


def with_ours(users: Users) -> ASGIApp:
    sessions = Sessions(users.store)

    async def log_in(request: Request, response: Response) -> None:
        await sessions.login(request, response, users.alice)

    return app_with(log_in, ours(SessionAuth(sessions)))


def with_theirs(users: Users, *middleware: Middleware) -> ASGIApp:
    async def log_in(request: Request, response: Response) -> None:
        request.session["user"] = users.alice.id

    authentication = Middleware(StarletteAuthenticationMiddleware, backend=BySession(users.find))
    return app_with(log_in, *middleware, authentication)


def apps(users: Users) -> dict[str, ASGIApp]:
    in_cookie = Middleware(SessionMiddleware, secret_key="k" * 32, https_only=True)
    in_memory = Middleware(Starsessions, store=InMemoryStore(), lifetime=3600)
    return {
        "ours": with_ours(users),
        "SessionMiddleware": with_theirs(users, in_cookie),
        "starsessions": with_theirs(users, in_memory, Middleware(SessionAutoloadMiddleware)),
    }


async def log_in(app: ASGIApp) -> str:
    """Return the cookie that the app's login sets."""
    cookies: list[str] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        for name, value in message.get("headers", ()):
            if name == b"set-cookie":
                cookies.append(value.decode().partition(";")[0])

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": "/login",
        "query_string": b"",
        "headers": [(b"host", b"api.example.com")],
    }
    await app(scope, receive, send)
    (cookie,) = cookies
    return cookie


async def in_memory() -> Users:
    users = {ALICE.id: ALICE}

    async def find(user_id: int) -> Any:
        return users.get(user_id)

    return Users(ALICE, find, MemoryTokenStore())


async def in_database(engine: AsyncEngine) -> Users:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(engine, expire_on_commit=False)
    alice = User(username="alice")
    async with sessions.begin() as session:
        session.add(alice)

    async def find(user_id: int) -> Any:
        async with sessions() as session:
            return await session.scalar(select(User).where(User.id == user_id))

    return Users(alice, find, SQLAlchemyTokenStore(Session, sessions))


async def requests_of(users: Users) -> dict[str, Callable[[], Awaitable[None]]]:
    requests = {}
    for name, app in apps(users).items():
        requests[name] = asgi_calls(app, await log_in(app), b"cookie")
        await requests[name]()  # Our first use is stored.
    return requests


async def count_queries(engine: AsyncEngine, request: Callable[[], Awaitable[None]]) -> int:
    queries: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        queries.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    await request()
    event.remove(engine.sync_engine, "before_cursor_execute", note)
    return len(queries)


def several(
    runner: asyncio.Runner, request: Callable[[], Awaitable[None]], calls: int
) -> Callable[[], None]:
    async def make_requests() -> None:
        for _ in range(calls):
            await request()

    return lambda: runner.run(make_requests())


def measure(
    runner: asyncio.Runner,
    requests: Mapping[str, Callable[[], Awaitable[None]]],
    rounds: int,
    calls: int,
    steps: Steps,
) -> dict[str, list[float]]:
    """Return the seconds of a request of each contestant, by round."""
    samples = {
        name: processor_time(several(runner, request, calls)) for name, request in requests.items()
    }
    figures = in_turns(samples, rounds, steps, "Sessions")
    return {name: [time / calls for time in times] for name, times in figures.items()}


def table(
    title: str, figures: Mapping[str, list[float]], queries: Mapping[str, int], note: str
) -> Table:
    result = Table(title, ["Contestant", "Queries", "Processor time", "Ours / theirs"], note=note)
    for name, times in figures.items():
        ratio = "" if name == "ours" else Spread.of_ratios(figures["ours"], times).text()
        median = f"{Spread.of(times).median * 1e6:,.0f} µs"
        result.rows.append([name, str(queries[name]), median, ratio])
    return result


def main() -> None:
    rounds, calls = (60, 200) if options(__doc__).full else (12, 60)
    steps = Steps(2 * rounds)
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        engine = create_async_engine(f"sqlite+aiosqlite:///{Path(folder, 'sessions.db')}")
        stored = runner.run(requests_of(runner.run(in_database(engine))))
        queries = {
            name: runner.run(count_queries(engine, request)) for name, request in stored.items()
        }
        with_queries = measure(runner, stored, rounds, calls, steps)
        runner.run(engine.dispose())
        kept = runner.run(requests_of(runner.run(in_memory())))
        without = measure(runner, kept, rounds, calls, steps)
    result = Result()
    result.used("starlette", "starlette-auth-sessions", "starsessions", "SQLAlchemy", "aiosqlite")
    note = (
        f"{rounds} rounds of {calls} requests: medians, and quartiles. The others do not look "
        "whether the session was ended."
    )
    result.tables += [
        table("A session, with users in SQLite", with_queries, queries, note),
        table("A session, with users in memory", without, dict.fromkeys(without, 0), note),
    ]
    result.aim(
        "a session and its user are one query",
        f"{queries['ours']}; the others select the user alone: "
        + ", ".join(f"{name} {queries[name]}" for name in THEIRS),
        met=queries["ours"] == 1,
        why_not="",
    )
    hand_over(result)


if __name__ == "__main__":
    main()
