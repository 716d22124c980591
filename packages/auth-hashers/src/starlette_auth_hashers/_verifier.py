"""What hashers need of an algorithm: a check, and the work of one that fails.

A stored string is parsed first, and computed after. Whatever is wrong with the string is known by
then, so an error of the computation is the machine's, and no verdict.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any

from ._pacing import computation, learned_costs
from ._unavailable import HasherUnavailable, unavailable

__all__ = ["DISABLED", "MAX_HASH_SIZE", "Verifier", "why_never"]

logger = logging.getLogger("starlette_auth_hashers")

# The longest stored string that is looked at, in characters; real ones have under 500.
MAX_HASH_SIZE = 4096
# passlib's limit, in characters, which holds for its algorithms at least.
_MAX_PASSWORD_SIZE = 4096
# Markers of accounts without a password: shadow(5), passwd -l, Solaris, and Django's, which has 40
# random characters after it.
DISABLED = ("!", "*")


class Verifier(ABC):
    """One algorithm that passwords are checked by.

    Attributes:
        name: What it is called where it is logged.
        today: A stored string whose digest is made up, at the costs that a check of an unknown
            user has.
        grows: Whether its work grows with the password.
    """

    name: str
    today: str
    grows: bool = False

    @abstractmethod
    def identify(self, hashed: str) -> bool:
        """Return whether *hashed* looks like one of this algorithm's."""

    @abstractmethod
    def _parse(self, hashed: str) -> Any:
        """Return *hashed* as `_compute` needs it; None if it is malformed, or costs too much."""

    @abstractmethod
    def _compute(self, secret: str, parsed: Any) -> bool:
        """Return whether *secret* is right. Every error is taken for the machine's."""

    def check(self, secret: str, hashed: str) -> bool | None:
        """Return whether *secret* is right; None where that was not worked out at all.

        That is so for a stored string that is not of this algorithm or costs beyond reason, and
        for a password that no hash can be of. It is logged, without either.

        Raises:
            HasherUnavailable: If the machine can't compute it now.
        """
        if self.why_never(secret) is not None:
            logger.info("A password was refused: %s can't take it", self.name)
            return None
        failed: HasherUnavailable | None = None
        try:
            parsed = self._parse(hashed)
        except MemoryError as error:
            failed = unavailable(self.name, error)
        if failed is not None:
            raise failed
        if parsed is None:
            if not hashed.startswith(DISABLED):
                logger.warning("A stored hash of %s is malformed, or costs too much", self.name)
            return None
        if self._is_too_expensive(secret, parsed):
            logger.warning("A stored hash of %s costs too much", self.name)
            return None
        return self._run(secret, parsed)

    def imitate(self, secret: str) -> None:
        """Do the work of a check that fails, whatever *secret* is.

        It is a check of a made-up digest: some algorithms make more digests than they verify.

        Raises:
            HasherUnavailable: If the machine can't compute it now.
        """
        failed: HasherUnavailable | None = None
        try:
            parsed = self._parse(self.today)
        except Exception as error:  # noqa: BLE001 - there is no input yet
            failed = unavailable(self.name, error)
        if failed is not None:
            raise failed
        self._run(self._computable(secret), parsed)

    def highest_cost(self, secret: str) -> float:
        """Return the processor time of the most expensive check of *secret* so far, in seconds."""
        costs = learned_costs((self.name, self.size_of(secret)))
        return max(costs.values(), default=0.0)

    def why_never(self, secret: str) -> str | None:
        """Return why *secret* is never right, if that is so."""
        return why_never(secret)

    @abstractmethod
    def confuses(self, secret: str, hashed: str) -> bool:
        """Return whether another password than *secret* may be the one that *hashed* is of.

        That is so where the algorithm cuts what was typed, or folds case. Then *secret* must not
        be hashed anew: its owner may have typed more, and would be locked out.
        """

    @abstractmethod
    def _settings_of(self, parsed: Any) -> Hashable:
        """Return the settings that decide what *parsed* costs."""

    @abstractmethod
    def _is_too_expensive(self, secret: str, parsed: Any) -> bool:
        """Return whether computing *parsed* would take longer than is reasonable."""

    def _run(self, secret: str, parsed: Any) -> bool:
        """Compute a check, and learn what it costs."""
        failed: HasherUnavailable | None = None
        try:
            with computation((self.name, self.size_of(secret)), self._settings_of(parsed)):
                return self._compute(secret, parsed)
        except Exception as error:  # noqa: BLE001 - the input was parsed, so it is the machine
            failed = unavailable(self.name, error)
        # Raised here, without a context: the error of a library may quote the password.
        raise failed

    def size_of(self, secret: str) -> int:
        """Return which passwords cost as much as *secret* does: one number for all, mostly."""
        return len(self._computable(secret).encode()) // 64 if self.grows else 0

    def _computable(self, secret: str) -> str:
        """Return *secret*, or the empty password in place of one that is never right."""
        return "" if self.why_never(secret) else secret


def why_never(secret: str) -> str | None:
    """Return why *secret* is never right, whatever the algorithm."""
    if len(secret) > _MAX_PASSWORD_SIZE:
        return f"it has more than {_MAX_PASSWORD_SIZE} characters"
    if "\0" in secret:
        # It ends a password for bcrypt and crypt; HMAC, and so PBKDF2 and scrypt, takes "a"
        # and "a\0" for the same. RFC 7617 section 2 has no control characters either.
        return "it has a NUL character"
    try:
        secret.encode()
    except UnicodeEncodeError:
        return "it has a lone surrogate, which UTF-8 has no bytes for"
    return None
