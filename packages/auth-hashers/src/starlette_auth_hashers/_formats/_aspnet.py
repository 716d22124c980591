"""What `PasswordHasher` of ASP.NET Core Identity stores, of both of its versions."""

import base64
import functools
import re

from starlette_auth_hashers._verifier import MAX_HASH_SIZE

from ._format import Computed, Format, Parsed, decode_base64, pbkdf2

__all__ = ["AspNetIdentity"]

_V2_SIZE = 1 + 16 + 32
_V2_ROUNDS = 1000
_V3_HEADER = 1 + 3 * 4
_V3_DIGESTS = ("sha1", "sha256", "sha512")
_LOOKS = re.compile(r"A[A-Q][A-Za-z0-9+/]{36,2000}={0,2}")


class AspNetIdentity(Format):
    """Base64 of a version, the settings, the salt and PBKDF2.

    The format is that of a comment in the original, src/Identity/Extensions.Core/src/
    PasswordHasher.cs of dotnet/aspnetcore: numbers are big-endian, salts and digests have 128 bits
    or more.
    """

    name = "aspnet_identity"
    # Of .NET 7 and later: version 3, SHA-512, 100,000 rounds, a salt of 16 bytes.
    today = base64.b64encode(
        b"\1" + b"".join(number.to_bytes(4) for number in (2, 100_000, 16)) + bytes(16 + 32)
    ).decode()

    def identify(self, hashed: str) -> bool:
        """Tell whether *hashed* is one: nothing else marks them."""
        return self.parse(hashed) is not None

    def parse(self, hashed: str) -> Parsed | None:
        """Take *hashed* apart."""
        decoded = (
            decode_base64(hashed) if _LOOKS.fullmatch(hashed) and not len(hashed) % 4 else None
        )
        if decoded is None:
            return None
        if decoded[0] == 0:
            if len(decoded) != _V2_SIZE:
                return None
            digest, rounds, salt_end = "sha1", _V2_ROUNDS, 1 + 16
            salt = decoded[1:salt_end]
        else:
            prf, rounds, salt_size = (int.from_bytes(decoded[i : i + 4]) for i in (1, 5, 9))
            salt_end = _V3_HEADER + salt_size
            salt = decoded[_V3_HEADER:salt_end]
            if prf >= len(_V3_DIGESTS) or not 0 < rounds < 2**31:
                return None
            if salt_size < 16 or len(decoded) - salt_end < 16:
                return None
            digest = _V3_DIGESTS[prf]
        expected = decoded[salt_end:]
        size = len(expected)
        return Computed(
            f"pbkdf2_{digest}",
            {"rounds": rounds},
            expected,
            functools.partial(_pbkdf2, digest, salt, rounds, size),
            f"{size}.{base64.b64encode(decoded[:salt_end]).decode()}",
        )

    def parse_config(self, config: str) -> Parsed | None:
        """Take apart what `Parsed.config` was."""
        size, _, start = config.partition(".")
        decoded = decode_base64(start) or b""
        return self.parse(base64.b64encode(decoded + bytes(min(int(size), MAX_HASH_SIZE))).decode())


def _pbkdf2(digest: str, salt: bytes, rounds: int, size: int, secret: str) -> bytes:
    return pbkdf2(digest, secret, salt, rounds, size)
