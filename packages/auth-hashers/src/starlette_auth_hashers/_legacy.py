"""Hashes to move away from: what passlib can verify but nobody should make, and Werkzeug's."""

import hashlib
import hmac
import re
from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import ClassVar

from ._algorithms import max_costs_of
from ._base import BaseHasher, require_hash, require_text
from ._pacing import settle
from ._passlib import (
    MAX_SCRYPT_MEMORY,
    cost_kind,
    find_algorithm,
    load_algorithm,
    scrypt_memory,
    scrypt_work,
)
from ._verifier import MAX_HASH_SIZE, Verifier

__all__ = ["LegacyHasher", "read_werkzeug"]


class LegacyHasher(BaseHasher):
    """Verifies old hashes and never makes one. It goes behind another hasher in a `MultiHasher`.

    Args:
        algorithm: A name of `passlib.hash`: one without a salt, such as `"hex_sha256"`, one of
            Django's, such as `"django_pbkdf2_sha256"`, or any other but for plain text, what can
            be decrypted and what needs the user's name. Or `"werkzeug"`, for both `scrypt:…` and
            `pbkdf2:…` of `werkzeug.security`, which Flask's users have.

    Attributes:
        max_costs: The costs above which a stored hash is refused, by the names of the settings,
            where a subclass wants others than `MAX_COSTS` has.

    Raises:
        ImportError: If the package that computes it is missing.
        TypeError: If *algorithm* is no string.
        ValueError: If there is no such algorithm, or it is no password hash.
    """

    max_costs: ClassVar[Mapping[str, int]] = MappingProxyType({})
    _measured_within = True

    def __init__(self, algorithm: str) -> None:
        self._verifier: Verifier
        if algorithm == "werkzeug":
            self._verifier = _Werkzeug(dict(self.max_costs))
        else:
            name = find_algorithm(algorithm)
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
        """Tell whether *hashed* looks like one of the algorithm's."""
        require_hash(hashed)
        return bool(hashed) and self._verifier.identify(hashed)

    def _can_make(self) -> bool:
        return False

    def _confuses(self, secret: str, hashed: str) -> bool:
        return self._verifier.confuses(secret, hashed)

    def _highest_cost(self, secret: str, *, makes: bool) -> float:
        return self._verifier.highest_cost(secret)


# `method$salt$hexadecimal`, as `werkzeug.security.generate_password_hash` writes it.
_WERKZEUG = re.compile(
    r"(?:scrypt:(?P<n>[0-9]{1,9}):(?P<r>[0-9]{1,9}):(?P<p>[0-9]{1,9})"
    r"|pbkdf2:(?P<digest>sha1|sha224|sha256|sha384|sha512):(?P<rounds>[0-9]{1,9}))"
    r"\$(?P<salt>[^$]{1,256})\$(?P<hash>[0-9a-f]{40,128})"
)


class _Werkzeug(Verifier):
    """The two algorithms of Werkzeug."""

    name = "werkzeug"

    # As Werkzeug 3.1 makes them.
    today = "scrypt:32768:8:1$0123456789abcdef$" + 64 * "00"

    def __init__(self, max_costs: Mapping[str, int]) -> None:
        self._max_costs = dict(max_costs)

    def identify(self, hashed: str) -> bool:
        return len(hashed) <= MAX_HASH_SIZE and hashed.startswith(("scrypt:", "pbkdf2:"))

    def _settings_of(self, parsed: re.Match[str]) -> Hashable:
        return parsed[0].partition("$")[0]

    def _parse(self, hashed: str) -> re.Match[str] | None:
        fields, costs = _WERKZEUG.fullmatch(hashed), read_werkzeug(hashed)
        if fields is None or costs is None:
            return None
        kind = "scrypt" if "block_size" in costs else f"pbkdf2_{fields['digest']}"
        limits = max_costs_of(kind) | self._max_costs
        if "block_size" in costs:
            n, r, p = (int(fields[name]) for name in "nrp")
            # RFC 7914 section 2; openssl has the last one.
            if n < 2 or n & (n - 1) or r < 1 or p < 1 or n.bit_length() > 16 * r:
                return None
            if scrypt_memory(costs) > MAX_SCRYPT_MEMORY:
                return None
            costs["work"] = scrypt_work(costs)
        elif costs["rounds"] < 1:
            return None
        if any(cost > limits.get(name, cost) for name, cost in costs.items()):
            return None
        return fields

    def _compute(self, secret: str, parsed: re.Match[str]) -> bool:
        password, salt = secret.encode(), parsed["salt"].encode()
        if parsed["rounds"]:
            derived = hashlib.pbkdf2_hmac(parsed["digest"], password, salt, int(parsed["rounds"]))
        else:
            n, r, p = (int(parsed[name]) for name in "nrp")
            # OpenSSL's own limit is 32 MiB.
            derived = hashlib.scrypt(
                password, salt=salt, n=n, r=r, p=p, maxmem=MAX_SCRYPT_MEMORY
            )
        return hmac.compare_digest(derived.hex(), parsed["hash"])


def read_werkzeug(hashed: str) -> dict[str, int] | None:
    """Return the costs of a hash of Werkzeug by passlib's names, None if it is none."""
    fields = _WERKZEUG.fullmatch(hashed)
    if fields is None:
        return None
    if fields["rounds"]:
        return {"rounds": int(fields["rounds"])}
    n, r, p = (int(fields[name]) for name in "nrp")
    return {"rounds": (n - 1).bit_length(), "block_size": r, "parallelism": p}
