"""Equal time without double work: a failed check waits until the most expensive one would be done.

The time of a wrong password must not depend on the kind of hash that is stored, or on whether there
is one: it would show which users exist, or have not logged in since a migration began (OWASP
Authentication Cheat Sheet, "Authentication and Error Messages"). Django's CVE-2016-2513 was solved
by doing the difference as work. Here the difference is waited for: on the awaiting side, where it
takes neither a worker thread nor processor time, so that an attacker gets no more work for his
requests.

Both sides of the difference are processor time: of this check, and of the hashers as they were
learned in this process. Where the machine is busy, a computation takes longer than its processor
time. A wait is lengthened by the same factor, or a flood of logins would bring the difference out.

The knowledge belongs to the process and not to a hasher. It is in tables whose entries are replaced
and never changed, so threads and forks find them whole without a lock.
"""

import statistics
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

import anyio

__all__ = [
    "Clock",
    "Paced",
    "attempt",
    "computation",
    "learned_costs",
    "pause",
    "settle",
    "slowdown",
    "within_attempt",
]

T = TypeVar("T")

_SAMPLES = 15
# A core that another program shares with this one may take twice the processor time for the same
# work. More than that is a measurement that went wrong.
_MAX_VARIATION = 2
# Beyond that, something else has held a computation up than other programs.
_MAX_SLOWDOWN = 8.0
# The least processor time that a slowdown is worked out of, in seconds.
_LEAST_WORK = 0.001
# Stored hashes of one algorithm have few different settings.
_MAX_SETTINGS = 64


class Clock:
    """The clocks and the sleep of this module, for tests to replace."""

    def processor_time(self) -> float:
        """Return the processor time of this thread, in seconds."""
        return time.thread_time()

    def time(self) -> float:
        """Return a time that passes for all, in seconds."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        """Suspend this task."""
        await anyio.sleep(seconds)


clock = Clock()


class Paced(Protocol):
    """The part of a hasher that paces its checks."""

    _measured_within: ClassVar[bool]

    def dummy_verify_sync(self, secret: str) -> None:
        """Do the work of a check that fails."""
        ...

    def _highest_cost(self, secret: str, *, makes: bool) -> float:
        """Return the processor time of its most expensive check, in seconds; 0 if not known."""
        ...


@dataclass(slots=True)
class _Attempt:
    """The check that is being made, from the outermost hasher on.

    Attributes:
        computed: Whether something was computed.
        expected: What that costs, as it was learned, in seconds.
    """

    computed: bool = False
    expected: float = 0.0


_attempt: ContextVar[_Attempt | None] = ContextVar("starlette_auth_hashers.attempt", default=None)
# The processor time of the last computations, and the time that they took, in seconds.
_recent: tuple[tuple[float, float], ...] = ()
# Algorithm and size of the password -> settings -> the last measurements, in seconds.
_measured: dict[Hashable, Mapping[Hashable, tuple[float, ...]]] = {}


@contextmanager
def computation(algorithm: Hashable, settings: Hashable) -> Iterator[None]:
    """Learn what a computation costs, unless it fails.

    Args:
        algorithm: Names what costs are compared with.
        settings: What the cost depends on. None where that is not known.
    """
    global _recent  # noqa: PLW0603 - see the module
    begun, started = clock.time(), clock.processor_time()
    yield
    spent, taken = clock.processor_time() - started, clock.time() - begun
    known = _measured.get(algorithm, {})
    if settings is not None and spent >= 0 and taken >= 0:
        _recent = (*_recent, (spent, taken))[-_SAMPLES:]
    if spent >= 0:
        known = {**known, settings: (*known.get(settings, ()), spent)[-_SAMPLES:]}
        if len(known) > _MAX_SETTINGS:
            del known[next(iter(known))]
        _measured[algorithm] = known
    current = _attempt.get()
    if current is not None:
        current.computed = True
        current.expected += _cost(settings, known.get(settings, ()))


def learned_costs(algorithm: Hashable) -> Mapping[Hashable, float]:
    """Return the processor time of an algorithm by its settings, in seconds."""
    known = _measured.get(algorithm, {})
    return {settings: _cost(settings, samples) for settings, samples in known.items()}


def slowdown() -> float:
    """Return how many times longer than its processor time a computation takes now."""
    recent = _recent
    work = sum(spent for spent, _ in recent)
    if work < _LEAST_WORK:
        return 1.0
    return min(max(1.0, sum(taken for _, taken in recent) / work), _MAX_SLOWDOWN)


def _cost(settings: Hashable, samples: tuple[float, ...]) -> float:
    """Return the most expensive of the last computations, without measurements that went wrong.

    The median would do for half of all checks only: the others would take longer than what the rest
    waits for, and that would show on average which they are.
    """
    if settings is None:
        return max(samples, default=0.0)
    highest = _MAX_VARIATION * statistics.median_low(samples or (0.0,))
    return max((sample for sample in samples if sample <= highest), default=0.0)


def within_attempt() -> bool:
    """Return whether a hasher around this one paces the check."""
    return _attempt.get() is not None


def attempt(hasher: Paced, secret: str, check: Callable[[], T]) -> tuple[T, float]:
    """Make a check, and return its outcome and for how long a failed one has to wait, in seconds.

    Args:
        hasher: The outermost hasher.
        secret: The password.
        check: Returns True, or a tuple that begins with True, for a right password. Where it fails
            without a computation, the work of a failing one is done here.
    """
    current = _Attempt()
    token = _attempt.set(current)
    started = clock.processor_time()
    try:
        outcome = check()
        if outcome is True or (isinstance(outcome, tuple) and outcome[0] is True):
            return outcome, 0.0
        if not current.computed and hasher._measured_within:
            hasher.dummy_verify_sync(secret)
        spent = clock.processor_time() - started
    finally:
        _attempt.reset(token)
    if current.computed:
        # A clock that jumps must not shorten the wait.
        spent = min(max(spent, 0.0), _MAX_VARIATION * current.expected)
    lacking = max(0.0, hasher._highest_cost(secret, makes=True) - spent)
    return outcome, lacking * slowdown()


def settle(hasher: Paced, secret: str, check: Callable[[], T]) -> T:
    """Make a check, and block until it may be answered, unless a hasher around paces it."""
    if within_attempt():
        return check()
    outcome, seconds = attempt(hasher, secret, check)
    if seconds:
        clock.sleep(seconds)
    return outcome


async def pause(seconds: float) -> None:
    """Wait for what `attempt` returned."""
    if seconds:
        await clock.pause(seconds)
