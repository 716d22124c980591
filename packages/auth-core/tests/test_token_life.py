"""The life of API tokens: issued, found, used, rotated, revoked, and gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.authentication import UnauthenticatedUser

from starlette_auth_core import AuthenticationUnavailable
from starlette_auth_core.tokens import (
    MemoryTokenStore,
    Tokens,
    digest_token,
    generate_token,
    is_well_formed,
)

pytestmark = pytest.mark.anyio

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass
class User:
    name: str
    active: bool = True


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


class Store(MemoryTokenStore[User]):
    """Notes its calls, and does before or after one what a test asks for."""

    def __init__(self) -> None:
        super().__init__(active_field="active")
        self.calls: list[str] = []
        self.before: dict[str, Callable[[], Awaitable[Any]]] = {}
        self.after: dict[str, Callable[[], Awaitable[Any]]] = {}
        self.instead: dict[str, Callable[..., Any]] = {}

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name not in METHODS:
            return value
        if name in self.instead:
            self.calls.append(name)
            return self.instead[name]

        async def call(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            if name in self.before:
                await self.before.pop(name)()
            result = await value(*args, **options)
            if name in self.after:
                await self.after.pop(name)()
            return result

        return call

    @property
    def digests(self) -> list[str]:
        return list(self._rows)

    def stored(self, row: Any) -> Any:
        return self._rows[row.digest]


METHODS = ("find", "insert", "expire", "touch", "delete", "delete_all", "list", "purge")


@dataclass
class World:
    clock: Clock = field(default_factory=Clock)
    store: Store = field(default_factory=Store)
    alice: User = field(default_factory=lambda: User("alice"))
    bob: User = field(default_factory=lambda: User("bob"))

    @property
    def tokens(self) -> Tokens[User, Any]:
        return Tokens(self.store, prefix="shop", now=self.clock)


@pytest.fixture
def world() -> World:
    return World()


class TestIssue:
    async def test_token_is_of_its_user(self, world: World) -> None:
        token, row = await world.tokens.issue(world.alice, name="laptop")
        assert is_well_formed(token, "shop")
        assert row.user is world.alice
        found = await world.tokens.find(token)
        assert found is not None
        assert (found.user, found.name, found.digest) == (world.alice, "laptop", row.digest)

    async def test_token_is_stored_as_a_digest(self, world: World) -> None:
        token, row = await world.tokens.issue(world.alice)
        assert row.digest == digest_token(token)
        assert world.store.digests == [row.digest]
        assert all(token[-49:] not in str(value) for value in vars(row).values())

    async def test_several_tokens_of_one_user(self, world: World) -> None:
        made = [await world.tokens.issue(user) for user in (world.alice, world.alice, world.bob)]
        found = [await world.tokens.find(token) for token, _ in made]
        assert [row and row.user for row in found] == [world.alice, world.alice, world.bob]

    async def test_row_says_what_is_stored(self, world: World) -> None:
        world.clock.time += timedelta(microseconds=999_999)
        _, row = await world.tokens.issue(world.alice, scopes=["read"], expires_in=1.5 * SECOND)
        assert (row.created_at, row.expires_at) == (NOON, NOON + SECOND)
        assert vars(row) == vars(world.store.stored(row))

    @pytest.mark.parametrize("hours", [-11, 0, 5.5, 14])
    async def test_times_are_in_utc(self, world: World, hours: float) -> None:
        world.clock.time = NOON.astimezone(timezone(timedelta(hours=hours)))
        _, row = await world.tokens.issue(world.alice, expires_in=HOUR)
        assert (row.created_at, row.expires_at) == (NOON, NOON + HOUR)
        assert row.created_at.tzinfo is row.expires_at.tzinfo is UTC

    async def test_default_clock_is_right(self, world: World) -> None:
        before = datetime.now(UTC).replace(microsecond=0)
        _, row = await Tokens(world.store, prefix="shop").issue(world.alice)
        assert before <= row.created_at <= datetime.now(UTC)

    @pytest.mark.parametrize("name", ["digest", "created_at", "expires_at", "last_used_at", "user"])
    async def test_fields_of_the_row_are_refused(self, world: World, name: str) -> None:
        refused: dict[str, Any] = {name: NOON}
        with pytest.raises(TypeError, match=name):
            await world.tokens.issue(world.alice, **refused)
        assert world.store.calls == []

    @pytest.mark.parametrize("user", [None, False, 0, "", {}, []])
    async def test_nobody_gets_no_token(self, world: World, user: Any) -> None:
        with pytest.raises(
            TypeError, match=r"user must be a user|was not awaited|not a result yet"
        ):
            await world.tokens.issue(user)
        assert world.store.calls == []

    async def test_somebody_anonymous_gets_no_token(self, world: World) -> None:
        anonymous: Any = UnauthenticatedUser()
        with pytest.raises(ValueError, match="UnauthenticatedUser that is not authenticated"):
            await world.tokens.issue(anonymous)
        assert world.store.calls == []

    async def test_user_that_was_not_awaited_gets_no_token(self, world: World) -> None:
        async def find_user() -> User:
            raise NotImplementedError

        user = find_user()
        with pytest.raises(TypeError, match=r"user must be a user.*await it before"):
            await world.tokens.issue(user)  # type: ignore[arg-type]  # what this is about
        assert world.store.calls == []

    async def test_user_of_the_app_may_be_false(self, world: World) -> None:
        class Basket(User):
            def __len__(self) -> int:
                return 0

        token, _ = await world.tokens.issue(Basket("alice"))
        assert await world.tokens.find(token) is not None

    async def test_user_who_may_not_log_in_gets_no_token(self, world: World) -> None:
        world.alice.active = False
        with pytest.raises(ValueError, match="may not log in"):
            await world.tokens.issue(world.alice)
        assert world.store.digests == []

    async def test_no_prefix_issues_no_tokens(self, world: World) -> None:
        tokens = Tokens(world.store, prefix=None)
        _, row = await world.tokens.issue(world.alice)
        world.store.calls.clear()
        with pytest.raises(ValueError, match="without a prefix"):
            await tokens.issue(world.alice)
        with pytest.raises(ValueError, match="without a prefix"):
            await tokens.rotate(row, overlap=HOUR)
        assert world.store.calls == []

    @pytest.mark.parametrize("expires_in", [timedelta(), -timedelta.resolution, -HOUR])
    async def test_end_before_the_beginning(self, world: World, expires_in: timedelta) -> None:
        with pytest.raises(ValueError, match="expires_in must be positive"):
            await world.tokens.issue(world.alice, expires_in=expires_in)
        assert world.store.calls == []

    async def test_end_is_no_number(self, world: World) -> None:
        with pytest.raises(TypeError, match=r"expires_in must be a timedelta; got .* int"):
            await world.tokens.issue(world.alice, expires_in=60)  # type: ignore[arg-type]  # what this is about
        assert world.store.calls == []

    async def test_end_beyond_the_calendar(self, world: World) -> None:
        with pytest.raises(ValueError, match="expires_in is too long"):
            await world.tokens.issue(world.alice, expires_in=timedelta.max)
        assert world.store.calls == []

    def test_prefix_can_be_read(self, world: World) -> None:
        assert world.tokens.prefix == "shop"
        assert Tokens(world.store, prefix=None).prefix is None

    async def test_end_within_the_same_second_is_put_off_to_the_next(self, world: World) -> None:
        token, row = await world.tokens.issue(world.alice, expires_in=timedelta.resolution)
        assert row.expires_at == NOON + SECOND
        assert await world.tokens.find(token) is not None

    async def test_naive_now(self, world: World) -> None:
        token, row = await world.tokens.issue(world.alice)
        world.clock.time = NOON.replace(tzinfo=None)
        world.store.calls.clear()
        with pytest.raises(ValueError, match="now must return an aware datetime"):
            await world.tokens.issue(world.alice)
        assert world.store.calls == []
        for call in (
            world.tokens.find(token),
            world.tokens.rotate(row, overlap=HOUR),
            world.tokens.list(world.alice),
            world.tokens.purge(),
        ):
            with pytest.raises(ValueError, match="now must return an aware datetime"):
                await call
        assert world.store.digests == [row.digest]


class TestScopes:
    @pytest.mark.parametrize(
        ("scopes", "stored"),
        [
            (None, None),
            ([], ""),
            ((), ""),
            (["read"], "read"),
            (("read", "orders:write"), "read orders:write"),
            (["viax", "freshly"], "viax freshly"),
        ],
    )
    async def test_scopes_are_stored(
        self, world: World, scopes: Sequence[str] | None, stored: str | None
    ) -> None:
        token, row = await world.tokens.issue(world.alice, scopes=scopes)
        found = await world.tokens.find(token)
        assert found is not None
        assert row.scopes == found.scopes == stored

    @pytest.mark.parametrize("scope", ["", "a b", "a\tb", 'a"b', "a\\b", "é", "a\n", 1, None])
    async def test_scope_that_is_not_one(self, world: World, scope: Any) -> None:
        with pytest.raises(ValueError, match="is not a scope: see scope-token in RFC 6749"):
            await world.tokens.issue(world.alice, scopes=["read", scope])
        assert world.store.calls == []

    @pytest.mark.parametrize("scope", ["fresh", "via:", "via:session"])
    async def test_scope_that_only_backends_grant(self, world: World, scope: str) -> None:
        with pytest.raises(ValueError, match="only backends grant it"):
            await world.tokens.issue(world.alice, scopes=["read", scope])
        assert world.store.calls == []

    async def test_string_is_not_a_sequence_of_scopes(self, world: World) -> None:
        with pytest.raises(TypeError, match="scopes must be a sequence of names"):
            await world.tokens.issue(world.alice, scopes="read")
        assert world.store.calls == []


class TestFind:
    async def test_unknown_token(self, world: World) -> None:
        await world.tokens.issue(world.alice)
        assert await world.tokens.find(generate_token("shop")) is None

    @pytest.mark.parametrize("prefix", ["shop", None])
    async def test_malformed_token_costs_no_query(self, world: World, prefix: str | None) -> None:
        token, row = await world.tokens.issue(world.alice)
        tokens = Tokens(world.store, prefix=prefix)
        world.store.calls.clear()
        malformed: list[Any] = [None, 0, token.encode(), [token], "", "shop", "abcd", row.digest]
        malformed += [token[:-1], token + "0", f" {token}", f"{token}\n", f"{token}\ud800"]
        malformed += [token.swapcase(), token[4:], f"1{token}", f"{'x' * 33}{token}"]
        assert [await tokens.find(text) for text in malformed] == [None] * len(malformed)
        assert world.store.calls == []

    async def test_token_of_another_prefix_costs_no_query(self, world: World) -> None:
        other = Tokens(world.store, prefix="other")
        token, _ = await other.issue(world.alice)
        world.store.calls.clear()
        assert await world.tokens.find(token) is None
        assert world.store.calls == []

    async def test_without_a_prefix_those_of_any_are_found(self, world: World) -> None:
        tokens = Tokens(world.store, prefix=None, now=world.clock)
        for prefix in "shop", "shop_live", "other":
            token, row = await Tokens(world.store, prefix=prefix).issue(world.alice)
            assert await tokens.find(token) == row

    async def test_user_who_may_not_log_in(self, world: World) -> None:
        token, _ = await world.tokens.issue(world.alice)
        world.alice.active = False
        assert await world.tokens.find(token) is None
        world.alice.active = True
        assert await world.tokens.find(token) is not None

    @pytest.mark.parametrize("found", [None, False, 0, "", {}, [], ()])
    async def test_nothing_found(self, world: World, found: Any) -> None:
        world.store.instead["find"] = answering(found)
        assert await world.tokens.find(generate_token("shop")) is None
        assert world.store.calls == ["find"]

    @pytest.mark.parametrize("user", [None, False, 0, "", {}, []])
    async def test_row_of_nobody(self, world: World, user: Any) -> None:
        world.store.instead["find"] = answering(row_of(user))
        assert await world.tokens.find(generate_token("shop")) is None
        assert world.store.calls == ["find"]

    @pytest.mark.parametrize("found", [True, "row", {"digest": "abc"}, User("alice"), object()])
    async def test_something_that_is_not_a_row(self, world: World, found: Any) -> None:
        world.store.instead["find"] = answering(found)
        with pytest.raises(TypeError, match=r"find of the store returned an object .*, which"):
            await world.tokens.find(generate_token("shop"))

    async def test_row_may_be_false(self, world: World) -> None:
        class Row(SimpleNamespace):
            def __bool__(self) -> bool:
                return False

        row = Row(**vars(row_of(world.alice)))
        world.store.instead["find"] = answering(row)
        assert await world.tokens.find(generate_token("shop")) is row


class TestExpiry:
    async def test_token_ends_at_its_second(self, world: World) -> None:
        token, _ = await world.tokens.issue(world.alice, expires_in=HOUR)
        world.clock.time = NOON + HOUR - timedelta.resolution
        assert await world.tokens.find(token) is not None
        world.clock.time = NOON + HOUR
        assert await world.tokens.find(token) is None

    async def test_token_without_an_end(self, world: World) -> None:
        token, _ = await world.tokens.issue(world.alice)
        world.clock.time = datetime.max.replace(tzinfo=UTC)
        assert await world.tokens.find(token) is not None

    @pytest.mark.parametrize(
        "expires_at",
        [NOON.replace(tzinfo=None), NOON.astimezone(timezone(timedelta(hours=14)))],
    )
    async def test_stored_times_may_be_naive_or_of_any_timezone(
        self, world: World, expires_at: datetime
    ) -> None:
        token, row = await world.tokens.issue(world.alice)
        world.store.stored(row).expires_at = expires_at
        world.clock.time = NOON - SECOND
        assert await world.tokens.find(token) is not None
        world.clock.time = NOON
        assert await world.tokens.find(token) is None

    async def test_naive_time_is_not_one_of_the_machine(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token, row = await world.tokens.issue(world.alice)
        world.store.stored(row).expires_at = NOON.replace(tzinfo=None)
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "America/Los_Angeles")
            time.tzset()
            assert await world.tokens.find(token) is None
        time.tzset()

    async def test_part_of_a_second_counts(self, world: World) -> None:
        token, row = await world.tokens.issue(world.alice)
        world.store.stored(row).expires_at = NOON + 0.25 * SECOND
        world.clock.time = NOON + 0.5 * SECOND
        assert await world.tokens.find(token) is None


class TestLastUse:
    async def test_use_is_stored_where_it_is_due(self, world: World) -> None:
        tokens = Tokens(world.store, prefix="shop", touch_every=10 * MINUTE, now=world.clock)
        token, row = await tokens.issue(world.alice)
        written = []
        for minutes in 1, 5, 10, 12, 20, 23, 40:
            world.clock.time = NOON + minutes * MINUTE
            world.store.calls.clear()
            found = await tokens.find(token)
            assert found is not None
            assert found.last_used_at == world.store.stored(row).last_used_at
            if world.store.calls != ["find"]:
                assert world.store.calls == ["find", "touch"]
                assert found.last_used_at == world.clock.time
                written.append(minutes)
        assert written == [1, 12, 23, 40]

    @pytest.mark.parametrize("naive", [False, True])
    async def test_use_is_due_when_the_last_one_is_older(self, world: World, naive: bool) -> None:
        token, row = await world.tokens.issue(world.alice)
        world.store.stored(row).last_used_at = NOON.replace(tzinfo=None) if naive else NOON
        world.store.instead["touch"] = answering(False)
        world.store.calls.clear()
        for seconds, calls in ((300, 1), (301, 2)):
            world.clock.time = NOON + seconds * SECOND
            await world.tokens.find(token)
            assert len(world.store.calls) == calls + (seconds == 301)

    async def test_only_whole_seconds_are_stored(self, world: World) -> None:
        token, row = await world.tokens.issue(world.alice)
        world.clock.time = NOON + 1.5 * SECOND
        found = await world.tokens.find(token)
        assert found is not None
        assert found.last_used_at == world.store.stored(row).last_used_at == NOON + SECOND

    async def test_use_that_was_not_stored_does_not_show(self, world: World) -> None:
        token, _ = await world.tokens.issue(world.alice)
        world.store.instead["touch"] = answering(False)
        found = await world.tokens.find(token)
        assert world.store.calls[-1] == "touch"
        assert found is not None
        assert found.last_used_at is None

    async def test_row_that_the_store_has_updated_is_left_alone(self, world: World) -> None:
        class Row(SimpleNamespace):
            written = 0

            def __setattr__(self, name: str, value: Any) -> None:
                self.__dict__["written"] += 1
                super().__setattr__(name, value)

        async def touch(row: Any, at: datetime, *, unless_since: datetime) -> bool:
            row.last_used_at = at.replace(tzinfo=None)
            return True

        row = Row(**vars(row_of(world.alice)), last_used_at=None, written=0)
        world.store.instead |= {"find": answering(row), "touch": touch}
        assert await world.tokens.find(generate_token("shop")) is row
        assert (row.last_used_at, row.written) == (NOON.replace(tzinfo=None), 1)

    async def test_row_that_is_frozen_is_read_again(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        @dataclass(frozen=True)
        class Row:
            digest: str
            user: User
            scopes: str | None
            created_at: datetime
            expires_at: datetime | None
            last_used_at: datetime | None

        find = world.store.find

        async def find_frozen(digest: str) -> Row | None:
            row = await find(digest)
            return None if row is None else Row(**vars(row))

        token, row = await world.tokens.issue(world.alice)
        world.store.instead["find"] = find_frozen
        found = await world.tokens.find(token)
        assert found is not None
        assert found.last_used_at == world.store.stored(row).last_used_at == NOON
        assert caplog.records == []

        async def revoke() -> None:
            await world.tokens.revoke(row)

        world.clock.time += HOUR
        world.store.after["touch"] = revoke
        assert await world.tokens.find(token) is None

    async def test_use_is_never_stored_if_nobody_asks(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        tokens = Tokens(world.store, prefix="shop", touch_every=None, now=world.clock)
        token, _ = await tokens.issue(world.alice)
        world.store.calls.clear()
        assert await tokens.find(token) is not None
        assert world.store.calls == ["find"]
        assert caplog.records == []

    async def test_row_without_last_use(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.store.instead["find"] = answering(row_of(world.alice))
        assert await world.tokens.find(generate_token("shop")) is not None
        assert world.store.calls == ["find"]
        assert caplog.records == []

    async def test_invalid_token_is_not_touched(self, world: World) -> None:
        token, _ = await world.tokens.issue(world.alice, expires_in=HOUR)
        world.clock.time = NOON + HOUR
        world.store.calls.clear()
        assert await world.tokens.find(token) is None
        assert await world.tokens.find(generate_token("shop")) is None
        assert world.store.calls == ["find", "find"]

    @pytest.mark.parametrize("error", [TimeoutError, ValueError, AuthenticationUnavailable])
    async def test_error_refuses_no_token(
        self, world: World, error: type[Exception], caplog: pytest.LogCaptureFixture
    ) -> None:
        token, row = await world.tokens.issue(world.alice)

        async def fail() -> None:
            raise error(f"{token} {row.digest}")

        world.store.before["touch"] = fail
        found = await world.tokens.find(token)
        assert found is not None
        assert found.last_used_at is world.store.stored(row).last_used_at is None
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("starlette_auth_core", logging.WARNING)
        assert record.getMessage() == (f"The last use of a token was not stored: {error.__name__}")
        assert record.exc_info is None
        assert not any(secret in caplog.text for secret in (token, row.digest))

    async def test_hanging_store_refuses_no_token(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        tokens = world.tokens
        tokens.query_timeout = 0.01
        token, _ = await tokens.issue(world.alice)
        world.store.before["touch"] = anyio.sleep_forever
        assert await tokens.find(token) is not None
        assert "TimeoutError" in caplog.text

    async def test_interval_beyond_the_calendar_refuses_no_token(self, world: World) -> None:
        tokens = Tokens(world.store, prefix="shop", touch_every=timedelta.max, now=world.clock)
        token, _ = await tokens.issue(world.alice)
        assert await tokens.find(token) is not None

    async def test_cancellation_is_not_swallowed(self, world: World) -> None:
        token, _ = await world.tokens.issue(world.alice)
        world.store.before["touch"] = anyio.sleep_forever
        with anyio.move_on_after(0.01):
            await world.tokens.find(token)
            raise AssertionError("the token was found in a cancelled scope")


class TestRotate:
    async def test_both_tokens_are_valid_for_a_while(self, world: World) -> None:
        old, row = await world.tokens.issue(world.alice)
        new, new_row = await world.tokens.rotate(row, overlap=HOUR)
        assert new != old
        assert new_row.digest == digest_token(new) != row.digest
        for token in old, new:
            found = await world.tokens.find(token)
            assert found is not None
            assert found.user is world.alice
        world.clock.time = NOON + HOUR
        assert await world.tokens.find(old) is None
        assert await world.tokens.find(new) is not None

    async def test_without_overlap_the_old_one_ends_now(self, world: World) -> None:
        old, row = await world.tokens.issue(world.alice)
        new, _ = await world.tokens.rotate(row, overlap=timedelta())
        assert await world.tokens.find(old) is None
        assert await world.tokens.find(new) is not None

    async def test_row_of_the_caller_is_not_changed(self, world: World) -> None:
        _, row = await world.tokens.issue(world.alice, expires_in=HOUR)
        before = dict(vars(row))
        await world.tokens.rotate(row, overlap=MINUTE)
        assert vars(row) == before

    async def test_new_one_takes_over_what_is_stored_of_the_old_one(self, world: World) -> None:
        _, row = await world.tokens.issue(
            world.alice, scopes=["read"], expires_in=3 * HOUR, name="laptop"
        )
        row.scopes, row.name, row.user, row.expires_at = "admin", "mine", world.bob, None
        world.clock.time = NOON + HOUR
        token, new = await world.tokens.rotate(row, overlap=timedelta())
        found = await world.tokens.find(token)
        assert found is not None
        for each in new, found:
            assert (each.user, each.scopes, each.name) == (world.alice, "read", "laptop")
            assert (each.created_at, each.expires_at) == (NOON + HOUR, NOON + 4 * HOUR)
        assert new.last_used_at is None

    @pytest.mark.parametrize("scopes", [None, "", "fresh"])
    async def test_scopes_are_taken_over_as_they_are(
        self, world: World, scopes: str | None
    ) -> None:
        _, row = await world.tokens.issue(world.alice)
        world.store.stored(row).scopes = scopes
        _, new = await world.tokens.rotate(row, overlap=HOUR)
        assert new.scopes == scopes

    async def test_naive_times_of_the_row(self, world: World) -> None:
        _, row = await world.tokens.issue(world.alice, expires_in=HOUR)
        stored = world.store.stored(row)
        stored.expires_at = row.expires_at.replace(tzinfo=None)
        stored.created_at = row.created_at.replace(tzinfo=None)
        _, new = await world.tokens.rotate(row, overlap=MINUTE)
        assert new.expires_at == NOON + HOUR
        assert stored.expires_at == NOON + MINUTE

    async def test_life_may_be_another_one(self, world: World) -> None:
        for old_life in None, HOUR:
            _, row = await world.tokens.issue(world.alice, expires_in=old_life)
            _, new = await world.tokens.rotate(row, overlap=timedelta(), expires_in=2 * HOUR)
            assert new.expires_at == NOON + 2 * HOUR

    async def test_overlap_does_not_prolong_the_old_one(self, world: World) -> None:
        _, row = await world.tokens.issue(world.alice, expires_in=HOUR)
        await world.tokens.rotate(row, overlap=5 * HOUR)
        assert world.store.stored(row).expires_at == NOON + HOUR

    async def test_only_whole_seconds_are_stored(self, world: World) -> None:
        _, row = await world.tokens.issue(world.alice)
        world.clock.time += 0.9 * SECOND
        _, new = await world.tokens.rotate(row, overlap=1.5 * SECOND, expires_in=2.5 * SECOND)
        assert world.store.stored(row).expires_at == NOON + SECOND
        assert (new.created_at, new.expires_at) == (NOON, NOON + 2 * SECOND)

    @pytest.mark.parametrize("state", ["revoked", "expired", "inactive"])
    async def test_invalid_one_is_not_rotated(self, world: World, state: str) -> None:
        _, row = await world.tokens.issue(world.alice, expires_in=HOUR)
        if state == "revoked":
            await world.tokens.revoke(row)
        world.alice.active = state != "inactive"
        world.clock.time += HOUR if state == "expired" else timedelta()
        before = world.store.digests
        with pytest.raises(ValueError, match="it was revoked or has expired, or its user may not"):
            await world.tokens.rotate(row, overlap=HOUR)
        assert world.store.digests == before
        assert "insert" not in world.store.calls[1:]

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"overlap": -timedelta.resolution}, "overlap must not be negative"),
            ({"overlap": 60}, "overlap must be a timedelta"),
            ({"overlap": None}, "overlap must be a timedelta"),
            ({"overlap": HOUR, "expires_in": timedelta()}, "expires_in must be positive"),
            ({"overlap": HOUR, "expires_in": 60}, "expires_in must be a timedelta"),
        ],
    )
    async def test_wrong_arguments(self, world: World, options: dict[str, Any], error: str) -> None:
        _, row = await world.tokens.issue(world.alice)
        world.store.calls.clear()
        kind = TypeError if "must be a timedelta" in error else ValueError
        with pytest.raises(kind, match=error):
            await world.tokens.rotate(row, **options)
        assert world.store.calls == []

    @pytest.mark.parametrize("expires_in", [None, HOUR])
    async def test_overlap_beyond_the_calendar_leaves_the_old_one_its_end(
        self, world: World, expires_in: timedelta | None
    ) -> None:
        old, row = await world.tokens.issue(world.alice, expires_in=expires_in)
        await world.tokens.rotate(row, overlap=timedelta.max)
        assert world.store.stored(row).expires_at == row.expires_at
        assert await world.tokens.find(old) is not None

    @pytest.mark.parametrize("row", [None, "shop_", object()])
    async def test_row_has_to_be_one(self, world: World, row: Any) -> None:
        with pytest.raises(TypeError, match="not the row of a token"):
            await world.tokens.rotate(row, overlap=MINUTE)
        assert world.store.calls == []

    async def test_of_many_at_once_without_overlap_one_succeeds(self, world: World) -> None:
        old, row = await world.tokens.issue(world.alice)
        rotated: list[str] = []

        async def rotate() -> None:
            try:
                rotated.append((await world.tokens.rotate(row, overlap=timedelta()))[0])
            except ValueError:
                await checkpoint()

        async def yield_() -> None:
            world.store.after["find"] = yield_
            await checkpoint()

        world.store.after["find"] = yield_
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(rotate)

        assert len(rotated) == 1
        assert await world.tokens.find(old) is None
        assert len(await world.tokens.list(world.alice)) == 1
        assert len(world.store.digests) == 2

    @pytest.mark.parametrize("change", ["revoked", "rotated", "ended"])
    async def test_one_that_is_changed_meanwhile_leaves_no_new_one(
        self, world: World, change: str
    ) -> None:
        _, row = await world.tokens.issue(world.alice)
        other = world.tokens

        async def interfere() -> None:
            if change == "revoked":
                await other.revoke(row)
            elif change == "rotated":
                await other.rotate(row, overlap=MINUTE)
            else:
                world.store.stored(row).expires_at = NOON + MINUTE

        world.store.before["expire"] = interfere
        with pytest.raises(ValueError, match="its row was changed meanwhile"):
            await world.tokens.rotate(row, overlap=MINUTE)
        left = {"revoked": 0, "rotated": 2, "ended": 1}[change]
        assert len(world.store.digests) == left
        if change != "revoked":
            assert world.store.stored(row).expires_at == NOON + MINUTE

    async def test_user_who_is_locked_out_meanwhile_gets_no_new_one(self, world: World) -> None:
        _, row = await world.tokens.issue(world.alice)

        async def lock_out() -> None:
            world.alice.active = False

        world.store.before["insert"] = lock_out
        with pytest.raises(ValueError, match="may not log in"):
            await world.tokens.rotate(row, overlap=MINUTE)
        assert world.store.digests == [row.digest]
        assert world.store.stored(row).expires_at is None


ERRORS: list[type[Exception]] = [RuntimeError, TimeoutError, AuthenticationUnavailable]


class TestRotationThatIsBrokenOff:
    """The old token stays as it was, and no new one is left."""

    @pytest.mark.parametrize("error", ERRORS)
    @pytest.mark.parametrize("expires_in", [None, HOUR])
    @pytest.mark.parametrize("method", ["find", "insert", "expire"])
    @pytest.mark.parametrize("moment", ["before", "after"])
    async def test_by_an_error(
        self,
        world: World,
        error: type[Exception],
        expires_in: timedelta | None,
        method: str,
        moment: str,
    ) -> None:
        old, row = await world.tokens.issue(world.alice, expires_in=expires_in)

        async def fail() -> None:
            raise error

        getattr(world.store, moment)[method] = fail
        with pytest.raises(RuntimeError if error is RuntimeError else AuthenticationUnavailable):
            await world.tokens.rotate(row, overlap=MINUTE)
        await self.check(world, old, row)

    @pytest.mark.parametrize("method", ["find", "insert", "expire"])
    @pytest.mark.parametrize("moment", ["before", "after"])
    @pytest.mark.parametrize("waiting", [True, False])
    async def test_by_a_cancelled_scope(
        self, world: World, method: str, moment: str, waiting: bool
    ) -> None:
        old, row = await world.tokens.issue(world.alice)
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                scope.cancel()
                if waiting:
                    await anyio.sleep_forever()

            getattr(world.store, moment)[method] = cancel
            await world.tokens.rotate(row, overlap=MINUTE)
            raise AssertionError("the rotation was not cancelled")
        await self.check(world, old, row)

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.parametrize("method", ["find", "insert", "expire"])
    @pytest.mark.parametrize("moment", ["before", "after"])
    @pytest.mark.parametrize("waiting", [True, False])
    async def test_by_the_cancellation_of_a_task(
        self, world: World, method: str, moment: str, waiting: bool
    ) -> None:
        old, row = await world.tokens.issue(world.alice)
        task = asyncio.create_task(world.tokens.rotate(row, overlap=MINUTE))

        async def cancel() -> None:
            task.cancel()
            if waiting:
                await anyio.sleep_forever()

        getattr(world.store, moment)[method] = cancel
        with pytest.raises(asyncio.CancelledError):
            await task
        await self.check(world, old, row)

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.parametrize("method", ["insert", "expire"])
    @pytest.mark.parametrize("moment", ["before", "after"])
    @pytest.mark.parametrize("ticks", range(6))
    async def test_by_a_task_that_is_cancelled_again_amid_the_undoing(
        self, world: World, method: str, moment: str, ticks: int
    ) -> None:
        old, row = await world.tokens.issue(world.alice)
        for each in METHODS:  # A store that really waits, for each of its calls.
            world.store.after[each] = checkpoint
        task = asyncio.create_task(world.tokens.rotate(row, overlap=timedelta()))

        async def fail() -> None:
            raise ConnectionError

        getattr(world.store, moment)[method] = fail
        while world.store.calls[-1:] != [method]:
            await checkpoint()
        for _ in range(ticks):
            await checkpoint()
        task.cancel()
        with pytest.raises((asyncio.CancelledError, ConnectionError)):
            await task
        await self.check(world, old, row)

    @pytest.mark.parametrize("how", ["error", "scope"])
    async def test_amid_another_one_leaves_the_old_token_ended(
        self, world: World, how: str
    ) -> None:
        old, row = await world.tokens.issue(world.alice)
        rotated: list[str] = []

        async def let_the_other_succeed() -> None:
            token, _ = await world.tokens.rotate(row, overlap=timedelta())
            rotated.append(token)
            if how == "error":
                raise ConnectionError
            scope.cancel()
            await checkpoint()

        world.store.before["expire"] = let_the_other_succeed
        with anyio.CancelScope() as scope, contextlib.suppress(ConnectionError):
            await world.tokens.rotate(row, overlap=timedelta())
        assert await world.tokens.find(old) is None
        (token,) = rotated
        assert await world.tokens.find(token) is not None
        assert len(world.store.digests) == 2

    async def test_by_a_store_that_hangs(self, world: World) -> None:
        old, row = await world.tokens.issue(world.alice)
        tokens = world.tokens
        tokens.query_timeout = 0.01
        world.store.after["expire"] = anyio.sleep_forever
        with pytest.raises(AuthenticationUnavailable):
            await tokens.rotate(row, overlap=MINUTE)
        await self.check(world, old, row)

    @pytest.mark.parametrize("method", ["find", "delete"])
    async def test_undoing_waits_for_the_store(self, world: World, method: str) -> None:
        old, row = await world.tokens.issue(world.alice)
        with anyio.CancelScope() as scope:

            async def cancel() -> None:
                world.store.before[method] = checkpoint
                scope.cancel()
                await checkpoint()

            world.store.after["expire"] = cancel
            await world.tokens.rotate(row, overlap=MINUTE)
        await self.check(world, old, row)

    async def test_insert_that_returns_no_row(self, world: World) -> None:
        old, row = await world.tokens.issue(world.alice)
        insert = world.store.insert

        async def forget(*args: Any, **options: Any) -> None:
            await insert(*args, **options)

        world.store.instead["insert"] = forget
        with pytest.raises(TypeError, match=r"insert of the store returned .* NoneType"):
            await world.tokens.rotate(row, overlap=MINUTE)
        await self.check(world, old, row)

    async def test_undoing_that_fails_is_logged(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        _, row = await world.tokens.issue(world.alice)

        async def fail() -> None:
            raise RuntimeError(" ".join(world.store.digests))

        world.store.before["delete"] = fail
        world.store.after["expire"] = fail
        with pytest.raises(RuntimeError):
            await world.tokens.rotate(row, overlap=MINUTE)
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("starlette_auth_core", logging.ERROR)
        assert record.getMessage() == ("A rotation failed, and could not be undone: RuntimeError")
        assert not any(digest in caplog.text for digest in world.store.digests)
        # One step that fails does not keep the other one from being taken.
        assert world.store.stored(row).expires_at is None

    async def test_undoing_ends_in_time(
        self,
        world: World,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("starlette_auth_core.tokens._UNDO_SECONDS", 0.01)
        _, row = await world.tokens.issue(world.alice)
        tokens = world.tokens
        tokens.query_timeout = None

        async def fail() -> None:
            raise RuntimeError

        world.store.before["delete"] = anyio.sleep_forever
        world.store.after["expire"] = fail
        with pytest.raises(RuntimeError):
            await tokens.rotate(row, overlap=MINUTE)
        assert "could not be undone: TimeoutError" in caplog.text

    async def test_end_that_another_one_changed_since_is_not_given_back(self, world: World) -> None:
        _, row = await world.tokens.issue(world.alice)

        async def fail() -> None:
            world.store.stored(row).expires_at = NOON + SECOND
            raise RuntimeError

        world.store.after["expire"] = fail
        with pytest.raises(RuntimeError):
            await world.tokens.rotate(row, overlap=MINUTE)
        assert world.store.stored(row).expires_at == NOON + SECOND

    async def test_new_one_goes_though_its_user_may_not_log_in(self, world: World) -> None:
        _, row = await world.tokens.issue(world.alice)

        async def fail() -> None:
            world.alice.active = False
            raise RuntimeError

        world.store.after["expire"] = fail
        with pytest.raises(RuntimeError):
            await world.tokens.rotate(row, overlap=MINUTE)
        assert world.store.digests == [row.digest]

    async def test_old_one_that_is_gone_stays_gone(self, world: World) -> None:
        _, row = await world.tokens.issue(world.alice)

        async def fail() -> None:
            await world.tokens.revoke(row)
            raise RuntimeError

        world.store.after["expire"] = fail
        with pytest.raises(RuntimeError):
            await world.tokens.rotate(row, overlap=MINUTE)
        assert world.store.digests == []

    @staticmethod
    async def check(world: World, old: str, row: Any) -> None:
        world.store.before, world.store.after, world.store.instead = {}, {}, {}
        assert world.store.digests == [row.digest]
        assert world.store.stored(row).expires_at == row.expires_at
        assert await world.tokens.find(old) is not None


class TestRevoke:
    async def test_one(self, world: World) -> None:
        kept, _ = await world.tokens.issue(world.alice)
        token, row = await world.tokens.issue(world.alice)
        assert await world.tokens.revoke(row) is True
        assert await world.tokens.find(token) is None
        assert await world.tokens.find(kept) is not None
        assert await world.tokens.revoke(row) is False

    async def test_all_of_a_user(self, world: World) -> None:
        made = [await world.tokens.issue(user) for user in (world.alice, world.alice, world.bob)]
        assert await world.tokens.revoke_all(world.alice) == 2
        found = [await world.tokens.find(token) is not None for token, _ in made]
        assert found == [False, False, True]
        assert await world.tokens.revoke_all(world.alice) == 0

    async def test_all_but_one(self, world: World) -> None:
        made = [await world.tokens.issue(world.alice) for _ in range(3)]
        assert await world.tokens.revoke_all(world.alice, keep=made[1][1]) == 2
        found = [await world.tokens.find(token) is not None for token, _ in made]
        assert found == [False, True, False]

    async def test_nobody_has_no_tokens(self, world: World) -> None:
        nobody: Any = None
        for call in world.tokens.revoke_all(nobody), world.tokens.list(nobody):
            with pytest.raises(TypeError, match="user must be a user"):
                await call
        assert world.store.calls == []


class TestList:
    async def test_valid_ones_newest_first(self, world: World) -> None:
        _, oldest = await world.tokens.issue(world.alice)
        await world.tokens.issue(world.alice, expires_in=MINUTE)
        await world.tokens.issue(world.bob)
        world.clock.time += MINUTE
        _, newest = await world.tokens.issue(world.alice, expires_in=HOUR)
        assert list(await world.tokens.list(world.alice)) == [newest, oldest]


class TestPurge:
    async def test_expired_ones_of_all_users_go(self, world: World) -> None:
        await world.tokens.issue(world.alice, expires_in=MINUTE)
        await world.tokens.issue(world.bob, expires_in=MINUTE)
        _, endless = await world.tokens.issue(world.alice)
        _, later = await world.tokens.issue(world.bob, expires_in=HOUR)
        world.clock.time += 2 * MINUTE
        assert await world.tokens.purge() == 2
        assert world.store.digests == [endless.digest, later.digest]


CALLS: list[tuple[str, Callable[[Tokens[User, Any], str, Any, User], Awaitable[Any]]]] = [
    ("find", lambda tokens, token, row, user: tokens.find(token)),
    ("find", lambda tokens, token, row, user: tokens.rotate(row, overlap=HOUR)),
    ("insert", lambda tokens, token, row, user: tokens.issue(user)),
    ("insert", lambda tokens, token, row, user: tokens.rotate(row, overlap=HOUR)),
    ("expire", lambda tokens, token, row, user: tokens.rotate(row, overlap=HOUR)),
    ("delete", lambda tokens, token, row, user: tokens.revoke(row)),
    ("delete_all", lambda tokens, token, row, user: tokens.revoke_all(user)),
    ("list", lambda tokens, token, row, user: tokens.list(user)),
    ("purge", lambda tokens, token, row, user: tokens.purge()),
]


@pytest.mark.parametrize(("method", "call"), CALLS)
class TestStoreThatFails:
    async def test_slow_one_is_unavailable(self, world: World, method: str, call: Any) -> None:
        tokens = world.tokens
        token, row = await tokens.issue(world.alice)
        tokens.query_timeout = 0.01
        world.store.before[method] = anyio.sleep_forever
        with pytest.raises(AuthenticationUnavailable) as caught:
            await call(tokens, token, row, world.alice)
        assert isinstance(caught.value.__cause__, TimeoutError)

    async def test_own_timeout_is_unavailable(self, world: World, method: str, call: Any) -> None:
        token, row = await world.tokens.issue(world.alice)
        world.store.before[method] = raising(TimeoutError())
        with pytest.raises(AuthenticationUnavailable) as caught:
            await call(world.tokens, token, row, world.alice)
        assert isinstance(caught.value.__cause__, TimeoutError)

    async def test_other_errors_pass(self, world: World, method: str, call: Any) -> None:
        error = LookupError("table")
        token, row = await world.tokens.issue(world.alice)
        world.store.before[method] = raising(error)
        with pytest.raises(LookupError) as caught:
            await call(world.tokens, token, row, world.alice)
        assert caught.value is error

    @pytest.mark.parametrize("kind", ["value", "async generator"])
    async def test_sync_method_is_named(
        self, world: World, method: str, call: Any, kind: str
    ) -> None:
        async def generate(*args: Any, **options: Any) -> AsyncIterator[None]:
            yield

        token, row = await world.tokens.issue(world.alice)
        world.store.instead[method] = generate if kind != "value" else lambda *a, **o: row
        with pytest.raises(TypeError, match=f"^{method} of the store returned .* can't be awaited"):
            await call(world.tokens, token, row, world.alice)

    async def test_forgotten_await_is_named(self, world: World, method: str, call: Any) -> None:
        async def answer() -> object:
            raise NotImplementedError

        token, row = await world.tokens.issue(world.alice)
        world.store.instead[method] = answering(answer)
        with pytest.raises(TypeError, match=f"{method} of the store($| returned .* not a result)"):
            await call(world.tokens, token, row, world.alice)

    async def test_no_local_but_the_token_shows_it(
        self, world: World, method: str, call: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        token, row = await world.tokens.issue(world.alice)
        world.store.before[method] = raising(LookupError("table"))
        with pytest.raises(LookupError) as caught:
            await call(world.tokens, token, row, world.alice)
        frames = traceback.TracebackException.from_exception(
            caught.value, capture_locals=True
        ).stack
        ours = [frame for frame in frames if "starlette_auth_core" in frame.filename]
        assert ours
        for frame in ours:
            for name, shown in (frame.locals or {}).items():
                if name not in {"token", "password", "secret"}:
                    assert "shop_" not in shown
                    assert token[5:] not in shown
                    assert row.digest not in shown or name == "digest"
        assert not caplog.records


class TestOtherMistakesOfAStore:
    @pytest.mark.parametrize("kind", ["coroutine", "None", "list"])
    async def test_extra_that_is_not_a_mapping(self, world: World, kind: str) -> None:
        async def extra(row: Any) -> Any:
            raise NotImplementedError

        _, row = await world.tokens.issue(world.alice)
        wrong: dict[str, Any] = {
            "coroutine": extra,
            "None": lambda row: None,
            "list": lambda row: ["name"],
        }
        world.store.extra = wrong[kind]  # type: ignore[method-assign]  # what this is about
        with pytest.raises(TypeError, match=r"extra of the store( must return a mapping|$)"):
            await world.tokens.rotate(row, overlap=HOUR)
        assert world.store.digests == [row.digest]

    async def test_forgotten_await_of_something_like_a_future(self, world: World) -> None:
        class Future:
            def __await__(self) -> Any:
                raise NotImplementedError

        world.store.instead["find"] = answering(Future())
        with pytest.raises(
            TypeError,
            match=r"not awaited: .* find of the store|find of the store returned .* not a result",
        ):
            await world.tokens.find(generate_token("shop"))

    async def test_touch_that_is_not_async_refuses_no_token(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        token, _ = await world.tokens.issue(world.alice)
        world.store.instead["touch"] = lambda *args, **options: True
        found = await world.tokens.find(token)
        assert found is not None
        assert found.last_used_at is None
        assert "TypeError" in caplog.text


class TestConstruction:
    @pytest.mark.parametrize("prefix", ["", "1a", "a-b", "x" * 33])
    def test_bad_prefix(self, prefix: str) -> None:
        with pytest.raises(ValueError, match="is not a prefix for tokens"):
            Tokens(MemoryTokenStore[User](), prefix=prefix)

    def test_interval_of_touches(self) -> None:
        store = MemoryTokenStore[User]()
        with pytest.raises(ValueError, match="touch_every must not be negative"):
            Tokens(store, prefix="shop", touch_every=-SECOND)
        with pytest.raises(TypeError, match="touch_every must be a timedelta"):
            Tokens(store, prefix="shop", touch_every=300)  # type: ignore[arg-type]  # what this is about

    async def test_every_use_may_be_stored(self, world: World) -> None:
        tokens = Tokens(world.store, prefix="shop", touch_every=timedelta(), now=world.clock)
        token, row = await tokens.issue(world.alice)
        for seconds in range(3):
            world.clock.time = NOON + seconds * SECOND
            await tokens.find(token)
            assert world.store.stored(row).last_used_at == world.clock.time

    async def test_repr_shows_no_digest(self, world: World) -> None:
        token, row = await world.tokens.issue(world.alice)
        for shown in repr(world.tokens), repr(world.store), repr(row):
            assert token not in shown
            assert row.digest not in shown


def answering(value: Any) -> Callable[..., Awaitable[Any]]:
    """Return a method that answers *value*, or what it returns if it is a function."""

    async def answer(*args: Any, **options: Any) -> Any:
        return value() if asyncio.iscoroutinefunction(value) else value

    return answer


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise error

    return fail


def row_of(user: Any) -> SimpleNamespace:
    return SimpleNamespace(
        digest="0" * 64, user=user, scopes=None, created_at=NOON, expires_at=None
    )
