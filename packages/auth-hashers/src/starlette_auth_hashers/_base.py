"""What every password hasher does, once hashing and verifying are known."""

import contextlib
import logging
import secrets
import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from . import _workers
from ._pacing import attempt, computation, learned_costs, pause
from ._unavailable import HasherUnavailable

__all__ = [
    "BaseHasher",
    "generate_random_string",
    "require_hash",
    "require_text",
]

T = TypeVar("T")

_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
# Hashed in place of a password that can't be.
_DUMMY = "a dummy password"

logger = logging.getLogger("starlette_auth_hashers")


class BaseHasher(ABC):
    """A password hasher. Its subclasses write `make_sync` and `verify_sync`, and get the rest.

    A hasher holds nothing that changes, so that one serves all threads and tasks. The awaitable
    methods do the work of their namesakes in the worker threads; see `configure`. Each raises
    `HasherBusy` where too many checks wait already.

    A check that fails does the work of one check, and then waits until the most expensive
    configured hasher would have failed, too: by processor time, as it was learned in this process.
    Awaited, that wait takes no worker thread. The methods that block sleep in their caller's
    thread; `verify_sync` and `dummy_verify_sync` of a subclass of one's own do not, unless a
    `MultiHasher` or a `CachingHasher` is around it.
    """

    # Whether the hasher itself measures what its checks cost.
    _measured_within: ClassVar[bool] = False

    @property
    def _shares_strings(self) -> str | None:
        """A string such as it verifies, if nothing in it tells them from another algorithm's."""
        return None

    @abstractmethod
    def make_sync(self, secret: str) -> str:
        """Hash a password.

        Args:
            secret: The password, in plain text.

        Returns:
            The string to store. It names the algorithm and its settings, and holds the salt.

        Raises:
            HasherUnavailable: If the machine is short of memory or threads.
            TypeError: If *secret* is not a string.
            ValueError: If it can't be hashed faithfully, so that another password could stand for
                it or none ever match. The message names the limit.
        """

    @abstractmethod
    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        """Return whether a password is the one that a stored hash was made of.

        Args:
            secret: The password that somebody typed.
            hashed: The stored string, whatever it is. None for "no password".

        Returns:
            Whether it is. A string that is not a hash of this hasher is a wrong password, at the
            cost of a wrong password.

        Raises:
            HasherUnavailable: If the machine is short of memory or threads.
            TypeError: If *secret* is not a string, or *hashed* neither a string nor None.
        """

    def verify_and_update_sync(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        """Verify a password, and make a new hash of it where the stored one is outdated.

        Store the new hash only if the old one is still stored.

        Args:
            secret: The password that somebody typed.
            hashed: The stored string.

        Returns:
            Whether the password is right, and the new hash. That is None if the password is wrong,
            the stored hash is good, or a new hash can't be made: of this password, by this machine
            now, or because the stored hash may be of another password, where its algorithm cuts
            what was typed or folds case.

        Raises:
            HasherUnavailable: If the machine is short of memory or threads for the check itself.
            TypeError: As `verify_sync` does.
        """
        if not self._measured_verify(secret, hashed) or hashed is None:
            return False, None
        try:
            if not self._is_outdated(hashed) or self._confuses(secret, hashed):
                return True, None
            return True, self.make_sync(secret)
        except ValueError:
            return True, None
        except (HasherUnavailable, MemoryError):
            logger.warning("An outdated password hash was kept: a new one can't be computed now")
            return True, None

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a `verify` that fails, for a user who does not exist.

        So the time of an answer does not show which users exist (OWASP Authentication Cheat Sheet,
        "Authentication and Error Messages").

        Args:
            secret: The password that somebody typed.
            username: The user-id that was claimed.

        Raises:
            HasherUnavailable: If the machine is short of memory or threads.
        """
        with contextlib.suppress(ValueError):
            self.make_sync(secret)
            return
        with contextlib.suppress(ValueError):
            self.make_sync(_DUMMY)

    def verify(
        self,
        secret: str,
        hashed: str | None,
        *,
        username: str | None = None,
        backend: object = None,
    ) -> Coroutine[Any, Any, bool]:
        """Do as `verify_sync` does, in a worker thread.

        Args:
            secret: The password that somebody typed.
            hashed: The stored string.
            username: The user-id that was claimed, for `CachingHasher`.
            backend: The object that asks, for `CachingHasher`.
        """
        return self._finish_check(
            self._begin_check(hashed), secret, hashed, username=username, backend=backend
        )

    async def make(self, secret: str) -> str:
        """Do as `make_sync` does, in a worker thread."""
        return await _workers.run(lambda: self.make_sync(secret))

    async def verify_and_update(
        self,
        secret: str,
        hashed: str | None,
        *,
        username: str | None = None,
        backend: object = None,
    ) -> tuple[bool, str | None]:
        """Do as `verify_and_update_sync` does, in a worker thread; see `verify`."""
        return await self._run_attempt(secret, lambda: self.verify_and_update_sync(secret, hashed))

    async def dummy_verify(
        self, secret: str, username: str = "", *, backend: object = None
    ) -> None:
        """Do as `dummy_verify_sync` does, in a worker thread."""
        await self._run_attempt(secret, lambda: self._measured_dummy(secret, username))

    def identify(self, hashed: str) -> bool:
        """Return whether this hasher could verify *hashed*: True where it is not known better."""
        return True

    def needs_update(self, hashed: str) -> bool:
        """Return whether a new hash should replace *hashed*: False where not overridden."""
        return False

    def _can_make(self) -> bool:
        """Return whether `make` makes anything at all."""
        return True

    def _is_outdated(self, hashed: str) -> bool:
        """Do as `needs_update` does, for a hash that was just verified elsewhere."""
        return self.needs_update(hashed)

    def _confuses(self, secret: str, hashed: str) -> bool:
        """Return whether *hashed*, which *secret* verifies, may be of another password."""
        return False

    def _highest_cost(self, secret: str, *, makes: bool) -> float:
        """Return the processor time of the most expensive check, in seconds; 0 if not known.

        Args:
            secret: The password.
            makes: Whether this hasher makes the new hashes. Then its settings decide, and else the
                stored hashes that it has checked in this process do, too.
        """
        return max(learned_costs(id(self)).values(), default=0.0)

    def _begin_check(self, hashed: str | None) -> Callable[[bool], None]:
        """Note that a check was asked for, and return what to call when it is done.

        That takes whether a new hash may be made of the password; see `_allows_update`.
        """
        return _forget

    def _allows_update(self, secret: str, hashed: str | None, valid: bool) -> bool:
        """Return whether *secret* is right, and *hashed* can be of no other password."""
        return valid and hashed is not None and not self._confuses(secret, hashed)

    async def _finish_check(
        self,
        tell: Callable[[bool], None],
        secret: str,
        hashed: str | None,
        *,
        username: str | None,
        backend: object,
    ) -> bool:
        valid = await self._run_attempt(secret, lambda: self._measured_verify(secret, hashed))
        tell(self._allows_update(secret, hashed, valid))
        return valid

    async def _run_attempt(self, secret: str, check: Callable[[], T]) -> T:
        outcome, seconds = await _workers.run(lambda: attempt(self, secret, check))
        await pause(seconds)
        return outcome

    def _measured_verify(self, secret: str, hashed: str | None) -> bool:
        with self._measured():
            return self.verify_sync(secret, hashed)

    def _measured_dummy(self, secret: str, username: str = "") -> None:
        with self._measured():
            self.dummy_verify_sync(secret, username)

    def _measured(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._measured_within else computation(id(self), None)


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
    """Raise a `TypeError` for anything but text: a programmer's mistake, not a user's."""
    if not isinstance(secret, str):
        raise TypeError(f"secret must be a str, not {type(secret).__name__}")
    require_hash(hashed)


def require_hash(hashed: object) -> None:
    """Raise a `TypeError` for a stored value that is neither text nor None."""
    if hashed is not None and not isinstance(hashed, str):
        raise TypeError(f"hashed must be a str or None, not {type(hashed).__name__}")


def _forget(allows_update: bool) -> None:
    pass
