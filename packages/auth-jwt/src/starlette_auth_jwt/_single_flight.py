"""Work that is done once for all who need it at the same time, on any number of event loops.

It is done by the first one who asks, in its own task: nothing goes on after the request that does
it. If that one is cancelled, one of those who wait takes over.
"""

import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from anyio import Event, move_on_after
from anyio.lowlevel import current_token

__all__ = ["SingleFlight"]

# How long after its time limit the work of another event loop is taken for dead, in seconds: a
# loop can be stopped in the middle of it for ever.
_GRACE = 1.0


class SingleFlight:
    """Does one piece of work at a time.

    Args:
        work: The work. It ends in time by itself.
        limit: In how many seconds it does.
    """

    def __init__(self, work: Callable[[], Awaitable[bool]], limit: float) -> None:
        self._work = work
        self._limit = limit
        # Held for moments: requests of other event loops are in other threads. The one who holds it
        # may get it again, since the garbage collector can end abandoned work at any moment.
        self._lock = threading.RLock()
        self._flight: _Flight | None = None

    def is_under_way(self) -> bool:
        """Return whether somebody is doing the work."""
        flight = self._flight
        return flight is not None and not flight.is_dead()

    async def run(self, may_begin: Callable[[], bool] = lambda: True) -> bool | None:
        """Do the work, or wait for who does it.

        Args:
            may_begin: Whether the work may be begun now. Who has waited for one that was cancelled
                may always take over.

        Returns:
            What the work returned, or None where nobody does it and it may not be begun.
        """
        has_waited = False
        while True:
            with self._lock:
                flight = self._flight
                waiter = None
                if flight is not None and not flight.is_dead():
                    waiter = flight.join()
                elif has_waited or may_begin():
                    flight = self._flight = _Flight(time.monotonic() + self._limit + _GRACE)
                else:
                    return None
            if waiter is None:
                return await self._lead(flight)
            has_waited = True
            with move_on_after(flight.dead_at - time.monotonic()):
                await waiter.wait()
            if flight.outcome is not None:
                return flight.outcome
            # It was cancelled, or died: the first of those who come here does it now.

    async def _lead(self, flight: "_Flight") -> bool:
        try:
            flight.outcome = await self._work()
            return flight.outcome
        finally:
            with self._lock:
                if self._flight is flight:
                    self._flight = None
                wake_ups = flight.land()
            for wake_up in wake_ups:
                wake_up()


class _Flight:
    def __init__(self, dead_at: float) -> None:
        self.dead_at = dead_at
        self.outcome: bool | None = None
        self._wake_ups: list[Callable[[], None]] = []

    def is_dead(self) -> bool:
        return time.monotonic() >= self.dead_at

    def join(self) -> Event:
        event = Event()
        self._wake_ups.append(_from_any_thread(event.set))
        return event

    def land(self) -> list[Callable[[], None]]:
        wake_ups, self._wake_ups = self._wake_ups, []
        return wake_ups


def _from_any_thread(function: Callable[[], None]) -> Callable[[], None]:
    # What calls *function* in this event loop, soon, without waiting for it. anyio's own way waits,
    # which would stop the loop of the caller.
    loop: Any = current_token().native_token
    call_soon = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon

    def call() -> None:
        # A loop that has ended has nobody who waits.
        with suppress(RuntimeError):
            call_soon(function)

    return call
