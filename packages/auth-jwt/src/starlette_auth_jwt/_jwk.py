"""JSON Web Keys, RFC 7517: what a key is for, and how it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._json import decode_base64url
from ._pyjwt import CURVES, PublicKey, UnusableKey, load_jwk, load_secret

__all__ = ["Key", "is_for_signatures", "is_private", "read_jwk"]

#: The members that are in base64url, by the type of the key (RFC 7518 section 6, RFC 8037).
_MEMBERS = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",), "oct": ("k",)}
#: The members of private keys alone. (`k`, of `oct`, is the whole of a secret.)
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and which tokens it is for.

    Attributes:
        public: What checks signatures.
        algorithms: The algorithms that the key verifies: those of its type and curve, and of these
            only its own where it names one.
        kid: Its name, if it has one.
    """

    public: PublicKey
    algorithms: frozenset[str]
    kid: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def is_private(jwk: Mapping[str, Any]) -> bool:
    """Return whether a JWK holds what its issuer alone should have."""
    return any(name in jwk for name in _PRIVATE)


def is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    """Return whether a JWK is of a type that this package knows, and made to verify signatures.

    One whose type is not a string is a broken key, and not one of another kind.
    """
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if isinstance(kty, str) and kty not in _MEMBERS:
        return False
    if kty in ("EC", "OKP") and isinstance(crv, str) and crv not in CURVES:
        return False
    # RFC 7517 sections 4.2 and 4.3.
    if jwk.get("use", "sig") != "sig":
        return False
    operations = jwk.get("key_ops")
    return operations is None or (isinstance(operations, list) and "verify" in operations)


def read_jwk(jwk: Mapping[str, Any]) -> Key:
    """Load the public part of a JWK, or a secret. Other members are never looked at.

    Raises:
        UnusableKey: If the key lacks a member, or a member is not what it should be.
    """
    kty, crv, kid, alg = (jwk.get(name) for name in ("kty", "crv", "kid", "alg"))
    if not isinstance(kty, str) or kty not in _MEMBERS:
        raise UnusableKey(f"must have a kty that is one of {', '.join(_MEMBERS)}")
    for name, value in (("kid", kid), ("alg", alg)):
        if name in jwk and not isinstance(value, str):
            raise UnusableKey(f"has a {name} that is not a string")
    if kty in ("EC", "OKP") and (not isinstance(crv, str) or crv not in CURVES):
        raise UnusableKey(f"must have a crv that is one of {', '.join(CURVES)}")
    members = {name: _read_member(jwk, name) for name in _MEMBERS[kty]}
    if kty == "oct":
        public = load_secret(decode_base64url(members["k"]) or b"")
    else:
        public = load_jwk(members, kty, crv if kty != "RSA" else None)
    return Key(public, public.algorithms & {alg} if alg is not None else public.algorithms, kid)


def _read_member(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    encoded = value.encode("ascii", "replace") if isinstance(value, str) else b""
    if not encoded or decode_base64url(encoded) is None:
        raise UnusableKey(f"must have the member {name}, in base64url without padding")
    return encoded
