"""The base of the formats of other programs: a stored string is taken apart, then computed."""

import base64
import binascii
import functools
import hashlib
import hmac
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, TypeAlias

from starlette_auth_hashers._algorithms import max_costs_of
from starlette_auth_hashers._passlib import (
    Algorithm,
    _costs_of,
    cost_kind,
    load_algorithm,
    registry,
)
from starlette_auth_hashers._repeating import repeat, separate
from starlette_auth_hashers._verifier import MAX_HASH_SIZE, Verifier

__all__ = [
    "NOTHING",
    "Borrowed",
    "Computed",
    "Format",
    "Parsed",
    "blank",
    "decode_base64",
    "parse_rounds",
    "parse_scrypt",
    "pbkdf2",
    "scrypt",
]

#: The costs of what has no settings.
NOTHING: Mapping[str, int] = MappingProxyType({})
# hashlib takes no more.
_MAX_ROUNDS = 2**31 - 1
_BASE64 = re.compile(r"[A-Za-z0-9+/]*")


@dataclass(frozen=True, slots=True)
class Computed:
    """A stored string, taken apart.

    Attributes:
        kind: The algorithm that computes it, for the recommendation and the ceilings.
        costs: What it costs, by the names of the settings.
        digest: What a right password computes to.
        compute: Computes the same of a password.
        config: What `Format.parse_config` needs to compute it again, without the digest.
    """

    kind: str
    costs: Mapping[str, int]
    digest: bytes
    compute: Callable[[str], bytes]
    config: str


@dataclass(frozen=True)
class Borrowed:
    """A stored string that an algorithm of passlib computes, with the attributes of `Computed`.

    The algorithm is loaded when it is computed, so that an audit does not need its package.
    """

    kind: str
    costs: Mapping[str, int]
    stored: str
    prepare: Callable[[str], str]

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm."""
        return _borrow(self.kind)

    @property
    def digest(self) -> bytes:
        """The whole string, as passlib writes it."""
        return self._separated[1].encode()

    @property
    def config(self) -> str:
        """The name of the algorithm, and the string without its digest."""
        return f"{self.kind} {self._separated[0]}"

    def compute(self, secret: str) -> bytes:
        """Return the whole string that passlib would store for a password."""
        return repeat(self.algorithm, self.prepare(secret), self.stored).encode()

    @functools.cached_property
    def _separated(self) -> tuple[str, str]:
        separated = separate(self.algorithm, self.stored)
        if separated is None:
            raise ValueError(f"the digest of {self.kind} can't be left out")
        return separated


Parsed: TypeAlias = Computed | Borrowed


class Format(Verifier):
    """What one program stores. Its subclasses write `parse`.

    Attributes:
        prefixes: What its strings start with, for programs that mark them.
        borrows: The algorithms of passlib whose strings the program wraps.
        kinds: Whether it is of several algorithms, which the audit then names beside it.
        today: A string such as the program makes today, for a check that has to fail.
    """

    prefixes: ClassVar[tuple[str, ...]] = ()
    borrows: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[bool] = True
    today: ClassVar[str]

    def __init__(self, max_costs: Mapping[str, int]) -> None:
        self._max_costs = dict(max_costs)
        for name in self.borrows:
            _borrow(name)  # Where a package is missing, this says so.

    @abstractmethod
    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart, or return None for what is not of this format."""

    def parse_config(self, config: str) -> Parsed | None:
        """Take apart what `Parsed.config` was, for `Parsed.compute` alone."""
        name, borrowed, rest = config.partition(" ")
        if borrowed:
            prepare = functools.partial(self.prepare, name)
            return Borrowed(name, NOTHING, rest, prepare) if name in self.borrows else None
        size, _, start = config.partition(".")
        return self.parse(start + int(size) * "0")

    def label(self, parsed: Parsed) -> str:
        """Return what the audit calls such a string."""
        return f"{self.name} {parsed.kind}" if self.kinds else self.name

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* looks like one of this format's."""
        return len(hashed) <= MAX_HASH_SIZE and hashed.startswith(self.prefixes)

    def imitate(self, secret: str) -> None:
        """Do the work of a check that fails, at the costs of what the program makes today."""
        parsed = self.parse(self.today)
        if parsed is not None:  # pragma: no branch - a test parses each
            parsed.compute("" if self.why_never(secret) else secret)

    def prepare(self, name: str, secret: str) -> str:
        """Return what the program hands to the algorithm *name* of passlib for *secret*."""
        return secret

    def parse_borrowed(self, name: str, stored: str) -> Parsed | None:
        """Take apart a string of passlib that the program wraps."""
        costs = _costs_of(registry.get_crypt_handler(name), stored)
        prepare = functools.partial(self.prepare, name)
        return None if costs is None else Borrowed(name, costs, stored, prepare)

    def _verify(self, secret: str, hashed: str) -> bool | None:
        parsed = self.parse(hashed) if len(hashed) <= MAX_HASH_SIZE else None
        if parsed is None or self._costs_too_much(parsed):
            return None
        return hmac.compare_digest(parsed.compute(secret), parsed.digest)

    def _costs_too_much(self, parsed: Parsed) -> bool:
        limits = max_costs_of(parsed.kind) | self._max_costs
        return any(cost > limits.get(name, cost) for name, cost in parsed.costs.items())


@functools.cache
def _borrow(name: str) -> Algorithm:
    return load_algorithm(name, {}, {}, max_costs_of(cost_kind(name)))


def blank(hashed: str, digest_size: int) -> str:
    """Return the config of a string whose last *digest_size* characters are the digest."""
    return f"{digest_size}.{hashed[: len(hashed) - digest_size]}"


def decode_base64(text: str) -> bytes | None:
    """Decode base64, with its padding or without, and return None for what is not base64."""
    bare = text.rstrip("=")
    if not _BASE64.fullmatch(bare) or len(text) - len(bare) > 2:
        return None
    try:
        return base64.b64decode(bare + -len(bare) % 4 * "=")
    except binascii.Error:
        return None


def parse_rounds(text: str) -> int | None:
    """Return the number of rounds that *text* says, or None if that is not one."""
    rounds = int(text) if re.fullmatch("[0-9]{1,10}", text) else 0
    return rounds if 0 < rounds <= _MAX_ROUNDS else None


def parse_scrypt(n: int, r: int, p: int) -> Mapping[str, int] | None:
    """Return the costs of scrypt by passlib's names, or None for impossible ones.

    See RFC 7914 section 2, and OpenSSL's EVP_PBE_scrypt(3).
    """
    if n < 2 or n & (n - 1) or min(r, p) < 1 or r * p >= 2**30 or n.bit_length() > 16 * r:
        return None
    return {"rounds": n.bit_length() - 1, "block_size": r, "parallelism": p}


def pbkdf2(digest: str, secret: str, salt: bytes, rounds: int, size: int | None = None) -> bytes:
    """Compute PBKDF2 (RFC 8018 section 5.2)."""
    return hashlib.pbkdf2_hmac(digest, secret.encode(), salt, rounds, size)


def scrypt(secret: str, salt: bytes, costs: Mapping[str, int], size: int) -> bytes:
    """Compute scrypt (RFC 7914)."""
    n, r, p = 1 << costs["rounds"], costs["block_size"], costs["parallelism"]
    # OpenSSL wants to be told how much memory it may take: this, twice.
    memory = 2 * 128 * r * (n + p + 2)
    return hashlib.scrypt(secret.encode(), salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=size)
