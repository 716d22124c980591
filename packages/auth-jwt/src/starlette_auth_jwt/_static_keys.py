"""Keys that an app knows beforehand."""

from collections.abc import Mapping, Sequence
from typing import Any

from ._jwk import Key, is_for_signatures, is_private, read_jwk
from ._pyjwt import UnusableKey, load_pem, load_secret

__all__ = ["StaticKeys"]


class StaticKeys:
    """Keys that are fixed in the app's settings, for an issuer that does not publish any.

    A token is tried with every key that fits its `alg`, and its `kid` where both have one.

    Args:
        *keys: Each is a public key in PEM, a JWK as a mapping, or, for HS256, HS384 and HS512, a
            secret of random bytes: at least as many as the hash has (RFC 7518 section 3.2), which
            are 32, 48 and 64. Whoever has the secret can make tokens.

    Raises:
        TypeError: If a key is of another type.
        ValueError: If there is no key, or one can't be used: a private key, RSA under 2048 bits, a
            curve other than P-256, P-384, P-521 and Ed25519, a point that is not on its curve, a
            short secret, or text in another format.
    """

    def __init__(self, *keys: str | bytes | Mapping[str, Any]) -> None:
        if not keys:
            raise ValueError("StaticKeys needs at least one key, else no token could be valid")
        self._keys = tuple(_read(position, key) for position, key in enumerate(keys, 1))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self._keys)} keys>"

    async def _find(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        return [
            key
            for key in self._keys
            if algorithm in key.algorithms and (kid is None or key.kid is None or key.kid == kid)
        ]

    def _can_check(self, algorithm: str) -> bool:
        return any(algorithm in key.algorithms for key in self._keys)


def _read(position: int, key: object) -> Key:
    problem = ""
    try:
        return _load(key)
    except UnusableKey as error:
        problem = str(error)
    # Raised out of the handler, since an error of the engine may quote the key.
    raise ValueError(f"key {position} of StaticKeys {problem}")


def _load(key: object) -> Key:
    if isinstance(key, Mapping):
        if key.get("kty") != "oct" and is_private(key):
            raise UnusableKey("is a private JWK: give the public one, without the member d")
        if not is_for_signatures(key):
            raise UnusableKey(
                "is not a JWK that verifies JWTs: kty is RSA, EC, OKP or oct, crv one of the "
                "curves P-256, P-384, P-521 and Ed25519, use sig, and verify among the key_ops"
            )
        loaded = read_jwk(key)
        if not loaded.algorithms:
            raise UnusableKey("names an alg that does not fit the key")
        return loaded
    if isinstance(key, str):
        # With no other text can a PEM be mixed up: a secret is bytes.
        public = load_pem(key.encode("utf-8", "replace"))
    elif isinstance(key, bytes):
        public = load_pem(key) if b"-----BEGIN " in key else load_secret(key)
    else:
        raise TypeError(
            "a key of StaticKeys is a PEM text, a JWK as a mapping or a secret as bytes; "
            f"got {type(key).__name__}"
        )
    return Key(public, public.algorithms)
