"""How everything here is measured: contestants in turns, medians with quartiles, ratios by round.

It needs nothing but the standard library: it runs in the environment of each contestant.
"""

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any

#: A figure of one contestant in one round: the less, the better.
Sample = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """A median, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        median = statistics.median(values)
        if len(values) == 1:
            return cls(median, median, median)
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @classmethod
    def of_ratios(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Spread":
        """Compare round by round: what slows the machine for a while slows both."""
        return cls.of([own / other for own, other in zip(ours, theirs, strict=True)])

    def text(self, form: str = "{:.2f}") -> str:
        median, low, high = (form.format(value) for value in (self.median, self.low, self.high))
        return f"{median} ({low} to {high})"


@dataclass
class Table:
    """A table of results, and what has to be said about it."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""


@dataclass
class Goal:
    """What was aimed at, and whether it was met."""

    text: str
    measured: str
    met: bool
    why_not: str = ""


@dataclass
class Result:
    """What a program hands to the runner: tables, goals, and the figures of its picture."""

    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    picture: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def aim(self, text: str, measured: str, *, met: bool, why_not: str) -> None:
        self.goals.append(Goal(text, measured, met, "" if met else why_not))

    def used(self, *distributions: str) -> None:
        self.versions |= {name: metadata.version(name) for name in distributions}


class Steps:
    """Says to the runner how far we are."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    def step(self, text: str) -> None:
        _say({"done": self.done, "total": self.total, "text": text})
        self.done += 1


def hand_over(result: Result) -> None:
    _say({"result": asdict(result)})


def _say(message: Mapping[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def options(description: str | None, *more: str) -> argparse.Namespace:
    """Return the options of a program: `--full`, and *more* arguments."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="take the time for narrow spreads")
    for name in more:
        parser.add_argument(name)
    return parser.parse_args()


def in_turns(
    contestants: Mapping[str, Sample], rounds: int, steps: Steps | None = None, what: str = ""
) -> dict[str, list[float]]:
    """Let each contestant run once in each round, in an order of its own."""
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for sample in contestants.values():
        sample()  # warm
    for number in range(rounds):
        if steps is not None:
            steps.step(f"{what}, round {number + 1}")
        for name in random.sample(list(contestants), len(contestants)):
            figures[name].append(contestants[name]())
    return figures


def processor_time(function: Callable[[], object], calls: int = 1) -> Sample:
    """Take the processor time of one of *calls* calls, all threads: others don't count in it."""
    return _clocked(time.process_time, function, calls)


def wall_time(function: Callable[[], object], calls: int = 1) -> Sample:
    """Take the time of one of *calls* calls."""
    return _clocked(time.perf_counter, function, calls)


def _clocked(clock: Callable[[], float], function: Callable[[], object], calls: int) -> Sample:
    def sample() -> float:
        gc.collect()
        gc.disable()
        start = clock()
        for _ in range(calls):
            function()
        elapsed = clock() - start
        gc.enable()
        return elapsed / calls

    return sample


def drive(awaitable: Awaitable[Any]) -> Any:
    """Run a coroutine that waits for nothing: there is no event loop in the figures."""
    assert isinstance(awaitable, Coroutine)
    try:
        awaitable.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("It waited for something")


def slope(places: Sequence[float], values: Sequence[float]) -> float:
    """Return how much the values grow by place: least squares."""
    return statistics.linear_regression(places, values).slope


def slopes(places: Sequence[float], figures: Iterable[Sequence[float]]) -> Spread:
    """Return the slope of each round."""
    return Spread.of([slope(places, values) for values in zip(*figures, strict=True)])


def python() -> str:
    return sys.version.partition(" ")[0]
