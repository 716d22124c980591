"""Tokens of an issuer, made by joserfc: what checks them is another library's."""

from __future__ import annotations

import base64
import functools
import json
import time
from typing import Any

from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

ISSUER = "https://issuer.example"
AUDIENCE = "https://api.example"
#: A word that must not get into a log, a text or a `repr`.
MARK = "marked-secret"

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_SIZES = {"HS256": 256, "HS384": 384, "HS512": 512}

ASYMMETRIC = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
]
SYMMETRIC = ["HS256", "HS384", "HS512"]


def key_for(algorithm: str, name: str = "first") -> Key:
    """Make a key, the same one for the same arguments."""
    return _make_key("RSA" if algorithm[:2] in ("RS", "PS") else algorithm, name)


@functools.cache
def _make_key(kind: str, name: str) -> Key:
    if kind in _CURVES:
        return ECKey.generate_key(_CURVES[kind])
    if kind in _SIZES:
        return OctKey.generate_key(_SIZES[kind])
    if kind == "RSA":
        return RSAKey.generate_key(2048)
    return _ed25519_key(name)


@functools.cache
def _ed25519_key(name: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519")


def public_jwk(key: Key, **members: Any) -> dict[str, Any]:
    """Return the public JWK of a key; a member that is None is left out."""
    jwk = {**key.as_dict(private=False), **members}
    return {name: value for name, value in jwk.items() if value is not None}


def pem(key: Key) -> str:
    assert isinstance(key, ECKey | OKPKey | RSAKey)
    return key.as_pem(private=False).decode()


def secret(key: Key) -> bytes:
    assert isinstance(key, OctKey)
    return key.raw_value


def good_claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a valid token; one that is None is left out."""
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 300}
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def good_header(algorithm: str = "ES256", **changes: Any) -> dict[str, Any]:
    header = {"alg": algorithm, "typ": "at+jwt"}
    return {name: value for name, value in {**header, **changes}.items() if value is not None}


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "==")


def as_json(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def signed(message: str, key: Key, algorithm: str) -> str:
    signature = JWSRegistry.algorithms[algorithm].sign(message.encode(), key)
    return f"{message}.{encode(signature)}"


def make_token(
    algorithm: str = "ES256",
    *,
    key: Key | None = None,
    header: dict[str, Any] | bytes | None = None,
    claims: dict[str, Any] | bytes | None = None,
    kid: str | None = None,
) -> str:
    """Make a token that is right, but for what is given: bytes stand in it as they are."""
    header = good_header(algorithm, kid=kid) if header is None else header
    claims = good_claims() if claims is None else claims
    message = f"{encode(as_json(header))}.{encode(as_json(claims))}"
    return signed(message, key or key_for(algorithm), algorithm)
