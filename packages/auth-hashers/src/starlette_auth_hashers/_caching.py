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
from typing import Any, NoReturn, TypeVar, cast

from . import _workers
from ._base import BaseHasher, require_text
from ._pacing import attempt, pause, settle

__all__ = ["CachingHasher"]

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Shared:
    """A check that several callers wait for: its computation, and the time that it has to take."""

    future: "Future[tuple[Any, float]]"
    callers: int = 0
    # When a failed check may be answered, by `time.monotonic`.
    due: float = math.inf


class CachingHasher(BaseHasher):
    """Answers a repeated right password from memory, at a ten-thousandth of a hash's cost.

    HTTP Basic sends the password with every request (RFC 7617), and each check costs a hash. This
    hasher remembers, for *ttl* seconds, that a password was right for a stored hash: a changed
    stored hash misses at once. Wrong passwords are never remembered.

    Checks that are awaited at the same time are one computation where the same client could have
    sent them: the same user-id and password to the same backend. A check of an unknown user
    (`dummy_verify`) is shared in the same way, so that sharing does not show who exists. Called
    without a user-id, `verify` and `verify_and_update` share by password and hash, and not at all
    where there is no hash of the hasher. (The methods that block share nothing: each works in its
    caller's thread.)

    What it trades: it holds a keyed digest of each password and the key. Who can read the
    process's memory can then try passwords at the speed of BLAKE2, not of the hasher. It is the one
    hasher whose state changes; all of it is safe between threads and event loops.

    Args:
        hasher: The hasher that does the work.
        ttl: How long a right password is remembered, in seconds.
        max_entries: How many are, each some 250 bytes; beyond that the oldest is forgotten.

    Raises:
        TypeError: If *hasher* is not a hasher, or a number is not a number. Also where it is to be
            pickled or copied: each process needs a key and a memory of its own.
        ValueError: If a number is not above 0.
    """

    _measured_within = True

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
            for purpose in (b"pair", b"update", b"verify", b"dummy")
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

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError(
            "A CachingHasher can't be pickled or copied: it holds the passwords that it remembers, "
            "and the key of their digests. Make one in each process, around a copy of its hasher"
        )

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
            self._begin_check(hashed)(self._allows_update(secret, hashed, True))
            return True
        valid = settle(self, secret, lambda: self.hasher._measured_verify(secret, hashed))
        if valid:
            self._remember(digest, generation)
        return valid

    def verify_and_update_sync(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        """Verify a password, and make a new hash of it where the stored one is outdated."""
        digest, generation = self._digest(b"pair", secret, hashed), self._generation
        if self._is_answered(digest, hashed):
            return True, None
        valid, new = settle(
            self, secret, lambda: self.hasher.verify_and_update_sync(secret, hashed)
        )
        if valid:
            self._remember(digest, generation)
        return valid, new

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a failing `verify`; see `BaseHasher.dummy_verify_sync`."""
        settle(self, secret, lambda: self.hasher._measured_dummy(secret, username))

    async def verify_and_update(
        self,
        secret: str,
        hashed: str | None,
        *,
        username: str | None = None,
        backend: object = None,
    ) -> tuple[bool, str | None]:
        """Do as `verify_and_update_sync` does, in a worker thread where it is not known."""
        if self._is_answered(self._digest(b"pair", secret, hashed), hashed):
            return True, None
        digest = self._digest_of_attempt(b"update", secret, hashed, username, backend)
        return await self._share(
            digest, secret, lambda: self.verify_and_update_sync(secret, hashed)
        )

    async def dummy_verify(
        self, secret: str, username: str = "", *, backend: object = None
    ) -> None:
        """Do as `dummy_verify_sync` does, once for all who claim that user-id at the same time."""
        require_text(secret)
        if not isinstance(username, str):
            raise TypeError(f"username must be a str, not {type(username).__name__}")
        digest = self._digest_of_attempt(b"dummy", secret, None, username, backend)
        await self._share(digest, secret, lambda: self.dummy_verify_sync(secret, username))

    def identify(self, hashed: str) -> bool:
        """Return whether the hasher could verify *hashed*."""
        return self.hasher.identify(hashed)

    def needs_update(self, hashed: str) -> bool:
        """Return what the hasher does, with the same contract."""
        return self.hasher.needs_update(hashed)

    def _is_outdated(self, hashed: str) -> bool:
        return self.hasher._is_outdated(hashed)

    def _can_make(self) -> bool:
        return self.hasher._can_make()

    def _begin_check(self, hashed: str | None) -> Callable[[bool], None]:
        return self.hasher._begin_check(hashed)

    def _confuses(self, secret: str, hashed: str) -> bool:
        return self.hasher._confuses(secret, hashed)

    def _highest_cost(self, secret: str, *, makes: bool) -> float:
        return self.hasher._highest_cost(secret, makes=makes)

    async def _finish_check(
        self,
        tell: Callable[[bool], None],
        secret: str,
        hashed: str | None,
        *,
        username: str | None,
        backend: object,
    ) -> bool:
        valid = self._is_known(self._digest(b"pair", secret, hashed))
        if not valid:
            digest = self._digest_of_attempt(b"verify", secret, hashed, username, backend)
            valid = await self._share(digest, secret, lambda: self.verify_sync(secret, hashed))
        tell(self._allows_update(secret, hashed, valid))
        return valid

    def _digest_of_attempt(
        self,
        purpose: bytes,
        secret: str,
        hashed: str | None,
        username: str | None,
        backend: object,
    ) -> bytes | None:
        """Return the key under which a check is shared, or None for one that is not.

        The stored hash is in it, so that nobody gets the outcome of a check of another one. It does
        not decide what is shared: a backend has one for each user-id, and none for most of them.
        """
        if username is not None:
            claimed = f"{id(backend)}:{len(username)}:{username}{hashed or ''}"
            return self._digest(purpose, secret, claimed)
        if hashed is None or not self.hasher.identify(hashed):
            return None
        return self._digest(purpose, secret, hashed)

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

    async def _share(self, digest: bytes | None, secret: str, check: Callable[[], T]) -> T:
        """Let everybody who asks for the same at the same time wait for one check.

        Those who ask while a failed one waits get its answer when it is due, and no sooner.
        """
        if digest is None:
            return await self._run_attempt(secret, check)
        with self._lock:
            shared, started = self._shared.get(digest), None
            if shared is None or shared.due <= time.monotonic():
                started = shared = _Shared(_workers.submit(lambda: attempt(self, secret, check)))
                self._shared[digest] = started
            due = shared.due
            shared.callers += 1
            if started is not None:
                # Last, since it is called at once where the work is done already.
                started.future.add_done_callback(lambda _: self._finish(digest, started))
        try:
            outcome, seconds = await _workers.wait(shared.future)
            await pause(seconds if due == math.inf else max(0.0, due - time.monotonic()))
            return cast("T", outcome)
        finally:
            with self._lock:
                shared.callers -= 1
                # Work that nobody waits for any more is dropped, if it has not begun.
                if not shared.callers:
                    shared.future.cancel()
                    if shared.future.done():
                        self._forget(digest, shared)

    def _finish(self, digest: bytes, shared: _Shared) -> None:
        failed = not shared.future.cancelled() and shared.future.exception() is None
        seconds = shared.future.result()[1] if failed else 0.0
        with self._lock:
            if seconds and shared.callers:
                shared.due = time.monotonic() + seconds
            else:
                self._forget(digest, shared)

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
