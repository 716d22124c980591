"""yescrypt, the `$y$` of `/etc/shadow` on Debian, Fedora and others, by the system's libcrypt."""

import functools
import re
from collections.abc import Mapping

from starlette_auth_hashers._libcrypt import load_crypt

from ._format import Computed, Format, Parsed, blank

__all__ = ["Yescrypt", "has_yescrypt"]

# libcrypt's own test vector (libxcrypt, test/ka-table.inc is made of such).
_KNOWN = b"$y$j75$y0Y7wseOCyJhSoM7/JMcK/$"
# The last character of a salt stands for no more than the bits that are left. What libcrypt refuses
# has to be known before it is computed.
_FIELDS = re.compile(
    r"\$y\$(?P<params>[./j][./0-9A-Za-z]{2,12})"
    r"\$(?:[./0-9A-Za-z]{4}){0,21}(?:[./0-9A-Za-z][./01]|[./0-9A-Za-z]{2}[./0-9A-D])?"
    r"\$[./0-9A-Za-z]{43}"
)
_LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGEST_SIZE = 43
# CRYPT_MAX_PASSPHRASE_SIZE, in bytes.
_MAX_SIZE = 511


class Yescrypt(Format):
    """`$y$params$salt$digest`, computed by libcrypt (libxcrypt 4.3 or later)."""

    name = "yescrypt"
    prefixes = ("$y$",)
    kinds = False
    # What libxcrypt makes by itself: N = 2^12, r = 32.
    today = "$y$j9T$0123456789ABCDEFGHIJK.$" + 43 * "."

    def __init__(self, max_costs: Mapping[str, int]) -> None:
        if not has_yescrypt():
            raise ImportError(
                "yescrypt is computed by the system's libcrypt, and this one does not have it: "
                "install libxcrypt 4.3 or later (Debian: libcrypt1)"
            )
        super().__init__(max_costs)

    def why_never(self, secret: str) -> str | None:
        """Return why *secret* is never right, if that is so."""
        reason = super().why_never(secret)
        if reason is None and len(secret.encode()) > _MAX_SIZE:
            return f"it has more than {_MAX_SIZE} bytes"
        return reason

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        fields = _FIELDS.fullmatch(hashed)
        costs = fields and _read_params(fields["params"])
        if not fields or not costs:
            return None
        config = hashed[:-_DIGEST_SIZE]
        return Computed(
            "yescrypt",
            costs,
            hashed[-_DIGEST_SIZE:].encode(),
            functools.partial(_compute, config),
            blank(hashed, _DIGEST_SIZE),
        )


@functools.cache
def has_yescrypt() -> bool:
    """Tell whether the system's libcrypt has it."""
    crypt = load_crypt()
    try:
        return crypt is not None and crypt(b"", _KNOWN).startswith(_KNOWN)
    except ValueError:
        return False


def _compute(config: str, secret: str) -> bytes:
    crypt = load_crypt()
    if crypt is None:  # pragma: no cover - the constructor has looked
        raise NotImplementedError
    return crypt(secret.encode(), config.encode())[-_DIGEST_SIZE:]


def _read_params(params: str) -> dict[str, int] | None:
    """Return the costs that *params* say, by passlib's names for scrypt's.

    They are numbers of variable length; see `decode64_uint32` and `yescrypt_r` in yescrypt-common.c
    of libxcrypt. What may follow them (p, t and others) crypt_gensalt(3) never writes.
    """
    numbers = [_LETTERS.index(letter) for letter in params[1:]]
    try:
        rounds, block_size = _take(numbers, 1), _take(numbers, 1)
    except IndexError:
        return None
    if numbers or not 2 <= rounds <= 63:
        return None
    return {"rounds": rounds, "block_size": block_size, "parallelism": 1}


def _take(numbers: list[int], least: int) -> int:
    value, start, end, extra, bits = least, 0, 47, 0, 0
    number = numbers.pop(0)
    while number > end:
        value += (end + 1 - start) << bits
        start, end = end + 1, end + 1 + (62 - end) // 2
        extra, bits = extra + 1, bits + 6
    value += (number - start) << bits
    for _ in range(extra):
        bits -= 6
        value += numbers.pop(0) << bits
    return value
