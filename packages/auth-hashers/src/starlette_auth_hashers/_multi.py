"""Several hashers as one: the first makes new hashes, and all verify the stored ones."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field

from ._base import BaseHasher, require_text
from ._pacing import settle
from ._verifier import DISABLED

__all__ = ["MultiHasher"]

logger = logging.getLogger("starlette_auth_hashers")


@dataclass(slots=True, eq=False)
class _Check:
    """The last check of a task, which `needs_update` may ask about once."""

    hasher: "MultiHasher"
    hashed: str | None
    allows_update: bool | None = None
    asked: bool = False
    verified: list[BaseHasher] = field(default_factory=list)

    def finish(self, allows_update: bool) -> None:
        self.allows_update = allows_update


# One for all hashers: a variable of each would stay in every context for good.
_last_check: ContextVar[_Check | None] = ContextVar(
    "starlette_auth_hashers.last_check", default=None
)


class MultiHasher(BaseHasher):
    """Moves stored hashes to a new algorithm or new settings, one login after the other.

    New hashes are made by the first hasher. A stored one is verified by the first that identifies
    it. Call `verify_and_update`, and store the new hash where there is one.

    To roll a new algorithm out over several servers, let all of them read it first,
    `MultiHasher([old, new])`, and then one after the other write it, `MultiHasher([new, old])`.

    Args:
        hashers: The hashers, the preferred one first. They may be MultiHashers themselves.

    Attributes:
        hashers: The same, as a tuple.

    Raises:
        TypeError: If something in it is no hasher.
        ValueError: If it is empty, or the first one can't make hashes.
    """

    _measured_within = True

    def __init__(self, hashers: Iterable[BaseHasher]) -> None:
        self.hashers: tuple[BaseHasher, ...] = tuple(hashers)
        if not self.hashers:
            raise ValueError("MultiHasher needs at least one hasher, the preferred one first")
        for position, hasher in enumerate(self.hashers, 1):
            if isinstance(hasher, type):
                raise TypeError(
                    f"Hasher number {position} of a MultiHasher is the class {hasher.__name__}: "
                    "make an instance of it"
                )
            if not isinstance(hasher, BaseHasher):
                raise TypeError(
                    f"Hasher number {position} of a MultiHasher is not a hasher: {hasher!r}"
                )
        self._preferred = self.hashers[0]
        if not self._preferred._can_make():
            raise ValueError(
                "The first hasher of a MultiHasher makes the new hashes, and a LegacyHasher makes "
                "none: put it behind another one"
            )

    def __repr__(self) -> str:
        """Show the hashers."""
        return f"MultiHasher({list(self.hashers)!r})"

    def make_sync(self, secret: str) -> str:
        """Hash a password with the first hasher; see `BaseHasher.make_sync`."""
        return self._preferred.make_sync(secret)

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        """Verify a password with the hasher that identifies *hashed*.

        A check that fails waits for as long as the most expensive of the hashers takes: the time of
        a cheaper old hash would show who has not logged in since the change.
        """
        require_text(secret, hashed)
        verified: list[BaseHasher] = []
        awaited = _last_check.get()
        valid = settle(self, secret, lambda: self._verify(secret, hashed, verified))
        if awaited is not None and awaited.hasher is self and awaited.allows_update is None:
            awaited.verified = verified
        allows_update = hashed is not None and not any(
            hasher._confuses(secret, hashed) for hasher in verified
        )
        # Noted last, since a MultiHasher within this one notes its own check.
        _last_check.set(_Check(self, hashed, valid and allows_update, verified=verified))
        return valid

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a failing `verify` with the first hasher."""
        settle(self, secret, lambda: self._preferred._measured_dummy(secret, username))

    def identify(self, hashed: str) -> bool:
        """Return whether one of the hashers identifies *hashed*."""
        return self._identify(hashed) is not None

    def needs_update(self, hashed: str) -> bool:
        """Return whether the hash that was just verified should be replaced.

        Call it once, right after `verify` or `verify_sync` of that hash, and in the same task.
        `verify_and_update` does both at once, and works everywhere.

        Returns:
            Whether the hash is not the first hasher's, or outdated for it. False after a failed
            verification, and where the old algorithm cuts what was typed or folds case: that
            password must not be stored.

        Raises:
            RuntimeError: If the last check of this task was not one of *hashed* by this hasher, it
                has not finished, or it was asked about already.
        """
        check = _last_check.get()
        if (
            check is None
            or check.hasher is not self
            or check.hashed != hashed
            or check.allows_update is None
            or check.asked
        ):
            raise RuntimeError(
                "Call needs_update once, right after verify of the same hash and in the same task; "
                "elsewhere, use verify_and_update instead of both"
            )
        check.asked = True
        return check.allows_update and self._is_outdated(hashed)

    def _is_outdated(self, hashed: str) -> bool:
        hasher = self._verified(hashed)
        return hasher is not self._preferred or self._preferred._is_outdated(hashed)

    def _begin_check(self, hashed: str | None) -> Callable[[bool], None]:
        check = _Check(self, hashed)
        _last_check.set(check)
        return check.finish

    def _verify(self, secret: str, hashed: str | None, verified: list[BaseHasher]) -> bool:
        hashers = list(self._possible(hashed))
        for hasher in hashers:
            if hasher._measured_verify(secret, hashed):
                verified.append(hasher)
                return True
        if not hashers and hashed is not None and not hashed.startswith(DISABLED):
            logger.warning("A stored hash is not of any of the hashers")
        return False

    def _confuses(self, secret: str, hashed: str) -> bool:
        hasher = self._verified(hashed)
        return hasher is not None and hasher._confuses(secret, hashed)

    def _highest_cost(self, secret: str, *, makes: bool) -> float:
        costs = [
            hasher._highest_cost(secret, makes=makes and hasher is self._preferred)
            for hasher in self.hashers
        ]
        return max(costs + list(self._costs_of_shared(secret, costs)))

    def _costs_of_shared(self, secret: str, costs: list[float]) -> Iterator[float]:
        """Yield the costs of strings that two hashers check, since both may have made them."""
        for hasher, cost in zip(self.hashers, costs, strict=True):
            if hasher._shares_strings is not None:
                others = set(self._possible(hasher._shares_strings)) - {hasher}
                yield cost + sum(other._highest_cost(secret, makes=False) for other in others)

    def _verified(self, hashed: str) -> BaseHasher | None:
        """Return the hasher that has just verified *hashed*, or the first one that could."""
        check = _last_check.get()
        if check is not None and check.hasher is self and check.hashed == hashed and check.verified:
            return check.verified[0]
        return self._identify(hashed)

    def _possible(self, hashed: str | None) -> Iterator[BaseHasher]:
        """Yield the first hasher that identifies *hashed*, and those whose strings are like it."""
        found = False
        if hashed is None:
            return
        for hasher in self.hashers:
            shares = hasher._shares_strings is not None
            if (shares or not found) and hasher.identify(hashed):
                found = found or not shares
                yield hasher

    def _identify(self, hashed: str | None) -> BaseHasher | None:
        if hashed is None:
            return None
        return next((hasher for hasher in self.hashers if hasher.identify(hashed)), None)
