"""The storage for tests and demos, put to the contract of all storages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, assert_type

import pytest

from starlette_auth_core.testing import TokenStoreContract
from starlette_auth_core.tokens import MemoryTokenStore, Tokens

pytestmark = pytest.mark.anyio

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


@dataclass
class User:
    name: str
    active: bool = True


async def insert(store: MemoryTokenStore[User], user: User, digest: str, **extra: Any) -> Any:
    return await store.insert(
        user, digest=digest, scopes=None, created_at=NOON, expires_at=None, **extra
    )


class TestMemoryTokenStore(TokenStoreContract):
    extra: ClassVar[Mapping[str, Any]] = {"name": "laptop", "of_the_app": 1}

    @pytest.fixture
    def store(self) -> MemoryTokenStore[User]:
        return MemoryTokenStore(active_field="active")

    @pytest.fixture
    def users(self) -> Sequence[User]:
        return [User("alice"), User("bob")]

    async def lock_out(self, user: User) -> None:
        user.active = False


async def test_every_user_may_log_in_where_no_field_says_so() -> None:
    store = MemoryTokenStore[User]()
    row = await insert(store, User("alice", active=False), "abc")
    assert await store.find("abc") == row


async def test_digest_is_unique() -> None:
    store = MemoryTokenStore[User]()
    await insert(store, User("alice"), "abc")
    with pytest.raises(ValueError, match="there is a row with this digest"):
        await insert(store, User("bob"), "abc")
    assert await store.list(User("bob")) == []


async def test_last_use_is_not_a_field_of_the_app() -> None:
    store = MemoryTokenStore[User]()
    with pytest.raises(TypeError, match="last_used_at can't be set"):
        await insert(store, User("alice"), "abc", last_used_at=NOON)
    assert await store.find("abc") is None


async def test_of_two_rows_of_one_second_the_later_one_is_newer() -> None:
    store = MemoryTokenStore[User]()
    rows = [await insert(store, User("alice"), digest) for digest in "abc"]
    assert await store.list(User("alice")) == rows[::-1]


async def test_row_that_ends_at_this_second_has_not_expired_before() -> None:
    store = MemoryTokenStore[User]()
    row = await insert(store, User("alice"), "abc")
    assert await store.expire(row, NOON)
    assert await store.purge(NOON) == 0
    assert await store.purge(NOON + timedelta(seconds=1)) == 1


async def test_rows_are_copies() -> None:
    store = MemoryTokenStore[User]()
    inserted = await insert(store, User("alice"), "abc", name="laptop")
    rows: list[Any] = [inserted, await store.find("abc"), *await store.list(User("alice"))]
    for row in rows:
        row.scopes, row.name = "admin", "mine"
    stored = await store.find("abc")
    assert stored is not None
    assert (stored.scopes, stored.name) == (None, "laptop")


async def test_equal_rows_have_one_digest() -> None:
    store = MemoryTokenStore[User]()
    first, second = [await insert(store, User("alice"), digest) for digest in "ab"]
    assert first == await store.find("a")
    assert len({first, second, await store.find("a")}) == 2


async def test_field_that_a_row_lacks() -> None:
    row = await insert(MemoryTokenStore[User](), User("alice"), "abc")
    with pytest.raises(AttributeError):
        _ = row.name


async def test_types_of_users_and_rows_are_inferred() -> None:
    tokens = Tokens(MemoryTokenStore[User](), prefix="shop")
    token, row = await tokens.issue(User("alice"))
    assert_type(row.user, User)
    found = await tokens.find(token)
    assert found is not None
    assert_type(found.user, User)
    assert_type(found.last_used_at, datetime | None)
    with pytest.raises(TypeError):
        await tokens.issue(None)  # type: ignore[arg-type]  # what this is about


async def test_neither_digest_nor_user_shows() -> None:
    store = MemoryTokenStore[User]()
    token, row = await Tokens(store, prefix="shop").issue(User("alice-by-name"), note="my note")
    for shown in repr(row), repr(store), str(row):
        for secret in token, row.digest, "alice-by-name", "my note":
            assert secret not in shown
