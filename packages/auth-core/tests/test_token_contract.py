"""The contract of storages fails for each mistake that a storage can make."""

from __future__ import annotations

import importlib
import inspect
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from starlette_auth_core import testing
from starlette_auth_core.testing import TokenStoreContract
from starlette_auth_core.tokens import MemoryTokenStore

pytestmark = pytest.mark.anyio


@dataclass
class User:
    name: str
    active: bool = True


class Contract(TokenStoreContract):
    extra = {"name": "laptop"}
    refused = ("id", "user_id", "nonsense")

    async def lock_out(self, user: User) -> None:
        user.active = False

    async def delete_user(self, user: User) -> None:
        user.active = False


class Store(MemoryTokenStore[User]):
    def __init__(self) -> None:
        super().__init__(active_field="active")

    async def insert(self, user: User, *, digest: str, scopes: Any, **options: Any) -> Any:
        if {"id", "user_id", "nonsense"}.intersection(options):
            raise TypeError
        return await super().insert(user, digest=digest, scopes=scopes, **options)


def arguments(test: Any, **given: Any) -> Iterator[dict[str, Any]]:
    """Yield what pytest would call a test with."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    names = [mark.args[0] for mark in marks]
    given = {name: given[name] for name in given if name in inspect.signature(test).parameters}
    for values in itertools.product(*(mark.args[1] for mark in marks)):
        yield given | dict(zip(names, values, strict=True))


async def run(store_class: Any, backend: str, contract: Any = Contract) -> dict[str, set[str]]:
    """Return the names of the contract's tests by how they ended."""
    ended: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}
    for name, test in inspect.getmembers(contract(), inspect.iscoroutinefunction):
        if not name.startswith("test_"):
            continue
        for options in arguments(test, anyio_backend_name=backend):
            try:
                await test(store=store_class(), users=[User("alice"), User("bob")], **options)
            except pytest.skip.Exception:
                ended["skipped"].add(name)
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  # Any of them is a failure.
                ended["failed"].add(name)
            else:
                ended["passed"].add(name)
    return ended


class FoldsCase(Store):
    async def find(self, digest: str) -> Any:
        return await super().find(digest.lower())


class StripsBlanks(Store):
    async def find(self, digest: str) -> Any:
        return await super().find(digest.rstrip())


class MatchesPatterns(Store):
    async def find(self, digest: str) -> Any:
        start = digest.removesuffix("%")
        found = [row for row in self._rows if row.startswith(start) and digest != start]
        return await super().find(found[0] if found else digest)


class FindsNothing(Store):
    async def find(self, digest: str) -> Any:
        return None


class FindsAnything(Store):
    async def find(self, digest: str) -> Any:
        return await super().find(digest if digest in self._rows else next(iter(self._rows), ""))


class FindsValidRowsOnly(Store):
    async def find(self, digest: str) -> Any:
        row = await super().find(digest)
        return None if row is None or row.expires_at is not None else row


class FindsTheWrongUser(Store):
    async def find(self, digest: str) -> Any:
        row = await super().find(digest)
        if row is not None:
            row.user = User("mallory")
        return row


class FindsUsersWhoAreLockedOut(MemoryTokenStore[User]):
    async def insert(self, user: User, **options: Any) -> Any:
        if not user.active:
            raise ValueError
        return await super().insert(user, **options)


class InsertsForUsersWhoAreLockedOut(Store):
    async def insert(self, user: User, **options: Any) -> Any:
        active, user.active = user.active, True
        try:
            return await super().insert(user, **options)
        finally:
            user.active = active


class InsertsAnyField(Store):
    async def insert(self, user: User, **options: Any) -> Any:
        return await MemoryTokenStore.insert(self, user, **options)


class TouchesRowsOfOthers(Store):
    async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
        for other in self._rows.values():
            if other.user != row.user:
                other.last_used_at = at
        return await super().touch(row, at, unless_since=unless_since)


class ReturnsWhatItHolds(Store):
    async def find(self, digest: str) -> Any:
        return None if await super().find(digest) is None else self._rows[digest]


class DropsEnds(Store):
    async def insert(self, user: User, **options: Any) -> Any:
        options["expires_at"] = None
        return await super().insert(user, **options)


class DropsExtra(Store):
    async def insert(self, user: User, *, digest: str, scopes: Any, **options: Any) -> Any:
        times: dict[str, Any] = {name: options[name] for name in ("created_at", "expires_at")}
        return await super().insert(user, digest=digest, scopes=scopes, **times)


class StoresNoScopesAsNothing(Store):
    async def insert(self, user: User, *, digest: str, scopes: Any, **options: Any) -> Any:
        return await super().insert(user, digest=digest, scopes=scopes or None, **options)


class StoresNothingAsNoScopes(Store):
    async def insert(self, user: User, *, digest: str, scopes: Any, **options: Any) -> Any:
        return await super().insert(user, digest=digest, scopes=scopes or "", **options)


class FindsNoScopesAsNothing(Store):
    async def find(self, digest: str) -> Any:
        row = await super().find(digest)
        if row is not None:
            row.scopes = row.scopes or None
        return row


class ListsNoScopesAsNothing(Store):
    async def list(self, user: User) -> Any:
        rows = await super().list(user)
        for row in rows:
            row.scopes = row.scopes or None
        return rows


class TakesOverAllFields(Store):
    def extra(self, row: Any) -> Any:
        return vars(row)


class TakesOverNoFields(Store):
    def extra(self, row: Any) -> Any:
        return {}


class ExpiresAlways(Store):
    async def expire(self, row: Any, at: datetime | None) -> bool:
        stored = self._rows.get(row.digest)
        if stored is not None:
            stored.expires_at = at
        return True


class ExpiresWhateverTheEnd(Store):
    async def expire(self, row: Any, at: datetime | None) -> bool:
        stored = self._rows.get(row.digest)
        if stored is None:
            return False
        stored.expires_at = at
        return True


class ExpiresNever(Store):
    async def expire(self, row: Any, at: datetime | None) -> bool:
        return False


class OnlySaysThatItExpires(Store):
    async def expire(self, row: Any, at: datetime | None) -> bool:
        return row.digest in self._rows


class ExpiresAllRows(Store):
    async def expire(self, row: Any, at: datetime | None) -> bool:
        done = await super().expire(row, at)
        for each in self._rows.values():
            each.expires_at = at
        return done


class ExpiresWhatChangesOnly(Store):
    async def expire(self, row: Any, at: datetime | None) -> bool:
        return await super().expire(row, at) and row.expires_at != at


class EndsWhatIsEndless(Store):
    async def expire(self, row: Any, at: datetime | None) -> bool:
        return at is not None and await super().expire(row, at)


class ComparesNothingWithEqualSigns(Store):
    # `WHERE expires_at = NULL` is true for no row.
    async def expire(self, row: Any, at: datetime | None) -> bool:
        return row.expires_at is not None and await super().expire(row, at)


class TouchesAlways(Store):
    async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
        stored = self._rows.get(row.digest)
        if stored is not None:
            stored.last_used_at = at
        return True


class TouchesNever(Store):
    async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
        return False


class OnlySaysThatItTouches(Store):
    async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
        return True


class TouchesByWhatTheRowSays(Store):
    async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
        if row.digest not in self._rows or (row.last_used_at and row.last_used_at >= unless_since):
            return False
        self._rows[row.digest].last_used_at = at
        return True


class TouchesAtTheVeryTime(Store):
    async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
        return await super().touch(row, at, unless_since=unless_since + timedelta(seconds=1))


class TouchesOnce(Store):
    async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
        return row.last_used_at is None and await super().touch(row, at, unless_since=unless_since)


class TouchesAllRows(Store):
    async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
        done = await super().touch(row, at, unless_since=unless_since)
        for each in self._rows.values():
            each.last_used_at = at
        return done


class OnlySaysThatItDeletes(Store):
    async def delete(self, row: Any) -> bool:
        return row.digest in self._rows


class DeletesAlways(Store):
    async def delete(self, row: Any) -> bool:
        await super().delete(row)
        return True


class DeletesSilently(Store):
    async def delete(self, row: Any) -> bool:
        await super().delete(row)
        return False


class DeletesByUser(Store):
    async def delete(self, row: Any) -> bool:
        return await self.delete_all(row.user) > 0


class DeletesEverybody(Store):
    async def delete_all(self, user: User, *, keep: Any = None) -> int:
        count = await super().delete_all(user, keep=keep)
        self._rows = {} if keep is None else {keep.digest: self._rows[keep.digest]}
        return count


class DeletesWhatIsToBeKept(Store):
    async def delete_all(self, user: User, *, keep: Any = None) -> int:
        return await super().delete_all(user)


class DeletesWithoutCounting(Store):
    async def delete_all(self, user: User, *, keep: Any = None) -> int:
        await super().delete_all(user, keep=keep)
        return 1


class KeepsAllIfOneIsKept(Store):
    async def delete_all(self, user: User, *, keep: Any = None) -> int:
        return 0 if keep else await super().delete_all(user)


class ListsOldestFirst(Store):
    async def list(self, user: User) -> Any:
        return (await super().list(user))[::-1]


class ListsInOrderOfInsertion(Store):
    async def list(self, user: User) -> Any:
        return [row for row in self._rows.values() if row.user == user]


class ListsEverybody(Store):
    async def list(self, user: User) -> Any:
        return [row for each in ("alice", "bob") for row in await super().list(User(each))]


class ListsNothing(Store):
    async def list(self, user: User) -> Any:
        return []


class PurgesAll(Store):
    async def purge(self, before: datetime) -> int:
        count = await super().purge(before)
        self._rows = {}
        return count


class PurgesNothing(Store):
    async def purge(self, before: datetime) -> int:
        return 0


class PurgesTheEndless(Store):
    async def purge(self, before: datetime) -> int:
        count = await super().purge(before)
        self._rows = {key: row for key, row in self._rows.items() if row.expires_at is not None}
        return count


class PurgesByTheTimeOfIssue(Store):
    async def purge(self, before: datetime) -> int:
        return self._delete([row for row in self._rows.values() if row.created_at < before])


class PurgesWithoutCounting(Store):
    async def purge(self, before: datetime) -> int:
        await super().purge(before)
        return 1


class PurgesOfOneUser(Store):
    async def purge(self, before: datetime) -> int:
        rows = [row for row in self._rows.values() if row.expires_at and row.expires_at < before]
        return self._delete(rows[:1])


# Each mistake, and one test of the contract that shows it.
MISTAKES: list[tuple[type[Any], str]] = [
    (FoldsCase, "test_digest_is_compared_exactly"),
    (StripsBlanks, "test_digest_is_compared_exactly"),
    (MatchesPatterns, "test_digest_is_compared_exactly"),
    (FindsNothing, "test_row_is_found_by_its_digest"),
    (FindsAnything, "test_unknown_digest_is_not_found"),
    (FindsValidRowsOnly, "test_expired_row_is_found"),
    (FindsTheWrongUser, "test_row_has_its_user"),
    (FindsUsersWhoAreLockedOut, "test_user_who_may_not_log_in"),
    (InsertsForUsersWhoAreLockedOut, "test_user_who_may_not_log_in"),
    (InsertsForUsersWhoAreLockedOut, "test_user_who_is_deleted"),
    (FindsUsersWhoAreLockedOut, "test_user_who_is_deleted"),
    (InsertsAnyField, "test_field_that_is_not_the_apps_is_refused"),
    (TouchesRowsOfOthers, "test_first_use_is_stored"),
    (ReturnsWhatItHolds, "test_end_that_was_changed_since_stays"),
    (DropsEnds, "test_row_is_stored_as_it_was_inserted"),
    (DropsExtra, "test_fields_of_the_app_are_stored"),
    (StoresNoScopesAsNothing, "test_nothing_and_no_scopes_stay_apart"),
    (StoresNothingAsNoScopes, "test_nothing_and_no_scopes_stay_apart"),
    (FindsNoScopesAsNothing, "test_nothing_and_no_scopes_stay_apart"),
    (ListsNoScopesAsNothing, "test_nothing_and_no_scopes_stay_apart"),
    (TakesOverAllFields, "test_fields_of_the_app_can_be_taken_over"),
    (TakesOverNoFields, "test_fields_of_the_app_are_stored"),
    (ExpiresAlways, "test_deleted_row_gets_no_end"),
    (ExpiresAlways, "test_of_two_rotations_at_once_one_succeeds"),
    (ExpiresWhateverTheEnd, "test_end_that_was_changed_since_stays"),
    (ExpiresWhateverTheEnd, "test_of_two_rotations_at_once_one_succeeds"),
    (ExpiresNever, "test_end_of_a_row_is_stored"),
    (OnlySaysThatItExpires, "test_end_of_a_row_is_stored"),
    (ExpiresAllRows, "test_end_of_a_row_is_stored"),
    (ExpiresWhatChangesOnly, "test_end_that_is_there_already_can_be_set"),
    (EndsWhatIsEndless, "test_rotation_that_is_broken_off_changes_nothing"),
    (ComparesNothingWithEqualSigns, "test_end_of_a_row_is_stored"),
    (TouchesAlways, "test_use_is_not_stored_again_so_soon"),
    (TouchesAlways, "test_use_of_a_deleted_row_is_not_stored"),
    (TouchesNever, "test_first_use_is_stored"),
    (OnlySaysThatItTouches, "test_first_use_is_stored"),
    (OnlySaysThatItTouches, "test_row_shows_the_stored_last_use"),
    (TouchesByWhatTheRowSays, "test_use_is_not_stored_again_so_soon"),
    (TouchesAtTheVeryTime, "test_use_is_not_stored_again_so_soon"),
    (TouchesOnce, "test_use_is_stored_where_the_last_one_is_older"),
    (TouchesAllRows, "test_first_use_is_stored"),
    (OnlySaysThatItDeletes, "test_row_is_deleted"),
    (DeletesAlways, "test_deleted_row_is_not_deleted_again"),
    (DeletesSilently, "test_row_is_deleted"),
    (DeletesByUser, "test_row_is_deleted"),
    (DeletesByUser, "test_deleted_row_does_not_pass_for_the_next_one"),
    (DeletesEverybody, "test_all_rows_of_a_user_are_deleted"),
    (DeletesEverybody, "test_one_row_may_be_kept"),
    (DeletesWhatIsToBeKept, "test_one_row_may_be_kept"),
    (DeletesWithoutCounting, "test_all_rows_of_a_user_are_deleted"),
    (KeepsAllIfOneIsKept, "test_one_row_may_be_kept"),
    (ListsOldestFirst, "test_rows_are_listed_newest_first"),
    (ListsInOrderOfInsertion, "test_rows_are_listed_newest_first"),
    (ListsEverybody, "test_rows_of_others_are_not_listed"),
    (ListsNothing, "test_rows_of_others_are_not_listed"),
    (PurgesAll, "test_expired_rows_are_purged"),
    (PurgesNothing, "test_expired_rows_are_purged"),
    (PurgesTheEndless, "test_expired_rows_are_purged"),
    (PurgesByTheTimeOfIssue, "test_expired_rows_are_purged"),
    (PurgesWithoutCounting, "test_expired_rows_are_purged"),
    (PurgesOfOneUser, "test_expired_rows_are_purged"),
]


@pytest.mark.parametrize(("store_class", "test"), MISTAKES)
async def test_mistake_fails_the_contract(
    store_class: type[Any], test: str, anyio_backend_name: str
) -> None:
    ended = await run(store_class, anyio_backend_name)
    assert test in ended["failed"]


async def test_right_store_passes_all(anyio_backend_name: str) -> None:
    ended = await run(Store, anyio_backend_name)
    assert ended["failed"] == ended["skipped"] == set()


async def test_users_who_may_not_log_in_are_tested_on_request(anyio_backend_name: str) -> None:
    ended = await run(Store, anyio_backend_name, TokenStoreContract)
    assert ended["failed"] == set()
    assert ended["skipped"] == {"test_user_who_may_not_log_in", "test_user_who_is_deleted"}


async def test_store_may_record_no_last_use(anyio_backend_name: str) -> None:
    def without_last_use(row: Any) -> Any:
        fields = vars(row).items()
        return SimpleNamespace(**{name: value for name, value in fields if name != "last_used_at"})

    class Plain(Store):
        async def find(self, digest: str) -> Any:
            row = await super().find(digest)
            return None if row is None else without_last_use(row)

        async def insert(self, *args: Any, **options: Any) -> Any:
            return without_last_use(await super().insert(*args, **options))

        async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
            return False

        async def delete_all(self, user: User, *, keep: Any = None) -> int:
            return await super().delete_all(user, keep=keep and self._rows[keep.digest])

    ended = await run(Plain, anyio_backend_name)
    assert ended["failed"] == set()
    assert ended["skipped"] == {
        "test_first_use_is_stored",
        "test_row_shows_the_stored_last_use",
        "test_use_is_not_stored_again_so_soon",
        "test_use_is_stored_where_the_last_one_is_older",
        "test_use_of_a_deleted_row_is_not_stored",
    }


async def test_store_may_return_naive_times(anyio_backend_name: str) -> None:
    class Naive(Store):
        async def find(self, digest: str) -> Any:
            return self._bare(await super().find(digest))

        async def expire(self, row: Any, at: datetime | None) -> bool:
            stored = await super().find(row.digest)
            if stored is None or self._bare(stored).expires_at != self._bare(row).expires_at:
                return False
            self._rows[row.digest].expires_at = at
            return True

        @staticmethod
        def _bare(row: Any) -> Any:
            for name in ("created_at", "expires_at", "last_used_at"):
                time = None if row is None else getattr(row, name)
                if time is not None:
                    setattr(row, name, time.replace(tzinfo=None))
            return row

    assert (await run(Naive, anyio_backend_name))["failed"] == set()


def test_contract_needs_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    monkeypatch.delitem(sys.modules, testing.__name__)
    with pytest.raises(ImportError, match="needs pytest: run pip install"):
        importlib.import_module(testing.__name__)
