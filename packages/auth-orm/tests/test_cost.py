"""What a login costs in queries and connections, and how it gets along with transactions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from starlette_auth_core.tokens import Tokens, generate_token
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore

if TYPE_CHECKING:
    from conftest import Hasher, Log, Store

pytestmark = pytest.mark.anyio


def kinds(log: Log) -> list[str]:
    """The first words of the statements that were sent."""
    return [statement.split()[0] for statement in log.statements]


def tokens_of(store: Store) -> Tokens[Any, Any]:
    storage = ModelTokenStore(store.Token, active_field="active")
    return Tokens(storage, prefix="shop", touch_every=None)


async def user_of(tokens: Tokens[Any, Any], token: str) -> Any:
    found = await tokens.find(token)
    assert found is not None
    return found.user


class TestQueries:
    @pytest.mark.parametrize(
        ("username", "password"), [("alice", "pwd"), ("alice", "wrong"), ("nobody", "pwd")]
    )
    async def test_login_is_one(
        self, store: Store, hasher: Hasher, log: Log, username: str, password: str
    ) -> None:
        await store.add("alice", hasher.make("pwd"))
        log.clear()

        await ModelBasicAuth(store.User, hasher=hasher).verify(username, password)

        assert kinds(log) == ["SELECT"]

    async def test_login_that_upgrades_is_a_transaction_more(
        self, store: Store, hasher: Hasher, log: Log
    ) -> None:
        await store.add("alice", hasher.make("pwd", "old"))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        log.clear()

        assert await backend.verify("alice", "wrong") is None
        assert kinds(log) == ["SELECT"]

        log.clear()
        assert await backend.verify("alice", "pwd") is not None
        count = {
            "sqlite": ["UPDATE", "SELECT"],
            "postgresql": ["WITH"],
            "mysql": ["UPDATE", "SELECT"],
        }[store.server.kind]
        assert kinds(log) == ["SELECT", "BEGIN", *count, "SELECT", "COMMIT"]

        log.clear()
        assert await backend.verify("alice", "pwd") is not None
        assert kinds(log) == ["SELECT"]

    async def test_token_is_one(self, store: Store, log: Log) -> None:
        alice = await store.add("alice", None)
        tokens = tokens_of(store)
        token, _ = await tokens.issue(alice)
        log.clear()

        assert await user_of(tokens, token) == alice
        assert kinds(log) == ["SELECT"]

        log.clear()
        assert await tokens.find(generate_token("shop")) is None
        assert kinds(log) == ["SELECT"]

    async def test_use_that_is_stored_is_one_more(self, store: Store, log: Log) -> None:
        alice = await store.add("alice", None)
        tokens: Tokens[Any, Any] = Tokens(ModelTokenStore(store.Token), prefix="shop")
        token, _ = await tokens.issue(alice)
        log.clear()

        assert await tokens.find(token) is not None
        assert sum("SET last_used_at" in each for each in log.statements) == 1

        log.clear()
        assert await tokens.find(token) is not None
        assert kinds(log) == ["SELECT"]

    async def test_token_that_is_not_well_formed_is_none(self, store: Store, log: Log) -> None:
        tokens = tokens_of(store)
        token = generate_token("shop")
        log.clear()

        for malformed in ("", token[:-1], token.swapcase(), token + "\x00", "\ud800", "é" * 54):
            assert await tokens.find(malformed) is None

        assert log.statements == []


class TestConnections:
    async def test_none_is_held_while_a_password_is_hashed(
        self, store: Store, hasher: Hasher
    ) -> None:
        # SQLite has no pool, and shows that nothing else stands in the way.
        alice = await store.add("alice", hasher.make("pwd", "old"))
        one = {} if store.server.kind == "sqlite" else {"min_size": 1, "max_size": 1}
        async with store.server.open(**one) as small:
            store.User.registry.database = small
            backend: Any = ModelBasicAuth(store.User, hasher=hasher)
            hasher.gate.clear()

            logins = [asyncio.create_task(backend.verify("alice", "pwd")) for _ in range(20)]
            await hasher.arrived(20)  # All have been to the database and are hashing.
            assert await small.fetch_val("SELECT 1") == 1
            hasher.gate.set()

            users = await asyncio.gather(*logins)
            assert [user.id for user in users] == [alice.id] * 20
            store.User.registry.database = store.database


class TestTransactions:
    async def test_20_logins_at_once_where_everything_is_rolled_back(
        self, store: Store, hasher: Hasher
    ) -> None:
        # With `force_rollback` there is one connection for all tasks.
        async with store.server.open(force_rollback=True) as test_database:
            store.User.registry.database = test_database
            alice = await store.add("alice", hasher.make("pwd", "old"))
            bob = await store.add("bob", hasher.make("pwd"))
            basic: Any = ModelBasicAuth(store.User, hasher=hasher)
            tokens = tokens_of(store)
            token, _ = await tokens.issue(bob)

            users = await asyncio.gather(
                *(basic.verify("alice", "pwd") for _ in range(10)),
                *(basic.verify("bob", "pwd") for _ in range(10)),
                *(basic.verify("bob", "wrong") for _ in range(10)),
                *(user_of(tokens, token) for _ in range(10)),
            )

            assert [user and user.id for user in users] == (
                [alice.id] * 10 + [bob.id] * 10 + [None] * 10 + [bob.id] * 10
            )
            assert (await store.User.objects.get(id=alice.id)).password.startswith("new:")
        store.User.registry.database = store.database
        assert await store.User.objects.count() == 0

    async def test_login_inside_and_outside(self, store: Store, hasher: Hasher) -> None:
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        tokens = tokens_of(store)

        async with store.database.transaction(force_rollback=True):
            alice = await store.add("alice", hasher.make("pwd", "old"))
            token, _ = await tokens.issue(alice)

            user = await backend.verify("alice", "pwd")

            assert user.password.startswith("new:")
            assert await store.stored(alice) == user.password
            assert await user_of(tokens, token) == user
            assert await tokens.revoke_all(alice) == 1
            token, _ = await tokens.issue(alice)

        assert await backend.verify("alice", "pwd") is None
        assert await tokens.find(token) is None

    async def test_other_tasks_do_not_see_what_an_open_one_wrote(
        self, store: Store, hasher: Hasher
    ) -> None:
        # A limit that comes from `databases`, and is in the documentation.
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        async with store.database.transaction(force_rollback=True):
            await store.add("alice", hasher.make("pwd"))

            assert await asyncio.create_task(backend.verify("alice", "pwd")) is None
            assert await backend.verify("alice", "pwd") is not None
