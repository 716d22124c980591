"""What the tests share: counted hash work, a hasher that waits, and Pythons of their own.

`pytest --hypothesis-profile=slow` looks for trouble for longer.
"""

import dataclasses
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from starlette_auth_hashers import BaseHasher, Hasher, _pacing, _workers

settings.register_profile("quick", deadline=None, max_examples=30)
settings.register_profile(
    "slow", deadline=None, max_examples=20_000, suppress_health_check=list(HealthCheck)
)
settings.load_profile("quick")


class Work:
    """What was computed: the rounds of each hash."""

    def __init__(self, clock: "Clock | None" = None) -> None:
        self.rounds: list[int] = []
        self.clock = clock

    def note(self, rounds: int) -> None:
        self.rounds.append(rounds)
        if self.clock is not None:
            self.clock.spend(rounds / 1000)

    def take(self) -> list[int]:
        taken, self.rounds = self.rounds, []
        return taken


class CountingHandler:
    """A handler of passlib that notes each hash that it computes."""

    def __init__(self, handler: Any, work: Work) -> None:
        self.handler = handler
        self.work = work

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handler, name)

    def hash(self, secret: str) -> str:
        hashed: str = self.handler.hash(secret)
        self.work.note(self.handler.from_string(hashed).rounds)
        return hashed

    def verify(self, secret: str, hashed: str) -> bool:
        self.work.note(self.handler.from_string(hashed).rounds)
        return bool(self.handler.verify(secret, hashed))


class Gated(BaseHasher):
    """A hasher that works only once its gate is open, and notes what it computes."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.made: list[str] = []
        self.checked: list[str] = []

    def make_sync(self, secret: str) -> str:
        self.begun.release()
        self.gate.wait(30)
        self.made.append(secret)
        return f"hash of {secret}"

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        self.begun.release()
        self.gate.wait(30)
        self.checked.append(secret)
        return hashed == f"hash of {secret}"


class Clock(_pacing.Clock):
    """A clock that does not wait, and notes for how long it should have.

    Attributes:
        blocked: The seconds for which threads should have slept.
        paused: The seconds for which tasks should have.
        simulated: Whether processor time passes by `spend` alone: a thousandth of a second for each
            round of a counted hash.
        slowdown: How many times longer than its processor time everything takes then.
    """

    def __init__(self) -> None:
        self.blocked: list[float] = []
        self.paused: list[float] = []
        self.simulated = False
        self.slowdown = 1.0
        self._spent = 0.0

    def processor_time(self) -> float:
        return self._spent if self.simulated else super().processor_time()

    def time(self) -> float:
        return self._spent * self.slowdown if self.simulated else super().time()

    def spend(self, seconds: float) -> None:
        self._spent += seconds

    def sleep(self, seconds: float) -> None:
        self.blocked.append(seconds)

    async def pause(self, seconds: float) -> None:
        self.paused.append(seconds)

    def take(self) -> float:
        waited = sum(self.blocked) + sum(self.paused)
        self.blocked.clear()
        self.paused.clear()
        return waited


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let no failed check wait, and each test learn for itself what checks cost."""
    clock = Clock()
    monkeypatch.setattr(_pacing, "clock", clock)
    monkeypatch.setattr(_pacing, "_measured", {})
    monkeypatch.setattr(_pacing, "_recent", ())
    return clock


@pytest.fixture
def work(clock: Clock) -> Work:
    return Work(clock)


@pytest.fixture
def counted(work: Work) -> Callable[[Hasher], Hasher]:
    """Have a hasher note the hashes that it computes in `work`."""

    def count(hasher: Hasher) -> Hasher:
        handler = CountingHandler(hasher._algorithm.handler, work)
        hasher._algorithm = dataclasses.replace(hasher._algorithm, handler=handler)
        return hasher

    return count


@pytest.fixture
def gated() -> Iterator[Gated]:
    hasher = Gated()
    yield hasher
    hasher.gate.set()


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Configure worker threads that are this test's alone."""
    settings = _workers._Settings()
    monkeypatch.setattr(_workers, "_settings", settings)
    yield _workers.configure
    settings.drop_waiting()


@pytest.fixture
def run_python() -> Callable[..., str]:
    """Run a program in a Python of its own, where warnings are errors; return what it prints."""

    def run(code: str, *arguments: str, timeout: float = 120, **options: Any) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *arguments],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return str(done.stdout.strip())

    return run


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a hash by its algorithm: its salt is another one in each process that runs tests."""
    return val.split("$")[1] if isinstance(val, str) and val.startswith("$") else None
