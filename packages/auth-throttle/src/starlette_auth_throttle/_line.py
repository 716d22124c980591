"""The line to Redis: bounded, in time, and hung up for a while when nobody answers."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeAlias
from weakref import WeakKeyDictionary

__all__ = ["Line", "Script", "Unreachable"]

_logger = logging.getLogger("starlette_auth_throttle")

Reply: TypeAlias = "asyncio.Future[Sequence[int]]"

#: The pool of redis-py raises an error for one connection more than it may have, and the app has
#: uses of its own for it. More than these would not be faster.
_MOST_AT_ONCE = 16
#: A time limit is counted in so many steps, each by a timer of its own: of a time in which the
#: event loop is busy with something else, one step passes, and what has come meanwhile is read.
_STEPS = 10
#: How long Redis is not asked after an error, and how long nothing is logged, in seconds.
_ASK_AGAIN = 1.0
_LOG_AGAIN = 60.0


class Script(Protocol):
    """A script of a server, which is sent by its digest, or in full."""

    async def __call__(
        self, keys: Sequence[bytes], args: Sequence[Any], *, in_full: bool = False
    ) -> Any:
        """Have the server run it."""
        ...


class Unreachable(Exception):
    """Raised where Redis can't be asked, does not answer in time, or answers with an error."""


class Line:
    """Runs scripts on Redis.

    Args:
        connections: How many connections the client may have. None: that is not known.
        timeout: How long an answer may take, in seconds.
    """

    def __init__(self, connections: int | None, timeout: float) -> None:
        self._most_at_once = max(1, min(connections or _MOST_AT_ONCE, _MOST_AT_ONCE))
        self._step = timeout / _STEPS
        self._permits: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            WeakKeyDictionary()
        )
        self._down = False
        self._answered_at = -math.inf
        self._ask_at = 0.0
        self._log_at = -math.inf

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop.

        Raises:
            Unreachable: If it is not one of asyncio, the only ones for which redis-py is made.
        """
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            self._log("it needs asyncio")
            raise Unreachable from None

    async def ask(
        self, script: Script, keys: Sequence[bytes], make_args: Callable[[], Sequence[Any]]
    ) -> Reply:
        """Send a script, and return its reply to come: a list of numbers, or `Unreachable`.

        Cancelled before it returns, nothing was sent. Later the script runs to its end, whoever
        waits for it; shield the reply from cancellation.

        Args:
            script: The script.
            keys: Its keys.
            make_args: Makes its arguments, just before they are sent.

        Raises:
            Unreachable: If Redis did not answer a moment ago.
        """
        loop = self.loop()
        is_probe = self._may_ask()
        permits = self._permits.get(loop)
        if permits is None:
            permits = self._permits[loop] = asyncio.Semaphore(self._most_at_once)
        await permits.acquire()
        if self._down and not is_probe:
            permits.release()
            raise Unreachable
        reply: Reply = loop.create_future()
        reply.add_done_callback(lambda _: permits.release())
        reply.add_done_callback(_retrieve)
        self._send(loop, _twice(script, keys, make_args()), reply)
        return reply

    def _may_ask(self) -> bool:
        # Returns whether this is the one that tries for all others.
        if not self._down:
            return False
        now = time.monotonic()
        if now < self._ask_at:
            self._log("it did not answer before")
            raise Unreachable
        self._ask_at = now + _ASK_AGAIN
        return True

    def _send(self, loop: asyncio.AbstractEventLoop, call: Awaitable[Any], reply: Reply) -> None:
        task = asyncio.ensure_future(call)
        steps = _STEPS
        sent_at = time.monotonic()
        timer: asyncio.TimerHandle

        def step() -> None:
            nonlocal steps, timer
            steps -= 1
            if steps:
                timer = loop.call_later(self._step, step)
            else:
                self._fail(reply, TimeoutError(), sent_at)
                task.cancel()

        def finish(_: object) -> None:
            timer.cancel()
            if task.cancelled():
                reply.cancel()
                return
            error = task.exception()
            if reply.done():
                return
            if error is not None:
                self._fail(reply, error, sent_at)
            elif not _is_numbers(task.result()):
                self._fail(reply, TypeError(), sent_at)
            else:
                self._succeed(reply, task.result())

        timer = loop.call_later(self._step, step)
        task.add_done_callback(finish)

    def _succeed(self, reply: Reply, numbers: Sequence[int]) -> None:
        if self._down:
            _logger.info("Redis answers again: attempts are counted there")
        self._down = False
        self._answered_at = time.monotonic()
        reply.set_result(numbers)

    def _fail(self, reply: Reply, error: BaseException, sent_at: float) -> None:
        reply.set_exception(Unreachable())
        # Its text may show an address, or a password in a URL.
        self._log(type(error).__name__)
        # Where others have been answered since, as after a restart, it is not down.
        if sent_at >= self._answered_at:
            self._down = True
            self._ask_at = time.monotonic() + _ASK_AGAIN

    def _log(self, reason: str) -> None:
        now = time.monotonic()
        if now >= self._log_at:
            self._log_at = now + _LOG_AGAIN
            _logger.warning("Redis is not used (%s): attempts are counted in this process", reason)


async def _twice(script: Script, keys: Sequence[bytes], args: Sequence[Any]) -> Any:
    # A connection that was idle while Redis started anew fails at its first use. And what Redis was
    # asked to keep it may have forgotten already. Neither script does more where it runs twice.
    try:
        return await script(keys, args)
    except Exception:  # noqa: BLE001 - the second time it counts
        return await script(keys, args, in_full=True)


def _is_numbers(answer: object) -> bool:
    return (
        isinstance(answer, (list, tuple))
        and len(answer) >= 2
        and all(isinstance(number, int) for number in answer)
    )


def _retrieve(reply: Reply) -> None:
    # Otherwise asyncio logs an error where nobody waits for the reply any more.
    with suppress(asyncio.CancelledError):
        reply.exception()
