"""API tokens: what is issued, what is stored, and what is let in."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import orm
import pytest
from starlette.requests import HTTPConnection

from starlette_auth_core import Challenge, InvalidCredentials
from starlette_auth_core.tokens import digest_token, generate_token, is_well_formed
from starlette_auth_orm import ModelBearerAuth, ModelTokenAuth, token_fields

if TYPE_CHECKING:
    from conftest import Log, Server, Store

pytestmark = pytest.mark.anyio

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


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
def backend(store: Store, clock: Clock) -> ModelTokenAuth:
    return ModelTokenAuth(store.Token, prefix="shop", now=clock)


@pytest.fixture
async def alice(store: Store) -> Any:
    return await store.add("alice", None)


def request(authorization: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [(b"authorization", authorization.encode())]})


async def reloaded(row: Any) -> Any:
    return await type(row).objects.get(id=row.id)


class TestIssue:
    async def test_token_lets_its_user_in(
        self, store: Store, backend: ModelTokenAuth, alice: Any
    ) -> None:
        token, row = await backend.issue(alice)

        assert is_well_formed(token, "shop")
        assert row.user == alice
        result = await backend.authenticate(request(f"Token {token}"))
        assert result is not None
        assert result[1] == alice  # all of their fields
        assert result[0].scopes == ["authenticated"]

    async def test_token_is_stored_as_a_digest(
        self, store: Store, backend: ModelTokenAuth, alice: Any, log: Log
    ) -> None:
        token, row = await backend.issue(alice, name="laptop")

        assert row.digest == digest_token(token)
        columns = await store.database.fetch_one(store.Token.table.select())
        assert columns is not None
        assert digest_token(token) in columns._mapping.values()
        assert all(token[-49:] not in str(value) for value in columns._mapping.values())
        assert log.messages == []

    async def test_digest_is_unique_and_indexed(
        self, store: Store, backend: ModelTokenAuth, alice: Any
    ) -> None:
        _, row = await backend.issue(alice)

        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            await store.Token.objects.create(
                digest=row.digest, user=alice, scopes=None, created_at=NOON, expires_at=None
            )

    async def test_several_tokens_of_one_user(
        self, store: Store, backend: ModelTokenAuth, alice: Any
    ) -> None:
        bob = await store.add("bob", None)
        tokens = [(await backend.issue(user))[0] for user in (alice, alice, bob)]

        assert [await backend.verify(token) for token in tokens] == [alice, alice, bob]
        # The key of a token is not that of its user.
        assert [row.id == row.user.id for row in await store.Token.objects.all()] == [
            True,
            False,
            False,
        ]

    async def test_further_fields(self, store: Store, backend: ModelTokenAuth, alice: Any) -> None:
        _, row = await backend.issue(alice, name="laptop")

        assert row.name == "laptop"
        assert (await reloaded(row)).name == "laptop"

        with pytest.raises(ValueError, match="issue: Token has no field 'nick', it has 'id', "):
            await backend.issue(alice, nick="laptop")

    async def test_row_says_what_is_stored(
        self, store: Store, backend: ModelTokenAuth, alice: Any, clock: Clock
    ) -> None:
        clock.time += timedelta(microseconds=999_999)

        _, row = await backend.issue(
            alice, scopes=["read"], expires_in=timedelta(microseconds=1), name="laptop"
        )

        stored = await reloaded(row)
        for name in store.Token.fields:
            if name != "user":
                assert getattr(stored, name) == getattr(row, name)
        assert stored.user.id == alice.id

    async def test_user_that_is_none(self, backend: ModelTokenAuth, alice: Any) -> None:
        with pytest.raises(TypeError, match="user must be a User; got a int"):
            await backend.issue(alice.id)

    async def test_backend_without_a_prefix_issues_none(self, store: Store, alice: Any) -> None:
        with pytest.raises(ValueError, match="without a prefix"):
            await ModelTokenAuth(store.Token, prefix=None).issue(alice)


class TestTokensThatAreRefused:
    async def test_unknown_token(self, backend: ModelTokenAuth, alice: Any) -> None:
        await backend.issue(alice)

        with pytest.raises(InvalidCredentials):
            await backend.authenticate(request(f"Token {generate_token('shop')}"))

    async def test_digest_is_no_token(
        self, store: Store, backend: ModelTokenAuth, alice: Any
    ) -> None:
        _, row = await backend.issue(alice)

        assert await backend.verify(row.digest) is None
        assert await ModelTokenAuth(store.Token, prefix=None).verify(row.digest) is None

    async def test_token_of_another_prefix(
        self, store: Store, backend: ModelTokenAuth, alice: Any
    ) -> None:
        token, _ = await ModelTokenAuth(store.Token, prefix="other").issue(alice)

        assert await backend.verify(token) is None

    async def test_no_prefix_takes_tokens_of_any_form(self, store: Store, alice: Any) -> None:
        # Those that were made before, and whose digests were put into the table.
        backend = ModelTokenAuth(store.Token, prefix=None)
        row = {"user": alice, "scopes": None, "created_at": NOON, "expires_at": None}
        await store.Token.objects.create(digest=digest_token("plain"), **row)

        assert await backend.verify("plain") == alice
        assert await backend.verify("Plain") is None
        assert await backend.verify("plain\ud800") is None

    @pytest.mark.parametrize("active", [False, None])
    async def test_user_who_is_not_active(
        self, store: Store, alice: Any, active: bool | None
    ) -> None:
        backend = ModelTokenAuth(store.Token, prefix="shop", active_field="active")
        token, _ = await backend.issue(alice)
        assert await backend.verify(token) == alice

        await alice.update(active=active)
        assert await backend.verify(token) is None

        await alice.update(active=True)
        assert await backend.verify(token) == alice

    async def test_user_who_was_deleted(self, store: Store, alice: Any) -> None:
        backend = ModelTokenAuth(store.Token, prefix="shop")
        token, _ = await backend.issue(alice)

        if store.server.kind == "sqlite":  # It looks after foreign keys only if told to.
            await store.User.objects.delete()
        else:
            await alice.delete()
            assert await store.Token.objects.count() == 0
        assert await backend.verify(token) is None

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
            backend = ModelTokenAuth(Token, prefix="shop")
            alice = await User.objects.create(username="alice")
            token, _ = await backend.issue(alice)
            if measure == "revoke_all":
                await backend.revoke_all(alice)
            await alice.delete()

            bob = await User.objects.create(username="bob")
            assert bob.id == alice.id
            assert await backend.verify(token) is None

    async def test_two_rows_of_one_digest(self, store: Store, alice: Any, log: Log) -> None:
        class Sloppy(orm.Model):
            registry = store.Token.registry
            tablename = "sloppy"
            fields = {**token_fields(store.User), "digest": orm.String(max_length=64)}

        async with store.tables(Sloppy):
            backend = ModelTokenAuth(Sloppy, prefix="shop")
            token, row = await backend.issue(alice)
            await Sloppy.objects.create(
                digest=row.digest, user=alice, scopes=None, created_at=NOON, expires_at=None
            )

            assert await backend.verify(token) is None

        assert log.messages == [
            (
                "ERROR Nobody is let in by 2 rows of Sloppy that have the same digest: "
                "make that column unique"
            )
        ]


class TestExpiry:
    async def test_token_ends_when_its_time_is_over(
        self, backend: ModelTokenAuth, alice: Any, clock: Clock
    ) -> None:
        token, row = await backend.issue(alice, expires_in=HOUR)
        assert row.expires_at == NOON + HOUR

        clock.time = NOON + HOUR - timedelta(seconds=1)
        assert await backend.verify(token) == alice
        clock.time = NOON + HOUR
        assert await backend.verify(token) is None

    async def test_token_without_an_end(
        self, backend: ModelTokenAuth, alice: Any, clock: Clock
    ) -> None:
        token, row = await backend.issue(alice)
        assert row.expires_at is None
        assert (await reloaded(row)).expires_at is None

        clock.time = datetime.max.replace(tzinfo=UTC)
        assert await backend.verify(token) == alice

    @pytest.mark.parametrize("hours", [-11, 0, 5.5, 14])
    async def test_stored_times_are_aware_and_in_utc(
        self, store: Store, backend: ModelTokenAuth, alice: Any, clock: Clock, hours: float
    ) -> None:
        clock.time = NOON.astimezone(timezone(timedelta(hours=hours)))

        _, row = await backend.issue(alice, expires_in=HOUR)

        for each in (row, await reloaded(row)):
            assert (each.created_at, each.expires_at) == (NOON, NOON + HOUR)
            assert each.created_at.tzinfo is each.expires_at.tzinfo is UTC

    async def test_app_may_ask_for_times(
        self, store: Store, backend: ModelTokenAuth, alice: Any
    ) -> None:
        _, soon = await backend.issue(alice, expires_in=HOUR)
        await backend.issue(alice, expires_in=3 * HOUR)

        query = store.Token.objects.filter(expires_at__lt=NOON + 2 * HOUR)

        assert [row.id for row in await query.all()] == [soon.id]

    @pytest.mark.parametrize("server", ["postgresql"], indirect=True)
    async def test_column_with_a_timezone(
        self, store: Store, backend: ModelTokenAuth, alice: Any, clock: Clock
    ) -> None:
        # What a migration by hand may have made of it.
        token, row = await backend.issue(alice, expires_in=HOUR)
        await store.database.execute(
            "ALTER TABLE tokens ALTER expires_at TYPE timestamptz "
            "USING expires_at AT TIME ZONE 'UTC'"
        )

        assert (await reloaded(row)).expires_at == NOON + HOUR
        assert await backend.verify(token) == alice
        clock.time = NOON + HOUR
        assert await backend.verify(token) is None

    @pytest.mark.parametrize("expires_in", [timedelta(), -HOUR])
    async def test_end_before_the_beginning(
        self, backend: ModelTokenAuth, alice: Any, expires_in: timedelta
    ) -> None:
        with pytest.raises(ValueError, match="expires_in must be positive"):
            await backend.issue(alice, expires_in=expires_in)

    async def test_naive_times_are_refused(
        self, store: Store, backend: ModelTokenAuth, alice: Any, clock: Clock
    ) -> None:
        clock.time = NOON.replace(tzinfo=None)

        with pytest.raises(ValueError, match="now must return an aware datetime"):
            await backend.issue(alice)
        with pytest.raises(ValueError, match="a datetime without a timezone"):
            await store.Token.objects.filter(expires_at=clock.time).all()

    async def test_default_clock_is_right(self, store: Store, alice: Any) -> None:
        backend = ModelTokenAuth(store.Token, prefix="shop")
        before = datetime.now(UTC).replace(microsecond=0)

        _, row = await backend.issue(alice)

        assert before <= row.created_at <= datetime.now(UTC)


class TestScopes:
    async def test_token_has_its_own(self, backend: ModelTokenAuth, alice: Any) -> None:
        token, row = await backend.issue(alice, scopes=["read", "orders:write"])

        assert row.scopes == "read orders:write"
        assert await backend.resolve(token) == (alice, ("authenticated", "read", "orders:write"))

    async def test_token_without_any_has_those_of_the_user(self, store: Store, alice: Any) -> None:
        class RolesAuth(ModelTokenAuth):
            def get_scopes(self, user: Any) -> list[str]:
                return ["authenticated", f"role of {user.username}"]

        backend = RolesAuth(store.Token, prefix="shop")
        unlimited, _ = await backend.issue(alice)
        limited, _ = await backend.issue(alice, scopes=["read"])
        none, _ = await backend.issue(alice, scopes=[])

        assert await backend.resolve(unlimited) == (alice, ["authenticated", "role of alice"])
        assert await backend.resolve(limited) == (alice, ("authenticated", "read"))
        # What was computed to be nothing is not everything.
        assert await backend.resolve(none) == (alice, ("authenticated",))

    @pytest.mark.parametrize("scope", ["", "a b", "a\tb", 'a"b', "a\\b", "é", "a\n"])
    async def test_scope_that_is_none(
        self, store: Store, backend: ModelTokenAuth, alice: Any, scope: str
    ) -> None:
        with pytest.raises(ValueError, match="is no scope: RFC 6749"):
            await backend.issue(alice, scopes=["read", scope])
        assert await store.Token.objects.count() == 0

    async def test_string_is_no_sequence_of_scopes(
        self, backend: ModelTokenAuth, alice: Any
    ) -> None:
        with pytest.raises(TypeError, match=r"use \('read',\)"):
            await backend.issue(alice, scopes="read")


class TestRotate:
    async def test_both_tokens_are_valid_for_a_while(
        self, backend: ModelTokenAuth, alice: Any, clock: Clock
    ) -> None:
        old, row = await backend.issue(alice)

        new, new_row = await backend.rotate(row, overlap=HOUR)

        assert new != old
        assert new_row.id != row.id
        assert new_row.user == alice
        assert row.expires_at == NOON + HOUR
        assert await backend.verify(old) == await backend.verify(new) == alice
        clock.time = NOON + HOUR
        assert await backend.verify(old) is None
        assert await backend.verify(new) == alice

    async def test_without_overlap_the_old_one_ends_now(
        self, backend: ModelTokenAuth, alice: Any
    ) -> None:
        old, row = await backend.issue(alice)

        new, _ = await backend.rotate(row, overlap=timedelta())

        assert await backend.verify(old) is None
        assert await backend.verify(new) == alice

    async def test_new_one_takes_over_what_the_old_one_had(
        self, store: Store, backend: ModelTokenAuth, alice: Any, clock: Clock
    ) -> None:
        _, row = await backend.issue(alice, scopes=["read"], expires_in=3 * HOUR, name="laptop")
        clock.time = NOON + HOUR

        # As an app reads it: the user has a key only.
        token, new = await backend.rotate(await reloaded(row), overlap=timedelta())

        stored = await reloaded(new)
        assert (stored.scopes, stored.name) == ("read", "laptop")
        assert (stored.created_at, stored.expires_at) == (NOON + HOUR, NOON + 4 * HOUR)
        assert await backend.resolve(token) == (alice, ("authenticated", "read"))

    async def test_lifetime_may_be_another_one(self, backend: ModelTokenAuth, alice: Any) -> None:
        _, row = await backend.issue(alice, expires_in=HOUR)

        _, new = await backend.rotate(row, overlap=timedelta(), expires_in=2 * HOUR)

        assert new.expires_at == NOON + 2 * HOUR

    async def test_overlap_does_not_prolong_the_old_one(
        self, backend: ModelTokenAuth, alice: Any
    ) -> None:
        _, row = await backend.issue(alice, expires_in=HOUR)

        await backend.rotate(row, overlap=5 * HOUR)

        assert row.expires_at == (await reloaded(row)).expires_at == NOON + HOUR

    async def test_revoked_one_is_not_rotated(
        self, store: Store, backend: ModelTokenAuth, alice: Any
    ) -> None:
        _, row = await backend.issue(alice)
        await backend.revoke(row)

        with pytest.raises(ValueError, match="it was revoked, or has expired"):
            await backend.rotate(row, overlap=HOUR)
        assert await store.Token.objects.count() == 0

    async def test_expired_one_is_not_rotated(
        self, store: Store, backend: ModelTokenAuth, alice: Any, clock: Clock
    ) -> None:
        _, row = await backend.issue(alice, expires_in=HOUR)
        clock.time = NOON + HOUR

        with pytest.raises(ValueError, match="it was revoked, or has expired"):
            await backend.rotate(row, overlap=HOUR)
        assert await store.Token.objects.count() == 1

    async def test_one_that_is_revoked_meanwhile_leaves_none(
        self, store: Store, alice: Any
    ) -> None:
        class RevokedMeanwhile(ModelTokenAuth):
            async def _create(self, model: Any, *args: Any, **fields: Any) -> tuple[str, Any]:
                await store.Token.objects.delete()
                return await super()._create(model, *args, **fields)

        _, row = await ModelTokenAuth(store.Token, prefix="shop").issue(alice)

        with pytest.raises(ValueError, match="it was revoked meanwhile"):
            await RevokedMeanwhile(store.Token, prefix="shop").rotate(row, overlap=HOUR)
        assert await store.Token.objects.count() == 0

    async def test_overlap_beyond_the_calendar_leaves_no_token_that_nobody_knows(
        self, store: Store, backend: ModelTokenAuth, alice: Any
    ) -> None:
        _, row = await backend.issue(alice)
        with pytest.raises(OverflowError):
            await backend.rotate(row, overlap=timedelta.max)
        assert await store.Token.objects.count() == 1

    async def test_negative_overlap(self, backend: ModelTokenAuth, alice: Any) -> None:
        _, row = await backend.issue(alice)

        with pytest.raises(ValueError, match="overlap must not be negative"):
            await backend.rotate(row, overlap=-HOUR)

    async def test_many_at_once(self, backend: ModelTokenAuth, alice: Any) -> None:
        old, row = await backend.issue(alice)

        rotated = await asyncio.gather(*(backend.rotate(row, overlap=HOUR) for _ in range(10)))

        users = [await backend.verify(token) for token in (old, *(new for new, _ in rotated))]
        assert users == [alice] * 11


class TestRevoke:
    async def test_one(self, backend: ModelTokenAuth, alice: Any) -> None:
        kept, _ = await backend.issue(alice)
        token, row = await backend.issue(alice)

        await backend.revoke(row)

        assert await backend.verify(token) is None
        assert await backend.verify(kept) == alice
        await backend.revoke(row)  # It is gone, which is what was asked for.

    async def test_all_of_a_user(self, store: Store, backend: ModelTokenAuth, alice: Any) -> None:
        bob = await store.add("bob", None)
        tokens = [(await backend.issue(user))[0] for user in (alice, alice, bob)]

        await backend.revoke_all(alice)

        assert [await backend.verify(token) for token in tokens] == [None, None, bob]

    async def test_row_that_was_revoked_before_is_no_other_one(
        self, store: Store, backend: ModelTokenAuth, alice: Any
    ) -> None:
        # SQLite gives the key of a deleted row to the next one.
        _, old = await backend.issue(alice)
        await backend.revoke(old)
        token, row = await backend.issue(alice)
        assert (row.id == old.id) == (store.server.kind == "sqlite")

        await backend.revoke(old)
        with pytest.raises(ValueError, match="it was revoked"):
            await backend.rotate(old, overlap=timedelta())

        assert await backend.verify(token) == alice


class TestBearer:
    async def test_scheme_is_bearer(self, store: Store, alice: Any) -> None:
        backend = ModelBearerAuth(store.Token, prefix="shop")
        token, _ = await backend.issue(alice, scopes=["read"])

        result = await backend.authenticate(request(f"Bearer {token}"))

        assert result is not None
        assert result[0].scopes == ["authenticated", "read"]
        assert result[1] == alice
        assert await backend.authenticate(request(f"Token {token}")) is None

    async def test_failure_is_told_by_rfc_6750(self, store: Store) -> None:
        backend = ModelBearerAuth(store.Token, prefix="shop")

        for token in (generate_token("shop"), "malformed"):
            with pytest.raises(InvalidCredentials) as error:
                await backend.authenticate(request(f"Bearer {token}"))
            assert error.value.challenge == Challenge(
                "Bearer", realm="Restricted", error="invalid_token"
            )


async def test_another_primary_key(store: Store, alice: Any) -> None:
    class Keyed(orm.Model):
        registry = store.Token.registry
        tablename = "keyed"
        fields = {
            **token_fields(store.User),
            "id": orm.UUID(primary_key=True, default=uuid.uuid4),
        }

    async with store.tables(Keyed):
        backend = ModelTokenAuth(Keyed, prefix="shop")
        old, row = await backend.issue(alice)
        new, new_row = await backend.rotate(row, overlap=HOUR)
        assert isinstance(new_row.id, uuid.UUID)
        assert await backend.verify(old) == await backend.verify(new) == alice
        await backend.revoke(new_row)
        assert await backend.verify(new) is None
