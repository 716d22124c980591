"""What a check costs beyond the algorithm itself, as ratios measured in turns.

Run it with `starlette-auth-hashers[argon2,bcrypt]` installed: `python benchmarks/hashing.py`.

Each round checks the same password against the same hash with the plain library and with our
hasher, one right after the other, in an order of its own. What is shown is the median of the
rounds' ratios, by processor time, so that what else the machine does matters little.
"""

import argparse
import base64
import hashlib
import hmac
import platform
import random
import statistics
import time
from collections.abc import Callable

import argon2
import bcrypt

from starlette_auth_hashers import Argon2Hasher, BCryptHasher, CachingHasher, Hasher, PBKDF2Hasher

PASSWORD = "correct horse battery staple"
Check = Callable[[], bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    print(f"Python {platform.python_version()}, {rounds} rounds")
    print(f"{'':24} {'library':>10} {'ours':>10} {'overhead':>9}")
    for name, raw, ours in contestants():
        assert raw()
        assert ours()
        library, own, ratio = measure(raw, ours, rounds)
        print(f"{name:24} {library:8.2f}ms {own:8.2f}ms {(ratio - 1) * 100:+8.2f}%")
    hit()


def contestants() -> list[tuple[str, Check, Check]]:
    pbkdf2, bcrypts, argon = PBKDF2Hasher(), BCryptHasher(), Argon2Hasher()
    cheap = Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1)
    pairs = []
    hashed = pbkdf2.make_sync(PASSWORD)
    pairs.append(("PBKDF2, 600,000", *pair(pbkdf2, hashed, raw_pbkdf2(hashed))))
    hashed = bcrypts.make_sync(PASSWORD)
    encoded = hashed.encode()
    pairs.append(
        ("bcrypt, 12", *pair(bcrypts, hashed, lambda: bcrypt.checkpw(PASSWORD.encode(), encoded)))
    )
    for name, hasher in (("Argon2, 64 MiB, 3, 4", argon), ("Argon2, 19 MiB, 2, 1", cheap)):
        hashed = hasher.make_sync(PASSWORD)
        pairs.append((name, *pair(hasher, hashed, raw_argon2(hashed))))
    return pairs


def pair(hasher: Hasher, hashed: str, raw: Check) -> tuple[Check, Check]:
    return raw, lambda: hasher.verify_sync(PASSWORD, hashed)


def raw_argon2(hashed: str) -> Check:
    library = argon2.PasswordHasher()
    return lambda: library.verify(hashed, PASSWORD)


def raw_pbkdf2(hashed: str) -> Check:
    _, _, rounds, salt, digest = hashed.split("$")
    salted, expected = (
        base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4)) for text in (salt, digest)
    )
    password, count = PASSWORD.encode(), int(rounds)
    return lambda: hmac.compare_digest(
        hashlib.pbkdf2_hmac("sha256", password, salted, count), expected
    )


def measure(raw: Check, ours: Check, rounds: int) -> tuple[float, float, float]:
    times: dict[Check, list[float]] = {raw: [], ours: []}
    for _ in range(rounds):
        for check in random.sample([raw, ours], 2):
            start = time.process_time()
            check()
            times[check].append(time.process_time() - start)
    ratios = [own / library for library, own in zip(times[raw], times[ours], strict=True)]
    milliseconds = [statistics.median(times[check]) * 1000 for check in (raw, ours)]
    return milliseconds[0], milliseconds[1], statistics.median(ratios)


def hit() -> None:
    """Show what CachingHasher takes for an answer from memory."""
    hasher = CachingHasher(PBKDF2Hasher(rounds=1), ttl=3600, max_entries=10)
    hashed = hasher.make_sync(PASSWORD)
    assert hasher.verify_sync(PASSWORD, hashed)
    count = 20_000
    start = time.process_time()
    for _ in range(count):
        hasher.verify_sync(PASSWORD, hashed)
    print(f"CachingHasher, a hit: {(time.process_time() - start) / count * 1e6:.1f} µs")


if __name__ == "__main__":
    main()
