"""Buckets of failures in memory: bounded, and forgotten in an order that helps no attacker.

Each operation looks at a few buckets at most, however many there are.
"""

import math
from array import array
from bisect import bisect_right
from collections import OrderedDict

__all__ = ["Bucket", "Buckets"]


class Bucket:
    """The failures of one key within a period, and the attempts that are in flight."""

    __slots__ = ("failed", "failures", "flying", "per")

    def __init__(self, failures: int, per: float) -> None:
        self.failures = failures
        self.per = per
        # When they were, the oldest first. An array has 8 bytes for each.
        self.failed = array("d")
        self.flying = 0

    def forget_old(self, now: float) -> None:
        """Drop the failures that do not count any more."""
        failed = self.failed
        if failed and failed[0] <= now - self.per:
            del failed[: bisect_right(failed, now - self.per)]

    def opens_in(self, now: float) -> float:
        """Return how long the bucket refuses, in seconds: 0 if it does not."""
        self.forget_old(now)
        if len(self.failed) < self.failures:
            return 0
        # Never 0 by rounding, which would let one more in.
        return max(self.failed[-self.failures] + self.per - now, 1e-6)

    def has_room(self) -> bool:
        """Return whether one more attempt can be in flight."""
        return len(self.failed) + self.flying < self.failures

    def next_change(self) -> float:
        """Return when a failure stops counting."""
        return self.failed[0] + self.per if self.failed else math.inf

    def take_back(self, failed_at: float) -> None:
        """Drop one failure of this time, if it still counts."""
        if failed_at in self.failed:
            self.failed.remove(failed_at)


class _Shelf:
    # The buckets of one period that have failures and nothing in flight, the oldest first.

    def __init__(self) -> None:
        self.partial: OrderedDict[bytes, Bucket] = OrderedDict()
        self.refusing: OrderedDict[bytes, Bucket] = OrderedDict()

    def pop(self, name: bytes) -> Bucket | None:
        return self.partial.pop(name, None) or self.refusing.pop(name, None)

    def get(self, name: bytes) -> Bucket | None:
        return self.partial.get(name) or self.refusing.get(name)


class Buckets:
    """All buckets of a store, of which at most *max_keys* are kept with nothing in flight."""

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._flying: dict[bytes, Bucket] = {}
        # There are as many as limits have different periods.
        self._shelves: dict[float, _Shelf] = {}

    def __len__(self) -> int:
        shelves = self._shelves.values()
        return len(self._flying) + sum(len(s.partial) + len(s.refusing) for s in shelves)

    def look(self, name: bytes, per: float) -> Bucket | None:
        """Return a bucket, or None for one that is empty."""
        bucket = self._flying.get(name)
        if bucket is None and per in self._shelves:
            bucket = self._shelves[per].get(name)
        return bucket

    def take(self, name: bytes, failures: int, per: float) -> Bucket:
        """Return a bucket with one more attempt in flight. Such a bucket is never forgotten."""
        bucket = self._flying.get(name)
        if bucket is None:
            shelf = self._shelves.get(per)
            bucket = (shelf and shelf.pop(name)) or Bucket(failures, per)
            self._flying[name] = bucket
        bucket.flying += 1
        return bucket

    def leave(self, name: bytes, bucket: Bucket, now: float) -> None:
        """Have one attempt less in flight."""
        bucket.flying -= 1
        if not bucket.flying:
            del self._flying[name]
            self.put(name, bucket, now)

    def put(self, name: bytes, bucket: Bucket, now: float) -> None:
        """Keep a bucket with nothing in flight as long as its failures count and there is room."""
        shelf = self._shelves.get(bucket.per)
        if shelf is None:
            shelf = self._shelves[bucket.per] = _Shelf()
        shelf.pop(name)
        if bucket.opens_in(now):
            shelf.refusing[name] = bucket
        elif bucket.failed:
            shelf.partial[name] = bucket
        self.trim(now)

    def trim(self, now: float) -> None:
        """Forget buckets without failures that count, a few, and others where there are too many.

        One that refuses is forgotten last: an attacker who fills the memory with names of his own
        would be let in again.
        """
        for shelf in self._shelves.values():
            for row in (shelf.partial, shelf.refusing):
                for _ in range(2):
                    if row and _end(row) <= now:
                        row.popitem(last=False)
        while len(self) > self._max_keys and self._forget_one(now):
            pass

    def _forget_one(self, now: float) -> bool:
        rows = [shelf.partial for shelf in self._shelves.values() if shelf.partial]
        full = [shelf.refusing for shelf in self._shelves.values() if shelf.refusing]
        # Some do not refuse any more, but still hold failures that count.
        rows += [row for row in full if not next(iter(row.values())).opens_in(now)]
        rows = rows or full
        if rows:
            min(rows, key=_end).popitem(last=False)
        return bool(rows)


def _end(row: OrderedDict[bytes, Bucket]) -> float:
    # When the oldest bucket is empty.
    bucket = next(iter(row.values()))
    return bucket.failed[-1] + bucket.per if bucket.failed else 0
