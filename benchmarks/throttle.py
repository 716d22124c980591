"""What a throttle adds to a login, beside the cheapest hash, and what names cost in memory.

The wrapped backend returns at once, so that only the throttle is measured. Each attempt has three
limits, as in the guide: two by user name and one by address.
"""

import asyncio
import base64
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from measure import Result, Spread, Steps, Table, hand_over, in_turns, options, wall_time
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.requests import HTTPConnection

from starlette_auth_core import BaseBasicAuth, InvalidCredentials
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_throttle import (
    Limit,
    MemoryStore,
    RedisStore,
    Throttled,
    by_address,
    by_username,
)

URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
LIMITS = (
    Limit(by_username, 5, per=timedelta(minutes=1)),
    Limit(by_username, 100, per=timedelta(hours=12)),
    Limit(by_address, 1_000_000, per=timedelta(minutes=1)),
)
# The cheapest one that OWASP's Password Storage Cheat Sheet names.
CHEAPEST = Argon2Hasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
PASSWORD = "correct horse battery staple"


class AtOnce(BaseBasicAuth[str]):
    async def verify(self, username: str, password: str) -> str | None:
        return username if password == PASSWORD else None


def connection(username: str, password: str) -> HTTPConnection:
    header = b"Basic " + base64.b64encode(f"{username}:{password}".encode())
    scope = {"type": "http", "headers": [(b"authorization", header)], "client": ("192.0.2.1", 1)}
    return HTTPConnection(scope)


def logins(runner: asyncio.Runner, backend: Any, calls: int, password: str) -> Callable[[], None]:
    async def log_in() -> None:
        for _ in range(calls):
            # Each time another one, so that no limit is reached.
            with suppress(InvalidCredentials):
                await backend.authenticate(connection(secrets.token_hex(8), password))

    return lambda: runner.run(log_in())


def hashes() -> Callable[[], None]:
    hashed = CHEAPEST.make_sync(PASSWORD)

    def verify() -> None:
        assert CHEAPEST.verify_sync(PASSWORD, hashed)

    return verify


async def redis_or_none() -> Redis | None:
    client = Redis.from_url(URL)
    try:
        await client.ping()
    except RedisError:
        await client.aclose()
        return None
    return client


def resident() -> int:
    """Return the memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def bytes_of_a_name(names: int) -> float:
    store = MemoryStore(max_keys=3 * names)
    backend = Throttled(AtOnce(), *LIMITS, store=store)
    before = resident()
    for number in range(names):
        async with backend.attempt(None, f"somebody-{number}@example.com"):
            pass
    return (resident() - before) / names


def main() -> None:
    full = options(__doc__).full
    rounds, calls, names = (40, 500, 1_000_000) if full else (10, 100, 100_000)
    steps = Steps(rounds + 1)
    with asyncio.Runner() as runner:
        client = runner.run(redis_or_none())
        backends: dict[str, Any] = {
            "no throttle": AtOnce(),
            "MemoryStore": Throttled(AtOnce(), *LIMITS),
        }
        if client is not None:
            store = RedisStore(
                client, secret=secrets.token_bytes(32), prefix="benchmark:", timeout=5
            )
            backends["RedisStore"] = Throttled(AtOnce(), *LIMITS, store=store)
        contestants = {
            f"{name}, {kind}": wall_time(logins(runner, backend, calls, password))
            for name, backend in backends.items()
            for kind, password in (("a success", PASSWORD), ("a failure", "wrong"))
        }
        contestants["hash"] = wall_time(hashes())
        times = in_turns(contestants, rounds, steps, "Attempts")
        steps.step("names in memory")
        size = runner.run(bytes_of_a_name(names))
        if client is not None:
            runner.run(clear(client))
    hand_over(report(times, rounds, calls, names, size))


async def clear(client: Redis) -> None:
    async for key in client.scan_iter(match="{benchmark:}*", count=1000):
        await client.delete(key)
    await client.aclose()


def report(
    times: dict[str, list[float]], rounds: int, calls: int, names: int, size: float
) -> Result:
    result = Result()
    result.used("starlette-auth-throttle", "redis")
    hash_time = Spread.of(times.pop("hash")).median
    table = Table(
        "What an attempt adds",
        ["Store", "Attempt", "It adds", "Beside a hash"],
        note=f"Three limits, {rounds} rounds of {calls} attempts, one at a time: medians. The hash "
        f"is the cheapest Argon2id (19 MiB, t=2, p=1), which took {hash_time * 1e3:.1f} ms.",
    )
    most = 0.0
    for name, figures in times.items():
        store, _, kind = name.partition(", ")
        if store == "no throttle":
            continue
        plain = times[f"no throttle, {kind}"]
        added = [own - other for own, other in zip(figures, plain, strict=True)]
        median = Spread.of(added).median / calls
        most = max(most, median)
        share = f"{median / hash_time:.2%}"
        table.rows.append([f"`{store}`", kind, f"{median * 1e6:,.0f} µs", share])
    result.tables.append(table)
    memory = Table(
        "Names in memory",
        ["Names", "Limits", "A name", "A million names"],
        rows=[
            [f"{names:,}", "2 by user name", f"{size:,.0f} bytes", f"{size * 1e6 / 2**20:,.0f} MiB"]
        ],
        note="Each has failed once. `MemoryStore` keeps 100,000 keys unless it is told otherwise.",
    )
    result.tables.append(memory)
    result.aim(
        "an attempt adds under a tenth of the cheapest hash, over Redis too",
        f"{most / hash_time:.1%} at most",
        met=most < hash_time / 10,
        why_not="Two round trips an attempt wait for a busy machine.",
    )
    return result


if __name__ == "__main__":
    main()
