"""Plain digests with a salt or without, as LDAP servers, mail servers and Spring store them."""

import functools
import hashlib
from collections.abc import Callable

from ._format import NOTHING, Computed, Parsed

__all__ = ["MAX_SALT_SIZE", "parse_digest"]

#: The longest salt behind a digest that is looked at, in bytes.
MAX_SALT_SIZE = 64

SIZES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}


def parse_digest(digest: str, stored: bytes | None, *, salted: bool, config: str) -> Parsed | None:
    """Take apart the bytes of a digest, behind which a salt of 1 to 64 bytes stands, or nothing."""
    size = SIZES[digest]
    salt = b"" if stored is None else stored[size:]
    if stored is None or len(stored) < size or len(salt) not in _salt_sizes(salted):
        return None
    compute: Callable[[str], bytes] = functools.partial(_compute, digest, salt)
    kind = f"salted_{digest}" if salted else digest
    return Computed(kind, NOTHING, stored[:size], compute, f"{config}{salt.hex()}")


def compute_config(digest: str, salt: str) -> Parsed:
    """Take apart what the config of `parse_digest` ends with."""
    return Computed("", NOTHING, b"", functools.partial(_compute, digest, bytes.fromhex(salt)), "")


def _salt_sizes(salted: bool) -> range:
    return range(1, MAX_SALT_SIZE + 1) if salted else range(1)


def _compute(digest: str, salt: bytes, secret: str) -> bytes:
    return hashlib.new(digest, secret.encode() + salt, usedforsecurity=False).digest()
