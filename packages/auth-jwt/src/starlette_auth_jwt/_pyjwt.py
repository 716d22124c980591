"""All that this package uses of PyJWT: its algorithms, which load public keys and check signatures.

The parsing of tokens is not PyJWT's. A key out of here is public, or a secret for HMAC.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from jwt import InvalidKeyError
from jwt.algorithms import (
    Algorithm,
    ECAlgorithm,
    HMACAlgorithm,
    OKPAlgorithm,
    RSAAlgorithm,
    get_default_algorithms,
)

from ._ed25519 import is_public_key

__all__ = [
    "ALGORITHMS",
    "CURVES",
    "LEAST_SECRET",
    "PublicKey",
    "UnusableKey",
    "is_symmetric",
    "load_jwk",
    "load_pem",
    "load_secret",
    "verify",
]

#: The smallest RSA key, in bits (RFC 7518 sections 3.3 and 3.5).
_LEAST_RSA_BITS = 2048
# OpenSSL verifies nothing by a larger one.
_MOST_RSA_BITS = 16_384

#: The shortest secret, in bytes: that of HS256 (RFC 7518 section 3.2).
LEAST_SECRET = 32
_SECRET_SIZES = {"HS256": 32, "HS384": 48, "HS512": 64}

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_ED25519 = frozenset({"EdDSA", "Ed25519"})

#: What a key of each curve verifies: RFC 7518 section 3.4, RFC 8037 section 3.1, RFC 9864.
CURVES = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": _ED25519,
}
# By the names that the objects of a library give to the curves (SEC 2).
_EC_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}

#: The algorithms that a backend can allow.
ALGORITHMS = frozenset(_SECRET_SIZES) | _RSA | frozenset().union(*CURVES.values())

_KNOWN = get_default_algorithms()
# PyJWT lacks the name of RFC 9864.
_KNOWN["Ed25519"] = _KNOWN["EdDSA"]

_LOADERS: tuple[Algorithm, ...] = (
    RSAAlgorithm(RSAAlgorithm.SHA256),
    ECAlgorithm(ECAlgorithm.SHA256),
    OKPAlgorithm(),
)
_JWK_LOADERS: dict[str, type[Algorithm]] = {
    "RSA": RSAAlgorithm,
    "EC": ECAlgorithm,
    "OKP": OKPAlgorithm,
}
_ENCODED_DER = re.compile(rb"[A-Za-z0-9+/_\-\s]+={0,2}\s*")
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")


class UnusableKey(ValueError):
    """Raised for a key that can't be used. Its text holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What checks a signature: a public key, or a secret.

    Attributes:
        material: The object that PyJWT works with.
        algorithms: The algorithms that fit the type of the key and its curve.
    """

    material: Any
    algorithms: frozenset[str]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def is_symmetric(algorithm: str) -> bool:
    """Return whether the same secret signs and verifies."""
    return algorithm in _SECRET_SIZES


def verify(algorithm: str, key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Return whether *signature* is that of *message*, by a key that fits *algorithm*."""
    return bool(_KNOWN[algorithm].verify(message, key.material, signature))


def load_pem(pem: bytes) -> PublicKey:
    """Load one public key out of a PEM text.

    Raises:
        UnusableKey: If it is not one public key of a known type, and large enough.
    """
    if b"PRIVATE KEY" in pem:
        raise UnusableKey("is a private key: the issuer alone has that, so give the public one")
    blocks = pem.count(b"-----BEGIN ")
    if blocks > 1:
        raise UnusableKey("holds several PEM blocks: give one public key in each argument")
    material: Any = None
    # PyJWT loads the format of SSH too.
    for loader in _LOADERS if blocks else ():
        try:
            material = loader.prepare_key(pem)
            break
        except (InvalidKeyError, ValueError, TypeError):
            continue
    if material is None:
        raise UnusableKey(
            "is not the PEM of a public key that verifies JWTs (it begins with "
            "-----BEGIN PUBLIC KEY-----, and is RSA, EC or Ed25519); a certificate is not one"
        )
    return _public(material)


def load_jwk(jwk: Mapping[str, bytes], kty: str, crv: str | None) -> PublicKey:
    """Load a public key out of the members that its type demands (RFC 7518 section 6, RFC 8037).

    Args:
        jwk: The members that are encoded in base64url, as they stand there. Private ones are
            absent.
        kty: The type of the key: RSA, EC or OKP.
        crv: The name of the curve, one of `CURVES`; None for RSA.

    Raises:
        UnusableKey: If the numbers are not those of a key, such as a point off the curve.
    """
    members: dict[str, Any] = {"kty": kty, "crv": crv, **jwk}
    material: Any = None
    with suppress(InvalidKeyError, ValueError):
        material = _JWK_LOADERS[kty].from_jwk(members)
    if material is None:
        raise UnusableKey(f"has members that are not those of a key of the type {kty}")
    return _public(material)


def load_secret(secret: bytes) -> PublicKey:
    """Return a secret for HMAC.

    Raises:
        UnusableKey: If it is too short for every algorithm, or the text of another kind of key:
            that is no secret, since public keys are published.
    """
    refused = _is_der(secret)
    if not refused and _ENCODED_DER.fullmatch(secret):
        with suppress(Base64Error):
            # The padding may be missing; more of it than needed is passed over.
            refused = _is_der(a2b_base64(secret.translate(_TO_BASE64) + b"=="))
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret.lstrip())
    except InvalidKeyError:
        # An empty one is too short, and nothing else.
        refused = secret != b""
    if refused:
        raise UnusableKey(
            "is a key in DER, JWK or SSH format, which is not a secret: give a PEM, or a JWK as a "
            "mapping"
        )
    algorithms = frozenset(name for name, size in _SECRET_SIZES.items() if len(secret) >= size)
    if not algorithms:
        raise UnusableKey(
            f"is a secret of {len(secret)} bytes: RFC 7518 section 3.2 demands {LEAST_SECRET} for "
            "HS256, 48 for HS384 and 64 for HS512"
        )
    return PublicKey(secret, algorithms)


def _public(material: Any) -> PublicKey:
    size: int | None = getattr(material, "key_size", None)
    curve: Any = getattr(material, "curve", None)
    if curve is not None:
        name = _EC_NAMES.get(curve.name)
    elif size is not None:
        if not _LEAST_RSA_BITS <= size <= _MOST_RSA_BITS:
            raise UnusableKey(
                f"is an RSA key of {size} bits: RFC 7518 section 3.3 demands {_LEAST_RSA_BITS}, "
                f"and more than {_MOST_RSA_BITS} can't be used"
            )
        return PublicKey(material, _RSA)
    else:
        name = type(material).__name__.removesuffix("PublicKey")
    if name not in CURVES:
        raise UnusableKey(f"has a curve that is not one of {', '.join(CURVES)}")
    if name == "Ed25519" and not is_public_key(material.public_bytes_raw()):
        raise UnusableKey("is not a point of Ed25519, or one for which anybody can make signatures")
    return PublicKey(material, CURVES[name])


def _is_der(secret: bytes) -> bool:
    # The SEQUENCE that all keys in DER are: its length is that of the rest, without the white space
    # that may follow in a file, and it begins with a SEQUENCE or an INTEGER. One in eight million
    # random secrets looks like that.
    if len(secret) < 4 or secret[0] != 0x30:
        return False
    begin, length = 2, secret[1]
    if length > 0x80:
        begin = 2 + (length & 0x7F)
        length = int.from_bytes(secret[2:begin], "big")
    content, rest = secret[begin : begin + length], secret[begin + length :]
    return len(content) == length and content[:1] in (b"\x02", b"\x30") and not rest.strip()
