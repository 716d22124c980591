"""Repeated Basic: what a password that `CachingHasher` remembers costs, next to a full check."""

import asyncio
import base64
import tracemalloc

from measure import (
    Result,
    Spread,
    Steps,
    Table,
    drive,
    hand_over,
    in_turns,
    options,
    processor_time,
    wall_time,
)
from starlette.requests import HTTPConnection

from starlette_auth_core import BaseBasicAuth
from starlette_auth_hashers import Argon2Hasher, CachingHasher, PBKDF2Hasher

PASSWORD = "correct horse battery staple"
LOGINS = 100
ENTRIES = 10_000


class CountingHasher(PBKDF2Hasher):
    """Counts the hashes that it computes."""

    count = 0

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        self.count += 1
        return super().verify_sync(secret, hashed)


class Basic(BaseBasicAuth[str]):
    def __init__(self, hasher: CachingHasher, hashed: str) -> None:
        self.hasher = hasher
        self.hashed = hashed

    async def find_user(self, username: str) -> str | None:
        return username

    def get_password_hash(self, user: str) -> str | None:
        return self.hashed


async def burst() -> int:
    """Return how many hashes a hundred equal logins at once cost."""
    counting = CountingHasher()
    backend = Basic(CachingHasher(counting, ttl=60, max_entries=10), counting.make_sync(PASSWORD))
    credentials = base64.b64encode(f"alice:{PASSWORD}".encode())
    headers = [(b"authorization", b"Basic " + credentials)]
    conns = [HTTPConnection({"type": "http", "headers": headers}) for _ in range(LOGINS)]
    results = await asyncio.gather(*map(backend.authenticate, conns))
    assert all(results)
    return counting.count


def bytes_per_entry() -> float:
    cheap = PBKDF2Hasher(rounds=1)
    hasher = CachingHasher(cheap, ttl=3600, max_entries=ENTRIES)
    pairs = [(f"{PASSWORD} {number}", "") for number in range(ENTRIES)]
    pairs = [(secret, cheap.make_sync(secret)) for secret, _ in pairs]
    hasher.verify_sync(*pairs[0])
    hasher.clear()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for secret, hashed in pairs:
        hasher.verify_sync(secret, hashed)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / ENTRIES


def main() -> None:
    rounds, calls = (25, 2_000) if options(__doc__).full else (5, 500)
    steps = Steps(2 * rounds + 2)
    plain = Argon2Hasher()
    hashed = plain.make_sync(PASSWORD)
    hasher = CachingHasher(plain, ttl=3600, max_entries=10)
    assert hasher.verify_sync(PASSWORD, hashed)
    table = Table(
        "A check of a password, Argon2id with 64 MiB, t=3, p=4",
        ["Clock", "Remembered", "Full check", "How many times faster"],
        note=f"{rounds} rounds; of each, one full check and {calls} from memory.",
    )
    result = Result(tables=[table])
    least = float("inf")
    for name, clock in (("time", wall_time), ("processor time", processor_time)):
        figures = in_turns(
            {
                "remembered": clock(lambda: drive(hasher.verify(PASSWORD, hashed)), calls),
                "full": clock(lambda: plain.verify_sync(PASSWORD, hashed)),
            },
            rounds,
            steps,
            name,
        )
        ratio = Spread.of_ratios(figures["full"], figures["remembered"])
        least = min(least, ratio.median)
        table.rows.append(
            [
                name,
                f"{Spread.of(figures['remembered']).median * 1e6:.2f} µs",
                f"{Spread.of(figures['full']).median * 1e3:.1f} ms",
                ratio.text("{:,.0f}"),
            ]
        )
    steps.step(f"{LOGINS} equal logins at once")
    hashes = asyncio.run(burst())
    steps.step("memory")
    size = bytes_per_entry()
    result.tables.append(
        Table(
            "What else it costs",
            ["What", "Ours", "Without it", "Ours / without"],
            [
                [
                    f"hashes for {LOGINS} equal logins at once",
                    str(hashes),
                    str(LOGINS),
                    f"{hashes / LOGINS:.2f}",
                ],
                [f"memory per password, of {ENTRIES:,}", f"{size:.0f} bytes", "none", ""],
            ],
        )
    )
    result.aim(
        "at least 10,000 times faster for Argon2's defaults",
        f"{least:,.0f} times",
        met=least >= 10_000,
        why_not="A hit is one keyed BLAKE2 of password and stored hash, and a coroutine around "
        "it. Nothing of that can be left out: a hit has to be bound to the stored hash.",
    )
    result.aim(
        f"one hash for {LOGINS} equal logins at once",
        f"{hashes}",
        met=hashes == 1,
        why_not="Checks at the same time did not share.",
    )
    result.used("starlette-auth-hashers", "starlette-auth-core")
    hand_over(result)


if __name__ == "__main__":
    main()
