"""Many attempts at once: never more wrong answers than a limit says, and no right one refused."""

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from functools import partial

import anyio
import pytest
from throttle_backends import (
    Answering,
    Passwords,
    at_once,
    basic,
    connection,
    guess,
    guesses,
)

from starlette_auth_core import AuthenticationUnavailable, TooManyAttempts
from starlette_auth_throttle import (
    Limit,
    MemoryStore,
    RedisStore,
    Throttled,
    by_address,
    by_username,
)

pytestmark = pytest.mark.anyio

Store = MemoryStore | RedisStore

MINUTE = timedelta(minutes=1)
FIVE = Limit(by_username, 5, per=MINUTE)


async def test_a_burst_of_guesses_gets_no_more_wrong_answers_than_the_limit_says(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, FIVE, Limit(by_address, 20, per=MINUTE), store=store)
    statuses = await at_once([lambda: guess(backend)] * 150)
    assert Counter(statuses) == {401: 5, 429: 145}
    assert passwords.hashed == 5


async def test_a_burst_over_many_accounts_is_limited_by_address(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, FIVE, Limit(by_address, 20, per=MINUTE), store=store)
    names = [f"user{number}" for number in range(100)]
    statuses = await at_once([partial(guess, backend, name) for name in names])
    assert Counter(statuses) == {401: 20, 429: 80}
    assert passwords.hashed == 20


async def test_right_logins_at_once_all_pass(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, FIVE, Limit(by_address, 3, per=MINUTE), store=store)
    statuses = await at_once([lambda: guess(backend, password="alicepwd")] * 20)
    assert statuses == [200] * 20
    assert passwords.most_at_once <= 3


async def test_right_logins_among_guesses_are_not_more_guesses(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, Limit(by_address, 5, per=MINUTE), store=store)
    right = [lambda: guess(backend, "bob", "bobpwd")] * 20
    statuses = await at_once([*right, *[lambda: guess(backend)] * 40])
    assert Counter(statuses[20:])[401] == 5
    assert set(statuses[:20]) <= {200, 429}


async def test_an_attempt_waits_without_a_hash_and_goes_on_when_others_are_known(
    store: Store, passwords: Passwords
) -> None:
    passwords.gate = anyio.Event()
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    statuses = []

    async def log_in() -> None:
        statuses.append(await guess(backend, password="alicepwd"))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(log_in)
        await until(lambda: passwords.hashed == 1)
        await let_all_run()
        assert passwords.hashed == 1
        passwords.gate.set()
    assert statuses == [200] * 3


async def test_an_attempt_that_waits_is_refused_once_the_others_have_failed(
    store: Store, passwords: Passwords
) -> None:
    passwords.gate = anyio.Event()
    backend = Throttled(passwords, Limit(by_username, 2, per=MINUTE), store=store)
    statuses = []

    async def log_in() -> None:
        statuses.append(await guess(backend))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(log_in)
        await until(lambda: passwords.hashed == 2)
        passwords.gate.set()
    assert sorted(statuses) == [401, 401, 429, 429, 429]
    assert passwords.hashed == 2


async def test_an_attempt_that_is_given_back_lets_the_next_one_in(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    statuses = []

    async def log_in() -> None:
        statuses.append(await guess(backend))

    async with anyio.create_task_group() as tasks:
        with suppress(ZeroDivisionError):
            async with backend.attempt(connection(), "alice"):
                tasks.start_soon(log_in)
                await let_all_run()
                raise ZeroDivisionError
    assert statuses == [401]


async def test_an_attempt_that_waits_too_long_is_unavailable(
    store: Store, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starlette_auth_throttle._memory.PATIENCE", 0.05)
    monkeypatch.setattr("starlette_auth_throttle._redis.PATIENCE", 0.05)
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    async with backend.attempt(connection(), "alice") as attempt:
        with pytest.raises(AuthenticationUnavailable) as caught:
            await backend.authenticate(connection(basic("alice", "wrong")))
        assert not isinstance(caught.value, TooManyAttempts)
        attempt.succeed()
    assert passwords.hashed == 0
    # It left nothing behind.
    assert await guesses(backend, 2) == [401, 429]


async def test_room_that_comes_with_time_is_used_by_who_waits(
    store: Store, passwords: Passwords
) -> None:
    half = timedelta(milliseconds=500)
    backend = Throttled(passwords, Limit(by_username, 2, per=half), store=store)
    async with backend.attempt(connection(), "alice") as attempt:
        await guess(backend)
        # One is in flight and one has failed, which is over in half a second.
        assert await guess(backend, password="alicepwd") == 200
        attempt.succeed()


@pytest.mark.parametrize("when", ["waiting", "checking"])
async def test_who_is_cancelled_leaves_nothing_behind(
    store: Store, passwords: Passwords, when: str
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    passwords.gate = anyio.Event()
    async with anyio.create_task_group() as outer:
        outer.start_soon(guess, backend, "alice", "alicepwd")
        await until(lambda: passwords.hashed == 1)
        if when == "waiting":
            async with anyio.create_task_group() as inner:
                for _ in range(3):
                    inner.start_soon(guess, backend)
                await let_all_run()
                inner.cancel_scope.cancel()
            passwords.gate.set()
        else:
            outer.cancel_scope.cancel()
    passwords.gate = None
    assert passwords.hashed == 1
    assert await guesses(backend, 2) == [401, 429]


async def test_who_is_cancelled_is_given_back_in_a_view_too(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    with anyio.CancelScope() as scope:
        async with backend.attempt(connection(), "alice"):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert await guesses(backend, 2) == [401, 429]


async def test_a_refused_attempt_makes_nobody_wait_longer(
    store: Store, passwords: Passwords
) -> None:
    second = timedelta(seconds=1)
    backend = Throttled(passwords, Limit(by_username, 1, per=second), store=store)
    assert await guess(backend) == 401
    for _ in range(100):
        if await guess(backend) == 401:
            break
        await anyio.sleep(0.05)
    assert passwords.hashed == 2


async def test_who_waits_for_an_account_keeps_nobody_of_the_address_waiting(
    store: Store, passwords: Passwords
) -> None:
    limits = (Limit(by_username, 1, per=MINUTE), Limit(by_address, 2, per=MINUTE))
    backend = Throttled(passwords, *limits, store=store)
    statuses = []

    async def log_in(username: str) -> None:
        statuses.append((username, await guess(backend, username, f"{username}pwd")))

    async with (
        anyio.create_task_group() as tasks,
        backend.attempt(connection(), "alice") as alice,
    ):
        async with backend.attempt(connection(), "carol") as carol:
            # Both wait for the address; then alice for her account.
            tasks.start_soon(log_in, "alice")
            await let_all_run()
            tasks.start_soon(log_in, "bob")
            await let_all_run()
            assert statuses == []
            carol.succeed()
        await until(lambda: statuses == [("bob", 200)])
        alice.succeed()
    assert statuses == [("bob", 200), ("alice", 200)]


async def test_an_attempt_waits_for_one_bucket_after_the_other(
    store: Store, passwords: Passwords
) -> None:
    limits = (Limit(by_username, 1, per=MINUTE), Limit(by_address, 2, per=MINUTE))
    backend = Throttled(passwords, *limits, store=store)
    statuses = []

    async def log_in() -> None:
        statuses.append(await guess(backend, "alice", "alicepwd"))

    async with (
        anyio.create_task_group() as tasks,
        backend.attempt(connection(), "carol") as carol,
    ):
        async with backend.attempt(connection(), "dave") as dave:
            async with backend.attempt(connection(address=None), "alice") as alice:
                tasks.start_soon(log_in)
                await let_all_run()
                alice.succeed()
            await let_all_run()
            assert statuses == []
            dave.succeed()
        await until(lambda: statuses == [200])
        carol.succeed()


async def test_a_wrapped_backend_that_says_not_mine_takes_no_place(store: Store) -> None:
    wrapped = Answering(lambda: None)
    backend = Throttled(wrapped, Limit(by_address, 1, per=MINUTE), store=store)
    assert await guesses(backend, 3) == [204] * 3


async def until(condition: object) -> None:
    assert callable(condition)
    with anyio.fail_after(8):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event
            await anyio.sleep(0.001)


async def let_all_run() -> None:
    # Long enough for an answer of Redis; nothing depends on it but what a test could miss.
    for _ in range(20):
        await anyio.sleep(0.002)


@pytest.mark.parametrize("right", [True, False])
async def test_who_is_cancelled_once_the_others_are_known_leaves_nothing_behind(
    store: Store, passwords: Passwords, right: bool
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    async with anyio.create_task_group() as tasks:
        async with backend.attempt(connection(), "alice") as attempt:
            tasks.start_soon(guess, backend, "alice", "alicepwd")
            await let_all_run()
            if right:
                attempt.succeed()
        tasks.cancel_scope.cancel()
    assert passwords.hashed == 0
    assert await guess(backend) == (401 if right else 429)
    assert await guess(backend) == 429
