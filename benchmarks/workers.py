"""How many threads should hash, and at which priority: a hundred logins beside a ping.

Run it with `starlette-auth-hashers[argon2]` installed: `python benchmarks/workers.py`.

Each variant is a process of its own, with a server that answers one byte with one byte. This
process sends one every few milliseconds for as long as the storm lasts, and takes the time of each
answer. The variants take turns, round after round, so that what slows the machine for a while slows
all of them. The memory is the most that the process had, some 35 MiB of it before the first hash.

The workers of lower priority give way to whatever else the machine does: run it on an idle one.
"""

import argparse
import asyncio
import os
import platform
import resource
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

import anyio.to_thread

from starlette_auth_hashers import Argon2Hasher, _workers, configure

# Threads, and how much lower their priority is. 40 are anyio's own.
VARIANTS = [(40, 0), (2, 0), (2, 10), (1, 0), (1, 10)]


@dataclass
class Result:
    total: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    pings: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--logins", type=int, default=100)
    parser.add_argument("--variant", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        asyncio.run(storm(options.logins, *options.variant))
        return

    results = {variant: Result() for variant in VARIANTS}
    for number in range(options.rounds):
        for variant in VARIANTS[number % 2 :] + VARIANTS[: number % 2]:
            measure(variant, options.logins, results[variant])
    cores = len(os.sched_getaffinity(0))
    print(f"Python {platform.python_version()}, {cores} cores, {options.logins} logins,")
    print(f"Argon2 with 64 MiB, 3 passes, 4 lanes; medians of {options.rounds} rounds")
    print(f"{'threads':>8} {'nice':>5} {'total':>8} {'ping p50':>10} {'p99':>10} {'memory':>10}")
    for (threads, nice), result in results.items():
        p50, p99 = (statistics.quantiles(result.pings, n=100)[at] * 1000 for at in (49, 98))
        print(
            f"{threads:8} {nice:5} {statistics.median(result.total):7.1f}s "
            f"{p50:8.1f}ms {p99:8.1f}ms {statistics.median(result.memory):7.0f}MiB"
        )


def measure(variant: tuple[int, int], logins: int, result: Result) -> None:
    command = [sys.executable, __file__, f"--logins={logins}", "--variant", *map(str, variant)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                start = time.perf_counter()
                connection.sendall(b"?")
                if connection.recv(1) != b"!":
                    break
                result.pings.append(time.perf_counter() - start)
                time.sleep(0.004)
        total, memory = process.stdout.readline().split()
        result.total.append(float(total))
        result.memory.append(int(memory))


async def storm(logins: int, threads: int, nice: int) -> None:
    hasher = Argon2Hasher()
    hashed = hasher.make_sync("secret")
    cheap = Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1)
    stored = cheap.make_sync("secret")
    _workers._LOWER_PRIORITY = nice
    configure(workers=threads, max_waiting=logins)
    connected = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        while await reader.read(1):
            writer.write(b"!" if connected.is_set() else b".")
            await writer.drain()
        writer.close()

    async def login(hasher: Argon2Hasher, hashed: str) -> None:
        if threads == 40:
            assert await anyio.to_thread.run_sync(hasher.verify_sync, "secret", hashed)
        else:
            assert await hasher.verify("secret", hashed)

    # All threads are there before it begins, and what the first hash loads.
    await asyncio.gather(*(login(cheap, stored) for _ in range(logins)))
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await connected.wait()
    start = time.perf_counter()
    await asyncio.gather(*(login(hasher, hashed) for _ in range(logins)))
    total = time.perf_counter() - start
    connected.clear()
    await asyncio.sleep(0.1)  # the last ping is told so
    print(total, memory(), flush=True)


def memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
