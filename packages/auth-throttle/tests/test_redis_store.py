"""The store over Redis: what it sends, what it keeps, and how it asks."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import pytest
from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from throttle_backends import ELSEWHERE, HOME, Passwords, at_once, basic, connection, guess, guesses
from throttle_redis import URL

from starlette_auth_core import AuthenticationUnavailable
from starlette_auth_throttle import Limit, RedisStore, Throttled, by_address, by_username

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)
LIMITS = (Limit(by_username, 5, per=MINUTE), Limit(by_address, 20, per=MINUTE))
SECRET = b"a secret of the tests' own"


async def keys_of(redis: Redis, prefix: str) -> Sequence[bytes]:
    return [key async for key in redis.scan_iter(match=f"*{prefix}*", count=1000)]


async def use(backend: Throttled) -> None:
    """Leave every kind of key behind, places in flight too."""
    assert await guess(backend, password="alicepwd") == 200
    assert await guess(backend, address=ELSEWHERE) == 401
    assert await guess(backend) == 401


async def test_every_key_is_in_one_slot_and_expires(
    redis: Redis, redis_store: RedisStore, prefix: str, passwords: Passwords
) -> None:
    backend = Throttled(passwords, *LIMITS, store=redis_store)
    async with backend.attempt(connection(), "bob"):
        await use(backend)
        keys = await keys_of(redis, prefix)
        kinds = {key.split(b"}")[1].split(b":")[0] for key in keys}
        assert kinds == {b"failed", b"flying", b"trusted"}
        for key in keys:
            assert key.startswith(f"{{{prefix}}}".encode())
            assert await redis.pttl(key) > 0
        # Trust lasts 30 days, and a place longer than others wait for it.
        lives = [await redis.ttl(key) for key in keys]
        assert max(lives) == pytest.approx(30 * 86_400, abs=60)
        assert min(lives) > 10


async def test_nothing_is_readable_and_nothing_known_without_the_secret(
    redis: Redis, redis_store: RedisStore, prefix: str, passwords: Passwords
) -> None:
    backend = Throttled(passwords, *LIMITS, store=redis_store)
    sent: list[bytes] = []
    client: Any = redis  # whose `monitor` has no types
    monitor: Any = client.monitor()

    async def listen() -> None:
        async for command in monitor.listen():
            sent.append(repr(command).encode())  # noqa: PERF401 - it is cancelled

    async with monitor, anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await use(backend)
        await anyio.sleep(0.1)
        tasks.cancel_scope.cancel()
    stored = [repr(await redis.dump(key)).encode() for key in await keys_of(redis, prefix)]
    ours = [command for command in sent if prefix.encode() in command]
    assert ours
    for text in (b"alice", HOME.encode(), ELSEWHERE.encode(), SECRET):
        assert not any(text in each for each in [*stored, *ours])
    other = RedisStore(redis, secret=b"y" * 16, prefix=prefix, timeout=5)
    before = set(await keys_of(redis, prefix))
    await guesses(Throttled(passwords, LIMITS[0], store=other), 1)
    after = set(await keys_of(redis, prefix))
    assert len(after - before) == 1


async def test_a_lookup_is_two_round_trips(
    redis_store: RedisStore, redis: Redis, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Throttled(passwords, *LIMITS, store=redis_store)
    await guess(backend)
    sent: list[str] = []
    execute: Any = redis.execute_command

    async def noting(name: str, *args: Any, **options: Any) -> Any:
        sent.append(name)
        return await execute(name, *args, **options)

    monkeypatch.setattr(redis, "execute_command", noting)
    await guess(backend)
    await guess(backend, password="alicepwd")
    assert sent == ["EVALSHA"] * 4


async def test_the_scripts_survive_a_flush(
    redis: Redis, redis_store: RedisStore, passwords: Passwords
) -> None:
    backend = Throttled(passwords, *LIMITS, store=redis_store)
    assert await guesses(backend, 2) == [401, 401]
    await redis.script_flush()
    assert await guesses(backend, 2) == [401, 401]
    async with backend.attempt(connection(), "alice"):
        await redis.script_flush()
    assert await guess(backend) == 429


async def test_the_scripts_survive_a_flush_at_any_time(
    redis: Redis,
    redis_store: RedisStore,
    passwords: Passwords,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    backend = Throttled(passwords, *LIMITS, store=redis_store)
    execute: Any = redis.execute_command

    async def flushing(name: str, *args: Any, **options: Any) -> Any:
        if name == "EVALSHA":
            await execute("SCRIPT FLUSH")
        return await execute(name, *args, **options)

    monkeypatch.setattr(redis, "execute_command", flushing)
    assert await guesses(backend, 6) == [401] * 5 + [429]
    assert not caplog.records


async def test_two_stores_count_together(
    redis: Redis, redis_store: RedisStore, prefix: str, passwords: Passwords
) -> None:
    other = RedisStore(redis, secret=SECRET, prefix=prefix, timeout=5)
    backends = [Throttled(passwords, *LIMITS, store=store) for store in (redis_store, other)]
    statuses = await at_once([partial(guess, backend) for backend in backends * 30])
    assert Counter(statuses) == {401: 5, 429: 55}
    apart = RedisStore(redis, secret=SECRET, prefix=prefix + "apart:", timeout=5)
    assert await guess(Throttled(passwords, *LIMITS, store=apart)) == 401


async def test_who_waits_for_another_process_goes_on_when_that_is_known(
    redis: Redis, redis_store: RedisStore, prefix: str, passwords: Passwords
) -> None:
    limit = Limit(by_username, 1, per=MINUTE)
    other = RedisStore(redis, secret=SECRET, prefix=prefix, timeout=5)
    here, there = (Throttled(passwords, limit, store=store) for store in (redis_store, other))
    statuses = []

    async def log_in() -> None:
        statuses.append(await guess(here, password="alicepwd"))

    async with (
        anyio.create_task_group() as tasks,
        there.attempt(connection(), "alice") as attempt,
    ):
        for _ in range(5):
            tasks.start_soon(log_in)
        await anyio.sleep(0.1)
        assert statuses == []
        attempt.succeed()
    assert statuses == [200] * 5


@pytest.mark.parametrize("decode_responses", [False, True])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_clients_with_other_options(
    redis: Redis, prefix: str, passwords: Passwords, decode_responses: bool, protocol: int
) -> None:
    options: Any = {"decode_responses": decode_responses, "protocol": protocol}
    async with Redis.from_url(URL, **options) as client:
        store = RedisStore(client, secret=SECRET, prefix=prefix, timeout=5)
        backend = Throttled(passwords, *LIMITS, store=store)
        assert await guesses(backend, 6) == [401] * 5 + [429]
        assert await guess(Throttled(passwords, LIMITS[0], store=store)) == 429


@pytest.mark.parametrize("kind", [ConnectionPool, BlockingConnectionPool])
async def test_a_burst_needs_no_more_connections_than_there_are(
    redis: Redis, prefix: str, passwords: Passwords, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pool = kind.from_url(URL, max_connections=5)
    async with Redis(connection_pool=pool) as client:
        store = RedisStore(client, secret=SECRET, prefix=prefix, timeout=5)
        backend = Throttled(passwords, *LIMITS, store=store)
        statuses = await at_once([lambda: guess(backend)] * 150)
    await pool.aclose()
    assert Counter(statuses) == {401: 5, 429: 145}
    assert caplog.text == ""


async def test_the_wait_for_a_connection_is_not_part_of_the_time_limit(
    redis: Redis, prefix: str, passwords: Passwords, caplog: pytest.LogCaptureFixture
) -> None:
    # A hundred answers take longer than the limit, which is for each of them.
    pool = ConnectionPool.from_url(URL, max_connections=1)
    async with Redis(connection_pool=pool) as client:
        store = RedisStore(client, secret=SECRET, prefix=prefix, timeout=0.1)
        backend = Throttled(passwords, *LIMITS, store=store)
        statuses = await at_once([lambda: guess(backend)] * 300)
    await pool.aclose()
    assert Counter(statuses) == {401: 5, 429: 295}
    assert caplog.text == ""


async def test_the_time_limit_does_not_run_while_our_own_loop_is_late(
    redis: Redis, prefix: str, passwords: Passwords, caplog: pytest.LogCaptureFixture
) -> None:
    store = RedisStore(redis, secret=SECRET, prefix=prefix, timeout=0.1)
    backend = Throttled(passwords, *LIMITS, store=store)
    await guess(backend, "bob")

    async def block() -> None:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
            time.sleep(0.15)  # noqa: ASYNC251 - on purpose: it is what a busy app does

    statuses: Sequence[int] = ()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(block)
        statuses = await at_once([lambda: guess(backend)] * 10)
    assert Counter(statuses) == {401: 5, 429: 5}
    assert caplog.text == ""


async def test_who_is_cancelled_while_redis_is_asked_leaves_nothing_behind(
    redis: Redis, redis_store: RedisStore, prefix: str, passwords: Passwords
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=redis_store)
    for turns in range(12):
        task = asyncio.ensure_future(guess(backend, password="alicepwd"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with anyio.fail_after(5):
            assert await guess(backend, password="alicepwd") == 200
    assert await guesses(backend, 2) == [401, 429]


async def test_who_is_cancelled_while_a_failure_is_counted_has_failed(
    redis_store: RedisStore, passwords: Passwords
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=redis_store)
    task = asyncio.ensure_future(guess(backend))
    while not passwords.hashed:  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await guess(backend) in {401, 429}
    assert await guess(backend) == 429


async def test_a_place_is_not_kept_for_ever(
    redis: Redis,
    redis_store: RedisStore,
    prefix: str,
    passwords: Passwords,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("starlette_auth_throttle._redis._LEASE", 0.05)
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=redis_store)
    statuses = []

    async def log_in() -> None:
        statuses.append(await guess(backend))

    # A process that dies leaves its place behind. Where it has not died, and is late only, a wrong
    # answer of it would be one too many.
    with pytest.raises(AuthenticationUnavailable):
        async with backend.attempt(connection(), "alice"):
            await log_in()
    assert statuses == [401]
    assert await guess(backend, address=ELSEWHERE) == 429


async def test_a_late_failure_counts_where_there_is_room(
    redis_store: RedisStore, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starlette_auth_throttle._redis._LEASE", 0.01)
    backend = Throttled(passwords, Limit(by_username, 2, per=MINUTE), store=redis_store)
    async with backend.attempt(connection(), "alice"):
        await anyio.sleep(0.02)
        assert await guess(backend) == 401
    assert await guess(backend) == 429


async def test_what_redis_runs_too_late_takes_no_place(
    redis: Redis, redis_store: RedisStore, prefix: str, passwords: Passwords
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=redis_store)
    assert await guess(backend, password="alicepwd") == 200
    # As where it hung: the server's clock is far ahead of what was known of it. It is asked again.
    assert redis_store._ahead is not None
    redis_store._ahead -= 3600
    assert await guess(backend, password="alicepwd") == 200
    assert redis_store._ahead == pytest.approx(time.time() - time.monotonic(), abs=5)


async def test_redis_says_when_to_come_back_by_its_own_clock(
    redis_store: RedisStore, passwords: Passwords
) -> None:
    backend = Throttled(
        passwords, Limit(by_username, 1, per=timedelta(seconds=2)), store=redis_store
    )
    await guess(backend)
    with pytest.raises(AuthenticationUnavailable) as caught:
        await backend.authenticate(connection(basic("alice", "x")))
    assert math.ceil(caught.value.retry_after) in {1, 2}
