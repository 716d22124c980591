"""What `werkzeug.security.generate_password_hash` has stored, in Flask apps above all."""

import functools
import hmac
import re
from collections.abc import Callable

from ._format import Computed, Format, Parsed, blank, parse_rounds, parse_scrypt, pbkdf2, scrypt

__all__ = ["Werkzeug"]

# `method$salt$hexadecimal`. The salt is whatever it was given, and never has a `$`.
_FIELDS = re.compile(
    r"(?:scrypt:(?P<n>[0-9]{1,9}):(?P<r>[0-9]{1,9}):(?P<p>[0-9]{1,9})"
    r"|pbkdf2:(?P<digest>[A-Za-z0-9_-]{1,32}):(?P<rounds>[0-9]{1,10})"
    r"|(?P<hmac>[A-Za-z0-9_-]{1,32}))"
    r"\$(?P<salt>[^$]*)\$(?P<hash>(?:[0-9a-f]{2})+)"
)


class Werkzeug(Format):
    """`scrypt:…` and `pbkdf2:…`, and HMAC (`sha256$…`) of versions before 3."""

    name = "werkzeug"
    prefixes = ("scrypt:", "pbkdf2:")
    # Of version 3.1.
    today = "scrypt:32768:8:1$0123456789abcdef$" + 64 * "00"

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* looks like one of Werkzeug's."""
        return super().identify(hashed) or self.parse(hashed) is not None

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        fields = _FIELDS.fullmatch(hashed)
        if fields is None or (size := len(fields["hash"]) // 2) > 512:
            return None
        salt = fields["salt"].encode(errors="surrogatepass")
        compute: Callable[[str], bytes]
        if fields["n"]:
            costs = parse_scrypt(*(int(fields[name]) for name in "nrp"))
            if costs is None:
                return None
            kind = "scrypt"
            compute = functools.partial(scrypt, salt=salt, costs=costs, size=64)
            expected_size: int | None = 64
        else:
            digest = (fields["digest"] or fields["hmac"]).lower()
            expected_size = _size_of(digest)
            rounds = parse_rounds(fields["rounds"] or "1")
            if rounds is None or (fields["hmac"] and not salt):
                return None
            if fields["digest"]:
                kind, costs = f"pbkdf2_{digest}", {"rounds": rounds}
                compute = functools.partial(_pbkdf2, digest, salt, rounds)
            else:
                kind, costs = f"hmac_{digest}", {}
                compute = functools.partial(_hmac, digest, salt)
        if expected_size != size:
            return None
        return Computed(
            kind, costs, bytes.fromhex(fields["hash"]), compute, blank(hashed, 2 * size)
        )


@functools.cache
def _size_of(digest: str) -> int | None:
    """Return the bytes of a digest of hashlib, or None where it has none that HMAC takes."""
    try:
        return len(hmac.digest(b"", b"", digest))
    except (ValueError, TypeError):
        return None


def _pbkdf2(digest: str, salt: bytes, rounds: int, secret: str) -> bytes:
    return pbkdf2(digest, secret, salt, rounds)


def _hmac(digest: str, salt: bytes, secret: str) -> bytes:
    return hmac.digest(salt, secret.encode(), digest)
