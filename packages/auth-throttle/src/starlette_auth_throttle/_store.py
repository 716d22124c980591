"""What `Throttled` and a store say to each other.

An attempt asks for a place in one bucket of each limit, and gets all of them or none. At its end
each place becomes a failure, or is free again. Buckets are named by digests, never by names.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

__all__ = ["MAX_TRUSTED", "PATIENCE", "Claim", "Outcome", "Slot", "Store", "digest"]

#: How long an attempt waits for others, in seconds.
PATIENCE = 10.0
#: How many addresses of one account are trusted, the newest ones.
MAX_TRUSTED = 20


class Outcome(IntEnum):
    """How an attempt ended."""

    GIVEN_BACK = 0
    FAILURE = 1
    SUCCESS = 2


@dataclass(frozen=True, slots=True)
class Slot:
    """The place that an attempt asks for: in the bucket *shared*, or in *pair* if trusted.

    Attributes:
        failures: How many failures the bucket takes.
        per: How long a failure counts, in seconds.
        shared: The bucket of all who claim this account, or come from this address.
        pair: The bucket of the account at this address alone.
        account: The account, whose trusted addresses the store keeps. None: nobody is trusted.
        place: The account at this address.
        trust: How long a success makes *place* trusted, in seconds.
        cleared: Whether a success clears the bucket.
    """

    failures: int
    per: float
    shared: bytes
    pair: bytes = b""
    account: bytes | None = None
    place: bytes = b""
    trust: float = 0
    cleared: bool = False


class Claim:
    """The place of one attempt in one bucket."""

    __slots__ = ("bucket", "failed", "failed_at", "holders", "local", "slot", "wrong")

    def __init__(self, slot: Slot, bucket: bytes, *, local: bool) -> None:
        self.slot = slot
        self.bucket = bucket
        # Whether it is in the memory of this process.
        self.local = local
        # Whether it is a failure now, and not in flight, and since when by the memory's clock.
        self.failed = False
        self.failed_at = 0.0
        # How many backends check the credentials of this attempt, one inside the other, and
        # whether one has found them wrong.
        self.holders = 0
        self.wrong = False


class Store(Protocol):
    """Where places and failures are kept. It is private: `MemoryStore` and `RedisStore` are all."""

    _secret: bytes

    async def _begin(
        self, attempt: bytes, slots: Sequence[Slot], again: Sequence[Claim]
    ) -> Sequence[Claim]:
        """Take a place for each of *slots*, and have *again* in flight again, or do nothing.

        Raises:
            TooManyAttempts: If a bucket holds as many failures as it takes.
            AuthenticationUnavailable: If others are in flight for too long.
        """
        ...

    async def _end(self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome) -> bool:
        """End claims; return False for a failure that can't be counted within the limits."""
        ...

    def _end_soon(self, attempt: bytes, claims: Sequence[Claim], outcome: Outcome) -> None:
        """Do the same without waiting for it."""
        ...


def digest(secret: bytes, *parts: bytes) -> bytes:
    """Return what stands for *parts*: no two lists of parts have the same digest."""
    text = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    return hmac.digest(secret, text, hashlib.sha256)[:16]
