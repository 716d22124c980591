"""What every password hasher does, once hashing and verifying are known."""

import contextlib
import secrets
import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any

from . import _workers

__all__ = [
    "BaseHasher",
    "generate_random_string",
    "leave_evening_out",
    "require_hash",
    "require_text",
]

_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
# What is hashed in place of a password that can't be.
_DUMMY = "a dummy password"

# Whether a hasher around this one evens out what a failing check costs.
_left_to_outer: ContextVar[bool] = ContextVar("starlette_auth_hashers.left_to_outer", default=False)


class BaseHasher(ABC):
    """A password hasher. Its subclasses write `make_sync` and `verify_sync`, and get the rest.

    A hasher holds nothing that changes, so that one serves all threads and tasks. The awaitable
    methods do the work of their namesakes in the worker threads; see `configure`. Each raises
    `HasherBusy` where too many wait already.
    """

    @abstractmethod
    def make_sync(self, secret: str) -> str:
        """Hash a password.

        Args:
            secret: The password, in plain text.

        Returns:
            What to store. It names the algorithm and its settings, and holds the salt.

        Raises:
            TypeError: If *secret* is no string.
            ValueError: If it can't be hashed faithfully, so that another password could stand for
                it or none ever match. The message names the limit.
        """

    @abstractmethod
    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        """Tell whether a password is the one that a stored hash was made of.

        Args:
            secret: The password that somebody typed.
            hashed: What is stored, whatever it is. None for "no password".

        Returns:
            Whether it is. Anything that is no hash of this hasher is a wrong one, at the cost of a
            wrong password.

        Raises:
            TypeError: If *secret* is no string, or *hashed* neither a string nor None.
        """

    def verify_and_update_sync(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        """Verify a password, and make a new hash of it where the stored one is outdated.

        Store the new hash only if the old one is still what is stored.

        Args:
            secret: The password that somebody typed.
            hashed: What is stored.

        Returns:
            Whether the password is right, and the new hash. That is None if the password is wrong,
            the stored hash is good, or the password is one that a new hash can't be made of.

        Raises:
            TypeError: As `verify_sync` does.
        """
        if not self.verify_sync(secret, hashed) or hashed is None:
            return False, None
        if not self._is_outdated(hashed):
            return True, None
        try:
            return True, self.make_sync(secret)
        except ValueError:
            return True, None

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a `verify` that fails, for a user who does not exist.

        So the time of an answer does not tell which users do (OWASP Authentication Cheat Sheet,
        "Authentication and Error Messages").

        Args:
            secret: The password that somebody typed.
            username: The user-id that was claimed.
        """
        with contextlib.suppress(ValueError):
            self.make_sync(secret)
            return
        with contextlib.suppress(ValueError):
            self.make_sync(_DUMMY)

    def verify(self, secret: str, hashed: str | None) -> Coroutine[Any, Any, bool]:
        """Do as `verify_sync` does, in a worker thread."""
        return self._finish_check(self._begin_check(hashed), secret, hashed)

    async def make(self, secret: str) -> str:
        """Do as `make_sync` does, in a worker thread."""
        return await _workers.run(lambda: self.make_sync(secret))

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        """Do as `verify_and_update_sync` does, in a worker thread."""
        return await _workers.run(lambda: self.verify_and_update_sync(secret, hashed))

    async def dummy_verify(self, secret: str, username: str = "") -> None:
        """Do as `dummy_verify_sync` does, in a worker thread."""
        await _workers.run(lambda: self.dummy_verify_sync(secret, username))

    def identify(self, hashed: str) -> bool:
        """Tell whether this hasher could verify *hashed*: True where it is not known better."""
        return True

    def needs_update(self, hashed: str) -> bool:
        """Tell whether *hashed* should be replaced by a new hash: False where not overridden.

        Who overrides it has `verify_sync` do a `dummy_verify_sync` after a failed check of such a
        hash: where it is cheaper, that would tell who has not logged in since.
        """
        return False

    def _even_out(self, secret: str) -> None:
        """Do the work that a failed check lacks, unless the hasher around this one does."""
        if not _left_to_outer.get():
            self.dummy_verify_sync(secret)

    def _can_make(self) -> bool:
        """Tell whether `make` makes anything at all."""
        return True

    def _is_outdated(self, hashed: str) -> bool:
        """Do as `needs_update` does, for a hash that was just verified elsewhere."""
        return self.needs_update(hashed)

    def _begin_check(self, hashed: str | None) -> Callable[[bool], None]:
        """Note that a check was asked for, and return what to tell its outcome to."""
        return _forget

    async def _finish_check(
        self, tell: Callable[[bool], None], secret: str, hashed: str | None
    ) -> bool:
        valid = await self._check(secret, hashed)
        tell(valid)
        return valid

    async def _check(self, secret: str, hashed: str | None) -> bool:
        return await _workers.run(lambda: self.verify_sync(secret, hashed))


@contextlib.contextmanager
def leave_evening_out() -> Iterator[None]:
    """Have the hashers that are called meanwhile do no dummy checks: the caller does its own."""
    token = _left_to_outer.set(True)
    try:
        yield
    finally:
        _left_to_outer.reset(token)


def generate_random_string(size: int = 32) -> str:
    """Return letters and digits from the system's secure random source.

    Args:
        size: How many. Each is worth 5.95 bits; the default of 32 makes 190.

    Raises:
        TypeError: If *size* is no integer.
        ValueError: If it is below 1.
    """
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"size must be an int, not {size!r}")
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    return "".join(secrets.choice(_LETTERS_AND_DIGITS) for _ in range(size))


def require_text(secret: object, hashed: object = None) -> None:
    """Raise a `TypeError` for what is no text: a programmer's mistake, not a user's."""
    if not isinstance(secret, str):
        raise TypeError(f"secret must be a str, not {type(secret).__name__}")
    require_hash(hashed)


def require_hash(hashed: object) -> None:
    """Raise a `TypeError` for what no column of hashes holds."""
    if hashed is not None and not isinstance(hashed, str):
        raise TypeError(f"hashed must be a str or None, not {type(hashed).__name__}")


def _forget(valid: bool) -> None:
    pass
