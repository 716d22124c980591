"""A login that replaces an outdated hash loses neither a password nor a login."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import databases
import orm
import pytest
from databases.core import Connection

from starlette_auth_orm import ModelBasicAuth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import Hasher, Log, Store

pytestmark = [
    pytest.mark.anyio,
    # aiosqlite leaves a connection to the garbage collector whose opening was cancelled.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <sqlite3.Connection:pytest.PytestUnraisableExceptionWarning"
    ),
]


async def test_nothing_but_the_password_is_written(store: Store, hasher: Hasher, log: Log) -> None:
    # What else has changed since the user was read must not be put back.
    alice = await store.add("alice", hasher.make("pwd", "old"), email="old@example.org")
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)
    log.clear()
    hasher.gate.clear()

    login = asyncio.create_task(backend.verify("alice", "pwd"))
    await hasher.arrived(1)
    await store.User.objects.filter(id=alice.id).update(email="new@example.org")
    hasher.gate.set()
    user = await login

    assert (await store.User.objects.get(id=alice.id)).email == "new@example.org"
    assert await store.stored(alice) == user.password
    (update,) = [each for each in log.statements if "SET password" in each]
    assert update.split(" SET ")[1].split(" WHERE ")[0].count("=") == 1


@pytest.mark.parametrize("changed", ["new:0:changed", "", "!", "n", None])
async def test_user_carries_what_is_stored(
    store: Store, hasher: Hasher, log: Log, changed: str | None
) -> None:
    alice = await store.add("alice", hasher.make("pwd", "old"))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)
    hasher.gate.clear()

    login = asyncio.create_task(backend.verify("alice", "pwd"))
    await hasher.arrived(1)
    await store.database.execute(store.User.table.update().values(password=changed))
    hasher.gate.set()

    # The login was right when it was checked.
    assert (await login).password == changed
    assert await store.stored(alice) == changed
    assert log.messages == []


async def test_user_who_was_deleted_meanwhile_is_as_before(
    store: Store, hasher: Hasher, log: Log
) -> None:
    await store.add("alice", hasher.make("pwd", "old"))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)
    hasher.gate.clear()

    login = asyncio.create_task(backend.verify("alice", "pwd"))
    await hasher.arrived(1)
    await store.User.objects.delete()
    hasher.gate.set()

    assert (await login).password.startswith("old:")
    assert await store.User.objects.count() == 0
    assert log.messages == []


async def test_50_logins_at_once(store: Store, hasher: Hasher, log: Log) -> None:
    alice = await store.add("alice", hasher.make("pwd", "old"))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)
    hasher.gate.clear()

    logins = [asyncio.create_task(backend.verify("alice", "pwd")) for _ in range(50)]
    await hasher.arrived(50)  # All have read the outdated hash.
    hasher.gate.set()
    users = await asyncio.gather(*logins)

    stored = await store.stored(alice)
    assert stored.startswith("new:")
    assert [user.password for user in users] == [stored] * 50
    assert await backend.verify("alice", "pwd") is not None
    assert log.messages == []


@asynccontextmanager
async def failing_writes(store: Store) -> AsyncIterator[None]:
    """Let the database itself refuse every update of a user."""
    create, drop = {
        "sqlite": (
            [
                (
                    "CREATE TRIGGER refuse BEFORE UPDATE ON users "
                    "BEGIN SELECT RAISE(ABORT, 'refused'); END"
                )
            ],
            ["DROP TRIGGER refuse"],
        ),
        "postgresql": (
            [
                (
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql "
                    "AS $$ BEGIN RAISE EXCEPTION 'refused: %', NEW; END $$"
                ),
                (
                    "CREATE TRIGGER refuse BEFORE UPDATE ON users "
                    "FOR EACH ROW EXECUTE FUNCTION refuse()"
                ),
            ],
            ["DROP TRIGGER refuse ON users", "DROP FUNCTION refuse"],
        ),
        "mysql": (
            [
                (
                    "CREATE TRIGGER refuse BEFORE UPDATE ON users FOR EACH ROW "
                    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'"
                )
            ],
            ["DROP TRIGGER refuse"],
        ),
    }[store.server.kind]
    for statement in create:
        await store.database.execute(statement)
    try:
        yield
    finally:
        for statement in drop:
            await store.database.execute(statement)


class TestDatabaseFailsToStoreTheNewHash:
    async def test_it_refuses(self, store: Store, hasher: Hasher, log: Log) -> None:
        alice = await store.add("alice", hasher.make("pwd", "old"))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        async with failing_writes(store):
            user = await backend.verify("alice", "pwd")

        self.assert_as_before(user, await store.stored(alice), alice.password, log)
        assert (await backend.verify("alice", "pwd")).password.startswith("new:")

    async def test_it_refuses_in_a_transaction_of_the_app(
        self, store: Store, hasher: Hasher, log: Log
    ) -> None:
        # PostgreSQL refuses all that follows in a transaction after a statement that failed.
        alice = await store.add("alice", hasher.make("pwd", "old"))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        async with failing_writes(store), store.database.transaction():
            user = await backend.verify("alice", "pwd")
            bob = await store.add("bob", None)

        self.assert_as_before(user, await store.stored(alice), alice.password, log)
        assert await store.User.objects.get(username="bob") == bob

    async def test_it_is_gone(self, store: Store, hasher: Hasher, log: Log) -> None:
        alice = await store.add("alice", hasher.make("pwd", "old"))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        hasher.gate.clear()

        login = asyncio.create_task(backend.verify("alice", "pwd"))
        await hasher.arrived(1)
        await store.database.execute("ALTER TABLE users RENAME TO elsewhere")
        hasher.gate.set()
        user = await login
        await store.database.execute("ALTER TABLE elsewhere RENAME TO users")

        self.assert_as_before(user, await store.stored(alice), alice.password, log)

    async def test_it_is_slow(self, store: Store, hasher: Hasher, log: Log) -> None:
        alice = await store.add("alice", hasher.make("pwd", "old"))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        hasher.gate.clear()
        login = asyncio.create_task(backend.verify("alice", "pwd"))
        await hasher.arrived(1)

        # Sees to it that no query is answered in time.
        backend.query_timeout = 0
        hasher.gate.set()
        user = await login
        backend.query_timeout = None

        assert user.password == alice.password
        (message,) = log.messages
        assert message == "WARNING Storing an upgraded password hash failed: TimeoutError"
        assert await backend.verify("alice", "pwd") is not None

    def assert_as_before(self, user: Any, stored: str, old: str, log: Log) -> None:
        assert user.password == old
        assert stored == old
        (message,) = log.messages
        assert message.startswith("WARNING Storing an upgraded password hash failed: ")
        for secret in ("alice", "pwd", "old:", "new:"):
            assert secret not in message


async def test_column_too_short_for_the_new_hash(store: Store, hasher: Hasher, log: Log) -> None:
    class Short(store.User):  # type: ignore[misc, name-defined]  # made for this test
        registry = orm.ModelRegistry(database=store.database)
        tablename = "users"
        fields = {**store.User.fields, "password": orm.String(max_length=10)}

    outdated = "old:1:pwd"
    alice = await store.add("alice", outdated)
    backend: Any = ModelBasicAuth(Short, hasher=hasher)
    hasher._made = 1_000_000_000

    user = await backend.verify("alice", "pwd")

    assert user.password == outdated
    assert await store.stored(alice) == outdated
    assert log.messages == [
        (
            "WARNING An outdated password hash was kept: a new one has 18 characters, "
            "Short.password has room for 10."
        )
    ]


@pytest.fixture
async def narrow(store: Store) -> None:
    """The column of the database takes less than the model says."""
    change = {
        "postgresql": "ALTER COLUMN password TYPE VARCHAR(10)",
        "mysql": "MODIFY password VARCHAR(10)",
    }[store.server.kind]
    await store.database.execute(f"ALTER TABLE users {change}")


class TestColumnIsShorterThanTheModelSays:
    OUTDATED = "old:1:pwd"

    # A column of SQLite has no length.
    @pytest.mark.parametrize("server", ["postgresql", "mysql"], indirect=True)
    async def test_old_hash_is_kept(
        self, store: Store, hasher: Hasher, log: Log, narrow: None
    ) -> None:
        alice = await store.add("alice", self.OUTDATED)
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        hasher._made = 1_000_000_000

        user = await backend.verify("alice", "pwd")

        assert user.password == await store.stored(alice) == self.OUTDATED
        (message,) = log.messages
        assert message.startswith("WARNING Storing an upgraded password hash failed: ")
        assert await backend.verify("alice", "pwd") is not None

    @pytest.mark.parametrize("server", ["mysql"], indirect=True)
    async def test_hash_that_the_database_cuts_is_never_stored(
        self, store: Store, hasher: Hasher, log: Log, narrow: None
    ) -> None:
        alice = await store.add("alice", self.OUTDATED)
        hasher._made = 1_000_000_000
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        async with lenient(store):
            # aiomysql makes warnings of the server Python's.
            with pytest.warns(Warning, match="truncated"):
                user = await backend.verify("alice", "pwd")

        assert user.password == await store.stored(alice) == self.OUTDATED
        assert log.messages == [
            (
                "ERROR An outdated password hash was kept: the database cut the new one; "
                "make the column of User.password longer."
            )
        ]

    @pytest.mark.parametrize("server", ["mysql"], indirect=True)
    async def test_hash_is_not_cut_where_the_login_is_cancelled_amid_the_statements(
        self, store: Store, hasher: Hasher, narrow: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alice = await store.add("alice", self.OUTDATED)
        hasher._made = 1_000_000_000
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        updated = asyncio.Event()
        execute = Connection.execute

        async def execute_and_stop(connection: Any, statement: Any, *args: Any) -> Any:
            result = await execute(connection, statement, *args)
            if str(statement).startswith("UPDATE"):
                updated.set()
                await asyncio.Event().wait()
            return result

        async with lenient(store):
            monkeypatch.setattr(Connection, "execute", execute_and_stop)
            login = asyncio.create_task(backend.verify("alice", "pwd"))
            with pytest.warns(Warning, match="truncated"):
                await updated.wait()
            login.cancel()
            with pytest.raises(asyncio.CancelledError):
                await login
            monkeypatch.undo()

        assert await store.stored(alice) == self.OUTDATED


@asynccontextmanager
async def lenient(store: Store) -> AsyncIterator[None]:
    """Let MariaDB cut what is too long."""
    database = store.server.open(min_size=1, init_command="SET sql_mode = ''")
    async with database:
        store.User.registry.database = database
        yield
        store.User.registry.database = store.database


async def test_model_of_the_user_is_written_to(store: Store, hasher: Hasher) -> None:
    # A callable may return another model before a login ends, such as that of another tenant.
    alice = await store.add("alice", hasher.make("pwd", "old"))
    models: list[Any] = [store.User]
    backend: Any = ModelBasicAuth(lambda: models[-1], hasher=hasher)
    hasher.gate.clear()

    login = asyncio.create_task(backend.verify("alice", "pwd"))
    await hasher.arrived(1)

    class Elsewhere(orm.Model):
        registry = orm.ModelRegistry(database=databases.Database("sqlite:////nowhere/at.all"))
        fields = {**store.User.fields}

    models.append(Elsewhere)
    hasher.gate.set()

    assert (await login).password == await store.stored(alice)
    assert (await store.stored(alice)).startswith("new:")
