"""What hashers need of an algorithm: a check that never raises, and the work of a failing one."""

import logging
from abc import ABC, abstractmethod

__all__ = ["MAX_HASH_SIZE", "Verifier"]

logger = logging.getLogger("starlette_auth_hashers")

# The longest stored string that is looked at, in characters; real ones have under 500.
MAX_HASH_SIZE = 4096
# passlib's limit, in characters, which holds for its algorithms at least.
_MAX_PASSWORD_SIZE = 4096


class Verifier(ABC):
    """One algorithm that passwords are checked by.

    Attributes:
        name: What it is called where it is logged.
    """

    name: str

    @abstractmethod
    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* looks like one of this algorithm's."""

    @abstractmethod
    def imitate(self, secret: str) -> None:
        """Do the work of a check that fails, whatever *secret* is."""

    @abstractmethod
    def _verify(self, secret: str, hashed: str) -> bool | None:
        """Do as `check` does, for a password that may be right; it may raise."""

    def check(self, secret: str, hashed: str) -> bool | None:
        """Tell whether *secret* is right; None where that was not worked out at all.

        That is so for a stored string that is not of this algorithm or costs beyond reason, and
        for a password that no hash can be of. It is logged, without either.
        """
        if self.why_never(secret) is not None:
            logger.info("A password is none that %s can take", self.name)
            return None
        try:
            valid = self._verify(secret, hashed)
            reason = "is none, or costs too much"
        except Exception as error:  # noqa: BLE001 - passlib's parsers raise about anything
            valid = None
            reason = f"can't be checked ({type(error).__name__})"
        if valid is None:
            logger.warning("A stored hash of %s %s", self.name, reason)
        return valid

    def why_never(self, secret: str) -> str | None:
        """Say why *secret* is never right, if that is so."""
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
