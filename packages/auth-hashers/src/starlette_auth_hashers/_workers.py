"""The worker threads that hash: few, bounded, and shared by all event loops of the process.

They are not the threads of the app's own sync endpoints. There are as many as the process may use
cores, since more would take more memory and finish nothing sooner; and they run at a lower
priority, so that the event loop answers while they work.
"""

import atexit
import contextlib
import contextvars
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import anyio
import anyio._backends._asyncio  # before a thread does; see `_loading`
from anyio.lowlevel import current_token

from ._cores import usable_cores
from ._forks import hold_while_forking
from ._unavailable import unavailable

__all__ = ["HasherBusy", "configure", "run", "submit", "wait", "waiting"]

logger = logging.getLogger("starlette_auth_hashers")

T = TypeVar("T")

_WAITING_PER_WORKER = 128
_LEAST_WAITING = 256
_LOWER_PRIORITY = 10

# anyio imports its half of an event loop when that loop first uses it. A child that is forked in
# the middle of that import could never finish it.
_loading = threading.Lock()
hold_while_forking(_loading)


class HasherBusy(TimeoutError):
    """Raised when so many hashes wait for a worker thread that one more would wait too long.

    Attributes:
        waiting: How many wait.
    """

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} password hashes wait for a worker thread already")
        self.waiting = waiting


class _Pool:
    """An executor that refuses work beyond what its workers do and *max_waiting* more."""

    def __init__(self, workers: int, max_waiting: int) -> None:
        self._workers = workers
        self._max_waiting = max_waiting
        # What is cancelled while it waits is done; while it runs, it keeps its place.
        self._unfinished: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(workers, "password-hashing", _lower_priority)

    def submit(self, function: Callable[[], T]) -> "Future[T]":
        with self._lock:
            if len(self._unfinished) >= self._workers + self._max_waiting:
                raise HasherBusy(self.waiting())
            future = self._start(function)
            self._unfinished.add(future)
        future.add_done_callback(self._unfinished.discard)
        return future

    def _start(self, function: Callable[[], T]) -> "Future[T]":
        context = contextvars.copy_context()
        wanted = True

        def work() -> T:
            if not wanted:
                raise failed  # Nobody waits for it.
            return context.run(function)

        try:
            return self._executor.submit(work)
        except RuntimeError as error:
            if "new thread" not in str(error):
                raise  # The interpreter is exiting.
            # The executor has queued it all the same, and a thread that there is would do it.
            wanted = False
            failed = unavailable(None, error)
        raise failed

    def waiting(self) -> int:
        return max(0, len(self._unfinished) - self._workers)

    def drop_waiting(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


class _Settings:
    """What `configure` was told, and the pool that the first use makes of it."""

    def __init__(self) -> None:
        self.workers: int | None = None
        self.max_waiting: int | None = None
        self.start_afresh()

    def start_afresh(self) -> None:
        self.lock = threading.Lock()
        self.pool: _Pool | None = None

    def get_pool(self) -> _Pool:
        with self.lock:
            if self.pool is None:
                workers = self.workers or usable_cores()
                max_waiting = self.max_waiting
                if max_waiting is None:
                    max_waiting = max(_LEAST_WAITING, _WAITING_PER_WORKER * workers)
                self.pool = _Pool(workers, max_waiting)
                logger.info(
                    "Passwords are hashed by %d worker threads; %d hashes may wait",
                    workers,
                    max_waiting,
                )
            return self.pool

    def drop_waiting(self) -> None:
        if self.pool is not None:
            self.pool.drop_waiting()


_settings = _Settings()
# An interpreter that exits waits until its executors have worked their queues off, before `atexit`
# is asked. This is how concurrent.futures itself comes earlier; what registers later is called
# first.
getattr(threading, "_register_atexit", atexit.register)(_settings.drop_waiting)
if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    # Threads do not survive a fork, and a lock may have been held by one of them.
    os.register_at_fork(after_in_child=_settings.start_afresh)


def configure(*, workers: int | None = None, max_waiting: int | None = None) -> None:
    """Set the worker threads that hash passwords, for the whole process, before their first use.

    The last call counts.

    Args:
        workers: How many there are. Each takes the memory of one hash while it works. None: as
            many as the process may use cores, by its affinity and its container's CPU quota.
        max_waiting: How many hashes may wait for one, in all; one more is `HasherBusy`. None: 128
            for each worker, and at least 256.

    Raises:
        RuntimeError: If they are in use already.
        TypeError: If a number is no integer.
        ValueError: If *workers* is below 1 or *max_waiting* below 0.
    """
    for name, value, least in (("workers", workers, 1), ("max_waiting", max_waiting, 0)):
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name} must be an int or None, not {value!r}")
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
    with _settings.lock:
        if _settings.pool is not None:
            raise RuntimeError("Call configure before the first password is hashed")
        _settings.workers, _settings.max_waiting = workers, max_waiting


def waiting() -> int:
    """Return how many hashes wait for a worker thread now, for metrics."""
    pool = _settings.pool
    return 0 if pool is None else pool.waiting()


def submit(function: Callable[[], T]) -> "Future[T]":
    """Have a worker thread call *function*, in a copy of the caller's context.

    It takes no arguments, among which a password would be: error reporters show the local
    variables of every frame, and hide a password by the name of its variable only.

    Raises:
        HasherBusy: If too many wait already.
    """
    return _settings.get_pool().submit(function)


async def wait(future: "Future[T]") -> T:
    """Wait for *future* on whichever event loop this is; several may wait for one."""
    with _loading:
        finished = anyio.Event()
    loop: Any = current_token().native_token
    # anyio's own way back from a thread would block the worker until the loop has answered.
    wake = loop.run_sync_soon if hasattr(loop, "run_sync_soon") else loop.call_soon_threadsafe

    def tell(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop has ended
            wake(finished.set)

    future.add_done_callback(tell)
    await finished.wait()
    return future.result()


async def run(function: Callable[[], T]) -> T:
    """Call *function* in a worker thread and return what it does; see `submit`.

    Cancelled while it waits, it is dropped. Cancelled while it runs, it keeps its thread until it
    is done, so that there is never more work than there are workers.

    Raises:
        HasherBusy: If too many wait already.
    """
    future = submit(function)
    try:
        return await wait(future)
    finally:
        future.cancel()


def _lower_priority() -> None:
    # A thread has a priority of its own on Linux alone; elsewhere it would be the process's.
    if sys.platform == "linux":
        thread = threading.get_native_id()
        try:
            priority = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, priority + _LOWER_PRIORITY)
        except OSError:
            logger.debug("The priority of a worker thread can't be lowered", exc_info=True)
