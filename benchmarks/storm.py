"""Login storm: many logins at once, and what they do to the rest of an app and to memory.

Each variant is a uvicorn process of its own. Pings are sent every 20 ms whether or not the last one
has been answered, so that a server that stands still is not asked less. The variants take turns,
round after round, in a random order.
"""

import argparse
import asyncio
import base64
import contextlib
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from measure import Result, Spread, Steps, Table, hand_over, options
from storm_app import hasher_of

EMAIL, PASSWORD = "alice@example.com", "correct horse battery staple"
# How each hashes.
VARIANTS = {
    "ours": "ours",
    "anyio": "anyio's 40 threads",
    "release-0.5.0": "release 0.5.0",
    "fastapi-users": "fastapi-users (on the event loop)",
    "processes": "a process pool",
}
ALGORITHMS = {
    "argon2": "Argon2id, 64 MiB, t=3, p=4",
    "pbkdf2": "PBKDF2-SHA256, 600,000",
    "keycloak": "Argon2id, 7 MiB, t=5, p=1 (Keycloak's)",
}
EVERY = 0.02
CORES = len(os.sched_getaffinity(0))
# Rounds of the full form: PBKDF2 takes longest.
ROUNDS = {"argon2": 3, "pbkdf2": 2, "keycloak": 3}
KEYCLOAK_PLANS = 15  # logins per second and core, in its sizing guide


@dataclass
class Run:
    """One storm on one variant."""

    logins: int
    pings: list[float] = field(default_factory=list)
    jobs: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    memory: int = 0
    total: float = 0

    def figures(self) -> dict[str, float]:
        return {
            "ping p50": percentile(self.pings, 50) * 1000,
            "ping p99": percentile(self.pings, 99) * 1000,
            "ping max": max(self.pings) * 1000,
            "job p99": percentile(self.jobs, 99) * 1000,
            "login p99": percentile(self.times, 99),
            "total": self.total,
            "rate": self.logins / self.total / CORES,
            "memory": self.memory / 1024,
        }


UNEXPLAINED = "Not explained: see whether the machine was quiet."
# Why another is better: at what, whether it is the process pool, and whether the event loop.
WHY_NOT = {
    ("ping p99", True, False): "Processes share no interpreter with the server, which never waits "
    "for it then. They take more memory, and a login that was given up keeps its place.",
    ("ping p99", False, True): UNEXPLAINED,
    ("ping p99", False, False): UNEXPLAINED,
    ("memory", True, False): "Ours hash in threads, which keep what they have allocated.",
    ("memory", False, True): "On the event loop one hash at a time is computed: the memory is that "
    "of one, and all else waits. Ours are as many as cores.",
    ("memory", False, False): "Where hashes take next to no memory, it is that of what the server "
    "has imported: more than in the other one.",
}

FORMS = {
    "ping p50": "{:.1f} ms",
    "ping p99": "{:.1f} ms",
    "ping max": "{:.1f} ms",
    "job p99": "{:.1f} ms",
    "login p99": "{:.2f} s",
    "total": "{:.2f} s",
    "rate": "{:.1f}",
    "memory": "{:.0f} MiB",
}


def percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def storm(port: int, pid: int, variant: str, logins: int) -> Run:
    run = Run(logins)
    login = login_of(variant)
    await timed(port, login)  # what the first hash loads
    for path in ("/ping", "/job"):
        await timed(port, get(path))
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(repeat(lambda: timed(port, get("/ping")), run.pings)),
            group.create_task(repeat(lambda: timed(port, get("/job")), run.jobs)),
            group.create_task(watch(pid, run)),
        ]
        start = time.perf_counter()
        run.times = list(await asyncio.gather(*(timed(port, login) for _ in range(logins))))
        run.total = time.perf_counter() - start
        for task in background:
            task.cancel()
    return run


async def repeat(request: Callable[[], Awaitable[float]], times: list[float]) -> None:
    """Make a request every 20 ms, and wait for all of them in the end."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        sent = []
        following = loop.time()
        try:
            while True:
                sent.append(group.create_task(note(request, times)))
                following += EVERY
                await asyncio.sleep(max(0.0, following - loop.time()))
        except asyncio.CancelledError:
            # Not by the group: what was sent is waited for.
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()


async def note(request: Callable[[], Awaitable[float]], times: list[float]) -> None:
    times.append(await request())


async def watch(pid: int, run: Run) -> None:
    while True:
        run.memory = max(run.memory, memory(pid))
        await asyncio.sleep(EVERY)


def memory(pid: int) -> int:
    """Return what a process and its children have resident, in KiB; shared files count once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return resident(pid, "VmRSS") + sum(resident(int(child), "RssAnon") for child in children)


def resident(pid: int, what: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1])
    return 0


async def timed(port: int, request: bytes) -> float:
    start = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    status = answer.partition(b"\r\n")[0]
    assert b" 200 " in status, status
    return time.perf_counter() - start


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


def login_of(variant: str) -> bytes:
    if variant == "fastapi-users":
        body = urlencode({"username": EMAIL, "password": PASSWORD})
        more = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}"
    else:
        credentials = base64.b64encode(f"{EMAIL}:{PASSWORD}".encode()).decode()
        body, more = "", f"Authorization: Basic {credentials}\r\nContent-Length: 0"
    head = f"POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n\r\n"
    return (head + body).encode()


@contextlib.asynccontextmanager
async def server(
    python: str, variant: str, algorithm: str, hashed: str
) -> AsyncIterator[tuple[int, int]]:
    program = Path(__file__).with_name("storm_app.py")
    process = await asyncio.create_subprocess_exec(
        *(python, str(program), variant, algorithm, EMAIL, hashed),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL if variant == "processes" else None,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # with the processes of its pool
        await process.wait()


async def measure(
    algorithm: str, rounds: int, logins: int, old: str, steps: Steps
) -> dict[str, list[dict[str, float]]]:
    hashed = hasher_of(algorithm).make_sync(PASSWORD)
    figures: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
    for number in range(rounds):
        for variant in random.sample(list(VARIANTS), len(VARIANTS)):
            steps.step(f"{ALGORITHMS[algorithm]}, round {number + 1}: {VARIANTS[variant]}")
            python = old if variant == "release-0.5.0" else sys.executable
            async with server(python, variant, algorithm, hashed) as (port, pid):
                run = await storm(port, pid, variant, logins)
            figures[variant].append(run.figures())
    return figures


def table_of(algorithm: str, figures: dict[str, list[dict[str, float]]], logins: int) -> Table:
    rounds = len(figures["ours"])
    table = Table(
        f"{logins} logins at once: {ALGORITHMS[algorithm]}",
        [
            "Hashed by",
            "Ping p50",
            "Ping p99",
            "Ping max",
            "Sync endpoint p99",
            "Login p99",
            "Total time",
            "Logins per second and core",
            "Peak memory",
        ],
        note=f"Medians of {rounds} round{'s' if rounds > 1 else ''}, and in parentheses ours "
        "divided by theirs: median, and quartiles where they differ.",
    )
    for variant, runs in figures.items():
        cells = [VARIANTS[variant]]
        for name, form in FORMS.items():
            cell = form.format(Spread.of([run[name] for run in runs]).median)
            if variant != "ours":
                ratio = ratio_of(figures, name, variant)
                cell += f" (×{compact(ratio)})"  # noqa: RUF001 - times
            cells.append(cell)
        table.rows.append(cells)
    return table


def ratio_of(figures: dict[str, list[dict[str, float]]], name: str, variant: str) -> Spread:
    return Spread.of_ratios(
        [run[name] for run in figures["ours"]], [run[name] for run in figures[variant]]
    )


def compact(ratio: Spread) -> str:
    median, low, high = (f"{value:.2g}" for value in (ratio.median, ratio.low, ratio.high))
    if ratio.median >= 0.1:
        median, low, high = (f"{value:.2f}" for value in (ratio.median, ratio.low, ratio.high))
    return median if low == high else f"{median}, {low} to {high}"


def aims(result: Result, algorithm: str, figures: dict[str, list[dict[str, float]]]) -> None:
    medians = {
        variant: {name: statistics.median(run[name] for run in runs) for name in FORMS}
        for variant, runs in figures.items()
    }
    others = {variant: values for variant, values in medians.items() if variant != "ours"}
    for name, text in (("ping p99", "the lowest ping p99"), ("memory", "the lowest peak memory")):
        best = min(others, key=lambda variant: others[variant][name])
        own, other = medians["ours"][name], others[best][name]
        form = FORMS[name]
        result.aim(
            f"{ALGORITHMS[algorithm]}: {text}",
            f"{form.format(own)}; the best of the others, {VARIANTS[best]}, {form.format(other)}",
            met=own <= other,
            why_not=WHY_NOT[name, best == "processes", best == "fastapi-users"],
        )
    best = min(others, key=lambda variant: others[variant]["total"])
    ratio = ratio_of(figures, "total", best)
    result.aim(
        f"{ALGORITHMS[algorithm]}: a total time within 2% of the best",
        f"{ratio.text('{:.3f}')} times that of {VARIANTS[best]}",
        met=ratio.median <= 1.02,
        why_not="Our threads have a lower priority: while anything else runs on the machine (the "
        "program that sends the requests does too), it goes first, and the storm takes longer. "
        "That is what keeps the pings short.",
    )


def pictured(figures: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, list[float]]]:
    return {
        VARIANTS[variant]: {
            name: [spread.median, spread.low, spread.high]
            for name in ("ping p99", "memory")
            for spread in [Spread.of([run[name] for run in runs])]
        }
        for variant, runs in figures.items()
    }


async def main(arguments: argparse.Namespace) -> None:
    logins = 200 if arguments.full else 24
    rounds = ROUNDS if arguments.full else dict.fromkeys(ALGORITHMS, 1)
    steps = Steps(sum(rounds.values()) * len(VARIANTS))
    result = Result()
    picture: dict[str, Any] = {"logins": logins}
    for algorithm in ALGORITHMS:
        figures = await measure(algorithm, rounds[algorithm], logins, arguments.release, steps)
        result.tables.append(table_of(algorithm, figures, logins))
        if algorithm == "keycloak":
            rate = Spread.of([run["rate"] for run in figures["ours"]])
            result.tables[-1].note += (
                f" Keycloak's sizing guide plans {KEYCLOAK_PLANS} logins per second and core; "
                f"ours are {rate.median / KEYCLOAK_PLANS:.1f} times that here. It does more in a "
                "login than check a password."
            )
        else:
            aims(result, algorithm, figures)
            picture.setdefault("variants", pictured(figures))
    result.picture["storm"] = picture
    result.used("uvicorn", "fastapi-users", "anyio", "starlette")
    hand_over(result)


if __name__ == "__main__":
    asyncio.run(main(options(__doc__, "release")))
