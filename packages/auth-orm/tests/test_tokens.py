"""What is particular about tokens that are rows of an orm model; the rest is in the contract."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orm
import pytest

from starlette_auth_core.tokens import Tokens, digest_token
from starlette_auth_orm import ModelTokenStore, token_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from conftest import Log, Server, Store

pytestmark = pytest.mark.anyio

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DIGEST = digest_token("token")


class StrictSQLite(sqlite3.Connection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.execute("PRAGMA foreign_keys = ON")


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(store: Store, clock: Clock) -> Tokens[Any, Any]:
    return tokens_of(store.Token, clock)


@pytest.fixture
async def alice(store: Store) -> Any:
    return await store.add("alice", None)


def tokens_of(
    model: Any, clock: Clock | None = None, *, active_field: str | None = None
) -> Tokens[Any, Any]:
    storage = ModelTokenStore(model, active_field=active_field)
    return Tokens(storage, prefix="shop", now=clock or Clock())


async def insert(model: Any, user: Any, **fields: Any) -> Any:
    row = {"digest": DIGEST, "scopes": None, "created_at": NOON, "expires_at": None}
    return await ModelTokenStore(model).insert(user, **row | fields)


async def find(tokens: Tokens[Any, Any], token: str) -> Any:
    found = await tokens.find(token)
    assert found is not None
    return found


async def reloaded(row: Any) -> Any:
    return await type(row).objects.get(id=row.id)


class TestRows:
    async def test_row_has_all_fields_of_its_user(
        self, tokens: Tokens[Any, Any], alice: Any
    ) -> None:
        token, row = await tokens.issue(alice)

        assert row.user == alice
        found = await find(tokens, token)
        assert found.user == alice
        (listed,) = await tokens.list(alice)
        assert listed.user == alice

    async def test_row_says_what_is_stored(
        self, store: Store, tokens: Tokens[Any, Any], alice: Any, clock: Clock
    ) -> None:
        clock.time += timedelta(microseconds=999_999)

        _, row = await tokens.issue(alice, scopes=["read"], expires_in=HOUR, name=" laptop ")

        stored = await reloaded(row)
        for name in store.Token.fields:
            if name != "user":
                assert getattr(stored, name) == getattr(row, name)
        assert stored.user.id == alice.id
        assert row.name == "laptop"  # as orm stores it

    async def test_digest_is_unique(self, store: Store, alice: Any) -> None:
        await insert(store.Token, alice)

        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            await insert(store.Token, alice)
        assert await store.Token.objects.count() == 1

    async def test_two_rows_of_one_digest_let_nobody_in(
        self, store: Store, alice: Any, log: Log
    ) -> None:
        class Sloppy(orm.Model):
            registry = store.Token.registry
            tablename = "sloppy"
            fields = {**token_fields(store.User), "digest": orm.String(max_length=64)}

        async with store.tables(Sloppy):
            await insert(Sloppy, alice)
            await insert(Sloppy, alice)
            log.clear()

            assert await ModelTokenStore(Sloppy).find(DIGEST) is None
            assert log.messages == [
                (
                    "ERROR Login refused: 2 rows of Sloppy share the same digest; "
                    "add a unique constraint."
                )
            ]

    async def test_another_primary_key(self, store: Store, alice: Any) -> None:
        class Keyed(orm.Model):
            registry = store.Token.registry
            tablename = "keyed"
            fields = {
                **token_fields(store.User),
                "id": orm.UUID(primary_key=True, default=uuid.uuid4),
            }

        async with store.tables(Keyed):
            tokens = tokens_of(Keyed)
            old, row = await tokens.issue(alice)
            new, new_row = await tokens.rotate(row, overlap=HOUR)
            assert isinstance(new_row.id, uuid.UUID)
            assert new_row.id != row.id
            found = [await find(tokens, token) for token in (old, new)]
            assert [each.user for each in found] == [alice] * 2
            assert len(await tokens.list(alice)) == 2
            assert await tokens.revoke(new_row)
            assert await tokens.find(new) is None

    @pytest.mark.parametrize("tablename", ["user", "Members", "auth-user"])
    async def test_table_of_users_may_have_a_name_that_sql_quotes(
        self, store: Store, tablename: str
    ) -> None:
        name = tablename
        registry_ = orm.ModelRegistry(database=store.database)

        class User(orm.Model):
            tablename = name
            registry = registry_
            fields = {**store.User.fields, "select": orm.Text(allow_null=True)}

        class Token(orm.Model):
            tablename = f"{name}'s tokens"
            registry = registry_
            fields = token_fields(User)

        async with store.tables(User, Token):
            user = await User.objects.create(username="alice", select="yes")
            tokens = tokens_of(Token)
            token, row = await tokens.issue(user, name="laptop")
            found = await find(tokens, token)
            assert (found.user.username, found.user.select) == ("alice", "yes")
            assert (found.id, found.name) == (row.id, "laptop")

    async def test_model_without_last_use_and_name(
        self, store: Store, alice: Any, log: Log
    ) -> None:
        fields_ = token_fields(store.User)
        del fields_["last_used_at"], fields_["name"]

        class Plain(orm.Model):
            registry = store.Token.registry
            tablename = "plain"
            fields = fields_

        async with store.tables(Plain):
            storage = ModelTokenStore(Plain)
            tokens: Tokens[Any, Any] = Tokens(storage, prefix="shop", now=Clock())
            token, row = await tokens.issue(alice)
            log.clear()

            assert (await find(tokens, token)).user == alice
            assert not await storage.touch(row, NOON, unless_since=NOON)
            assert len(log.statements) == 1
            assert log.messages == []
            assert storage.extra(row) == {}

    async def test_row_survives_the_lookup_of_another_table(self, store: Store, alice: Any) -> None:
        # The app's own fields: defaults are filled in, unique ones are not taken over.
        class Rich(orm.Model):
            registry = store.Token.registry
            tablename = "rich"
            fields = {
                **token_fields(store.User),
                "kind": orm.String(max_length=10, default="api"),
                "number": orm.Integer(default=1),
                "serial": orm.String(max_length=32, unique=True, allow_null=True),
            }

        async with store.tables(Rich):
            tokens = tokens_of(Rich)
            _, row = await tokens.issue(alice, number=7, serial="1")
            assert (row.kind, row.number, row.serial) == ("api", 7, "1")
            _, new = await tokens.rotate(row, overlap=HOUR)
            assert (new.kind, new.number, new.serial) == ("api", 7, None)


class TestRefusedRows:
    @pytest.mark.parametrize(
        "extra",
        [
            {"nick": "laptop"},
            {"id": 7},
            {"pk": 7},
            {"user_id": 7},
            {"last_used_at": NOON},
            {"name": "laptop", "nick": "laptop"},
        ],
    )
    async def test_field_that_is_not_the_apps(
        self, store: Store, alice: Any, extra: dict[str, Any]
    ) -> None:
        with pytest.raises(TypeError, match="Token has no field for the app to set: "):
            await insert(store.Token, alice, **extra)
        assert await store.Token.objects.count() == 0

    async def test_foreign_key(self, store: Store, alice: Any) -> None:
        class Owned(orm.Model):
            registry = store.Token.registry
            tablename = "owned"
            fields = {
                **token_fields(store.User),
                "parent": orm.ForeignKey(store.Token, allow_null=True),
            }

        parent = await insert(store.Token, alice)
        async with store.tables(Owned):
            with pytest.raises(TypeError, match="Owned has no field for the app to set: parent"):
                await insert(Owned, alice, parent=parent)
            row = await insert(Owned, alice)
            assert ModelTokenStore(Owned).extra(row) == {"name": None}

    async def test_user_of_another_model(self, store: Store, alice: Any) -> None:
        class Other(orm.Model):
            registry = orm.ModelRegistry(database=store.database)
            fields = store.User.fields

        other: Any = Other
        for user in (other(id=alice.id), alice.id, None):
            with pytest.raises(TypeError, match=r"user must be a User; got a (Other|int|NoneType)"):
                await insert(store.Token, user)
        assert await store.Token.objects.count() == 0

    async def test_user_who_is_not_stored(self, store: Store, alice: Any) -> None:
        storage = ModelTokenStore(store.Token)
        for user in (store.User(username="bob"), store.User(id=None, username="bob")):
            with pytest.raises(ValueError, match="the user is not stored: create it first"):
                await insert(store.Token, user)
            with pytest.raises(ValueError, match="the user is not stored: create it first"):
                await storage.list(user)
            with pytest.raises(ValueError, match="the user is not stored: create it first"):
                await storage.delete_all(user)
        assert await store.Token.objects.count() == 0

    async def test_user_who_was_deleted(self, store: Store, alice: Any) -> None:
        await alice.delete()

        with pytest.raises(ValueError, match="the user has been deleted, or is not active"):
            await insert(store.Token, alice)
        assert await store.Token.objects.count() == 0

    @pytest.mark.parametrize("active", [False, None])
    async def test_user_who_is_not_active_any_more(
        self, store: Store, alice: Any, active: bool | None
    ) -> None:
        # What the user's object says may be old.
        tokens = tokens_of(store.Token, active_field="active")
        token, _ = await tokens.issue(alice)
        await store.User.objects.filter(id=alice.id).update(active=active)
        assert alice.active

        with pytest.raises(ValueError, match="the user has been deleted, or is not active"):
            await tokens.issue(alice)
        assert await store.Token.objects.count() == 1
        assert await tokens.find(token) is None

        await store.User.objects.filter(id=alice.id).update(active=True)
        assert await tokens.find(token) is not None

    async def test_field_without_a_value(self, store: Store, alice: Any) -> None:
        class Named(orm.Model):
            registry = store.Token.registry
            tablename = "named"
            fields = {**token_fields(store.User), "name": orm.String(max_length=10)}

        async with store.tables(Named):
            with pytest.raises(Exception, match=r"(?i)null|default value"):
                await insert(Named, alice)
            with pytest.raises(Exception, match="Must have no more than 10 characters"):
                await insert(Named, alice, name="x" * 11)
            assert await Named.objects.count() == 0


class TestDeletedUsers:
    async def test_tokens_of_a_deleted_user_do_not_work(self, store: Store, alice: Any) -> None:
        tokens = tokens_of(store.Token)
        token, _ = await tokens.issue(alice)

        await alice.delete()

        if store.server.kind != "sqlite":  # It looks after foreign keys only if told to.
            assert await store.Token.objects.count() == 0
        assert await tokens.find(token) is None

    @pytest.mark.parametrize("measure", ["foreign keys", "revoke_all"])
    async def test_sqlite_gives_the_key_of_a_deleted_user_to_the_next_one(
        self, sqlite: Server, measure: str
    ) -> None:
        # Without one of the documented measures the old token would be the new user's.
        options: dict[str, Any] = {"factory": StrictSQLite} if measure == "foreign keys" else {}
        models = orm.ModelRegistry(database=sqlite.open(**options))

        class User(orm.Model):
            registry = models
            fields = {"id": orm.Integer(primary_key=True), "username": orm.Text()}

        class Token(orm.Model):
            registry = models
            fields = token_fields(User)

        await models.create_all()
        async with models.database:
            tokens = tokens_of(Token)
            alice = await User.objects.create(username="alice")
            token, _ = await tokens.issue(alice)
            if measure == "revoke_all":
                await tokens.revoke_all(alice)
            await alice.delete()

            bob = await User.objects.create(username="bob")
            assert bob.id == alice.id
            assert await tokens.find(token) is None


class TestTimes:
    @pytest.mark.parametrize("hours", [-11, 0, 5.5, 14])
    async def test_stored_times_are_aware_and_in_utc(
        self, store: Store, tokens: Tokens[Any, Any], alice: Any, clock: Clock, hours: float
    ) -> None:
        clock.time = NOON.astimezone(timezone(timedelta(hours=hours)))

        token, row = await tokens.issue(alice, expires_in=HOUR)
        found = await find(tokens, token)

        (listed,) = await tokens.list(alice)
        assert found.last_used_at == NOON
        for each in (row, found, listed, await reloaded(row)):
            assert (each.created_at, each.expires_at) == (NOON, NOON + HOUR)
            assert each.created_at.tzinfo is each.expires_at.tzinfo is UTC

    async def test_app_may_ask_for_times(
        self, store: Store, tokens: Tokens[Any, Any], alice: Any
    ) -> None:
        _, soon = await tokens.issue(alice, expires_in=HOUR)
        await tokens.issue(alice, expires_in=3 * HOUR)

        query = store.Token.objects.filter(expires_at__lt=NOON + 2 * HOUR)

        assert [row.id for row in await query.all()] == [soon.id]

    async def test_naive_times_are_refused(self, store: Store, alice: Any) -> None:
        with pytest.raises(ValueError, match="a datetime without a timezone"):
            await store.Token.objects.filter(expires_at=NOON.replace(tzinfo=None)).all()
        with pytest.raises(ValueError, match="a datetime without a timezone"):
            await insert(store.Token, alice, expires_at=NOON.replace(tzinfo=None))

    def test_naive_times_of_a_row_are_in_utc(self) -> None:
        field = token_fields("User")["expires_at"]

        assert field.expand_relationship(NOON.replace(tzinfo=None)) == NOON
        assert field.expand_relationship(None) is None

    @pytest.mark.parametrize("server", ["postgresql"], indirect=True)
    @pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Kolkata"])
    async def test_column_with_a_timezone(self, store: Store, alice: Any, zone: str) -> None:
        # Such as that of Django's and Alembic's tables. The zone of the process counts for asyncpg,
        # that of the session for the server.
        for column in ("created_at", "expires_at", "last_used_at"):
            await store.database.execute(
                f"ALTER TABLE tokens ALTER {column} TYPE timestamptz "
                f"USING {column} AT TIME ZONE 'UTC'"
            )
        row = await insert(store.Token, alice, expires_at=NOON + HOUR)
        assert (row.created_at, row.expires_at) == (NOON, NOON + HOUR)
        assert await ModelTokenStore(store.Token).delete(row)
        settings = store.server.options["server_settings"] | {"timezone": zone}
        async with store.server.open(min_size=1, server_settings=settings) as database:
            rows = await use_tokens_elsewhere(zone, store.server, alice.id)
            assert rows == "valid expired rotated\n"
            utc = "to_char({} AT TIME ZONE 'UTC', 'HH24:MI')"
            times = ", ".join(map(utc.format, ("created_at", "expires_at", "last_used_at")))
            record = await database.fetch_one(f"SELECT {times} FROM tokens ORDER BY id")
            assert record is not None
            assert list(record._mapping.values()) == ["12:00", "12:00", "12:00"]


async def use_tokens_elsewhere(zone: str, server: Server, user: int) -> str:
    """Issue, use and rotate a token in a process that has its own time zone."""
    program = """
import asyncio, datetime, sys
from conftest import Server, models_of
from starlette_auth_core.tokens import Tokens
from starlette_auth_orm import ModelTokenStore

NOON = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
time = NOON

async def main(url, schema, zone, user):
    settings = {"search_path": schema, "timezone": zone}
    async with Server("postgresql", url, {"server_settings": settings}).open() as database:
        User, Token = models_of(database)
        tokens = Tokens(ModelTokenStore(Token), prefix="shop", now=lambda: time)
        token, row = await tokens.issue(User(id=int(user)), expires_in=HOUR)
        assert (row.created_at, row.expires_at) == (NOON, NOON + HOUR), row.expires_at
        print("valid" if await tokens.find(token) else "refused", end=" ")
        global time
        time = NOON + HOUR
        print("valid" if await tokens.find(token) else "expired", end=" ")
        time = NOON
        new, _ = await tokens.rotate(row, overlap=HOUR * 0)
        print("rotated" if await tokens.find(new) and not await tokens.find(token) else "both")

asyncio.run(main(*sys.argv[1:]))
"""
    schema = server.options["server_settings"]["search_path"]
    paths = [str(Path(__file__).parent), *sys.path]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, server.url, schema, zone, str(user)),
        env=os.environ | {"TZ": zone, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return output.decode()


async def test_cancelled_call_changes_nothing_after_it(store: Store, alice: Any) -> None:
    storage = ModelTokenStore(store.Token)
    row = await insert(store.Token, alice, expires_at=NOON + HOUR)
    calls: list[Callable[[], Coroutine[Any, Any, Any]]] = [
        lambda: insert(store.Token, alice, digest=digest_token("another")),
        lambda: storage.expire(row, NOON),
        lambda: storage.touch(row, NOON, unless_since=NOON),
        lambda: storage.delete(row),
    ]
    for call in calls:
        for turns in range(12):
            before = await everything(store)
            task = asyncio.create_task(call())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            after = await everything(store)
            for _ in range(20):
                await asyncio.sleep(0)
            assert await everything(store) == after
            if after != before:
                break


async def everything(store: Store) -> list[tuple[Any, ...]]:
    rows = await store.database.fetch_all(store.Token.table.select())
    return [tuple(row._mapping.values()) for row in rows]
