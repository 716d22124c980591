"""The store in memory: bounded, and for any number of loops and threads."""

import asyncio
import gc
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest
import trio
from throttle_backends import ELSEWHERE, Passwords, at_once, connection, guess, guesses

from starlette_auth_throttle import Limit, MemoryStore, Throttled, by_address, by_username

MINUTE = timedelta(minutes=1)
TWO = Limit(by_username, 2, per=MINUTE)


@pytest.mark.anyio
async def test_keys_are_bounded_and_the_oldest_is_forgotten(passwords: Passwords) -> None:
    backend = Throttled(passwords, TWO, store=MemoryStore(max_keys=3))
    for name in ("alice", "u1", "u2", "u3"):
        assert await guess(backend, name) == 401
    # Alice is forgotten, and u3 is not.
    assert await guesses(backend, 2, "u3") == [401, 429]
    assert await guesses(backend, 3, "alice") == [401, 401, 429]


@pytest.mark.anyio
async def test_a_key_that_refuses_is_forgotten_last(passwords: Passwords) -> None:
    backend = Throttled(passwords, TWO, store=MemoryStore(max_keys=3))
    assert await guesses(backend, 2, "alice") == [401, 401]
    for number in range(50):
        assert await guess(backend, f"user{number}") == 401
    assert await guess(backend, "alice") == 429


@pytest.mark.anyio
async def test_of_those_that_refuse_the_oldest_is_forgotten(passwords: Passwords) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=MemoryStore(max_keys=2))
    for name in ("alice", "bob", "carol"):
        assert await guess(backend, name) == 401
    assert await guess(backend, "bob") == 429
    assert await guess(backend, "carol") == 429
    assert await guess(backend, "alice") == 401


@pytest.mark.anyio
async def test_one_that_does_not_refuse_any_more_is_forgotten_before_one_that_does(
    passwords: Passwords,
) -> None:
    limits = (
        Limit(by_username, 2, per=timedelta(milliseconds=400)),
        Limit(by_address, 1, per=MINUTE),
    )
    backend = Throttled(passwords, *limits, store=MemoryStore(max_keys=2))
    assert await guess(backend, "alice", address=ELSEWHERE) == 401
    await anyio.sleep(0.2)
    assert await guess(backend, "alice", address=None) == 401
    await anyio.sleep(0.3)
    # The account holds one failure that counts, and each of the addresses refuses.
    assert await guess(backend, "bob", address="192.0.2.1") == 401
    assert await guess(backend, "bob", address="192.0.2.1") == 429


@pytest.mark.anyio
async def test_what_is_in_flight_is_never_forgotten(passwords: Passwords) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=MemoryStore(max_keys=1))
    async with backend.attempt(connection(), "alice"):
        for number in range(20):
            assert await guess(backend, f"user{number}") == 401
        waiting = 0
        with anyio.move_on_after(0.05):
            waiting = 1
            await guess(backend, "alice", "alicepwd")
            waiting = 0
        assert waiting == 1
    assert await guess(backend, "alice") == 429


@pytest.mark.anyio
async def test_failures_that_do_not_count_any_more_take_no_memory(passwords: Passwords) -> None:
    store = MemoryStore()
    limit = Limit(by_username, 3, per=timedelta(milliseconds=50))
    backend = Throttled(passwords, limit, store=store)
    for number in range(100):
        await guess(backend, f"user{number}")
    await anyio.sleep(0.06)
    for number in range(60):
        await guess(backend, f"other{number}")
    assert len(store._buckets) <= 60


@pytest.mark.anyio
async def test_the_memory_of_an_endless_flood_is_bounded(passwords: Passwords) -> None:
    store = MemoryStore(max_keys=50)
    backend = Throttled(passwords, TWO, Limit(by_address, 3, per=MINUTE), store=store)
    for number in range(2_000):
        name = f"user{number}" + "x" * 1000
        await guess(backend, name, address=f"192.0.{number % 200}.{number // 200}")
    assert len(store._buckets) <= 50
    assert size_of(store) < 50 * 1024


@pytest.mark.anyio
async def test_trusted_pairs_are_bounded(passwords: Passwords) -> None:
    store = MemoryStore(max_keys=3)
    backend = Throttled(passwords, TWO, store=store)
    passwords.passwords |= {f"user{number}": "right" for number in range(10)}
    for number in range(10):
        assert await guess(backend, f"user{number}", "right") == 200
    for address in ("192.0.2.1", "192.0.2.2"):
        assert await guess(backend, "user9", "right", address=address) == 200
    # Of the others and of its own, the last three are trusted.
    await guesses(backend, 2, "user9", address=ELSEWHERE)
    await guesses(backend, 2, "user8", address=ELSEWHERE)
    assert await guess(backend, "user9", "right") == 200
    assert await guess(backend, "user8", "right") == 429


@pytest.mark.anyio
async def test_of_one_account_the_newest_address_is_trusted(passwords: Passwords) -> None:
    backend = Throttled(passwords, TWO, store=MemoryStore(max_keys=3))
    homes = [f"192.0.2.{number}" for number in range(1, 6)]
    for address in homes:
        assert await guess(backend, password="alicepwd", address=address) == 200
    await guesses(backend, 2, address=ELSEWHERE)
    statuses = [await guess(backend, password="alicepwd", address=each) for each in homes]
    assert statuses == [429, 429, 200, 200, 200]


def size_of(value: object) -> int:
    seen: set[int] = set()
    pending, total = [value], 0
    while pending:
        each = pending.pop()
        if id(each) in seen or isinstance(each, (type, type(threading.RLock()))):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        pending += gc.get_referents(each)
    return total


def in_threads(calls: list[Callable[[], Any]]) -> list[Any]:
    results: list[Any] = []

    def keep(call: Callable[[], Any]) -> None:
        results.append(call())

    threads = [threading.Thread(target=keep, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("right", [False, True])
def test_loops_of_asyncio_and_trio_share_a_store(right: bool) -> None:
    store = MemoryStore()
    backends = [Throttled(Passwords(), TWO, store=store) for _ in range(6)]

    def of(backend: Throttled) -> Callable[[], Any]:
        async def many() -> Any:
            password = "alicepwd" if right else "wrong"
            return await at_once([lambda: guess(backend, password=password)] * 30)

        if backends.index(backend) % 2:
            return lambda: trio.run(many)
        return lambda: asyncio.run(many())

    statuses = Counter(
        status for result in in_threads([of(backend) for backend in backends]) for status in result
    )
    assert statuses == ({200: 180} if right else {401: 2, 429: 178})


def test_one_loop_after_the_other() -> None:
    backend = Throttled(Passwords(), TWO, store=MemoryStore())
    statuses = []
    for _ in range(2):
        statuses.append(asyncio.run(guess(backend)))
        statuses.append(trio.run(guess, backend))
    assert statuses == [401, 401, 429, 429]


def test_a_loop_that_has_ended_leaves_nothing_in_flight() -> None:
    passwords = Passwords()
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=MemoryStore())
    left = asyncio.new_event_loop()
    tasks: list[asyncio.Task[int]] = []

    async def hang() -> None:
        passwords.gate = anyio.Event()
        tasks.extend(asyncio.ensure_future(guess(backend)) for _ in range(2_000))
        while not passwords.hashed:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)

    left.run_until_complete(hang())
    # All but one wait in it, more than Python calls functions in each other. Without their being
    # cancelled, it is closed.
    left.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio would complain

    async def wait_for_it() -> int:
        passwords.gate = None
        async with anyio.create_task_group() as group:
            group.start_soon(forget, tasks)
            return await guess(backend)
        raise AssertionError

    assert asyncio.run(wait_for_it()) == 401
    assert asyncio.run(guess(backend)) == 429


async def forget(tasks: list[asyncio.Task[int]]) -> None:
    await anyio.sleep(0.05)
    tasks.clear()
    gc.collect()
