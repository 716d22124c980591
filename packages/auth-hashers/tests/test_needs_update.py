"""The documented recipe, verify and then needs_update, also where many do it at once."""

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    CachingHasher,
    HasherBusy,
    MultiHasher,
    PBKDF2Hasher,
)

pytestmark = pytest.mark.anyio

NEW = Argon2Hasher(memory_cost=32, time_cost=1)
OLD = PBKDF2Hasher(rounds=3)
NEWS, OLDS = NEW.make_sync("secret"), OLD.make_sync("secret")
MESSAGE = "use verify_and_update"


def multi() -> MultiHasher:
    return MultiHasher([NEW, OLD])


def nested() -> MultiHasher:
    return MultiHasher([MultiHasher([NEW]), MultiHasher([OLD])])


def cached() -> CachingHasher:
    return CachingHasher(multi(), ttl=60, max_entries=10)


every = pytest.mark.parametrize("make", [multi, nested, cached])


@every
class TestRecipe:
    async def test_right_password(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        for _ in range(3):  # the cached one answers from memory
            assert await hasher.verify("secret", OLDS)
            assert hasher.needs_update(OLDS)
            assert await hasher.verify("secret", NEWS)
            assert not hasher.needs_update(NEWS)
            assert hasher.verify_sync("secret", OLDS)
            assert hasher.needs_update(OLDS)

    async def test_failed_verify_needs_none(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()

        assert not await hasher.verify("wrong", OLDS)
        assert not hasher.needs_update(OLDS)
        assert not hasher.verify_sync("wrong", OLDS)
        assert not hasher.needs_update(OLDS)
        for stored in ("!", None):
            assert not await hasher.verify("secret", stored)
            assert not hasher.needs_update(stored)  # type: ignore[arg-type] # as the recipe does

    async def test_never_verified(self, make: Callable[[], BaseHasher]) -> None:
        with pytest.raises(RuntimeError, match=MESSAGE):
            make().needs_update(OLDS)

    async def test_asking_twice(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        for password in ("secret", "wrong"):
            await hasher.verify(password, OLDS)
            hasher.needs_update(OLDS)
            with pytest.raises(RuntimeError, match=MESSAGE):
                hasher.needs_update(OLDS)

    async def test_asking_for_another_hash(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        await hasher.verify("secret", OLDS)

        with pytest.raises(RuntimeError, match=MESSAGE):
            hasher.needs_update(NEWS)
        assert hasher.needs_update(OLDS)

    async def test_asking_another_hasher(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        await hasher.verify("secret", OLDS)

        with pytest.raises(RuntimeError, match=MESSAGE):
            make().needs_update(OLDS)
        with pytest.raises(RuntimeError, match=MESSAGE):
            MultiHasher([hasher]).needs_update(OLDS)

    async def test_asking_before_it_is_awaited(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        check = hasher.verify("secret", OLDS)

        with pytest.raises(RuntimeError, match=MESSAGE):
            hasher.needs_update(OLDS)
        assert await check
        assert hasher.needs_update(OLDS)

    async def test_last_of_several_counts(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        await hasher.verify("secret", NEWS)
        await hasher.verify("secret", OLDS)

        with pytest.raises(RuntimeError, match=MESSAGE):
            hasher.needs_update(NEWS)
        assert hasher.needs_update(OLDS)


@every
async def test_200_interleaved_logins(make: Callable[[], BaseHasher]) -> None:
    hasher = make()
    answers: dict[int, tuple[bool, bool]] = {}

    async def login(number: int) -> None:
        stored = OLDS if number % 4 < 2 else NEWS
        password = "secret" if number % 2 else f"wrong{number}"
        valid = await hasher.verify(password, stored)
        await anyio.lowlevel.checkpoint()
        answers[number] = valid, hasher.needs_update(stored)

    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(login, number)

    assert answers == {
        number: (number % 2 == 1, number % 2 == 1 and number % 4 < 2) for number in range(200)
    }


async def test_200_interleaved_verify_and_update() -> None:
    hasher = multi()
    answers: dict[int, tuple[bool, bool]] = {}

    async def login(number: int) -> None:
        stored = OLDS if number % 4 < 2 else NEWS
        valid, new = await hasher.verify_and_update("secret" if number % 2 else "wrong", stored)
        answers[number] = valid, new is not None

    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(login, number)

    assert answers == {
        number: (number % 2 == 1, number % 2 == 1 and number % 4 < 2) for number in range(200)
    }


async def test_task_within_a_task_has_its_own() -> None:
    hasher = multi()
    assert await hasher.verify("secret", OLDS)

    async def other() -> None:
        assert await hasher.verify("secret", NEWS)
        assert not hasher.needs_update(NEWS)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
    assert hasher.needs_update(OLDS)


async def test_where_it_cannot_work_the_message_says_what_can() -> None:
    hasher = multi()

    async def elsewhere() -> None:
        assert await hasher.verify("secret", OLDS)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(elsewhere)
    with pytest.raises(RuntimeError, match=MESSAGE):
        hasher.needs_update(OLDS)


async def test_no_answer_is_none(configure: Callable[..., None]) -> None:
    configure(workers=1, max_waiting=0)
    hasher = MultiHasher([PBKDF2Hasher(rounds=300_000)])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hasher.make, "secret")
        await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        with pytest.raises(HasherBusy):
            await hasher.verify("secret", OLDS)
        with pytest.raises(RuntimeError, match=MESSAGE):
            hasher.needs_update(OLDS)


async def test_anyio_timeouts() -> None:
    hasher = multi()

    with anyio.fail_after(30):
        assert await hasher.verify("secret", OLDS)
    assert hasher.needs_update(OLDS)
    with anyio.CancelScope(shield=True):
        assert await hasher.verify("secret", OLDS)
    assert hasher.needs_update(OLDS)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@every
class TestAsyncio:
    """`verify` is noted where it is called, whichever task then runs it."""

    async def ask(self, hasher: BaseHasher, check: Awaitable[bool]) -> None:
        assert await check
        assert hasher.needs_update(OLDS)

    async def test_wait_for(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        await self.ask(hasher, asyncio.wait_for(hasher.verify("secret", OLDS), 30))

    async def test_timeout(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        async with asyncio.timeout(30):
            await self.ask(hasher, hasher.verify("secret", OLDS))

    async def test_shield(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        await self.ask(hasher, asyncio.shield(hasher.verify("secret", OLDS)))

    async def test_create_task(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        await self.ask(hasher, asyncio.create_task(hasher.verify("secret", OLDS)))

    async def test_task_group(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(hasher.verify("secret", OLDS))
        await self.ask(hasher, task)

    async def test_gather(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        checks = hasher.verify("secret", NEWS), hasher.verify("secret", OLDS)
        assert all(await asyncio.gather(*checks))
        assert hasher.needs_update(OLDS)

    async def test_failed(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        assert not await asyncio.wait_for(hasher.verify("wrong", OLDS), 30)
        assert not hasher.needs_update(OLDS)

    async def test_cancelled(self, make: Callable[[], BaseHasher]) -> None:
        hasher = make()
        task = asyncio.create_task(hasher.verify("secret", OLDS))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with pytest.raises(RuntimeError, match=MESSAGE):
            hasher.needs_update(OLDS)


async def test_hashers_leave_nothing_in_the_context() -> None:
    hasher = multi()
    await hasher.verify("secret", OLDS)
    gone = weakref.ref(hasher)
    await multi().verify("secret", OLDS)
    del hasher
    # A worker thread lets go of its work a moment after it has handed over the answer.
    with anyio.fail_after(10):
        while gone() is not None:
            gc.collect()
            await anyio.sleep(0.01)


def test_blocking_threads_have_their_own() -> None:
    hasher = multi()
    failures: list[Any] = []

    def login(number: int) -> None:
        for _ in range(20):
            stored = OLDS if number % 2 else NEWS
            if not hasher.verify_sync("secret", stored):
                failures.append(number)
            if hasher.needs_update(stored) is not bool(number % 2):
                failures.append(number)

    threads = [threading.Thread(target=login, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
