"""The base of the formats of other programs: a stored string is taken apart, then computed."""

import base64
import binascii
import functools
import hashlib
import hmac
import re
from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

from starlette_auth_hashers._algorithms import max_costs_of
from starlette_auth_hashers._passlib import (
    MAX_SCRYPT_MEMORY,
    Algorithm,
    Stored,
    _costs_of,
    _work,
    cost_kind,
    exceeds,
    get_handler,
    load_algorithm,
    scrypt_work,
)
from starlette_auth_hashers._repeating import costs_of_config, repeat, separate
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
# Werkzeug takes any digest: 4,000,000 rounds of SHA-3 take some 5 seconds.
_USUAL_DIGESTS = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})
_MAX_ROUNDS_OF_OTHERS: Mapping[str, int] = MappingProxyType({"rounds": 4_000_000})
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
        return separate(self.algorithm, self.stored)


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
    today: str

    def __init__(self, max_costs: Mapping[str, int]) -> None:
        self._max_costs = dict(max_costs)
        self.grows = any(_borrow(name).grows for name in self.borrows)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the name: some classes are made at run time."""
        from . import build_format  # noqa: PLC0415 - it imports this module

        return build_format, (self.name, self._max_costs)

    @abstractmethod
    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart, or return None for what is not of this format."""

    def parse_config(self, config: str) -> Parsed | None:
        """Take apart what `Parsed.config` was, for `Parsed.compute` alone.

        Raises:
            ValueError: If it is malformed.
        """
        name, borrowed, rest = config.partition(" ")
        if borrowed:
            if name not in self.borrows:
                return None
            costs = costs_of_config(_borrow(name), rest)
            return Borrowed(name, costs, rest, functools.partial(self.prepare, name))
        size, _, start = config.partition(".")
        return self.parse(start + min(int(size), MAX_HASH_SIZE) * "0")

    def label(self, parsed: Parsed) -> str:
        """Return what the audit calls such a string."""
        return f"{self.name} {parsed.kind}" if self.kinds else self.name

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* looks like one of this format's."""
        return len(hashed) <= MAX_HASH_SIZE and hashed.startswith(self.prefixes)

    def prepare(self, name: str, secret: str) -> str:
        """Return what the program hands to the algorithm *name* of passlib for *secret*."""
        return secret

    def parse_borrowed(self, name: str, stored: str) -> Parsed | None:
        """Take apart a string of passlib that the program wraps."""
        costs = _costs_of(get_handler(name), stored)
        prepare = functools.partial(self.prepare, name)
        return None if costs is None else Borrowed(name, costs, stored, prepare)

    def why_never(self, secret: str) -> str | None:
        """Return why *secret* is never right, if that is so."""
        reasons = (_borrow(name).why_never(secret) for name in self.borrows if self.grows)
        return super().why_never(secret) or next(filter(None, reasons), None)

    def confuses(self, secret: str, hashed: str) -> bool:
        """Return whether the program cuts or changes *secret*; see `Verifier.confuses`."""
        parsed = self.parse(hashed)
        return parsed is not None and self.changes(secret, parsed)

    def changes(self, secret: str, parsed: Parsed) -> bool:
        """Return whether the program cuts or changes *secret* for a check of *parsed*."""
        if not isinstance(parsed, Borrowed):
            return False
        return parsed.algorithm.confuses(parsed.prepare(secret), parsed.stored)

    def costs_too_much(self, parsed: Parsed) -> bool:
        """Return whether a check would take longer than is reasonable, and is refused."""
        if isinstance(parsed, Borrowed):
            kind = cost_kind(parsed.kind)
            work = _work(get_handler(parsed.kind), parsed.costs)
        else:
            # yescrypt's costs are counted as scrypt's.
            kind = "scrypt" if "block_size" in parsed.costs else parsed.kind
            work = scrypt_work(parsed.costs) if "block_size" in parsed.costs else 0
        limits = max_costs_of(kind)
        if kind.startswith("pbkdf2_") and kind.removeprefix("pbkdf2_") not in _USUAL_DIGESTS:
            limits |= _MAX_ROUNDS_OF_OTHERS
        limits |= self._max_costs
        costs = {**parsed.costs, "work": work}
        if isinstance(parsed, Computed) and kind.startswith("pbkdf2_"):
            # All rounds are computed for each block of the digest (RFC 8018 section 5.2).
            block = hashlib.new(kind.removeprefix("pbkdf2_")).digest_size
            costs["rounds"] *= -(-len(parsed.digest) // block)
        return exceeds(costs, limits)

    def _parse(self, hashed: str) -> Parsed | None:
        parsed = self.parse(hashed) if len(hashed) <= MAX_HASH_SIZE else None
        return None if parsed is None or self.costs_too_much(parsed) else parsed

    def _compute(self, secret: str, parsed: Parsed) -> bool:
        return hmac.compare_digest(parsed.compute(secret), parsed.digest)

    def _settings_of(self, parsed: Parsed) -> Hashable:
        return parsed.kind, tuple(parsed.costs.items())

    def _is_too_expensive(self, secret: str, parsed: Parsed) -> bool:
        if not isinstance(parsed, Borrowed):
            return False
        stored = Stored(parsed.stored, parsed.costs)
        return parsed.algorithm._is_too_expensive(parsed.prepare(secret), stored)


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
    # Without it, OpenSSL takes 32 MiB at most.
    limit = MAX_SCRYPT_MEMORY
    return hashlib.scrypt(secret.encode(), salt=salt, n=n, r=r, p=p, maxmem=limit, dklen=size)
