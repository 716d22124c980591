r"""API tokens: their text, their digest, and a checksum that shows typing errors without a query.

A token is a prefix, an underscore, 256 random bits, and a checksum over all that. The prefix and
the checksum let a secret scanner find leaked tokens with next to no false alarms; the idea is that
of GitHub's and GitLab's tokens. With a prefix of `shop`, this pattern finds them:
`\bshop_[0-9A-Za-z]{49}\b`.

A password hasher is the wrong tool for them. It is slow to make guessing weak passwords slow, and
256 random bits can't be guessed; and its salt makes it impossible to look a token up by its hash.
"""

import hashlib
import re
import secrets
import zlib

__all__ = ["check_prefix", "digest_token", "generate_token", "is_well_formed"]

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_BITS = 256
_RANDOM_SIZE = 43  # the characters of base62 that 256 bits need
_CHECKSUM_SIZE = 6  # the ones that the 32 bits of a CRC need
_PREFIX = re.compile(r"[A-Za-z][0-9A-Za-z_]{0,31}")
_BODY = re.compile(rf"[0-9A-Za-z]{{{_RANDOM_SIZE + _CHECKSUM_SIZE}}}")


def generate_token(prefix: str) -> str:
    """Make a new token from the system's secure random source.

    Show it to its owner once, and store `digest_token(token)` only.

    Args:
        prefix: The start of the token: a letter, then up to 31 letters, digits or
            underscores. Name your service by it, not the user.

    Returns:
        The prefix, `_`, and 49 letters and digits.

    Raises:
        ValueError: If *prefix* is not of that form.
    """
    check_prefix(prefix)
    token = f"{prefix}_{_base62(secrets.randbits(_RANDOM_BITS), _RANDOM_SIZE)}"
    return token + _checksum(token)


def digest_token(token: str) -> str:
    """Return the digest of a token, which is all to store of the token.

    Keep it in a unique, indexed column, and look tokens up by it. A fast digest is enough for 256
    random bits: slow ones are for secrets that people choose (OWASP Password Storage Cheat Sheet).

    Args:
        token: The token.

    Returns:
        Its SHA-256 (FIPS 180-4) in lower-case hexadecimal, 64 characters.
    """
    # A lone surrogate is in no token, but must not be an error either.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_well_formed(token: str, prefix: str | None) -> bool:
    """Return whether a token could have come from `generate_token(prefix)`.

    The checksum keeps out mistyped and cut tokens. It is not secret, so a well-formed token
    is not yet a valid one.

    Args:
        token: Any text.
        prefix: The prefix that the token was made with. None: any prefix that tokens can have.

    Returns:
        Whether prefix, length, alphabet and checksum are right.
    """
    if prefix is None:
        # The last underscore ends the prefix: the rest of a token contains none.
        prefix = token.rpartition("_")[0]
        if not _PREFIX.fullmatch(prefix):
            return False
    return (
        token.isascii()
        and token.startswith(f"{prefix}_")
        and _BODY.fullmatch(token, len(prefix) + 1) is not None
        and token.endswith(_checksum(token[:-_CHECKSUM_SIZE]))
    )


def check_prefix(prefix: str) -> None:
    """Raise a `ValueError` unless *prefix* can start a token."""
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"{prefix!r} is not a prefix for tokens: use a letter, then up to 31 letters, digits "
            "or underscores"
        )


def _base62(number: int, size: int) -> str:
    digits = []
    for _ in range(size):
        number, digit = divmod(number, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def _checksum(token: str) -> str:
    return _base62(zlib.crc32(token.encode("ascii")), _CHECKSUM_SIZE)
