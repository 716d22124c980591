"""Recognises most stored strings by one regular expression, for files of millions.

The expression takes a string apart into what decides about it (the algorithm and the settings) and
what must only be well-formed (the salt and the digest). So one string of a shape is parsed, and all
others of that shape are like it. Strings of no shape here are parsed one by one.
"""

import re
from dataclasses import dataclass

__all__ = ["Shapes", "compile_shapes", "simplify"]

_B64 = "[A-Za-z0-9+/]"
_H64 = "[A-Za-z0-9./]"
_HEX = "[0-9a-f]"
_SALT = "[A-Za-z0-9]{1,64}"
_DJANGO_SALT = "(?:[A-Za-z0-9]{5}|[A-Za-z0-9]{12}|[A-Za-z0-9]{22})"
# 16 and 32 bytes in base64, without bits that stand for nothing.
_16_BYTES = f"{_B64}{{21}}[AQgw]"
_32_BYTES = f"{_B64}{{42}}[AEIMQUYcgkosw048]"
_ARGON2 = r"argon2id?\$v=19\$m=[1-9][0-9]{0,6},t=[1-9][0-9]{0,2},p=[1-9][0-9]?\$"
# `{BLF-CRYPT}` of Dovecot, `{CRYPT}` of LDAP servers, `{bcrypt}` of Spring, or nothing.
_SCHEME = r"(?:\{[A-Za-z0-9@_-]{1,40}\})?"
_PADDED = f"(?:{_B64}{{4}}|{_B64}{{3}}=|{_B64}{{2}}==)"
_ROUNDS = "[1-9][0-9]{0,8}"
# What decides, and what must follow it up to the end.
_SHAPES = (
    (rf"{_SCHEME}\${_ARGON2}", rf"{_16_BYTES}\${_32_BYTES}"),
    (rf"{_SCHEME}\$2[aby]\$[0-9][0-9]\$", f"{_H64}{{53}}"),
    (r"\$wp\$2y\$[0-9][0-9]\$", f"{_H64}{{53}}"),
    (rf"pbkdf2_sha256\${_ROUNDS}\$", rf"{_SALT}\${_B64}{{43}}="),
    (rf"argon2\${_ARGON2}", rf"{_B64}{{29}}[AQgw]\${_32_BYTES}"),
    (r"bcrypt_sha256\$\$2b\$[0-9][0-9]\$", f"{_H64}{{53}}"),
    (r"scrypt\$[0-9]{1,7}\$", rf"{_SALT}\$8\$[15]\${_B64}{{86}}=="),
    (rf"\$pbkdf2-sha256\${_ROUNDS}\$", rf"{_H64}{{21}}[AQgw]\${_H64}{{42}}[AEIMQUYcgkosw048]"),
    (rf"\$pbkdf2-sha512\${_ROUNDS}\$", rf"{_H64}{{21}}[AQgw]\${_H64}{{85}}[AQgw]"),
    (r"scrypt:[0-9]{1,9}:[0-9]{1,9}:[0-9]{1,9}\$", rf"{_SALT}\${_HEX}{{128}}"),
    (rf"pbkdf2:sha1:{_ROUNDS}\$", rf"{_SALT}\${_HEX}{{40}}"),
    (rf"pbkdf2:sha256:{_ROUNDS}\$", rf"{_SALT}\${_HEX}{{64}}"),
    (rf"pbkdf2:sha512:{_ROUNDS}\$", rf"{_SALT}\${_HEX}{{128}}"),
    # The salts of Django, and those of others: what decides differs by the `$`.
    (r"md5", rf"\${_DJANGO_SALT}\${_HEX}{{32}}"),
    (r"md5\$", rf"{_SALT}\${_HEX}{{32}}"),
    (r"sha1", rf"\${_DJANGO_SALT}\${_HEX}{{40}}"),
    (r"sha1\$", rf"{_SALT}\${_HEX}{{40}}"),
    (r"sha256\$", rf"{_SALT}\${_HEX}{{64}}"),
    (rf"{_SCHEME}\$5\$(?:rounds={_ROUNDS}\$)?", rf"{_H64}{{1,16}}\${_H64}{{43}}"),
    (rf"{_SCHEME}\$6\$(?:rounds={_ROUNDS}\$)?", rf"{_H64}{{1,16}}\${_H64}{{86}}"),
    (rf"{_SCHEME}\$(?:1|apr1)\$", rf"{_H64}{{1,8}}\${_H64}{{21}}[./01]"),
    (rf"\$y\${_H64}{{3,5}}\$", rf"{_H64}{{1,86}}\${_H64}{{43}}"),
    (rf"\$[PH]\${_H64}", f"{_H64}{{30}}"),
    # A salt behind the digest, of 1 to 64 bytes.
    (r"\{SMD5\}", f"(?:{_B64}{{4}}){{6,25}}{_PADDED}"),
    (r"\{SSHA\}", f"(?:{_B64}{{4}}){{7,26}}{_PADDED}"),
    (r"\{SSHA256\}", f"(?:{_B64}{{4}}){{11,30}}{_PADDED}"),
    (r"\{SSHA512\}", f"(?:{_B64}{{4}}){{22,41}}{_PADDED}"),
    (r"\{SHA\}", f"{_B64}{{26}}[AEIMQUYcgkosw048]="),
    (
        r"\$scrypt\$ln=[1-9][0-9]?,r=[1-9][0-9]{0,2},p=[1-9][0-9]{0,2}\$",
        rf"{_16_BYTES}\${_32_BYTES}",
    ),
    (r"\*", "[0-9A-F]{40}"),
    # ASP.NET Identity: the digest's name, the rounds and a salt of 16 bytes; or its version 2.
    (f"AQAAAA{_B64}{{6}}AAAAE", f"[A-P]{_B64}{{64}}=="),
    ("A[A-P]", f"{_B64}{{64}}=="),
    # Of plain digests nothing decides but the length, which the number of characters stands for.
    (f"{_HEX}{{1}}", f"{_HEX}{{31}}"),
    (f"{_HEX}{{2}}", f"{_HEX}{{38}}"),
    (f"{_HEX}{{3}}", f"{_HEX}{{61}}"),
    (f"{_HEX}{{4}}", f"{_HEX}{{124}}"),
)
_DIGEST = re.compile(b"[0-9a-f]{1,4}")


@dataclass(frozen=True, slots=True)
class Shapes:
    """The expressions of one line.

    Attributes:
        line: Matches any line to its end. Its first group is what decides about the hash, its
            second one a line of no shape; one of the two is empty.
        quick: Matches the same, and has the first group only.
    """

    line: re.Pattern[bytes]
    quick: re.Pattern[bytes]


def compile_shapes(*, before: str, after: str) -> Shapes:
    """Return the expressions of a line.

    Args:
        before: What may stand before the hash in a line.
        after: What must stand behind it.
    """
    shapes = "|".join(f"{decides}(?={follows}{after})" for decides, follows in _SHAPES)
    return Shapes(
        re.compile(rf"(?m)^(?:{before}({shapes})[^\n]*|([^\n]*))$".encode()),
        re.compile(rf"(?m)^(?:{before}({shapes})|)[^\n]*".encode()),
    )


def simplify(shape: bytes) -> bytes:
    """Return one shape for all plain digests of a length, and others as they are."""
    return b"digest of %d" % len(shape) if _DIGEST.fullmatch(shape) else shape
