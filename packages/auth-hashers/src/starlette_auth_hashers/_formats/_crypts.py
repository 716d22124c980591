"""Strings of crypt(3), of which the beginning says which algorithm they are of."""

from ._format import Format, Parsed
from ._yescrypt import Yescrypt, has_yescrypt

__all__ = ["parse_crypt"]

_BEGINNINGS = {
    "$1$": "md5_crypt",
    "$2a$": "bcrypt",
    "$2b$": "bcrypt",
    "$2y$": "bcrypt",
    "$5$": "sha256_crypt",
    "$6$": "sha512_crypt",
    "_": "bsdi_crypt",
}


def parse_crypt(borrower: Format, hashed: str) -> Parsed | None:
    """Take apart a string of crypt(3), for a format that wraps it."""
    if hashed.startswith("$y$"):
        return Yescrypt({}).parse(hashed) if has_yescrypt() else None
    for beginning, name in _BEGINNINGS.items():
        if hashed.startswith(beginning):
            return borrower.parse_borrowed(name, hashed)
    return borrower.parse_borrowed("des_crypt", hashed)
