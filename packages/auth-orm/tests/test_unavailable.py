"""A database that fails is `AuthenticationUnavailable`; a program that is wrong is not."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import databases
import httpx
import orm
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, AuthenticationUnavailable, TokenAuth
from starlette_auth_core.tokens import Tokens, generate_token
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore, token_fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from conftest import Hasher, Log, Server, Store

pytestmark = [
    pytest.mark.anyio,
    # aiosqlite leaves a connection to the garbage collector whose opening was cancelled.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <sqlite3.Connection:pytest.PytestUnraisableExceptionWarning"
    ),
]

TOKEN = generate_token("shop")
# What is waited for never comes: no test gets to an end earlier or later because of it.
SOON = 0.05
NOT_CONNECTED = "the database is not connected: await its connect() when the app starts"


def attempts(user: Any, token: Any, hasher: Hasher) -> list[Callable[[], Awaitable[Any]]]:
    """A login, and the use of a token."""
    basic: ModelBasicAuth[Any] = ModelBasicAuth(user, hasher=hasher)
    tokens: Tokens[Any, Any] = Tokens(ModelTokenStore(token), prefix="shop")
    return [lambda: basic.verify("alice", "pwd"), lambda: tokens.find(TOKEN)]


def impatient(user: Any, hasher: Hasher) -> list[Callable[[], Awaitable[Any]]]:
    """A login that waits for a query for a moment. A token's query is timed by `Tokens`."""
    basic: ModelBasicAuth[Any] = ModelBasicAuth(user, hasher=hasher)
    basic.query_timeout = SOON
    return [lambda: basic.verify("alice", "pwd")]


async def assert_unavailable(
    attempt: Callable[[], Awaitable[Any]], log: Log, message: str
) -> BaseException:
    log.clear()
    with pytest.raises(AuthenticationUnavailable) as error:
        await attempt()
    (logged,) = log.messages
    assert logged.startswith(message)
    for secret in ("alice", "pwd", TOKEN):
        assert secret not in logged
        assert secret not in str(error.value)
    assert error.value.__cause__ is not None
    return error.value.__cause__


def models_of(database: databases.Database) -> tuple[Any, Any]:
    models = orm.ModelRegistry(database=database)

    class User(orm.Model):
        tablename = "users"
        registry = models
        fields = {
            "id": orm.Integer(primary_key=True),
            "username": orm.String(max_length=150),
            "password": orm.Text(),
        }

    class Token(orm.Model):
        tablename = "tokens"
        registry = models
        fields = token_fields(User)

    return User, Token


class TestDatabaseIsDown:
    async def test_not_connected(self, server: Server, hasher: Hasher, log: Log) -> None:
        for attempt in attempts(*models_of(server.open()), hasher):
            await assert_unavailable(attempt, log, "ERROR Authentication is unavailable, a query")
            if server.kind != "sqlite":  # It is a file, and needs no connection.
                assert NOT_CONNECTED in log.messages[0]
        assert hasher.work == []

    async def test_disconnected(self, store: Store, hasher: Hasher, log: Log) -> None:
        await store.add("alice", hasher.make("pwd"))
        if store.server.kind == "sqlite":
            # It is a file, and needs no connection.
            assert await ModelBasicAuth(store.User, hasher=hasher).verify("alice", "pwd")
            return
        await store.database.disconnect()
        for attempt in attempts(store.User, store.Token, hasher):
            cause = await assert_unavailable(
                attempt,
                log,
                "ERROR Authentication is unavailable, a query failed: builtins.AssertionError: "
                f"DatabaseBackend is not running ({NOT_CONNECTED})",
            )
            assert isinstance(cause, AssertionError)
        await store.database.connect()

    async def test_file_that_can_not_be_opened(self, hasher: Hasher, log: Log) -> None:
        async with databases.Database("sqlite:////nowhere/at.all") as database:
            for attempt in attempts(*models_of(database), hasher):
                cause = await assert_unavailable(
                    attempt,
                    log,
                    "ERROR Authentication is unavailable, a query failed: "
                    "sqlite3.OperationalError: unable to open database file",
                )
                assert isinstance(cause, sqlite3.OperationalError)

    async def test_no_table(self, store: Store, hasher: Hasher, log: Log) -> None:
        await store.database.execute("ALTER TABLE users RENAME TO elsewhere")
        for attempt in attempts(store.User, store.Token, hasher):
            await assert_unavailable(
                attempt, log, "ERROR Authentication is unavailable, a query failed: "
            )
            # What the app's developer has to know, and what can't quote a value.
            assert re.search("(no such table|relation|Table).*(users|tokens)", log.messages[0])
        await store.database.execute("ALTER TABLE elsewhere RENAME TO users")

    @pytest.mark.parametrize("server", ["postgresql", "mysql"], indirect=True)
    async def test_connected_in_another_event_loop(
        self, store: Store, hasher: Hasher, log: Log
    ) -> None:
        # Such as at import, or in a fixture of tests.
        connected, done = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()
        database = store.server.open(min_size=1)

        async def connect_elsewhere() -> None:
            async with database:
                loop.call_soon_threadsafe(connected.set)
                await asyncio.to_thread(done.wait)

        elsewhere = threading.Thread(target=asyncio.run, args=(connect_elsewhere(),))
        elsewhere.start()
        await connected.wait()
        store.User.registry.database = database
        try:
            for attempt in attempts(store.User, store.Token, hasher) * 2:
                await assert_unavailable(
                    attempt,
                    log,
                    "ERROR Authentication is unavailable, a query failed: builtins.RuntimeError: "
                    "the database is connected in another event loop: await its connect() in",
                )
        finally:
            store.User.registry.database = store.database
            done.set()
            await asyncio.to_thread(elsewhere.join)

    @pytest.mark.parametrize("server", ["postgresql"], indirect=True)
    async def test_text_that_may_quote_a_value_is_not_logged(
        self, store: Store, hasher: Hasher, log: Log
    ) -> None:
        # A user-id is looked for in a column of numbers, which the other two compare with text.
        class Odd(orm.Model):
            tablename = "users"
            registry = orm.ModelRegistry(database=store.database)
            fields = {**store.User.fields, "id": orm.String(max_length=20, primary_key=True)}

        backend: Any = ModelBasicAuth(Odd, hasher=hasher, username_field="id")

        cause = await assert_unavailable(
            lambda: backend.verify("alice", "pwd"),
            log,
            "ERROR Authentication is unavailable, a query failed: asyncpg.exceptions.DataError",
        )
        assert "alice" in str(cause)
        assert log.messages[0].endswith("DataError")


@asynccontextmanager
async def locked(server: Server) -> AsyncIterator[None]:
    """Keep everybody else from reading the tables."""
    async with server.open() as other, other.connection() as connection:
        if server.kind == "mysql":
            await connection.execute("LOCK TABLES users WRITE, tokens WRITE")
            yield
            await connection.execute("UNLOCK TABLES")
        elif server.kind == "postgresql":
            async with connection.transaction():
                await connection.execute("LOCK TABLE users, tokens IN ACCESS EXCLUSIVE MODE")
                yield
        else:
            await connection.execute("BEGIN EXCLUSIVE")
            yield
            await connection.execute("ROLLBACK")


class TestDatabaseIsSlow:
    async def test_locked_table(self, store: Store, hasher: Hasher, log: Log) -> None:
        alice = await store.add("alice", hasher.make("pwd"))
        one = {} if store.server.kind == "sqlite" else {"min_size": 1, "max_size": 1}
        async with store.server.open(**one) as small:
            store.User.registry.database = small
            async with locked(store.server):
                for attempt in impatient(store.User, hasher):
                    cause = await assert_unavailable(
                        attempt,
                        log,
                        "ERROR Authentication is unavailable, a query failed: "
                        "builtins.TimeoutError",
                    )
                    assert isinstance(cause, TimeoutError)
            # Those who gave up hold no connection: it is the only one.
            assert await ModelBasicAuth(store.User, hasher=hasher).verify("alice", "pwd") == alice
            store.User.registry.database = store.database

    @pytest.mark.parametrize("server", ["postgresql", "mysql"], indirect=True)
    async def test_no_connection_is_free(self, store: Store, hasher: Hasher, log: Log) -> None:
        alice = await store.add("alice", hasher.make("pwd"))
        async with store.server.open(min_size=1, max_size=1) as small:
            store.User.registry.database = small
            taken, free = asyncio.Event(), asyncio.Event()

            async def take() -> None:
                async with small.connection():
                    taken.set()
                    await free.wait()

            taking = asyncio.create_task(take())
            await taken.wait()
            for attempt in impatient(store.User, hasher):
                await assert_unavailable(
                    attempt,
                    log,
                    "ERROR Authentication is unavailable, a query failed: builtins.TimeoutError",
                )
            free.set()
            await taking
            assert await ModelBasicAuth(store.User, hasher=hasher).verify("alice", "pwd") == alice
            store.User.registry.database = store.database

    @pytest.mark.parametrize("server", ["postgresql", "mysql"], indirect=True)
    async def test_network_is_silent(self, store: Store, hasher: Hasher, log: Log) -> None:
        # Neither an answer nor the end of the connection: a query can't even be cancelled.
        alice = await store.add("alice", hasher.make("pwd"))
        async with (
            proxy(store.server) as (through, flow),
            databases.Database(through, **store.server.options, min_size=1) as silent,
        ):
            store.User.registry.database = silent
            backend: Any = ModelBasicAuth(store.User, hasher=hasher)
            assert await backend.verify("alice", "pwd") == alice
            flow.clear()
            for attempt in impatient(store.User, hasher) * 2:
                await assert_unavailable(
                    attempt,
                    log,
                    "ERROR Authentication is unavailable, a query failed: builtins.TimeoutError",
                )
            tokens: Tokens[Any, Any] = Tokens(ModelTokenStore(store.Token), prefix="shop")
            tokens.query_timeout = SOON
            with pytest.raises(AuthenticationUnavailable):
                await tokens.revoke_all(alice)
            flow.set()
            assert await backend.verify("alice", "pwd") == alice
            tokens.query_timeout = None
            assert await tokens.revoke_all(alice) == 0
            store.User.registry.database = store.database


@asynccontextmanager
async def proxy(server: Server) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A way to the server that lets nothing through while the event is not set."""
    url = databases.DatabaseURL(server.url)
    flow = asyncio.Event()
    flow.set()
    pumps: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                await flow.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(url.hostname, url.port)
        pumps.add(asyncio.create_task(pump(reader, there[1])))
        pumps.add(asyncio.create_task(pump(there[0], writer)))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    yield str(url.replace(hostname="127.0.0.1", port=port)), flow
    listening.close()
    await asyncio.gather(*pumps)


async def test_cancelled_login_leaves_no_connection_behind(store: Store, hasher: Hasher) -> None:
    # The client went away, or the server shuts down.
    alice = await store.add("alice", hasher.make("pwd"))
    one = {} if store.server.kind == "sqlite" else {"min_size": 1, "max_size": 1}
    async with store.server.open(**one) as small:
        store.User.registry.database = small
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        logins = [asyncio.create_task(backend.verify("alice", "pwd")) for _ in range(5)]
        await asyncio.sleep(0)
        for login in logins:
            login.cancel()
        results = await asyncio.gather(*logins, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)

        assert await backend.verify("alice", "pwd") == alice
        store.User.registry.database = store.database


class TestProgramIsWrong:
    async def test_model_that_can_not_be_made(self, store: Store, hasher: Hasher) -> None:
        class Broken(store.User):  # type: ignore[misc, name-defined]  # made for this test
            def __init__(self, **fields: Any) -> None:
                super().__init__(**fields)
                self.nickname = self.nick.title()

        await store.add("alice", hasher.make("pwd"))

        with pytest.raises(AttributeError, match="nick"):
            await ModelBasicAuth(Broken, hasher=hasher).verify("alice", "pwd")

    async def test_callable_that_fails(self, hasher: Hasher) -> None:
        def model() -> Any:
            raise LookupError("no tenant")

        backend: Any = ModelBasicAuth(model, hasher=hasher)
        with pytest.raises(LookupError, match="no tenant"):
            await backend.verify("alice", "pwd")

    async def test_field_that_does_not_exist(self, store: Store, hasher: Hasher) -> None:
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        backend.username_field = "nick"

        with pytest.raises(ValueError, match="username_field: User has no field 'nick'"):
            await backend.verify("alice", "pwd")


@pytest.mark.parametrize(
    "authorization", ["Basic YWxpY2U6cHdk", f"Token {TOKEN}"], ids=["Basic", "Token"]
)
async def test_response_is_503_and_says_when_to_try_again(
    hasher: Hasher, authorization: str
) -> None:
    user, token = models_of(databases.Database("sqlite:////nowhere/at.all"))
    backend: Any = (
        ModelBasicAuth(user, hasher=hasher)
        if authorization.startswith("Basic")
        else TokenAuth(Tokens(ModelTokenStore(token), prefix="shop"))
    )
    app = Starlette(
        routes=[Route("/", lambda request: PlainTextResponse("hello"))],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    )

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        response = await client.get("/", headers={"authorization": authorization})

        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert (await client.get("/")).status_code == 200
