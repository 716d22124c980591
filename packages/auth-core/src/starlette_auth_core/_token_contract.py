"""The tests that every storage of tokens passes."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

import pytest
from anyio import CancelScope, Event, create_task_group, fail_after
from anyio.lowlevel import checkpoint

from .tokens import Tokens, TokenStore

__all__ = ["TokenStoreContract"]

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)

Store = TokenStore[Any, Any]
Users = Sequence[Any]


class TokenStoreContract:
    """Tests a `TokenStore`: inherit them in a class whose name begins with `Test`.

    A test module or the class itself defines two fixtures: `store`, an empty store, and `users`, a
    sequence of two of its users, who may log in. Either may be an async fixture. The tests run on
    asyncio and trio; for a storage that runs on one of them, define `anyio_backend` too.

    ```python
    class TestMyTokenStore(TokenStoreContract):
        extra: ClassVar[Mapping[str, Any]] = {"name": "laptop"}

        @pytest.fixture
        def store(self, database: Database) -> MyTokenStore:
            return MyTokenStore(database)

        @pytest.fixture
        async def users(self, database: Database) -> Sequence[User]:
            return [await database.add("alice"), await database.add("bob")]
    ```

    Attributes:
        extra: Fields of the app that the store's rows have, with values to test them by.
        refused: Names that `insert` refuses as fields of the app, in a storage that knows its
            columns: the primary key, the foreign key, and a name that is not a column.
    """

    pytestmark: ClassVar[pytest.MarkDecorator] = pytest.mark.anyio

    extra: ClassVar[Mapping[str, Any]] = {}
    refused: ClassVar[Sequence[str]] = ()

    async def lock_out(self, user: Any) -> None:
        """Make *user* one who may not log in any more; override it to have that tested.

        Args:
            user: One of `users`.
        """
        pytest.skip("override lock_out to test users who may not log in")

    async def delete_user(self, user: Any) -> None:
        """Delete *user* from the storage; override it to have that tested.

        Args:
            user: One of `users`.
        """
        pytest.skip("override delete_user to test users who are deleted")

    # Rows and their digests.

    async def test_row_is_found_by_its_digest(self, store: Store, users: Users) -> None:
        first = await _insert(store, users[0])
        second = await _insert(store, users[1])
        assert _digests([await store.find(first.digest)]) == [first.digest]
        assert _digests([await store.find(second.digest)]) == [second.digest]

    async def test_digest_is_compared_exactly(self, store: Store, users: Users) -> None:
        digest = "abc" + _new_digest()[3:]
        await _insert(store, users[0], digest=digest)
        others = [digest.upper(), digest.capitalize(), f"{digest} ", f" {digest}", digest[:-1]]
        others += [f"{digest[:-1]}_", f"{digest[:-1]}%", "%", ""]
        assert [other for other in others if await store.find(other) is not None] == []

    async def test_unknown_digest_is_not_found(self, store: Store, users: Users) -> None:
        assert await store.find(_new_digest()) is None
        await _insert(store, users[0])
        assert await store.find(_new_digest()) is None

    async def test_row_is_stored_as_it_was_inserted(self, store: Store, users: Users) -> None:
        digest = _new_digest()
        returned = await _insert(
            store, users[0], digest=digest, scopes="read orders:write", expires_at=NOON + HOUR
        )
        for row in returned, await _find(store, returned):
            assert row.digest == digest
            assert row.scopes == "read orders:write"
            assert (_utc(row.created_at), _utc(row.expires_at)) == (NOON, NOON + HOUR)
            assert getattr(row, "last_used_at", None) is None

    async def test_row_may_be_without_an_end(self, store: Store, users: Users) -> None:
        returned = await _insert(store, users[0])
        assert returned.expires_at is None
        assert (await _find(store, returned)).expires_at is None

    @pytest.mark.parametrize("scopes", [None, ""])
    async def test_nothing_and_no_scopes_stay_apart(
        self, store: Store, users: Users, scopes: str | None
    ) -> None:
        returned = await _insert(store, users[0], scopes=scopes)
        assert returned.scopes == scopes
        assert (await _find(store, returned)).scopes == scopes
        (listed,) = await store.list(users[0])
        assert listed.scopes == scopes

    async def test_row_has_its_user(self, store: Store, users: Users) -> None:
        for user in users:
            inserted = await _insert(store, user)
            found = await _find(store, inserted)
            # Users of two queries need not be equal, but have the same tokens.
            for row in inserted, found:
                assert _digests(await store.list(row.user)) == [inserted.digest]

    async def test_expired_row_is_found(self, store: Store, users: Users) -> None:
        # Whether a token is valid is not for a storage to say.
        row = await _insert(store, users[0], expires_at=NOON + SECOND)
        assert _digests([await _find(store, row)]) == [row.digest]

    async def test_fields_of_the_app_are_stored(self, store: Store, users: Users) -> None:
        row = await _insert(store, users[0], **self.extra)
        found = await _find(store, row)
        for name, value in self.extra.items():
            assert getattr(row, name) == getattr(found, name) == value
        assert dict(self.extra).items() <= dict(store.extra(found)).items()

    async def test_fields_of_the_app_can_be_taken_over(self, store: Store, users: Users) -> None:
        row = await _insert(store, users[0], **self.extra)
        await store.touch(row, NOON, unless_since=NOON)
        extra = store.extra(await _find(store, row))
        own = {"digest", "user", "scopes", "created_at", "expires_at", "last_used_at"}
        assert own.isdisjoint(extra)
        copy = await _insert(store, users[1], **extra)
        assert dict(store.extra(await _find(store, copy))) == dict(extra)

    async def test_user_who_may_not_log_in(self, store: Store, users: Users) -> None:
        row, other = await _insert(store, users[0]), await _insert(store, users[1])
        await self.lock_out(users[0])
        assert await store.find(row.digest) is None
        digest = _new_digest()
        with pytest.raises(ValueError):  # noqa: PT011  # Each storage has words of its own.
            await _insert(store, users[0], digest=digest)
        assert digest not in _digests(await store.list(users[0]))
        assert await store.find(other.digest) is not None

    async def test_user_who_is_deleted(self, store: Store, users: Users) -> None:
        row, other = await _insert(store, users[0]), await _insert(store, users[1])
        await self.delete_user(users[0])
        assert await store.find(row.digest) is None
        digest = _new_digest()
        with pytest.raises(ValueError):  # noqa: PT011  # Each storage has words of its own.
            await _insert(store, users[0], digest=digest)
        assert await store.find(digest) is None
        assert await store.find(other.digest) is not None

    async def test_field_that_is_not_the_apps_is_refused(self, store: Store, users: Users) -> None:
        for name in (*self.refused, *(("last_used_at",) if self.refused else ())):
            with pytest.raises((TypeError, ValueError)):
                await _insert(store, users[0], **{name: cast("Any", None)})
            assert list(await store.list(users[0])) == []

    # The end of a row.

    @pytest.mark.parametrize("end", [None, NOON + HOUR])
    async def test_end_of_a_row_is_stored(
        self, store: Store, users: Users, end: datetime | None
    ) -> None:
        row = await _insert(store, users[0], expires_at=end)
        other = await _insert(store, users[0], expires_at=end)
        assert await store.expire(await _find(store, row), NOON + MINUTE)
        changed = await _find(store, row)
        assert _utc(changed.expires_at) == NOON + MINUTE
        assert _utc(changed.created_at) == NOON
        assert _utc((await _find(store, other)).expires_at) == end

    @pytest.mark.parametrize("end", [None, NOON + HOUR])
    async def test_end_can_be_given_back(
        self, store: Store, users: Users, end: datetime | None
    ) -> None:
        row = await _insert(store, users[0], expires_at=end)
        assert await store.expire(row, NOON + MINUTE)
        assert await store.expire(await _find(store, row), end)
        assert _utc((await _find(store, row)).expires_at) == end

    async def test_end_that_is_there_already_can_be_set(self, store: Store, users: Users) -> None:
        # MariaDB and MySQL count rows that changed, unless they are asked for those that matched.
        row = await _insert(store, users[0], expires_at=NOON + HOUR)
        assert await store.expire(row, NOON + HOUR)
        assert _utc((await _find(store, row)).expires_at) == NOON + HOUR

    @pytest.mark.parametrize("end", [None, NOON + HOUR])
    async def test_end_that_was_changed_since_stays(
        self, store: Store, users: Users, end: datetime | None
    ) -> None:
        row = await _insert(store, users[0], expires_at=end)
        first, second = await _find(store, row), await _find(store, row)
        assert await store.expire(first, NOON + MINUTE)
        assert not await store.expire(second, NOON + 2 * MINUTE)
        assert not await store.expire(second, None)
        assert _utc((await _find(store, row)).expires_at) == NOON + MINUTE

    async def test_end_that_was_taken_away_since_stays(self, store: Store, users: Users) -> None:
        row = await _insert(store, users[0], expires_at=NOON + HOUR)
        stale = await _find(store, row)
        assert await store.expire(row, None)
        assert not await store.expire(stale, NOON + MINUTE)
        assert (await _find(store, row)).expires_at is None

    async def test_deleted_row_gets_no_end(self, store: Store, users: Users) -> None:
        row = await _insert(store, users[0])
        await store.delete(row)
        assert not await store.expire(row, NOON + MINUTE)
        assert await store.find(row.digest) is None

    # Its last use.

    async def test_first_use_is_stored(self, store: Store, users: Users) -> None:
        row = await _touchable(store, users[0])
        others = [await _insert(store, user) for user in users]
        assert await store.touch(row, NOON + HOUR, unless_since=NOON)
        touched = await _find(store, row)
        assert _utc(touched.last_used_at) == NOON + HOUR
        assert (_utc(touched.created_at), touched.expires_at) == (NOON, None)
        assert [(await _find(store, other)).last_used_at for other in others] == [None, None]

    async def test_use_is_stored_where_the_last_one_is_older(
        self, store: Store, users: Users
    ) -> None:
        row = await _touchable(store, users[0])
        await store.touch(row, NOON, unless_since=NOON)
        assert await store.touch(await _find(store, row), NOON + HOUR, unless_since=NOON + SECOND)
        assert _utc((await _find(store, row)).last_used_at) == NOON + HOUR

    @pytest.mark.parametrize("seconds", [0, 1])
    async def test_use_is_not_stored_again_so_soon(
        self, store: Store, users: Users, seconds: int
    ) -> None:
        row = await _touchable(store, users[0])
        stale, unless_since = await _find(store, row), NOON - seconds * SECOND
        assert await store.touch(row, NOON, unless_since=unless_since)
        # The stored last use counts, and not the one that the row was read with.
        for each in stale, await _find(store, row):
            assert not await store.touch(each, NOON + HOUR, unless_since=unless_since)
        assert _utc((await _find(store, row)).last_used_at) == NOON

    async def test_use_of_a_deleted_row_is_not_stored(self, store: Store, users: Users) -> None:
        row = await _touchable(store, users[0])
        await store.delete(row)
        assert not await store.touch(row, NOON, unless_since=NOON)
        assert await store.find(row.digest) is None

    # Deleting rows.

    async def test_row_is_deleted(self, store: Store, users: Users) -> None:
        kept, row = await _insert(store, users[0]), await _insert(store, users[0])
        assert await store.delete(await _find(store, row))
        assert await store.find(row.digest) is None
        assert _digests(await store.list(users[0])) == [kept.digest]

    async def test_deleted_row_is_not_deleted_again(self, store: Store, users: Users) -> None:
        row = await _insert(store, users[0])
        assert await store.delete(row)
        assert not await store.delete(row)

    async def test_deleted_row_does_not_pass_for_the_next_one(
        self, store: Store, users: Users
    ) -> None:
        # SQLite gives the key of a deleted row to the next one.
        gone = await _insert(store, users[0])
        await store.delete(gone)
        row = await _insert(store, users[0])
        assert not await store.delete(gone)
        assert not await store.expire(gone, NOON + MINUTE)
        assert not await store.touch(gone, NOON, unless_since=NOON)
        found = await _find(store, row)
        assert (found.expires_at, getattr(found, "last_used_at", None)) == (None, None)

    async def test_all_rows_of_a_user_are_deleted(self, store: Store, users: Users) -> None:
        rows = [await _insert(store, users[0]), await _insert(store, users[0], expires_at=NOON)]
        other = await _insert(store, users[1])
        assert await store.delete_all(users[0]) == 2
        assert [await store.find(row.digest) for row in rows] == [None, None]
        assert await store.find(other.digest) is not None
        assert await store.delete_all(users[0]) == 0

    async def test_one_row_may_be_kept(self, store: Store, users: Users) -> None:
        rows = [await _insert(store, users[0]) for _ in range(3)]
        other = await _insert(store, users[1])
        assert await store.delete_all(users[0], keep=await _find(store, rows[1])) == 2
        assert _digests(await store.list(users[0])) == [rows[1].digest]
        assert _digests(await store.list(users[1])) == [other.digest]

    async def test_expired_rows_are_purged(self, store: Store, users: Users) -> None:
        for user in users:
            await _insert(store, user, expires_at=NOON + HOUR - SECOND)
        later, endless = NOON + HOUR + SECOND, None
        kept = [await _insert(store, users[0], expires_at=end) for end in (later, endless)]
        assert await store.purge(NOON + HOUR) == 2
        assert set(_digests(await store.list(users[0]))) == set(_digests(kept))
        assert _digests(await store.list(users[1])) == []
        assert await store.purge(NOON + HOUR) == 0

    # The rows of a user.

    async def test_rows_are_listed_newest_first(self, store: Store, users: Users) -> None:
        rows = {
            hours: await _insert(store, users[0], created_at=NOON + hours * HOUR)
            for hours in (1, 3, 0, 2)
        }
        newest_first = _digests([rows[3], rows[2], rows[1], rows[0]])
        assert _digests(await store.list(users[0])) == newest_first

    async def test_rows_of_others_are_not_listed(self, store: Store, users: Users) -> None:
        assert list(await store.list(users[0])) == []
        other = await _insert(store, users[1])
        assert list(await store.list(users[0])) == []
        row = await _insert(store, users[0])
        assert _digests(await store.list(users[0])) == [row.digest]
        assert _digests(await store.list(users[1])) == [other.digest]

    # The life of a token.

    async def test_token_is_valid_until_its_end(self, store: Store, users: Users) -> None:
        clock = _Clock()
        tokens = _tokens(store, clock)
        token, row = await tokens.issue(users[0], scopes=["read"], expires_in=HOUR, **self.extra)
        endless, _ = await tokens.issue(users[0])
        clock.time = NOON + HOUR - SECOND
        found = await _valid(tokens, token)
        assert (found.digest, found.scopes) == (row.digest, "read")
        clock.time = NOON + HOUR
        assert await tokens.find(token) is None
        assert await tokens.find(endless) is not None
        assert len(await tokens.list(users[0])) == 1
        clock.time += SECOND
        assert await tokens.purge() == 1

    async def test_row_shows_the_stored_last_use(self, store: Store, users: Users) -> None:
        clock = _Clock()
        tokens = Tokens(store, prefix="contract", touch_every=10 * MINUTE, now=clock)
        token, row = await tokens.issue(users[0])
        _require_last_use(row)
        seen = []
        for minutes in 1, 5, 10, 12, 20, 23, 40:
            clock.time = NOON + minutes * MINUTE
            found = await _valid(tokens, token)
            stored = await _find(store, row)
            assert _utc(found.last_used_at) == _utc(stored.last_used_at)
            seen.append((_utc(stored.last_used_at) - NOON) // MINUTE)
        assert seen == [1, 1, 1, 12, 12, 23, 40]

    async def test_rotated_token_is_replaced(self, store: Store, users: Users) -> None:
        clock = _Clock()
        tokens = _tokens(store, clock)
        old, row = await tokens.issue(users[0], scopes=[], expires_in=HOUR, **self.extra)
        extra = dict(store.extra(await _find(store, row)))
        clock.time += MINUTE
        new, new_row = await tokens.rotate(row, overlap=MINUTE)
        assert _utc(row.expires_at) == NOON + HOUR
        assert (await _valid(tokens, old)).digest == row.digest
        clock.time += MINUTE
        assert await tokens.find(old) is None
        found = await _valid(tokens, new)
        assert (found.digest, found.scopes) == (new_row.digest, "")
        assert _utc(found.expires_at) == NOON + MINUTE + HOUR
        assert dict(store.extra(found)) == extra
        assert _digests(await tokens.list(found.user)) == [found.digest]

    async def test_of_two_rotations_at_once_one_succeeds(self, store: Store, users: Users) -> None:
        # Both have read the row and stored a new one before either ends the old one.
        barrier = _Barrier(2)

        async def wait(name: str) -> None:
            if name == "expire":
                await barrier.wait()

        old, row = await _tokens(store).issue(users[0])
        tokens = _tokens(_Hooked(store, before=wait))
        rotated: list[str] = []

        async def rotate() -> None:
            try:
                token, _ = await tokens.rotate(row, overlap=timedelta())
            except ValueError:
                return
            rotated.append(token)

        with fail_after(30):
            async with create_task_group() as group:
                group.start_soon(rotate)
                group.start_soon(rotate)

        assert len(rotated) == 1
        assert await tokens.find(old) is None
        (valid,) = await tokens.list(users[0])
        assert (await _valid(tokens, rotated[0])).digest == valid.digest

    async def test_token_that_is_revoked_meanwhile_is_not_replaced(
        self, store: Store, users: Users
    ) -> None:
        _, row = await _tokens(store).issue(users[0])

        async def revoke(name: str) -> None:
            if name == "insert":
                await store.delete(row)

        with pytest.raises(ValueError, match="changed meanwhile"):
            await _tokens(_Hooked(store, before=revoke)).rotate(row, overlap=HOUR)
        assert list(await store.list(users[0])) == []

    @pytest.mark.parametrize("expires_in", [None, HOUR])
    @pytest.mark.parametrize("name", ["find", "insert", "expire"])
    @pytest.mark.parametrize("moment", ["before", "after"])
    @pytest.mark.parametrize("by", ["error", "scope", "task"])
    async def test_rotation_that_is_broken_off_changes_nothing(
        self,
        store: Store,
        users: Users,
        *,
        expires_in: timedelta | None,
        name: str,
        moment: str,
        by: str,
        anyio_backend_name: str,
    ) -> None:
        if by == "task" and anyio_backend_name != "asyncio":
            return  # Only asyncio cancels single tasks.
        old, row = await _tokens(store).issue(users[0], expires_in=expires_in)
        scope = CancelScope()
        breaks = {"error": _raise, "scope": scope.cancel, "task": _cancel_task}
        done: list[str] = []

        async def break_off(called: str) -> None:
            if called == name and name not in done:
                done.append(name)
                breaks[by]()
                await checkpoint()

        tokens = _tokens(_Hooked(store, **{moment: break_off}))

        async def rotate() -> None:
            with scope:
                await tokens.rotate(row, overlap=MINUTE)

        if by == "task":
            task = asyncio.create_task(rotate())
            await asyncio.wait([task])
            with suppress(asyncio.CancelledError):
                task.result()
        else:
            with suppress(_BreakError):
                await rotate()

        assert done == [name]
        (left,) = await store.list(users[0])
        assert left.digest == row.digest
        assert _utc(left.expires_at) == _utc(row.expires_at)
        assert await tokens.find(old) is not None

    async def test_tokens_are_revoked(self, store: Store, users: Users) -> None:
        tokens = _tokens(store)
        made = [await tokens.issue(user) for user in (users[0], users[0], users[0], users[1])]
        assert await tokens.revoke(made[0][1])
        assert not await tokens.revoke(made[0][1])
        assert await tokens.revoke_all(users[0], keep=made[1][1]) == 1
        found = [await tokens.find(token) is not None for token, _ in made]
        assert found == [False, True, False, True]


class _Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


class _BreakError(Exception):
    """Breaks a rotation off."""


def _raise() -> None:
    raise _BreakError


def _cancel_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


class _Barrier:
    """Lets everybody pass once as many as expected have come."""

    def __init__(self, expected: int) -> None:
        self._missing = expected
        self._open = Event()

    async def wait(self) -> None:
        self._missing -= 1
        if self._missing == 0:
            self._open.set()
        await self._open.wait()


async def _nothing(name: str) -> None:
    """Leave the call alone."""


class _Hooked:
    """Passes all calls on to a store, and calls a hook before or after each of them."""

    def __init__(
        self,
        store: Store,
        *,
        before: Callable[[str], Awaitable[None]] = _nothing,
        after: Callable[[str], Awaitable[None]] = _nothing,
    ) -> None:
        self._store = store
        self._before = before
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name == "extra":
            return method

        async def call(*args: Any, **options: Any) -> Any:
            await self._before(name)
            result = await method(*args, **options)
            await self._after(name)
            return result

        return call


def _tokens(store: Any, clock: Callable[[], datetime] | None = None) -> Tokens[Any, Any]:
    return Tokens(store, prefix="contract", now=clock or _Clock())


def _new_digest() -> str:
    return secrets.token_hex(32)


async def _insert(
    store: Store,
    user: Any,
    *,
    digest: str | None = None,
    scopes: str | None = None,
    created_at: datetime = NOON,
    expires_at: datetime | None = None,
    **extra: Any,
) -> Any:
    return await store.insert(
        user,
        digest=digest or _new_digest(),
        scopes=scopes,
        created_at=created_at,
        expires_at=expires_at,
        **extra,
    )


async def _find(store: Store, row: Any) -> Any:
    found = await store.find(row.digest)
    assert found is not None
    return found


async def _valid(tokens: Tokens[Any, Any], token: str) -> Any:
    found = await tokens.find(token)
    assert found is not None
    return found


async def _touchable(store: Store, user: Any) -> Any:
    row = await _insert(store, user)
    _require_last_use(row)
    return row


def _require_last_use(row: Any) -> None:
    if not hasattr(row, "last_used_at"):
        pytest.skip("the rows of this store have no last_used_at")


def _digests(rows: Sequence[Any]) -> list[str]:
    return [row.digest for row in rows]


def _utc(time: Any) -> Any:
    # A naive time counts as UTC, as in Tokens.
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
