"""Reads base64url and JSON strictly, so that each text has one meaning, or is refused.

RFC 8259 section 4 leaves open what a repeated name means, and two parties that take different ones
of the values disagree about who is asking.
"""

import json
import math
from binascii import Error as Base64Error
from binascii import a2b_base64
from itertools import chain
from typing import Any, NoReturn

__all__ = ["decode_base64url", "parse_object"]

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# To the alphabet of RFC 4648 section 4, from that of section 5. All other bytes, of the former too,
# become one that is in neither.
_TO_BASE64 = bytes(
    byte if byte in _ALPHABET else {0x2D: 0x2B, 0x5F: 0x2F}.get(byte, 0xFF) for byte in range(256)
)
#: The deepest nesting. Python 3.11 and 3.12 give up below 1,000 levels. Python 3.13 parses far
#: more, but an app that copies such claims would give up.
_MOST_LEVELS = 500
# By the length, modulo 4.
_PADDING = (b"", b"", b"==", b"=")
# The last characters whose unused bits are zero (RFC 4648 section 3.5).
_LAST = (b"", b"", b"AQgw", b"AEIMQUYcgkosw048")


def decode_base64url(text: bytes) -> bytes | None:
    """Return what *text* encodes, or None unless it is what RFC 7515 section 2 makes of it.

    That is base64url without padding, white space or bits that mean nothing.
    """
    rest = len(text) % 4
    if rest == 1 or (rest and text[-1] not in _LAST[rest]):
        return None
    try:
        return a2b_base64(text.translate(_TO_BASE64) + _PADDING[rest], strict_mode=True)
    except Base64Error:
        return None


def parse_object(text: bytes) -> dict[str, Any] | None:
    """Return the JSON object of *text*, or None where it is not exactly one.

    It is UTF-8 without a byte order mark (RFC 8259 section 8.1). No name is repeated, at any depth;
    no number is infinite; and nothing is nested deeper than 500 levels.
    """
    try:
        parsed = _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    # Only a text with as many brackets can be as deep.
    if text.count(b"[") + text.count(b"{") > _MOST_LEVELS and _is_deep(parsed):
        return None
    return parsed


def _is_deep(parsed: dict[str, Any]) -> bool:
    level: list[Any] = [parsed]
    for _ in range(_MOST_LEVELS):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [each for each in chain.from_iterable(inner) if isinstance(each, (dict, list))]
    return level != []


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    parsed = dict(members)
    if len(parsed) < len(members):
        raise ValueError
    return parsed


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError
    return number


def _refuse_constant(name: str) -> NoReturn:
    # NaN, Infinity, -Infinity: not JSON (RFC 8259 section 6).
    raise ValueError


# With no handler for integers, one of more digits than Python converts is a ValueError.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant
)
