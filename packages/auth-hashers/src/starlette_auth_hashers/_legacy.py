"""Hashes to move away from: what passlib can verify but nobody should make, and other programs'."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from ._algorithms import max_costs_of
from ._base import BaseHasher, require_hash, require_text
from ._formats import FORMATS, Format, build_format
from ._pacing import settle
from ._passlib import Algorithm, cost_kind, find_algorithm, load_algorithm

__all__ = ["LegacyHasher"]


class LegacyHasher(BaseHasher):
    """Verifies old hashes and never makes one. It goes behind another hasher in a `MultiHasher`.

    Args:
        algorithm: A name of `passlib.hash`: one without a salt, such as `"hex_sha256"`, one of
            Django's, such as `"django_pbkdf2_sha256"`, or any other but for plain text, what can
            be decrypted and what needs the user's name. Or one of the programs that store strings
            of their own: `"aspnet_identity"`, `"django_scrypt"`, `"dovecot"`, `"firebase_scrypt"`,
            `"flask_bcrypt"`, `"keycloak"`, `"spring"`, `"werkzeug"`, `"wordpress"` and
            `"yescrypt"`.

    Attributes:
        max_costs: The costs above which a stored hash is refused, by the names of the settings,
            where a subclass wants others than `MAX_COSTS` has.

    Raises:
        ImportError: If the package that computes it is missing.
        TypeError: If *algorithm* is no string.
        ValueError: If there is no such algorithm, or it is no password hash.
    """

    max_costs: ClassVar[Mapping[str, int]] = MappingProxyType({})
    _measured_within: ClassVar[bool] = True

    def __init__(self, algorithm: str) -> None:
        self._verifier: Algorithm | Format
        if isinstance(algorithm, str) and algorithm in FORMATS:
            self._verifier = build_format(algorithm, dict(self.max_costs))
        else:
            name = find_algorithm(algorithm, FORMATS)
            max_costs = max_costs_of(cost_kind(name)) | dict(self.max_costs)
            self._verifier = load_algorithm(name, {}, {}, max_costs)

    def __repr__(self) -> str:
        """Show the algorithm."""
        return f"LegacyHasher({self._verifier.name!r})"

    def make_sync(self, secret: str) -> str:
        """Refuse: a new hash is the business of another hasher.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f"{self!r} only verifies: put it behind another hasher in a MultiHasher, which makes "
            "the new hashes"
        )

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        """Verify a password; see `BaseHasher.verify_sync`."""
        require_text(secret, hashed)
        return settle(
            self,
            secret,
            lambda: hashed is not None and bool(self._verifier.check(secret, hashed)),
        )

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a failing `verify`; see `BaseHasher.dummy_verify_sync`."""
        require_text(secret)
        settle(self, secret, lambda: self._verifier.imitate(secret))

    def identify(self, hashed: str) -> bool:
        """Return whether *hashed* looks like one of the algorithm's."""
        require_hash(hashed)
        return bool(hashed) and self._verifier.identify(hashed)

    @property
    def _shares_strings(self) -> str | None:
        # Flask-Bcrypt's strings are bcrypt's.
        return self._verifier.today if self._verifier.name == "flask_bcrypt" else None

    def _can_make(self) -> bool:
        return False

    def _confuses(self, secret: str, hashed: str) -> bool:
        return self._verifier.confuses(secret, hashed)

    def _highest_cost(self, secret: str, *, makes: bool) -> float:
        return self._verifier.highest_cost(secret)
