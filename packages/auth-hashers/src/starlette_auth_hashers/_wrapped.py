"""Weak hashes that are made strong today, without waiting for their users to log in."""

import base64
import binascii
import contextlib
import hashlib
import logging
import re
from collections.abc import Callable
from typing import ClassVar

from . import _workers
from ._algorithms import Hasher
from ._base import BaseHasher, require_hash, require_text
from ._formats import Format
from ._legacy import LegacyHasher
from ._pacing import computation, learned_costs, settle
from ._passlib import Algorithm
from ._repeating import costs_of_config, repeat, separate
from ._unavailable import HasherUnavailable, unavailable

__all__ = ["WrappedHasher"]

logger = logging.getLogger("starlette_auth_hashers")

_STORED = re.compile(
    r"\$wrapped\$(?P<name>[a-z0-9_]{1,40})\$(?P<config>[A-Za-z0-9_-]*)\$(?P<hash>.+)", re.DOTALL
)


class WrappedHasher(BaseHasher):
    """Verifies strong hashes of weak hashes, which `wrap` makes without the password.

    A wrapped hash is the outer hash of the weak one, beside what is needed to compute that again
    (the name, the salt and the costs). `verify` computes both, and `verify_and_update` then makes a
    plain hash of the outer hasher. Plain hashes of the outer hasher verify, too. See OWASP Password
    Storage Cheat Sheet, "Upgrading Legacy Hashes".

    Args:
        outer: The hasher that makes new hashes, such as `Argon2Hasher()`.
        inner: The hasher of the weak hashes, such as `LegacyHasher("hex_md5")`.

    Raises:
        TypeError: If *outer* is not a hasher, or *inner* neither a `LegacyHasher` nor a `Hasher`.
        ValueError: If *outer* can't make hashes.
    """

    _measured_within: ClassVar[bool] = True

    def __init__(self, outer: BaseHasher, inner: LegacyHasher | Hasher) -> None:
        self._outer = outer
        self._inner = inner
        if not isinstance(outer, BaseHasher):
            raise TypeError(f"outer must be a hasher, not {type(outer).__name__}")
        if not isinstance(inner, LegacyHasher | Hasher):
            raise TypeError(f"inner must be a LegacyHasher or a Hasher, not {type(inner).__name__}")
        if not outer._can_make():
            raise ValueError(
                f"WrappedHasher needs an outer hasher that makes hashes, not {outer!r}"
            )
        self._verifier: Algorithm | Format = (
            inner._verifier if isinstance(inner, LegacyHasher) else inner._algorithm
        )

    def __repr__(self) -> str:
        """Show both hashers."""
        return f"WrappedHasher({self._outer!r}, {self._inner!r})"

    def wrap_sync(self, hashed: str) -> str:
        """Make a wrapped hash of a weak one.

        Args:
            hashed: The stored weak hash.

        Returns:
            What to store in its place.

        Raises:
            HasherUnavailable: If the machine is short of memory or threads.
            TypeError: If *hashed* is not a string.
            ValueError: If *hashed* is not a hash of the inner hasher, or wrapped already.
        """
        if not isinstance(hashed, str):
            raise TypeError(f"hashed must be a str, not {type(hashed).__name__}")
        if hashed.startswith("$wrapped$"):
            raise ValueError("wrap takes a weak hash, and this one is wrapped already")
        separated = self._separate(hashed)
        if separated is None:
            raise ValueError(f"wrap takes a hash of {self._verifier.name}, and this is not one")
        config, digest = separated
        encoded = (
            base64.urlsafe_b64encode(config.encode("utf-8", "surrogatepass")).decode().rstrip("=")
        )
        outer = self._outer.make_sync(_condense(digest))
        return f"$wrapped${self._verifier.name}${encoded}${outer}"

    async def wrap(self, hashed: str) -> str:
        """Do as `wrap_sync` does, in a worker thread."""
        return await _workers.run(lambda: self.wrap_sync(hashed))

    def _can_wrap(self, hashed: str) -> bool:
        """Return whether `wrap` takes *hashed*."""
        return not hashed.startswith("$wrapped$") and self._separate(hashed) is not None

    def make_sync(self, secret: str) -> str:
        """Hash a password with the outer hasher; see `BaseHasher.make_sync`."""
        return self._outer.make_sync(secret)

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        """Verify a password; see `BaseHasher.verify_sync`."""
        require_text(secret, hashed)
        return settle(self, secret, lambda: self._verify(secret, hashed))

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a failing `verify` with the outer hasher."""
        require_text(secret)
        settle(self, secret, lambda: self._outer._measured_dummy(secret, username))

    def identify(self, hashed: str) -> bool:
        """Return whether *hashed* is a wrapped hash of the inner hasher, or a plain outer one."""
        require_hash(hashed)
        if hashed.startswith("$wrapped$"):
            return self._match(hashed) is not None
        return self._outer.identify(hashed)

    def needs_update(self, hashed: str) -> bool:
        """Return whether *hashed* is wrapped, or a plain outer hash that is outdated."""
        require_hash(hashed)
        if hashed.startswith("$wrapped$"):
            return self._match(hashed) is not None
        return self._outer._is_outdated(hashed)

    def _match(self, hashed: str) -> re.Match[str] | None:
        stored = _STORED.fullmatch(hashed)
        return stored if stored is not None and stored["name"] == self._verifier.name else None

    def _verify(self, secret: str, hashed: str | None) -> bool:
        if hashed is None or not hashed.startswith("$wrapped$"):
            return self._outer._measured_verify(secret, hashed)
        stored = self._match(hashed)
        config = None if stored is None else _decode(stored["config"])
        if stored is None or config is None:
            logger.warning("A wrapped hash is malformed, or is not of %s", self._verifier.name)
            return False
        if self._verifier.why_never(secret) is not None:
            logger.info("A password was refused: %s can't take it", self._verifier.name)
            return False
        password = self._repeat(secret, config)
        if password is None:
            logger.warning("A wrapped hash of %s is malformed", self._verifier.name)
            return False
        return self._outer._measured_verify(_condense(password), stored["hash"])

    def _separate(self, hashed: str) -> tuple[str, str] | None:
        """Return what the inner hash is computed again by, and its digest."""
        if isinstance(self._verifier, Algorithm):
            known = self._verifier._parse(hashed)
            return None if known is None else separate(self._verifier, hashed)
        parsed = self._verifier._parse(hashed)
        return None if parsed is None else (parsed.config, parsed.digest.hex())

    def _repeat(self, secret: str, config: str) -> str | None:
        """Compute the inner digest of a password; None for a config that is not computed."""
        failed: HasherUnavailable
        try:
            compute = self._load(config)
            if compute is None:
                return None
        except ValueError:
            return None
        try:
            with computation((self._verifier.name, "wrapped"), None):
                return compute(secret)
        except Exception as error:  # noqa: BLE001 - the config was parsed, so it is the machine
            failed = unavailable(self._verifier.name, error)
        # Raised here, without a context: the error of a library may quote the password.
        raise failed

    def _load(self, config: str) -> Callable[[str], str] | None:
        verifier = self._verifier
        if isinstance(verifier, Algorithm):
            within = verifier.is_within(costs_of_config(verifier, config))
            return (lambda secret: repeat(verifier, secret, config)) if within else None
        parsed = verifier.parse_config(config)
        if parsed is None or verifier.costs_too_much(parsed):
            return None
        return lambda secret: parsed.compute(secret).hex()

    def _confuses(self, secret: str, hashed: str) -> bool:
        stored = self._match(hashed)
        if stored is None:
            return self._outer._confuses(secret, hashed)
        config = _decode(stored["config"]) or ""
        if isinstance(self._verifier, Algorithm):
            return self._verifier.confuses(secret, config)
        parsed = self._verifier.parse_config(config)
        return parsed is not None and self._verifier.changes(secret, parsed)

    def _highest_cost(self, secret: str, *, makes: bool) -> float:
        # A wrapped hash costs both.
        inner = learned_costs((self._verifier.name, "wrapped"))
        return self._outer._highest_cost(secret, makes=makes) + max(inner.values(), default=0.0)


def _condense(secret: str) -> str:
    """Return a weak digest in 44 characters, which bcrypt takes as well."""
    return base64.b64encode(hashlib.sha256(secret.encode()).digest()).decode()


def _decode(text: str) -> str | None:
    with contextlib.suppress(binascii.Error, ValueError):
        return base64.urlsafe_b64decode(text + -len(text) % 4 * "=").decode(
            "utf-8", "surrogatepass"
        )
    return None
