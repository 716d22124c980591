"""Remembers right passwords for a while, for clients that send them with every request."""

import hashlib
import math
import os
import secrets
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from . import _workers
from ._base import BaseHasher, require_text

__all__ = ["CachingHasher"]

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Shared:
    """A computation that several callers wait for."""

    future: "Future[Any]"
    callers: int = 0


class CachingHasher(BaseHasher):
    """Answers a repeated right password from memory, at a ten-thousandth of a hash's cost.

    HTTP Basic sends the password with every request (RFC 7617), and each check costs a hash. This
    hasher remembers, for *ttl* seconds, that a password was right for a stored hash: a changed
    stored hash misses at once. Wrong passwords are never remembered. Checks of the same password
    and hash that are awaited at the same time are one computation; `dummy_verify` shares by
    password and user-id in the same way, so that sharing does not tell who exists. (The methods
    that block share nothing: each works in its caller's thread.)

    What it trades: it holds a keyed digest of each password and the key. Who can read the
    process's memory can then try passwords at the speed of BLAKE2, not of the hasher. It is the one
    hasher whose state changes; all of it is safe between threads and event loops.

    Args:
        hasher: The hasher that does the work.
        ttl: How long a right password is remembered, in seconds.
        max_entries: How many are, each some 250 bytes; beyond that the oldest is forgotten.

    Raises:
        TypeError: If *hasher* is no hasher, or a number none.
        ValueError: If a number is not above 0.
    """

    def __init__(self, hasher: BaseHasher, *, ttl: float, max_entries: int) -> None:
        if not isinstance(hasher, BaseHasher):
            raise TypeError(f"CachingHasher needs a hasher to do the work, not {hasher!r}")
        if not isinstance(max_entries, int) or isinstance(max_entries, bool):
            raise TypeError(f"max_entries must be an int, not {max_entries!r}")
        if not isinstance(ttl, (int, float)) or isinstance(ttl, bool):
            raise TypeError(f"ttl must be a number of seconds, not {ttl!r}")
        if max_entries < 1 or not 0 < ttl < math.inf:
            raise ValueError("ttl must be above 0 and finite, and max_entries at least 1")
        self.hasher = hasher
        self._ttl = ttl
        self._max_entries = max_entries
        self._start_afresh()
        _hashers.add(self)

    def _start_afresh(self) -> None:
        self._key = secrets.token_bytes(hashlib.blake2b.MAX_KEY_SIZE)
        # Copied for each password, which takes half the time of making one with the key.
        self._keyed = {
            purpose: hashlib.blake2b(key=self._key, person=purpose, digest_size=32)
            for purpose in (b"pair", b"update", b"dummy")
        }
        # The digest of a right pair -> when to forget it. All stay equally long, so the oldest
        # comes first.
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._generation = 0
        self._shared: dict[bytes, _Shared] = {}
        # A future that is cancelled calls back in the same thread, while this is held.
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        """Show how to make one like it."""
        return f"CachingHasher({self.hasher!r}, ttl={self._ttl}, max_entries={self._max_entries})"

    def clear(self) -> None:
        """Forget all passwords, those that are being checked now too."""
        with self._lock:
            self._known.clear()
            self._shared.clear()
            self._generation += 1

    def make_sync(self, secret: str) -> str:
        """Hash a password; see `BaseHasher.make_sync`."""
        return self.hasher.make_sync(secret)

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        """Verify a password, from memory if it was right before; see `BaseHasher.verify_sync`."""
        digest, generation = self._digest(b"pair", secret, hashed), self._generation
        if self._is_known(digest):
            self._begin_check(hashed)(True)
            return True
        valid = self.hasher.verify_sync(secret, hashed)
        if valid:
            self._remember(digest, generation)
        return valid

    def verify_and_update_sync(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        """Verify a password, and make a new hash of it where the stored one is outdated."""
        digest, generation = self._digest(b"pair", secret, hashed), self._generation
        if self._is_answered(digest, hashed):
            return True, None
        valid, new = self.hasher.verify_and_update_sync(secret, hashed)
        if valid:
            self._remember(digest, generation)
        return valid, new

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a failing `verify`; see `BaseHasher.dummy_verify_sync`."""
        self.hasher.dummy_verify_sync(secret, username)

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        """Do as `verify_and_update_sync` does, in a worker thread where it is not known."""
        if self._is_answered(self._digest(b"pair", secret, hashed), hashed):
            return True, None
        digest = self._digest(b"update", secret, hashed)
        return await self._share(digest, lambda: self.verify_and_update_sync(secret, hashed))

    async def dummy_verify(self, secret: str, username: str = "") -> None:
        """Do as `dummy_verify_sync` does, once for all who claim that user-id at the same time."""
        require_text(secret)
        if not isinstance(username, str):
            raise TypeError(f"username must be a str, not {type(username).__name__}")
        digest = self._digest(b"dummy", secret, username)
        await self._share(digest, lambda: self.dummy_verify_sync(secret, username))

    def identify(self, hashed: str) -> bool:
        """Tell whether the hasher could verify *hashed*."""
        return self.hasher.identify(hashed)

    def needs_update(self, hashed: str) -> bool:
        """Tell what the hasher does, with the same contract."""
        return self.hasher.needs_update(hashed)

    def _is_outdated(self, hashed: str) -> bool:
        return self.hasher._is_outdated(hashed)

    def _can_make(self) -> bool:
        return self.hasher._can_make()

    def _begin_check(self, hashed: str | None) -> Callable[[bool], None]:
        return self.hasher._begin_check(hashed)

    async def _finish_check(
        self, tell: Callable[[bool], None], secret: str, hashed: str | None
    ) -> bool:
        # Without the coroutine of a `_check`, for those that are known.
        digest = self._digest(b"pair", secret, hashed)
        valid = self._is_known(digest) or await self._share(
            digest, lambda: self.verify_sync(secret, hashed)
        )
        tell(valid)
        return valid

    def _digest(self, purpose: bytes, secret: str, other: str | None) -> bytes:
        require_text(secret, other)
        password = secret.encode("utf-8", "surrogatepass")
        token = (other or "").encode("utf-8", "surrogatepass")
        digest = self._keyed[purpose].copy()
        # The length in front keeps the two apart: `ab`, `c` is not `a`, `bc`.
        digest.update(b"%d:%b%b" % (len(password), password, token))
        return digest.digest()

    def _is_known(self, digest: bytes) -> bool:
        return self._known.get(digest, 0.0) > time.monotonic()

    def _is_answered(self, digest: bytes, hashed: str | None) -> bool:
        return hashed is not None and self._is_known(digest) and not self._is_outdated(hashed)

    def _remember(self, digest: bytes, generation: int) -> None:
        now = time.monotonic()
        with self._lock:
            if generation != self._generation:
                return  # cleared while this was computed
            self._known[digest] = now + self._ttl
            self._known.move_to_end(digest)
            while len(self._known) > self._max_entries or self._oldest_expires() <= now:
                self._known.popitem(last=False)

    def _oldest_expires(self) -> float:
        return next(iter(self._known.values()), math.inf)

    async def _share(self, digest: bytes, function: Callable[[], T]) -> T:
        """Let everybody who asks for the same at the same time wait for one computation."""
        with self._lock:
            shared = self._shared.get(digest)
            if shared is None:
                started = shared = _Shared(_workers.submit(function))
                self._shared[digest] = started
                started.future.add_done_callback(lambda _: self._forget(digest, started))
            shared.callers += 1
        try:
            return await _workers.wait(shared.future)
        finally:
            with self._lock:
                shared.callers -= 1
                # Work that nobody waits for any more is dropped, if it has not begun.
                if not shared.callers:
                    shared.future.cancel()

    def _forget(self, digest: bytes, shared: _Shared) -> None:
        with self._lock:
            if self._shared.get(digest) is shared:
                del self._shared[digest]


_hashers: "weakref.WeakSet[CachingHasher]" = weakref.WeakSet()


def _start_afresh() -> None:
    # What others were computing, and a lock that they held, stay behind in the parent.
    for hasher in _hashers:
        hasher._start_afresh()


if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_start_afresh)
