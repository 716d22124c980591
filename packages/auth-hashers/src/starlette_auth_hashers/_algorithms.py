"""The hashers that make new hashes: any salted algorithm of passlib, and four by name.

The defaults are at or above those of the OWASP Password Storage Cheat Sheet, as of November 2026:
Argon2id with 19 MiB, 2 passes and 1 lane; scrypt with N=2^17, r=8 and p=1; bcrypt with 10 rounds;
PBKDF2 with 600,000 rounds of HMAC-SHA-256, 220,000 of HMAC-SHA-512 or 1,400,000 of HMAC-SHA-1.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from ._base import BaseHasher, require_hash, require_text
from ._pacing import settle
from ._passlib import cost_kind, find_algorithm, is_unsalted, load_algorithm

__all__ = [
    "MAX_COSTS",
    "Argon2Hasher",
    "BCryptHasher",
    "CryptHasher",
    "Hasher",
    "PBKDF2Hasher",
    "max_costs_of",
]

_SHA1 = {"rounds": 1_400_000}
_SHA256 = {"rounds": 600_000}
_SHA512 = {"rounds": 220_000}
# Where passlib's own defaults are below the recommendation. Others keep passlib's.
_DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "argon2": {"memory_cost": 65_536, "time_cost": 3, "parallelism": 4},
    "bcrypt": {"rounds": 12},
    "cta_pbkdf2_sha1": _SHA1,
    "django_pbkdf2_sha1": _SHA1,
    "django_pbkdf2_sha256": _SHA256,
    "dlitz_pbkdf2_sha1": _SHA1,
    "grub_pbkdf2_sha512": _SHA512,
    "pbkdf2_sha1": _SHA1,
    "pbkdf2_sha256": _SHA256,
    "pbkdf2_sha512": _SHA512,
    # It holds the hash of each of SHA-1, SHA-256 and SHA-512; the weakest counts.
    "scram": _SHA1,
    "scrypt": {"rounds": 17, "block_size": 8, "parallelism": 1},
}

#: The costs above which a stored hash is refused rather than computed, by algorithm. A check takes
#: some 5 seconds of processor time there. `work` is the product of the settings, where lanes don't
#: count: memory_cost times time_cost of Argon2, and 2**rounds (8 at least) times block_size times
#: parallelism of scrypt. The rounds of bcrypt, phpass and scrypt are powers of two; `memory_cost`
#: is in KiB. Argon2's let through the first recommendation of RFC 9106 section 4 (2 GiB, 1 pass),
#: and libsodium's most expensive preset (1 GiB, 4 passes).
MAX_COSTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "argon2": {"memory_cost": 2_097_152, "work": 4_194_304},
        "bcrypt": {"rounds": 16},
        "bsdi_crypt": {"rounds": 200_000},
        "fshp": {"rounds": 8_000_000},
        "grub_pbkdf2_sha512": {"rounds": 6_000_000},
        "pbkdf2_sha384": {"rounds": 6_000_000},
        "pbkdf2_sha512": {"rounds": 6_000_000},
        "phpass": {"rounds": 22},
        "scrypt": {"work": 8_388_608},
        "sha1_crypt": {"rounds": 4_000_000},
        "sun_md5_crypt": {"rounds": 200_000},
    }
)
_MAX_COSTS_OF_OTHERS: Mapping[str, int] = MappingProxyType({"rounds": 10_000_000})


class Hasher(BaseHasher):
    """A password hasher of any salted algorithm of `passlib.hash`.

    Args:
        algorithm: Its name there, such as `"pbkdf2_sha512"`.
        **settings: What the algorithm calls its costs: `rounds`, or `memory_cost` (KiB),
            `time_cost` (passes) and `parallelism` (lanes), or `rounds` (a power of two),
            `block_size` and `parallelism`. Any value that the algorithm allows; the defaults are
            at or above today's recommendation.

    Attributes:
        max_costs: The costs above which a stored hash is refused, by the names of the settings and
            `"work"`, their product, where a subclass wants others than `MAX_COSTS` has. Settings
            above them raise them.

    Raises:
        ImportError: If the package that computes it is missing. The message names the extra.
        TypeError: If the algorithm has no such setting, or a value is no integer.
        ValueError: If there is no such algorithm, it is no salted password hash, or it does not
            allow a value.
    """

    max_costs: ClassVar[Mapping[str, int]] = MappingProxyType({})
    _measured_within: ClassVar[bool] = True

    def __init__(self, algorithm: str, **settings: int) -> None:
        name = find_algorithm(algorithm)
        if is_unsalted(name):
            raise ValueError(
                f"{name} has no salt, so it makes no new hashes. To move away from it, put "
                f"LegacyHasher({name!r}) behind another hasher in a MultiHasher"
            )
        kind = cost_kind(name)
        self._algorithm = load_algorithm(
            name, settings, _DEFAULTS.get(kind, {}), max_costs_of(kind) | dict(self.max_costs)
        )

    def __repr__(self) -> str:
        """Show how to make one like it."""
        arguments = [f"{name}={cost}" for name, cost in self._algorithm.costs.items()]
        if type(self) is Hasher:
            arguments.insert(0, repr(self._algorithm.name))
        return f"{type(self).__name__}({', '.join(arguments)})"

    def make_sync(self, secret: str) -> str:
        """Hash a password; see `BaseHasher.make_sync`."""
        require_text(secret)
        return self._algorithm.make(secret)

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        """Verify a password; see `BaseHasher.verify_sync`."""
        require_text(secret, hashed)
        return settle(
            self,
            secret,
            lambda: hashed is not None and bool(self._algorithm.check(secret, hashed)),
        )

    def dummy_verify_sync(self, secret: str, username: str = "") -> None:
        """Do the work of a failing `verify`; see `BaseHasher.dummy_verify_sync`."""
        require_text(secret)
        settle(self, secret, lambda: self._algorithm.imitate(secret))

    def identify(self, hashed: str) -> bool:
        """Return whether *hashed* looks like one of the algorithm's."""
        require_hash(hashed)
        return bool(hashed) and self._algorithm.identify(hashed)

    def needs_update(self, hashed: str) -> bool:
        """Return whether *hashed* is weaker than a new hash, and costs no more than one.

        Weaker is less work in all: the product of the settings, where lanes don't count. Another
        type of Argon2 than Argon2id, its version 16 and a digest of under 16 bytes are weaker too.
        A hash that takes more memory is never outdated, and neither is a string that is not a hash
        of the algorithm.
        """
        require_hash(hashed)
        return self._algorithm.is_outdated(hashed)

    def _confuses(self, secret: str, hashed: str) -> bool:
        return self._algorithm.confuses(secret, hashed)

    def _highest_cost(self, secret: str, *, makes: bool) -> float:
        new = self._algorithm.highest_new_cost(secret)
        return new if makes else max(new, self._algorithm.highest_cost(secret))


class PBKDF2Hasher(Hasher):
    """PBKDF2 with HMAC-SHA-256 (RFC 8018), where FIPS 140 is required. It needs no extra.

    Args:
        rounds: The iterations. OWASP Password Storage Cheat Sheet (November 2026): 600,000.
    """

    def __init__(self, *, rounds: int = 600_000) -> None:
        super().__init__("pbkdf2_sha256", rounds=rounds)


class CryptHasher(Hasher):
    """SHA-256-crypt, the `$5$` of `/etc/shadow`. It needs no extra.

    It takes passwords of up to 511 bytes, which is libcrypt's limit: what it costs grows with the
    password.

    Args:
        rounds: The rounds, 1,000 to 999,999,999. OWASP names none; 535,000 is passlib's default.
    """

    def __init__(self, *, rounds: int = 535_000) -> None:
        super().__init__("sha256_crypt", rounds=rounds)


class BCryptHasher(Hasher):
    """bcrypt, for existing systems: extra `bcrypt`. New passwords are of up to 72 bytes.

    Args:
        rounds: The cost, as a power of two, 4 to 31. OWASP Password Storage Cheat Sheet (November
            2026) demands 10 or more; 12 is what passlib and bcrypt take.
    """

    def __init__(self, *, rounds: int = 12) -> None:
        super().__init__("bcrypt", rounds=rounds)


class Argon2Hasher(Hasher):
    """Argon2id, the first choice of the OWASP Password Storage Cheat Sheet: extra `argon2`.

    The defaults are the second recommendation of RFC 9106 section 4. OWASP (November 2026) demands
    19 MiB, 2 passes and 1 lane at least.

    Args:
        memory_cost: The memory that a hash takes, in KiB; at least 8 for each lane.
        time_cost: The passes over it.
        parallelism: The lanes. They are computed one after another, on the one core that a worker
            thread has: the hash and its cost are the same.
    """

    def __init__(
        self, *, memory_cost: int = 65_536, time_cost: int = 3, parallelism: int = 4
    ) -> None:
        super().__init__(
            "argon2", memory_cost=memory_cost, time_cost=time_cost, parallelism=parallelism
        )


def max_costs_of(kind: str) -> dict[str, int]:
    """Return the costs above which a stored hash is refused."""
    return dict(MAX_COSTS.get(kind, _MAX_COSTS_OF_OTHERS))
