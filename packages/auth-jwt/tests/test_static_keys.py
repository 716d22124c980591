"""Keys that an app knows beforehand: which of them are taken, and which tokens they verify."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from jwt_tokens import (
    AUDIENCE,
    ISSUER,
    encode,
    key_for,
    make_token,
    pem,
    public_jwk,
    secret,
)

from starlette_auth_jwt import JWTAuth, StaticKeys

pytestmark = pytest.mark.anyio


def backend(keys: StaticKeys, *algorithms: str) -> JWTAuth:
    return JWTAuth(keys=keys, issuer=ISSUER, audience=AUDIENCE, algorithms=algorithms or ["ES256"])


def private_pem(algorithm: str) -> str:
    key = key_for(algorithm)
    assert isinstance(key, RSAKey | ECKey | OKPKey)
    return key.as_pem(private=True).decode()


def der(algorithm: str, *, private: bool = False) -> bytes:
    key = key_for(algorithm)
    assert isinstance(key, RSAKey | ECKey | OKPKey)
    return key.as_der(private=private)


def wrapped(label: str, data: bytes) -> str:
    text = base64.encodebytes(data).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n"


def okp(x: bytes) -> dict[str, Any]:
    return {"kty": "OKP", "crv": "Ed25519", "x": encode(x)}


def ssh() -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PublicKey.from_public_bytes(der("EdDSA")[-32:])
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


@pytest.fixture(scope="module")
def small_rsa() -> str:
    # A key of 1024 bits, which the maker of the other keys refuses to make.
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


# SEC 2 section 2.4.1: the generator of secp256k1 is a point like any other.
SECP256K1_POINT = bytes.fromhex(
    "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
)
SECP256K1 = wrapped(
    "PUBLIC KEY",
    bytes.fromhex("3056301006072a8648ce3d020106052b8104000a034200") + SECP256K1_POINT,
)
X25519 = wrapped("PUBLIC KEY", bytes.fromhex("302a300506032b656e032100") + b"\x09" + bytes(31))
ED25519 = bytes.fromhex("302a300506032b6570032100")
ED448 = wrapped("PUBLIC KEY", bytes.fromhex("3043300506032b6571033a00") + b"\x01" + bytes(56))

# The points of order 1, 2, 4 and 8, as libsodium lists them, and two numbers that are not below the
# prime (RFC 8032 section 5.1.3).
SMALL = [
    *("01" + "00" * 31, "ec" + "ff" * 30 + "7f", "00" * 32, "00" * 31 + "80"),
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    *("ed" + "ff" * 30 + "7f", "f0" + "ff" * 30 + "7f"),
]

REFUSED: dict[str, Any] = {
    "rsa-private-pem": lambda: private_pem("RS256"),
    "rsa-private-pem-bytes": lambda: private_pem("RS256").encode(),
    "ec-private-pem": lambda: private_pem("ES256"),
    "okp-private-pem": lambda: private_pem("EdDSA"),
    "encrypted-pem": lambda: wrapped("ENCRYPTED PRIVATE KEY", b"\x30\x03\x02\x01\x05"),
    "rsa-private-jwk": lambda: key_for("RS256").as_dict(private=True),
    "ec-private-jwk": lambda: key_for("ES256").as_dict(private=True),
    "okp-private-jwk": lambda: key_for("EdDSA").as_dict(private=True),
    "jwk-with-d": lambda: {**public_jwk(key_for("ES256")), "d": None},
    "rsa-1024-jwk": lambda: public_jwk(key_for("RS256"), n=encode(b"\xc5" * 128)),
    "secp256k1-pem": lambda: SECP256K1,
    "secp256k1-jwk": lambda: {
        "kty": "EC",
        "crv": "secp256k1",
        "x": encode(SECP256K1_POINT[1:33]),
        "y": encode(SECP256K1_POINT[33:]),
    },
    "x25519-pem": lambda: X25519,
    "ed448-pem": lambda: ED448,
    "ed448-jwk": lambda: {"kty": "OKP", "crv": "Ed448", "x": encode(b"\1" * 57)},
    "secret-empty": lambda: b"",
    "secret-31": lambda: secrets.token_bytes(31),
    "oct-31": lambda: {"kty": "oct", "k": encode(secrets.token_bytes(31))},
    "oct-empty": lambda: {"kty": "oct", "k": ""},
    "oct-no-k": lambda: {"kty": "oct"},
    "oct-hs512-32": lambda: {"kty": "oct", "k": encode(b"k" * 32), "alg": "HS512"},
    "oct-rs256": lambda: {"kty": "oct", "k": encode(b"k" * 64), "alg": "RS256"},
    "text-empty": lambda: "",
    "text-secret": lambda: "a secret that is long enough to be one",
    "text-jwk": lambda: '{"kty":"oct","k":"AAAA"}',
    "text-token": make_token,
    "text-ssh": lambda: ssh().decode(),
    "text-der-base64": lambda: base64.b64encode(der("RS256")).decode(),
    "text-surrogate": lambda: "\ud800",
    "pem-nonsense": lambda: wrapped("PUBLIC KEY", b"nonsense"),
    "pem-cut": lambda: pem(key_for("RS256"))[:200],
    "pem-certificate": lambda: wrapped("CERTIFICATE", der("RS256")),
    "pem-two": lambda: pem(key_for("RS256")) + pem(key_for("ES256")),
    "pem-and-private": lambda: pem(key_for("RS256")) + private_pem("ES256"),
    "pem-bytes-nonsense": lambda: b"-----BEGIN PUBLIC KEY-----\n",
    "rsa-der": lambda: der("RS256"),
    "ec-der": lambda: der("ES256"),
    "okp-der": lambda: der("EdDSA"),
    "rsa-private-der": lambda: der("RS256", private=True),
    "ec-private-der": lambda: der("ES256", private=True),
    "okp-private-der": lambda: der("EdDSA", private=True),
    # The console of Keycloak shows a realm's public key like this.
    "rsa-der-base64": lambda: base64.b64encode(der("RS256")),
    "rsa-der-lines": lambda: base64.encodebytes(der("RS256")),
    "rsa-der-base64url": lambda: encode(der("RS256")).encode(),
    "rsa-der-and-line-break": lambda: der("RS256") + b"\r\n",
    "der-of-nothing": lambda: b"\x30\x82\0\0",
    "ssh": ssh,
    "ssh-after-a-line-break": lambda: b"\n" + ssh(),
    "jwk-bytes": lambda: str(public_jwk(key_for("ES256"))).replace("'", '"').encode(),
    "jwks-bytes": lambda: b'{"keys": [{"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAA"}]}',
    "jwk-empty": dict,
    "jwk-kty-unknown": lambda: {"kty": "AKP"},
    "jwk-kty-list": lambda: {"kty": []},
    "jwk-use-enc": lambda: public_jwk(key_for("RS256"), use="enc"),
    "jwk-key-ops": lambda: public_jwk(key_for("RS256"), key_ops=["sign"]),
    "jwk-kid-number": lambda: public_jwk(key_for("ES256"), kid=5),
    "jwk-alg-number": lambda: public_jwk(key_for("ES256"), alg=5),
    "jwk-alg-other": lambda: public_jwk(key_for("ES256"), alg="RS256"),
    "jwk-off-the-curve": lambda: public_jwk(key_for("ES256"), y=encode(b"\1" * 32)),
    "okp-off-the-curve": lambda: okp(b"\2" + bytes(31)),
    "okp-off-the-curve-pem": lambda: wrapped("PUBLIC KEY", ED25519 + b"\2" + bytes(31)),
} | {
    f"okp-small-{point[:6]}-{point[-2:]}": lambda x=point: okp(bytes.fromhex(x)) for point in SMALL
}


def texts_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts_in(each)]
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return [line for line in text.splitlines() if len(line) > 30]


class TestRefused:
    def test_is_no_key_at_all(self) -> None:
        with pytest.raises(ValueError, match="at least one key"):
            StaticKeys()

    @pytest.mark.parametrize("name", REFUSED)
    def test_is_a_key_that_cannot_be_used(self, name: str) -> None:
        key = REFUSED[name]()
        with pytest.raises(ValueError, match=r"^key 2 of StaticKeys ") as raised:
            StaticKeys(public_jwk(key_for("ES256")), key)
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None
        for text in texts_in(key):
            assert text not in str(raised.value) or text.startswith("-----BEGIN")

    def test_is_a_small_rsa_key(self, small_rsa: str) -> None:
        for key in (small_rsa, small_rsa.encode()):
            with pytest.raises(ValueError, match="RSA key of 1024 bits"):
                StaticKeys(key)

    @pytest.mark.parametrize("key", [None, 5, [], object()])
    def test_is_another_type(self, key: Any) -> None:
        with pytest.raises(TypeError, match="a key of StaticKeys is"):
            StaticKeys(key)

    @pytest.mark.parametrize(("size", "algorithm"), [(32, "HS384"), (47, "HS384"), (63, "HS512")])
    def test_is_a_secret_shorter_than_the_hash(self, size: int, algorithm: str) -> None:
        keys = StaticKeys(b"k" * size)
        backend(keys, "HS256")
        with pytest.raises(ValueError, match=f"algorithms: none of the keys can check {algorithm}"):
            backend(keys, "HS256", algorithm)


class TestTaken:
    @pytest.mark.parametrize("change", [str.strip, lambda text: "# a comment\n" + text])
    async def test_is_pem_in_many_forms(self, change: Any) -> None:
        for text in (pem(key_for("ES256")), pem(key_for("ES256")).replace("\n", "\r\n")):
            assert await backend(StaticKeys(change(text))).verify(make_token())

    @pytest.mark.parametrize(
        "data",
        [b"0" * 32, b"\x30" + b"\x1e" + b"k" * 30, b"\x30\x82" + b"k" * 40, b'["' + b"x" * 40],
        ids=lambda data: data[:4].hex(),
    )
    async def test_is_any_random_secret(self, data: bytes) -> None:
        backend(StaticKeys(data), "HS256")

    async def test_is_not_shown(self) -> None:
        keys = StaticKeys(secret(key_for("HS256")), public_jwk(key_for("ES256")))
        assert repr(keys) == "<StaticKeys: 2 keys>"
        for key in keys._keys:
            assert repr(key) == "<Key>"
            assert repr(key.public) == "<PublicKey>"

    async def test_is_a_mapping_of_any_class(self) -> None:
        from types import MappingProxyType

        keys = StaticKeys(MappingProxyType(public_jwk(key_for("ES256"))))
        assert await backend(keys).verify(make_token())


class TestSeveral:
    async def test_are_all_tried(self) -> None:
        first, second = key_for("ES256"), key_for("ES256", "other")
        auth = backend(StaticKeys(public_jwk(first), pem(second)))
        for key in (first, second):
            for kid in (None, "any"):
                assert await auth.verify(make_token(key=key, kid=kid))
        assert await auth.verify(make_token(key=key_for("ES256", "third"))) is None

    async def test_have_names(self) -> None:
        first, second = key_for("ES256"), key_for("ES256", "other")
        auth = backend(StaticKeys(public_jwk(first, kid="1"), public_jwk(second, kid="2")))
        assert await auth.verify(make_token(key=first, kid="1"))
        assert await auth.verify(make_token(key=second, kid="2"))
        assert await auth.verify(make_token(key=first, kid="2")) is None
        assert await auth.verify(make_token(key=second))

    async def test_may_be_secrets_beside_public_keys(self) -> None:
        auth = backend(
            StaticKeys(pem(key_for("RS256")), secret(key_for("HS256"))), "RS256", "HS256"
        )
        assert await auth.verify(make_token("RS256"))
        assert await auth.verify(make_token("HS256"))
