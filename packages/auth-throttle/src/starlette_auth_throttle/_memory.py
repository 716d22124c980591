"""A store in the memory of one process."""

import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from anyio import Event, move_on_after
from anyio.lowlevel import current_token

from starlette_auth_core import AuthenticationUnavailable, TooManyAttempts

from ._buckets import Bucket, Buckets
from ._store import MAX_TRUSTED, PATIENCE, Claim, Outcome, Slot

__all__ = ["MemoryStore"]


class MemoryStore:
    """Keeps failures in the memory of one process: each process counts for itself.

    It may be used by any number of event loops and threads, on asyncio and trio. It holds digests,
    not names, and is bounded: a key that refuses attempts is forgotten last, and one that is being
    checked never.

    Args:
        max_keys: How many keys are remembered, and how many trusted pairs of account and address.
            With three limits, a million keys are a third of a million names.

    Raises:
        TypeError: If *max_keys* is not an int.
        ValueError: If it is below 1.
    """

    def __init__(self, *, max_keys: int = 100_000) -> None:
        if not isinstance(max_keys, int) or isinstance(max_keys, bool):
            raise TypeError(f"max_keys must be an int, not a {type(max_keys).__name__}")
        if max_keys < 1:
            raise ValueError(f"max_keys must be at least 1, not {max_keys}")
        self._secret = os.urandom(32)
        # Garbage collection may close an abandoned attempt at any time, also with the lock held.
        self._lock = threading.RLock()
        self._buckets = Buckets(max_keys)
        self._trusted = _Trusted(max_keys)
        self._queues: dict[bytes, dict[_Waiter, None]] = {}

    async def _begin(
        self, attempt: bytes, slots: Sequence[Slot], again: Sequence[Claim]
    ) -> Sequence[Claim]:
        waiter = None
        with self._lock:
            answer = self._ask(slots, again)
            if isinstance(answer, _Blocked):
                waiter = _Waiter(slots, again, answer)
                self._queue(waiter, answer)
        if waiter is not None:
            answer = await self._wait(waiter)
        if isinstance(answer, _Refused):
            wanted = [*slots, *(claim.slot for claim in again)]
            raise TooManyAttempts(retry_after=retry_after(answer.opens_in, wanted))
        assert not isinstance(answer, _Blocked)  # noqa: S101 - it waited for another answer
        return answer

    async def _end(self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome) -> bool:
        self._end_soon(attempt, claims, outcome)
        return True

    def _end_soon(self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome) -> None:
        with self._lock:
            self._finish(claims, outcome)

    def _count(self, claims: Sequence[Claim], outcome: Outcome) -> None:
        """End claims of another store, which does not answer any more."""
        with self._lock:
            for claim in claims:
                self._buckets.take(claim.bucket, claim.slot.failures, claim.slot.per)
                claim.local, claim.failed = True, False
            self._finish(claims, outcome)

    # What follows is called with the lock held.

    def _ask(
        self, slots: Sequence[Slot], again: Sequence[Claim]
    ) -> "Sequence[Claim] | _Blocked | _Refused":
        """Take the places, or return what keeps them out."""
        now = time.monotonic()
        refused = 0.0
        blocked = None
        claims = [Claim(slot, self._bucket_of(slot, now), local=True) for slot in slots]
        for claim in (*claims, *again):
            bucket = self._buckets.look(claim.bucket, claim.slot.per)
            if bucket is None:
                continue
            opens_in = bucket.opens_in(now)
            if claim.failed and claim.failed_at in bucket.failed:
                continue  # It has a place, and does not need another one.
            refused = max(refused, opens_in)
            if not opens_in and blocked is None and not bucket.has_room():
                blocked = _Blocked(claim.bucket, bucket)
        if refused:
            return _Refused(refused)
        if blocked is not None:
            return blocked
        for claim in (*claims, *again):
            bucket = self._buckets.take(claim.bucket, claim.slot.failures, claim.slot.per)
            if claim.failed:
                bucket.take_back(claim.failed_at)
                claim.failed = False
        self._buckets.trim(now)
        return [*claims, *again]

    def _bucket_of(self, slot: Slot, now: float) -> bytes:
        if slot.account is not None and self._trusted.holds(slot.account, slot.place, now):
            return slot.pair
        return slot.shared

    def _finish(self, claims: Sequence[Claim], outcome: Outcome) -> None:
        self._settle(claims, outcome)
        self._let_in(*(claim.bucket for claim in claims))

    def _settle(self, claims: Sequence[Claim], outcome: Outcome) -> None:
        now = time.monotonic()
        for claim in claims:
            slot = claim.slot
            if claim.failed:
                # It is counted, and the same credentials have succeeded elsewhere.
                self._take_back(claim, now)
                continue
            bucket = self._buckets.look(claim.bucket, slot.per)
            assert bucket is not None  # noqa: S101 - it is in flight
            if outcome is Outcome.FAILURE:
                bucket.failed.append(now)
                claim.failed, claim.failed_at = True, now
            elif outcome is Outcome.SUCCESS and slot.cleared:
                del bucket.failed[:]
            self._buckets.leave(claim.bucket, bucket, now)
        if outcome is Outcome.SUCCESS:
            for slot in {claim.slot.place: claim.slot for claim in claims}.values():
                if slot.account is not None:
                    self._trusted.add(slot.account, slot.place, now + slot.trust)

    def _take_back(self, claim: Claim, now: float) -> None:
        claim.failed = False
        bucket = self._buckets.look(claim.bucket, claim.slot.per)
        if bucket is None:
            return
        if claim.slot.cleared:
            del bucket.failed[:]
        else:
            bucket.take_back(claim.failed_at)
        if not bucket.flying:
            self._buckets.put(claim.bucket, bucket, now)

    def _queue(self, waiter: "_Waiter", blocked: "_Blocked") -> None:
        waiter.queued_at, waiter.bucket = blocked.name, blocked.bucket
        self._queues.setdefault(blocked.name, {})[waiter] = None

    def _unqueue(self, waiter: "_Waiter") -> None:
        queue = self._queues.get(waiter.queued_at, {})
        queue.pop(waiter, None)
        if not queue:
            self._queues.pop(waiter.queued_at, None)

    def _let_in(self, *names: bytes) -> None:
        """Answer those who wait for buckets, in order, until one has to wait on."""
        changed = [*names]
        while changed:
            name = changed.pop()
            if name not in self._queues:
                continue
            waiter = next(iter(self._queues[name]))
            answer = self._ask(waiter.slots, waiter.again)
            if isinstance(answer, _Blocked) and answer.name == name:
                continue
            changed.append(name)
            self._unqueue(waiter)
            if isinstance(answer, _Blocked):
                self._queue(waiter, answer)
            elif not waiter.tell(answer) and not isinstance(answer, _Refused):
                # Its event loop has ended.
                self._settle(answer, Outcome.GIVEN_BACK)
                changed += [claim.bucket for claim in answer]

    # What follows takes the lock.

    async def _wait(self, waiter: "_Waiter") -> "Sequence[Claim] | _Refused":
        deadline = time.monotonic() + PATIENCE
        try:
            while waiter.answer is None:
                with self._lock:
                    # A failure that stops counting makes room too.
                    change = waiter.bucket.next_change()
                now = time.monotonic()
                with move_on_after(max(0, min(deadline, change) - now)):
                    await waiter.answered.wait()
                with self._lock:
                    self._let_in(waiter.queued_at)
                if waiter.answer is None and now >= deadline:
                    break
        except BaseException:
            self._give_up(waiter)
            raise
        if waiter.answer is None:
            self._give_up(waiter)
            raise AuthenticationUnavailable
        return waiter.answer

    def _give_up(self, waiter: "_Waiter") -> None:
        with self._lock:
            if waiter.answer is None:
                self._unqueue(waiter)
            elif not isinstance(waiter.answer, _Refused):
                self._finish(waiter.answer, Outcome.GIVEN_BACK)


class _Blocked:
    # The bucket that only attempts in flight keep full.

    __slots__ = ("bucket", "name")

    def __init__(self, name: bytes, bucket: Bucket) -> None:
        self.name = name
        self.bucket = bucket


class _Refused:
    # For how long, in seconds.

    __slots__ = ("opens_in",)

    def __init__(self, opens_in: float) -> None:
        self.opens_in = opens_in


class _Waiter:
    # An attempt that waits, on any event loop.

    __slots__ = ("_wake", "again", "answer", "answered", "bucket", "queued_at", "slots")

    def __init__(self, slots: Sequence[Slot], again: Sequence[Claim], blocked: _Blocked) -> None:
        self.slots = slots
        self.again = again
        self.answer: Sequence[Claim] | _Refused | None = None
        self.answered = Event()
        self.bucket = blocked.bucket
        self.queued_at = blocked.name
        loop: Any = current_token().native_token
        self._wake = getattr(loop, "run_sync_soon", None) or loop.call_soon_threadsafe

    def tell(self, answer: "Sequence[Claim] | _Refused") -> bool:
        """Wake the event loop that waits; return False where it has ended."""
        try:
            self._wake(self.answered.set)
        except RuntimeError:
            return False
        self.answer = answer
        return True


class _Trusted:
    # The addresses at which accounts have logged in, by the accounts' last success.

    def __init__(self, max_pairs: int) -> None:
        self._max_pairs = max_pairs
        self._pairs = 0
        self._accounts: OrderedDict[bytes, OrderedDict[bytes, float]] = OrderedDict()

    def holds(self, account: bytes, place: bytes, now: float) -> bool:
        places = self._accounts.get(account)
        return places is not None and places.get(place, 0) > now

    def add(self, account: bytes, place: bytes, until: float) -> None:
        places = self._accounts.setdefault(account, OrderedDict())
        self._accounts.move_to_end(account)
        self._pairs += place not in places
        places[place] = until
        places.move_to_end(place)
        if len(places) > MAX_TRUSTED:
            places.popitem(last=False)
            self._pairs -= 1
        while self._pairs > self._max_pairs:
            self._forget_one()

    def _forget_one(self) -> None:
        account, places = next(iter(self._accounts.items()))
        places.popitem(last=False)
        self._pairs -= 1
        if not places:
            del self._accounts[account]


def retry_after(opens_in: float, slots: Sequence[Slot]) -> int:
    """Return the whole seconds until an attempt is let in: from 1 to the longest period."""
    longest = max(math.ceil(slot.per) for slot in slots)
    return min(max(1, math.ceil(opens_in)), longest)
