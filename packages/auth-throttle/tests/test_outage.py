"""Redis down, hanging or answering nonsense: the same limits, in this process."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import anyio
import pytest
import trio
from redis.asyncio import Redis
from throttle_backends import ELSEWHERE, FirstRight, Passwords, at_once, connection, guess, guesses
from throttle_redis import OwnRedis

from starlette_auth_throttle import Limit, RedisStore, Throttled, by_address, by_username

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
LIMITS = (Limit(by_username, 5, per=MINUTE), Limit(by_address, 50, per=MINUTE))
SECRET = b"a secret of the tests' own"
WARNING = "Redis is not used ({}): attempts are counted in this process"


@pytest.fixture
async def client(own_redis: OwnRedis) -> AsyncIterator[Redis]:
    # Without a time-out of its own.
    async with Redis.from_url(own_redis.url, socket_timeout=None) as client:
        yield client


@pytest.fixture
def own_store(client: Redis) -> RedisStore:
    return RedisStore(client, secret=SECRET)


@pytest.fixture
def backend(passwords: Passwords, own_store: RedisStore) -> Throttled:
    return Throttled(passwords, *LIMITS, store=own_store)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("how", ["stopped", "hanging"])
async def test_an_outage_is_limited_here_and_ends_by_itself(
    own_redis: OwnRedis,
    backend: Throttled,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    caplog.set_level(logging.INFO)
    assert await guess(backend) == 401
    (own_redis.stop if how == "stopped" else own_redis.hang)()
    with anyio.fail_after(10):
        statuses = await at_once([lambda: guess(backend)] * 100)
        assert Counter(statuses) == {401: 5, 429: 95}
        assert await guess(backend, "bob", "bobpwd") == 200
        await anyio.sleep(1.1)
        assert await guess(backend) == 429
    assert len(warnings_of(caplog)) == 1
    (own_redis.start if how == "stopped" else own_redis.go_on)()
    with anyio.fail_after(10):
        while "answers again" not in caplog.text:
            await guess(backend, "carol", address=ELSEWHERE)
            await anyio.sleep(0.1)
    # There it begins anew, or goes on with what it knew.
    assert await guess(backend) == 401
    assert len(warnings_of(caplog)) == 1
    for text in ("alice", "bob", "carol", "wrong", ELSEWHERE, str(own_redis.port)):
        assert text not in caplog.text


async def test_connections_that_were_idle_while_it_started_anew_are_not_an_outage(
    own_redis: OwnRedis, backend: Throttled, caplog: pytest.LogCaptureFixture
) -> None:
    await at_once([lambda: guess(backend, "bob", "bobpwd")] * 50)
    own_redis.stop()
    own_redis.start()
    assert await guesses(backend, 6) == [401] * 5 + [429]
    assert warnings_of(caplog) == []


async def test_what_hung_leaves_no_place_behind(
    own_redis: OwnRedis, backend: Throttled, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert await guess(backend, "bob", "bobpwd") == 200
    own_redis.hang()
    await at_once([lambda: guess(backend, password="alicepwd", address=ELSEWHERE)] * 20)
    own_redis.go_on()
    with anyio.fail_after(8):
        while "answers again" not in caplog.text:
            await guess(backend, "bob", "bobpwd")
            await anyio.sleep(0.1)
        # None waits for one that was given up.
        statuses = await at_once([lambda: guess(backend, address=ELSEWHERE)] * 10)
    assert Counter(statuses) == {401: 5, 429: 5}


async def test_an_attempt_that_can_not_end_there_is_counted_here(
    own_redis: OwnRedis, backend: Throttled, passwords: Passwords
) -> None:
    for _ in range(5):
        passwords.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(guess, backend)
            hashed = passwords.hashed
            while passwords.hashed == hashed:  # noqa: ASYNC110 - it has no event
                await anyio.sleep(0.001)
            own_redis.stop()
            passwords.gate.set()
        passwords.gate = None
        own_redis.start()
        await anyio.sleep(1.1)
        assert await guess(backend, "bob", "bobpwd") == 200
    own_redis.stop()
    assert await guess(backend) == 429


async def test_a_success_that_can_not_end_there_is_trusted_here(
    own_redis: OwnRedis, backend: Throttled
) -> None:
    async with backend.attempt(connection(), "alice") as attempt:
        own_redis.stop()
        attempt.succeed()
    await guesses(backend, 5, address=ELSEWHERE)
    assert await guess(backend, password="alicepwd") == 200
    assert await guess(backend, password="alicepwd", address=ELSEWHERE) == 429


async def test_who_is_cancelled_in_an_outage_leaves_nothing_behind(
    own_redis: OwnRedis, passwords: Passwords, own_store: RedisStore
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=own_store)
    assert await guess(backend, "bob", "bobpwd") == 200
    own_redis.hang()
    with anyio.move_on_after(0.05):
        await guess(backend)
    with anyio.CancelScope() as scope:
        async with backend.attempt(connection(), "alice"):
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert await guesses(backend, 2) == [401, 429]


async def test_stopped_and_started_under_load(
    own_redis: OwnRedis, passwords: Passwords, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    limits = (Limit(by_username, 5, per=MINUTE),)
    store = RedisStore(client, secret=SECRET)
    backend = Throttled(passwords, *limits, store=store)
    statuses: list[int] = []
    ended = False

    async def attack() -> None:
        while not ended:
            statuses.append(await guess(backend))
            await anyio.lowlevel.checkpoint()

    async def log_in() -> None:
        while not ended:
            statuses.append(await guess(backend, "bob", "bobpwd"))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(attack)
            tasks.start_soon(log_in)
        for _ in range(2):
            await anyio.sleep(0.2)
            own_redis.stop()
            await anyio.sleep(0.5)
            own_redis.start()
            await anyio.sleep(1.5)
        ended = True
    # It forgets all when it is stopped, and this process counts for itself beside it.
    assert Counter(statuses)[401] <= 5 * 4
    assert set(statuses) <= {200, 401, 429}
    assert len(warnings_of(caplog)) == 1


async def test_a_key_of_another_type_is_an_outage(
    client: Redis, backend: Throttled, caplog: pytest.LogCaptureFixture
) -> None:
    assert await guess(backend) == 401
    for key in await client.keys("*"):
        await client.set(key, "something else")
    assert await guesses(backend, 6) == [401] * 5 + [429]
    assert warnings_of(caplog) == [WARNING.format("ResponseError")]


@pytest.mark.parametrize(
    "answer",
    [None, [], [0], ["0", "1"], "OK", [0, 1], [9, 1], [1, 1], [2, 1], [2, 1, 9, 0], [3, 1, 1]],
)
async def test_an_answer_that_is_none_of_the_scripts_is_an_outage(
    own_redis: OwnRedis, passwords: Passwords, answer: Any
) -> None:
    class Nonsense(Redis):
        async def evalsha(self, *args: Any, **options: Any) -> Any:
            return answer

    async with Nonsense(port=own_redis.port) as client:
        backend = Throttled(passwords, *LIMITS, store=RedisStore(client, secret=SECRET))
        assert await guesses(backend, 6) == [401] * 5 + [429]


async def test_a_client_that_is_not_to_be_stopped(
    own_redis: OwnRedis, passwords: Passwords, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Redis):
        async def evalsha(self, *args: Any, **options: Any) -> Any:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            return [0, 1, 0, 0]

    async with Stubborn(port=own_redis.port) as client:
        backend = Throttled(passwords, *LIMITS, store=RedisStore(client, secret=SECRET))
        with anyio.fail_after(5):
            assert await guesses(backend, 6) == [401] * 5 + [429]
    assert warnings_of(caplog) == [WARNING.format("TimeoutError")]


async def test_one_answer_that_is_lost_beside_others_is_not_an_outage(
    own_redis: OwnRedis, passwords: Passwords, caplog: pytest.LogCaptureFixture
) -> None:
    class Losing(Redis):
        lost = 0

        async def evalsha(self, *args: Any, **options: Any) -> Any:
            self.lost += 1
            if self.lost == 1:
                await asyncio.sleep(60)
            return await super().evalsha(*args, **options)

    async with Losing(port=own_redis.port) as client:
        backend = Throttled(passwords, *LIMITS, store=RedisStore(client, secret=SECRET))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(guess, backend)
            while not client.lost:
                await anyio.lowlevel.checkpoint()
            assert await guess(backend, "bob", "bobpwd") == 200
        # That one was counted here. The others are counted there, as before.
        assert await guesses(backend, 6) == [401] * 5 + [429]
    assert warnings_of(caplog) == [WARNING.format("TimeoutError")]


async def test_a_client_without_connections(
    own_redis: OwnRedis, passwords: Passwords, caplog: pytest.LogCaptureFixture
) -> None:
    client = Redis(host="127.0.0.1", port=1)
    backend = Throttled(passwords, *LIMITS, store=RedisStore(client, secret=SECRET))
    with anyio.fail_after(5):
        assert await guesses(backend, 6) == [401] * 5 + [429]
    assert len(warnings_of(caplog)) == 1
    await client.aclose()


async def test_failures_there_and_here_side_by_side(
    own_redis: OwnRedis, own_store: RedisStore, passwords: Passwords
) -> None:
    class Stopping(Passwords):
        async def verify(self, username: str, password: str) -> Any:
            own_redis.stop()
            return await super().verify(username, password)

    passwords.passwords = {}
    right = Passwords()
    stopping = Stopping()
    limit = Limit(by_username, 1, per=MINUTE)
    backend = FirstRight(
        Throttled(passwords, limit, store=own_store),
        Throttled(stopping, limit, store=own_store),
        Throttled(right, limit, store=own_store),
    )
    stopping.passwords = {}
    assert await guess(backend, password="alicepwd") == 200
    assert await guess(backend, password="alicepwd") == 200
    assert await guess(backend) == 401
    assert await guess(backend) == 429


async def test_it_is_logged_again_after_a_minute(
    own_redis: OwnRedis,
    backend: Throttled,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("starlette_auth_throttle._line._LOG_AGAIN", 0.2)
    own_redis.stop()
    await guesses(backend, 3)
    assert len(warnings_of(caplog)) == 1
    await anyio.sleep(0.25)
    await guesses(backend, 3)
    assert len(warnings_of(caplog)) == 2


def test_on_trio_attempts_are_counted_here(
    own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    store = RedisStore(Redis(port=own_redis.port), secret=SECRET)
    backend = Throttled(Passwords(), *LIMITS, store=store)
    assert trio.run(guesses, backend, 6) == [401] * 5 + [429]
    assert warnings_of(caplog) == [WARNING.format("it needs asyncio")]


def test_a_client_of_another_loop_is_no_error(
    own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    client = Redis(port=own_redis.port)
    store = RedisStore(client, secret=SECRET)
    backend = Throttled(Passwords(), *LIMITS, store=store)
    loops = [asyncio.new_event_loop() for _ in range(2)]
    assert loops[0].run_until_complete(guess(backend)) == 401
    assert loops[1].run_until_complete(guesses(backend, 6))[-1] == 429
    # Each connection is closed in its own loop.
    for loop in reversed(loops):
        loop.run_until_complete(client.connection_pool.disconnect())
        loop.run_until_complete(asyncio.sleep(0))
    for loop in loops:
        loop.close()
    assert len(warnings_of(caplog)) <= 1


@pytest.mark.parametrize("when", ["asked", "checking"])
def test_a_loop_that_ends_meanwhile(
    own_redis: OwnRedis, passwords: Passwords, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    client = Redis(port=own_redis.port)
    backend = Throttled(passwords, *LIMITS, store=RedisStore(client, secret=SECRET, timeout=5))

    async def main() -> None:
        assert await guess(backend) == 401
        if when == "asked":
            own_redis.hang()
        else:
            passwords.gate = anyio.Event()
        for _ in range(3):
            asyncio.ensure_future(guess(backend))  # noqa: RUF006 - the loop knows it
        await asyncio.sleep(0.05)

    async def end() -> None:
        # As `asyncio.run` does.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(end())
    own_redis.go_on()
    loop.run_until_complete(client.aclose())
    loop.close()
    assert warnings_of(caplog) == []


def test_an_attempt_that_is_abandoned_without_a_loop(
    own_redis: OwnRedis, passwords: Passwords
) -> None:
    client = Redis(port=own_redis.port)
    backend = Throttled(passwords, *LIMITS, store=RedisStore(client, secret=SECRET))
    loop = asyncio.new_event_loop()

    async def begin() -> Any:
        passwords.gate = anyio.Event()
        left = asyncio.ensure_future(guess(backend))
        while not passwords.hashed:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
        return left

    left = loop.run_until_complete(begin())
    left.get_coro().close()
    left._log_destroy_pending = False  # asyncio would complain
    loop.run_until_complete(client.aclose())
    loop.close()


async def test_what_redis_has_ended_by_itself_is_not_ended_again(
    own_redis: OwnRedis, backend: Throttled, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await guess(backend, "bob", "bobpwd") == 200
    monkeypatch.setattr("starlette_auth_throttle._redis._LEASE", 0.0)
    own_redis.stop()
    assert await guesses(backend, 2) == [401, 401]
    own_redis.start()
    monkeypatch.setattr("starlette_auth_throttle._redis._LEASE", 20.0)
    await anyio.sleep(1.1)
    assert await guesses(backend, 6) == [401] * 5 + [429]


async def test_an_outage_that_comes_again_keeps_what_is_to_be_given_back(
    own_redis: OwnRedis, backend: Throttled, own_store: RedisStore, passwords: Passwords
) -> None:
    async with backend.attempt(connection(), "alice"):
        own_redis.hang()
    own_redis.stop()
    assert len(own_store._debts) == 1
    await own_store._pay()
    assert len(own_store._debts) == 1
