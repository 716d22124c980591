"""Hashes to move away from: what passlib can verify but nobody should make, and Werkzeug's."""

import hashlib
import hmac
import logging
import re
from collections.abc import Mapping
from typing import ClassVar, Protocol

from ._passlib import cost_kind, find_algorithm, load_algorithm
from .algorithms import max_costs_of
from .base import BaseHasher, require_text

__all__ = ["LegacyHasher"]

logger = logging.getLogger(__name__)


class _Verifier(Protocol):
    """What is needed of an algorithm here; that of passlib fits."""

    def check(self, secret: str, hashed: str) -> bool | None: ...
    def imitate(self, secret: str) -> None: ...
    def identify(self, hashed: str) -> bool: ...


class LegacyHasher(BaseHasher):
    """Verifies old hashes and never makes one. It goes behind another hasher in a `MultiHasher`.

    Args:
        algorithm: A name of `passlib.hash`: one without a salt, such as `"hex_sha256"`, one of
            Django's, such as `"django_pbkdf2_sha256"`, or any other but for plain text, what can
            be decrypted and what needs the user's name. Or `"werkzeug"`, for both `scrypt:…` and
            `pbkdf2:…` of `werkzeug.security`, which Flask's users have.

    Raises:
        ImportError: If the package that computes it is missing.
        TypeError: If *algorithm* is no string.
        ValueError: If there is no such algorithm, or it is no password hash.
    """

    def __init__(self, algorithm: str) -> None:
        self._verifier: _Verifier
        if algorithm == "werkzeug":
            self._verifier = _Werkzeug()
        else:
            name = find_algorithm(algorithm)
            self._verifier = load_algorithm(name, {}, {}, max_costs_of(cost_kind(name)))
        self._name = algorithm

    def __repr__(self) -> str:
        """Show the algorithm."""
        return f"LegacyHasher({self._name!r})"

    def make_sync(self, secret: str) -> str:
        """Refuse: a new hash is the business of another hasher.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            f"LegacyHasher({self._name!r}) only verifies: put it behind another hasher in a "
            "MultiHasher, which makes the new hashes"
        )

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        """Verify a password; see `BaseHasher.verify_sync`."""
        require_text(secret, hashed)
        valid = None if hashed is None else self._verifier.check(secret, hashed)
        if valid is None:
            self._verifier.imitate(secret)
        return bool(valid)

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a failing `verify`; see `BaseHasher.dummy_verify_sync`."""
        require_text(secret)
        self._verifier.imitate(secret)

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* looks like one of the algorithm's."""
        return self._verifier.identify(hashed)


class _Werkzeug:
    """The format of `werkzeug.security.generate_password_hash`: `method$salt$hexadecimal`."""

    _FORMAT = re.compile(
        r"(?:scrypt:(?P<n>\d{1,9}):(?P<r>\d{1,9}):(?P<p>\d{1,9})"
        r"|pbkdf2:(?P<digest>sha1|sha256|sha512):(?P<rounds>\d{1,9}))"
        r"\$(?P<salt>[^$]{1,256})\$(?P<hash>[0-9a-f]{40,128})"
    )
    _MOST_ROUNDS = max_costs_of("pbkdf2_sha256")["rounds"]
    _MOST = max_costs_of("scrypt")
    # What Werkzeug 3.1 makes.
    _TODAY: ClassVar = {"n": "32768", "r": "8", "p": "1", "salt": "0123456789abcdef"}

    def check(self, secret: str, hashed: str) -> bool | None:
        match = self._FORMAT.fullmatch(hashed)
        try:
            derived = None if match is None else self._derive(secret, match.groupdict())
        except ValueError:  # what scrypt refuses, and lone surrogates
            derived = None
        if match is None or derived is None:
            logger.warning("A stored hash of werkzeug can't be checked, or costs too much")
            return None
        return hmac.compare_digest(derived.hex(), match["hash"])

    def imitate(self, secret: str) -> None:
        self._derive(secret.encode("utf-8", "replace").decode(), self._TODAY)

    def identify(self, hashed: str) -> bool:
        return hashed.startswith(("scrypt:", "pbkdf2:"))

    def _derive(self, secret: str, fields: Mapping[str, str]) -> bytes | None:
        password, salt = secret.encode(), fields["salt"].encode()
        if fields.get("rounds"):
            rounds = int(fields["rounds"])
            if not 0 < rounds <= self._MOST_ROUNDS:
                return None
            return hashlib.pbkdf2_hmac(fields["digest"], password, salt, rounds)
        n, r, p = (int(fields[name]) for name in "nrp")
        if (
            n > 2 ** self._MOST["rounds"]
            or r > self._MOST["block_size"]
            or p > self._MOST["parallelism"]
        ):
            return None
        # OpenSSL wants to be told how much memory it may take; this is what it counts.
        return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=128 * r * (n + p + 2) * 2)
