"""A call that is cancelled, or takes too long, leaves no connection and no lock behind."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from sqlalchemy import event
from sqlalchemy_databases import CASES, SERVERS, Database, Token, User, dispose, lock, until

from starlette_auth_core.tokens import Tokens
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, _sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette_auth_core.testing import ContractHasher

pytestmark = pytest.mark.anyio

everywhere = pytest.mark.parametrize("case", CASES, indirect=True)


@pytest.fixture
async def one(database: Database) -> AsyncIterator[Database]:
    """The database through a pool of one connection."""
    small = database.server.engine(database.driver, pool_size=1, max_overflow=0, pool_timeout=20)
    yield Database(database.server, database.driver, small, database.admin)
    while _sessions._tasks:
        await asyncio.wait(_sessions._tasks)
    await dispose(small)


async def assert_nothing_left(database: Database) -> None:
    await until(lambda: database.checked_out() == 0)
    # On MariaDB and SQLite a lock would make it wait, and fail.
    database.execute("UPDATE users SET email = 'free'", "DELETE FROM tokens")


STEPS = range(0, 120, 4)


@everywhere
async def test_call_that_is_cancelled_at_any_step(one: Database, hasher: ContractHasher) -> None:
    backend = SQLAlchemyBasicAuth(User, one.sessions, hasher=hasher)
    store = SQLAlchemyTokenStore(Token, one.sessions)
    tokens: Tokens[Any, Token] = Tokens(store, prefix="shop")
    alice = one.user(password=hasher.make("pwd", "old"))
    token, _ = await tokens.issue(alice)

    async def calls() -> None:
        await backend.verify("alice", "pwd")
        await tokens.find(token)
        await tokens.issue(alice)

    for step in STEPS:
        await until(lambda: one.checked_out() == 0)
        one.change(alice, password=hasher.make("pwd", "old"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(calls)
            for _ in range(step):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    await until(lambda: one.checked_out() == 0)
    assert await backend.verify("alice", "pwd") is not None
    await assert_nothing_left(one)


async def test_work_is_not_committed_once_its_caller_has_gone(
    one: Database, hasher: ContractHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sessions, "_SETTLE_SECONDS", 0.01)
    backend = SQLAlchemyBasicAuth(User, one.sessions, hasher=hasher)
    old = hasher.make("pwd", "old")
    user = one.user(password=old)
    scope = anyio.CancelScope()

    def stop(*args: Any) -> None:
        scope.cancel()

    def stop_from_thread(*args: Any) -> None:
        anyio.from_thread.run_sync(scope.cancel)
        gone.wait()

    gone = threading.Event()
    hook = stop if "aio" in one.driver else stop_from_thread
    event.listen(one.sync_engine, "after_cursor_execute", hook)
    with scope:
        await backend.replace_password_hash(user, old, hasher.make("pwd"))
    event.remove(one.sync_engine, "after_cursor_execute", hook)
    gone.set()
    assert scope.cancelled_caught
    await assert_nothing_left(one)
    assert one.stored(user) == old


@everywhere
async def test_pool_of_one_serves_many_logins_whose_hashes_need_a_connection(
    one: Database, hasher: ContractHasher
) -> None:
    alice = one.user(password=hasher.make("pwd"))
    other = SQLAlchemyBasicAuth(User, one.sessions, hasher=hasher)
    found: list[Any] = []

    class Needy(type(hasher)):  # type: ignore[misc]  # a fixture's class
        async def verify(self, secret: str, hashed: str | None, /) -> bool:
            assert await other.find_by("username", "alice") is not None
            return bool(await super().verify(secret, hashed))

    backend = SQLAlchemyBasicAuth(User, one.sessions, hasher=Needy())

    async def log_in() -> None:
        found.append(await backend.verify("alice", "pwd"))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(log_in)
    assert [user.id for user in found] == [alice.id] * 50


@pytest.mark.parametrize("case", SERVERS, indirect=True)
async def test_last_resort_ends_what_nobody_waits_for(
    one: Database, hasher: ContractHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sessions, "_LAST_RESORT_SECONDS", 0.1)
    monkeypatch.setattr(_sessions, "_AGAIN_SECONDS", 0.1)
    store = SQLAlchemyTokenStore(Token, one.sessions)
    await store.find("")
    with one.admin.connect() as connection:
        lock(connection)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.find, "")
            await until(lambda: one.checked_out() == 1)
            tasks.cancel_scope.cancel()
        await until(lambda: one.checked_out() == 0)
    await assert_nothing_left(one)
