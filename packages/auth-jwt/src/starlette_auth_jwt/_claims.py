"""The rules that a token has to pass before a key is looked for: RFC 7519 and RFC 9068.

Each rule has a name, which is all that a refused token leaves in a log.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeGuard

from starlette_auth_core.credentials import is_plain_text

from ._json import decode_base64url, parse_object

__all__ = ["ParsedToken", "Rule", "TokenRules", "media_type"]

Rule: TypeAlias = Literal[
    "size", "form", "header", "alg", "crit", "b64", "kid", "typ", "payload", "iss", "aud", "sub",
    "exp", "nbf", "iat", "cnf", "key", "signature", "user",
]  # fmt: skip

_Object: TypeAlias = Mapping[str, Any]

# The end of the year 9999, after which Python has no dates.
_END_OF_TIME = 253_402_300_800


@dataclass(frozen=True, slots=True, repr=False)
class ParsedToken:
    """A token that passes all rules but that of its signature."""

    algorithm: str
    kid: str | None
    claims: dict[str, Any]
    message: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a backend's settings demand of a token.

    Attributes:
        max_size: The longest token, in bytes.
        algorithms: The values that `alg` may have.
        media_types: The media types that `typ` may name. None: `typ` is not looked at.
        issuer: The value that `iss` has to have.
        audience: The values of which `aud` has to hold one.
        leeway: By how much clocks may differ, in seconds.
    """

    max_size: int
    algorithms: frozenset[str]
    media_types: frozenset[str] | None
    issuer: str
    audience: frozenset[str]
    leeway: float

    def parse(self, token: str) -> ParsedToken | Rule:
        """Return the token, or the name of the first rule that it breaks."""
        if not isinstance(token, str) or len(token) > self.max_size:
            return "size"
        parts = _split(token)
        if parts is None:
            return "form"
        message, encoded_header, encoded_claims, signature = parts
        header = self._read("header", encoded_header, _HEADER_RULES)
        if isinstance(header, str):
            return header
        claims = self._read("payload", encoded_claims, _CLAIM_RULES)
        if isinstance(claims, str):
            return claims
        return ParsedToken(header["alg"], header.get("kid"), claims, message, signature)

    def _read(self, part: Rule, text: bytes, rules: "_Rules") -> dict[str, Any] | Rule:
        members = parse_object(text)
        if members is None:
            return part
        return next((name for name, holds in rules if not holds(self, members)), members)

    def _is_allowed(self, header: _Object) -> bool:
        algorithm = header.get("alg")
        return isinstance(algorithm, str) and algorithm in self.algorithms

    def _is_of_type(self, header: _Object) -> bool:
        return self.media_types is None or media_type(header.get("typ")) in self.media_types

    def _is_of_issuer(self, claims: _Object) -> bool:
        return bool(claims.get("iss") == self.issuer)

    def _is_for_audience(self, claims: _Object) -> bool:
        audience = claims.get("aud")
        names = [audience] if isinstance(audience, str) else audience
        return (
            isinstance(names, list)
            and all(isinstance(name, str) for name in names)
            and not self.audience.isdisjoint(names)
        )

    def _is_before_expiry(self, claims: _Object) -> bool:
        date = claims.get("exp")
        return _is_date(date) and date > time.time() - self.leeway

    def _has_begun(self, claims: _Object) -> bool:
        return "nbf" not in claims or self._is_past(claims["nbf"])

    def _was_issued(self, claims: _Object) -> bool:
        return "iat" not in claims or self._is_past(claims["iat"])

    def _is_past(self, date: object) -> bool:
        return _is_date(date) and date <= time.time() + self.leeway


_Rules: TypeAlias = tuple[tuple[Rule, Callable[[TokenRules, _Object], bool]], ...]

_HEADER_RULES: _Rules = (
    ("alg", TokenRules._is_allowed),
    # This package knows no extension (RFC 7515 section 4.1.11).
    ("crit", lambda _, header: "crit" not in header),
    # RFC 7797 section 7: JWTs have no unencoded payload.
    ("b64", lambda _, header: header.get("b64", True) is True),
    ("kid", lambda _, header: isinstance(header.get("kid", ""), str)),
    ("typ", TokenRules._is_of_type),
)

_CLAIM_RULES: _Rules = (
    ("iss", TokenRules._is_of_issuer),
    ("aud", TokenRules._is_for_audience),
    ("sub", lambda _, claims: claims.get("sub") != "" and is_plain_text(claims.get("sub"))),
    ("exp", TokenRules._is_before_expiry),
    ("nbf", TokenRules._has_begun),
    ("iat", TokenRules._was_issued),
    # Bound to a key of the client (RFC 7800): without a check of that, whoever has stolen the token
    # could use it (RFC 9449 section 7.2, RFC 8705 section 3).
    ("cnf", lambda _, claims: "cnf" not in claims),
)


def media_type(typ: object) -> str | None:
    """Return the whole media type that `typ` stands for, in lower case; None where it is not text.

    `application/` may be left out where no other slash is in it (RFC 7515 section 4.1.9).
    """
    if not isinstance(typ, str) or not typ.isascii():
        return None
    return typ.lower() if "/" in typ else f"application/{typ.lower()}"


def _split(token: str) -> tuple[bytes, bytes, bytes, bytes] | None:
    # What is signed, and the three parts, decoded. A token without a signature has an empty one
    # (RFC 7519 section 6).
    message, _, encoded_signature = token.encode("ascii", "replace").rpartition(b".")
    encoded_header, _, encoded_claims = message.partition(b".")
    header = decode_base64url(encoded_header)
    claims = decode_base64url(encoded_claims)
    signature = decode_base64url(encoded_signature)
    return (message, header, claims, signature) if header and claims and signature else None


def _is_date(value: object) -> TypeGuard[float]:
    # RFC 7519 section 2, NumericDate: a fraction is allowed. A bool is an int of Python's.
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 <= value < _END_OF_TIME
    )
