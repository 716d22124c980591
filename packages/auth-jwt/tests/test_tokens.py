"""Which tokens are valid, and that whatever is wrong with one, it is refused in the same way."""

from __future__ import annotations

import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt_tokens import (
    ASYMMETRIC,
    AUDIENCE,
    ISSUER,
    MARK,
    SYMMETRIC,
    as_json,
    decode,
    encode,
    good_claims,
    good_header,
    key_for,
    make_token,
    pem,
    public_jwk,
    secret,
    signed,
)
from starlette.requests import HTTPConnection

from starlette_auth_core import AuthenticationUnavailable, InvalidCredentials
from starlette_auth_jwt import BaseJWTAuth, JWTAuth, JWTUser, StaticKeys

pytestmark = pytest.mark.anyio

EC = StaticKeys(public_jwk(key_for("ES256")))


def backend(**changes: Any) -> JWTAuth:
    settings: dict[str, Any] = {
        "keys": EC,
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": ["ES256"],
    }
    return JWTAuth(**{**settings, **changes})


def connection(token: str) -> HTTPConnection:
    value = f"Bearer {token}".encode("latin-1")
    return HTTPConnection({"type": "http", "headers": [(b"authorization", value)]})


async def is_valid(token: str, auth: JWTAuth | None = None) -> bool:
    """Ask each way in, which have to agree, and look at the refusal."""
    auth = auth or backend()
    user, resolved = await auth.verify(token), await auth.resolve(token)
    result: Any = None
    refusal: InvalidCredentials | None = None
    try:
        result = await auth.authenticate(connection(token))
    except InvalidCredentials as error:
        refusal = error
    if refusal is None:
        assert result is not None
        assert user is not None
        assert resolved is not None
        assert user.claims == resolved[0].claims == result[1].claims
        return True
    assert user is None
    assert resolved is None
    assert (str(refusal), refusal.scheme, refusal.parameters) == (
        "Invalid credentials",
        "Bearer",
        {"error": "invalid_token"},
    )
    assert refusal.__cause__ is None
    assert isinstance(refusal.__context__, InvalidCredentials | None)
    return False


class TestAValidToken:
    async def test_is_its_users(self) -> None:
        user = await backend().verify(make_token())
        assert user is not None
        assert user.is_authenticated
        assert user.username == user.identity == user.display_name == "alice"
        assert user.issuer == ISSUER
        assert user.claims["aud"] == AUDIENCE

    @pytest.mark.parametrize("algorithm", ASYMMETRIC)
    async def test_is_signed_by_each_algorithm(self, algorithm: str) -> None:
        key = key_for(algorithm)
        for given_key in (public_jwk(key), pem(key), pem(key).encode()):
            auth = backend(keys=StaticKeys(given_key), algorithms=[algorithm])
            assert await is_valid(make_token(algorithm), auth)
            other = key_for(algorithm, "second") if algorithm[:2] in ("RS", "PS") else None
            if other is not None:
                assert not await is_valid(make_token(algorithm, key=other), auth)

    @pytest.mark.parametrize("algorithm", SYMMETRIC)
    async def test_is_signed_by_a_secret(self, algorithm: str) -> None:
        key = key_for(algorithm)
        for given_key in (secret(key), key.as_dict(private=True)):
            auth = backend(keys=StaticKeys(given_key), algorithms=[algorithm])
            assert await is_valid(make_token(algorithm), auth)
            assert not await is_valid(make_token(algorithm, key=key_for("HS512", "x")), auth) or (
                algorithm == "HS512"
            )

    async def test_may_hold_12_kib_of_groups(self) -> None:
        groups = [f"{number:036}" for number in range(230)]
        token = make_token(claims=good_claims(groups=groups))
        assert 12 * 1024 < len(token) <= 16_384
        assert await is_valid(token)

    async def test_is_16_kib_long_at_most(self) -> None:
        sizes = range(11_900, 12_100)
        made = [make_token(claims=good_claims(pad="x" * size)) for size in sizes]
        longest = max((token for token in made if len(token) <= 16_384), key=len)
        shortest = min((token for token in made if len(token) > 16_384), key=len)
        assert len(longest) >= 16_383
        assert len(shortest) <= 16_386
        assert await is_valid(longest)
        assert not await is_valid(shortest)

    async def test_may_hold_white_space_in_its_json(self) -> None:
        header = b' {\n"alg" : "ES256", "typ":\t"at+jwt"}\r\n'
        assert await is_valid(make_token(header=header))

    async def test_may_hold_any_text(self) -> None:
        assert await is_valid(make_token(claims=good_claims(sub="ünï 🙂")))

    @pytest.mark.parametrize(
        "value",
        [b"[" * 499 + b"]" * 499, b"[" + b"{}," * 999 + b"{}]"],
        ids=["deep", "many"],
    )
    async def test_may_hold_many_brackets(self, value: bytes) -> None:
        claims = as_json(good_claims())[:-1] + b',"x":' + value + b"}"
        assert await is_valid(make_token(claims=claims))

    @pytest.mark.parametrize("members", [{"b64": True}, {"kid": ""}, {"x": [1, {"y": None}]}])
    async def test_may_hold_more_in_its_header(self, members: dict[str, Any]) -> None:
        assert await is_valid(make_token(header=good_header(**members)))

    @pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"])
    async def test_names_no_key_of_its_own(self, name: str) -> None:
        # RFC 8725 section 3.10: whatever stands there is not looked at.
        other = key_for("ES256", "attacker")
        for value in (public_jwk(other), "http://127.0.0.1:9/", [MARK], None, 5):
            header = as_json({**good_header(), name: value})
            assert await is_valid(make_token(header=header))
            assert not await is_valid(make_token(header=header, key=other))

    @pytest.mark.parametrize(
        "typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"]
    )
    @pytest.mark.parametrize("setting", ["at+jwt", "application/at+jwt", "AT+JWT"])
    async def test_has_the_type_with_or_without_application(self, typ: str, setting: str) -> None:
        auth = backend(token_types=["other", setting])
        assert await is_valid(make_token(header=good_header(typ=typ)), auth)

    @pytest.mark.parametrize("typ", [None, "JWT", 5, [], "ID+JWT"])
    async def test_has_any_type_where_types_are_not_looked_at(self, typ: object) -> None:
        header = as_json({**good_header(), "typ": typ})
        assert await is_valid(make_token(header=header), backend(token_types=None))

    @pytest.mark.parametrize("audience", [AUDIENCE, [AUDIENCE], ["x", AUDIENCE], [AUDIENCE, "é"]])
    async def test_is_for_one_of_its_audiences(self, audience: object) -> None:
        token = make_token(claims=good_claims(aud=audience))
        assert await is_valid(token)
        assert await is_valid(token, backend(audience=["other", AUDIENCE]))
        assert await is_valid(token, backend(audience=(AUDIENCE,)))
        assert not await is_valid(token, backend(audience="other"))

    async def test_needs_four_claims_only(self) -> None:
        assert await is_valid(make_token(claims=good_claims(iat=None)))

    @pytest.mark.parametrize(
        ("claim", "seconds"),
        [("exp", 0.0), ("exp", -20), ("exp", 1e9), ("nbf", 0), ("nbf", 20.5), ("iat", 20)],
    )
    async def test_may_be_off_by_the_leeway(self, claim: str, seconds: float) -> None:
        assert await is_valid(make_token(claims=good_claims(**{claim: time.time() + seconds})))

    @pytest.mark.parametrize("date", [253402300799, 253402300799.5, 253402300799.999])
    async def test_lasts_to_the_end_of_the_year_9999(self, date: float) -> None:
        assert await is_valid(make_token(claims=good_claims(exp=date)))

    @pytest.mark.parametrize("date", [0, 0.5, 1e3, -0.0])
    async def test_may_be_as_old_as_dates_are(self, date: float) -> None:
        assert await is_valid(make_token(claims=good_claims(iat=date, nbf=date)))


def changed(**changes: Any) -> bytes:
    """The claims with these values, None included."""
    return as_json({**good_claims(), **changes})


def _soon(seconds: float) -> float:
    return time.time() + seconds


WRONG_CLAIMS: dict[str, Any] = {
    "iss-absent": lambda: good_claims(iss=None),
    "iss-null": lambda: changed(iss=None),
    "iss-other": lambda: changed(iss="https://issuer.example/"),
    "iss-case": lambda: changed(iss="https://Issuer.example"),
    "iss-list": lambda: changed(iss=[ISSUER]),
    "aud-absent": lambda: good_claims(aud=None),
    "aud-null": lambda: changed(aud=None),
    "aud-other": lambda: changed(aud="https://api.example/"),
    "aud-empty": lambda: changed(aud=""),
    "aud-empty-list": lambda: changed(aud=[]),
    "aud-object": lambda: changed(aud={AUDIENCE: 1}),
    "aud-mixed": lambda: changed(aud=[AUDIENCE, 5]),
    "aud-null-among": lambda: changed(aud=[AUDIENCE, None]),
    "aud-nested": lambda: changed(aud=[[AUDIENCE]]),
    "sub-absent": lambda: good_claims(sub=None),
    "sub-null": lambda: changed(sub=None),
    "sub-empty": lambda: changed(sub=""),
    "sub-number": lambda: changed(sub=5),
    "sub-list": lambda: changed(sub=["alice"]),
    "sub-nul": lambda: changed(sub="ali\0ce"),
    "sub-newline": lambda: changed(sub="alice\n"),
    "sub-surrogate": lambda: as_json(good_claims()).replace(b"alice", b"\\ud800"),
    "exp-absent": lambda: good_claims(exp=None),
    "exp-null": lambda: changed(exp=None),
    "exp-past": lambda: changed(exp=_soon(-31)),
    "exp-string": lambda: changed(exp=str(int(_soon(300)))),
    "exp-bool": lambda: changed(exp=True),
    "exp-negative": lambda: changed(exp=-1),
    "exp-10000": lambda: changed(exp=253402300800),
    "exp-huge": lambda: changed(exp=10**30),
    "exp-list": lambda: changed(exp=[_soon(300)]),
    "nbf-future": lambda: changed(nbf=_soon(40)),
    "nbf-null": lambda: changed(nbf=None),
    "nbf-string": lambda: changed(nbf="0"),
    "nbf-bool": lambda: changed(nbf=False),
    "nbf-negative": lambda: changed(nbf=-0.5),
    "iat-future": lambda: changed(iat=_soon(40)),
    "iat-null": lambda: changed(iat=None),
    "iat-string": lambda: changed(iat="0"),
    "iat-bool": lambda: changed(iat=True),
    "iat-milliseconds": lambda: changed(iat=time.time() * 1000),
    "cnf-jkt": lambda: changed(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
    "cnf-x5t": lambda: changed(cnf={"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
    "cnf-empty": lambda: changed(cnf={}),
    "cnf-null": lambda: changed(cnf=None),
}

WRONG_HEADERS: dict[str, Any] = {
    "alg-absent": {"alg": None},
    "alg-other": {"alg": "ES384"},
    "alg-lower": {"alg": "es256"},
    "alg-unknown": {"alg": "ES999"},
    "alg-es256k": {"alg": "ES256K"},
    "alg-number": {"alg": 256},
    "alg-list": {"alg": ["ES256"]},
    "alg-object": {"alg": {}},
    "crit": {"crit": ["b64"]},
    "crit-empty": {"crit": []},
    "crit-unknown": {"crit": ["exp"], "exp": 1},
    "crit-string": {"crit": "alg"},
    "b64-false": {"b64": False},
    "b64-string": {"b64": "true"},
    "b64-number": {"b64": 1},
    "kid-number": {"kid": 5},
    "kid-list": {"kid": ["one"]},
    "kid-object": {"kid": {}},
    "typ-absent": {"typ": None},
    "typ-jwt": {"typ": "JWT"},
    "typ-empty": {"typ": ""},
    "typ-blank": {"typ": "at+jwt "},
    "typ-parameter": {"typ": "at+jwt; v=1"},
    "typ-twice": {"typ": "application/application/at+jwt"},
    "typ-other-tree": {"typ": "text/at+jwt"},
    "typ-slash": {"typ": "/at+jwt"},
    "typ-list": {"typ": ["at+jwt"]},
    "typ-fullwidth": {"typ": "\uff41t+jwt"},
} | {
    f"alg-{name!r}": {"alg": name}
    for name in ("none", "None", "NONE", "nOnE", "none ", " none", "\u006eone", "", "null")
}

GOOD_HEADER = as_json(good_header())

WRONG_JSON: dict[str, bytes] = {
    "empty": b"",
    "list": b"[]",
    "string": b'"x"',
    "null": b"null",
    "twice": b"{}{}",
    "bom": b"\xef\xbb\xbf",
    "utf-16": None,  # type: ignore[dict-item]  # filled in below
    "latin-1": b'"x":"\xe9"',
    "surrogate": b'"x":"\xed\xa0\x80"',
    "overlong": b'"x":"\xc1\xa1"',
    "nan": b'"x":NaN',
    "infinity": b'"x":Infinity',
    "minus-infinity": b'"x":-Infinity',
    "overflow": b'"x":1e999',
    "minus-overflow": b'"x":[-1E400]',
    "repeated-deep": b'"x":{"y":[{"z":1,"z":1}]}',
    "repeated-escaped": b'"x":1,"\\u0078":1',
    "deep": b'"x":' + b"[" * 5500 + b"]" * 5500,
    "deep-objects": b'"x":' + b'{"y":' * 2000 + b"1" + b"}" * 2000,
    # Deeper than the limit, and not deeper than Python's parser goes.
    "rather-deep": b'"x":' + b"[" * 500 + b"]" * 500,
    "digits": b'"x":' + b"9" * 5000,
    "comma": b'"x":1,',
    "comment": b'"x":1/**/',
    "single-quotes": b"'x':1",
    "leading-zero": b'"x":01',
    "plus": b'"x":+1',
    "hexadecimal": b'"x":0x1',
    "control": b'"x":"\n"',
    "nul": b'"x":1\0',
}


def with_json(name: str, good: bytes) -> bytes:
    """The object *good*, with what is wrong put in."""
    if name == "bom":
        return b"\xef\xbb\xbf" + good
    if name == "utf-16":
        return good.decode().encode("utf-16-le")
    wrong = WRONG_JSON[name]
    if name in ("empty", "list", "string", "null"):
        return wrong
    if name == "twice":
        return good + good
    return good[:-1] + b"," + wrong + b"}"


class TestAWrongToken:
    @pytest.mark.parametrize("name", WRONG_CLAIMS)
    async def test_has_wrong_claims(self, name: str) -> None:
        assert not await is_valid(make_token(claims=WRONG_CLAIMS[name]()))

    @pytest.mark.parametrize("name", WRONG_HEADERS)
    async def test_has_a_wrong_header(self, name: str) -> None:
        assert not await is_valid(make_token(header=good_header(**WRONG_HEADERS[name])))

    @pytest.mark.parametrize("name", ["alg", "b64", "kid", "typ", "crit"])
    async def test_has_a_null_in_its_header(self, name: str) -> None:
        assert not await is_valid(make_token(header=as_json({**good_header(), name: None})))

    @pytest.mark.parametrize("name", WRONG_JSON)
    async def test_has_a_header_that_is_not_strict_json(self, name: str) -> None:
        assert not await is_valid(make_token(header=with_json(name, GOOD_HEADER)))

    @pytest.mark.parametrize("name", WRONG_JSON)
    async def test_has_claims_that_are_not_strict_json(self, name: str) -> None:
        assert not await is_valid(make_token(claims=with_json(name, as_json(good_claims()))))

    @pytest.mark.parametrize("member", ["alg", "typ"])
    async def test_repeats_a_member_of_its_header(self, member: str) -> None:
        value = good_header()[member]
        header = GOOD_HEADER[:-1] + f',"{member}":"{value}"}}'.encode()
        assert not await is_valid(make_token(header=header))

    @pytest.mark.parametrize("member", ["iss", "aud", "sub"])
    async def test_repeats_a_claim(self, member: str) -> None:
        claims = as_json(good_claims())
        claims = claims[:-1] + f',"{member}":"{good_claims()[member]}"}}'.encode()
        assert not await is_valid(make_token(claims=claims))

    @pytest.mark.parametrize(
        "token",
        ["", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d.e", "e30.e30.e30", "\u00e9.e30.e30"],
    )
    async def test_is_not_a_token(self, token: str) -> None:
        assert not await is_valid(token)

    async def test_is_not_text(self) -> None:
        for value in (None, b"x", 5):
            assert await backend().verify(value) is None  # type: ignore[arg-type]  # on purpose

    async def test_is_much_too_long(self) -> None:
        assert await backend().verify("a" * 10_000_000) is None

    @pytest.mark.parametrize("position", [0, 1, 2])
    async def test_has_other_base64(self, position: int) -> None:
        good = make_token().split(".")
        part = good[position]
        spoiled = [
            part + "=",
            part + "==",
            part + "\n",
            part[:4] + " " + part[4:],
            part[:-1],
            part + "A",
            "",
            part[:4] + "+" + part[5:],
            part[:4] + "/" + part[5:],
            part[:4] + "." + part[4:],
            part[:4] + "%2D" + part[4:],
            part[:4] + "\u00e9" + part[4:],
        ]
        for other in spoiled:
            parts = [*good[:position], other, *good[position + 1 :]]
            assert not await is_valid(".".join(parts)), other

    async def test_has_bits_that_mean_nothing(self) -> None:
        # RFC 4648 section 3.5. The signature of 64 bytes has four such bits in its last character.
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        token = make_token()
        canonical = alphabet.index(token[-1])
        for bits in range(1, 16):
            assert not await is_valid(token[:-1] + alphabet[canonical + bits])
        # Signed as they stand, header and claims with such bits are refused too.
        header = as_json(good_header(x="1"))
        while len(header) % 3 != 1:
            header = header[:-1] + b" }"
        text = encode(header)
        spoiled = text[:-1] + alphabet[alphabet.index(text[-1]) + 1]
        message = f"{spoiled}.{encode(as_json(good_claims()))}"
        assert not await is_valid(signed(message, key_for("ES256"), "ES256"))

    @pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES512", "EdDSA", "HS256"])
    async def test_has_another_signature(self, algorithm: str) -> None:
        key = key_for(algorithm)
        given_key = secret(key) if algorithm == "HS256" else public_jwk(key)
        auth = backend(keys=StaticKeys(given_key), algorithms=[algorithm])
        token = make_token(algorithm)
        message, _, text = token.rpartition(".")
        signature = decode(text)
        assert await is_valid(token, auth)
        for other in (
            bytes(len(signature)),  # CVE-2022-21449
            b"\xff" * len(signature),
            signature[:-1],
            signature[1:],
            signature + b"\0",
            b"\0" + signature,
            signature[::-1],
            b"\0",
            signature * 2,
        ):
            assert not await is_valid(f"{message}.{encode(other)}", auth)
        for position in (0, len(signature) // 2, len(signature) - 1):
            flipped = bytearray(signature)
            flipped[position] ^= 1
            assert not await is_valid(f"{message}.{encode(bytes(flipped))}", auth)

    async def test_has_claims_of_another_token(self) -> None:
        header, _, signature = make_token().split(".")
        for claims in (good_claims(sub="bob"), good_claims(admin=True)):
            assert not await is_valid(f"{header}.{encode(as_json(claims))}.{signature}")

    async def test_has_a_malleable_eddsa_signature(self) -> None:
        # RFC 8032 section 8.4: S + L is another encoding of the same signature.
        auth = backend(keys=StaticKeys(public_jwk(key_for("EdDSA"))), algorithms=["EdDSA"])
        message, _, text = make_token("EdDSA").rpartition(".")
        signature = decode(text)
        order = 2**252 + 27742317777372353535851937790883648493
        scalar = int.from_bytes(signature[32:], "little") + order
        assert not await is_valid(
            f"{message}.{encode(signature[:32] + scalar.to_bytes(32, 'little'))}", auth
        )

    async def test_has_an_ecdsa_signature_in_der(self) -> None:
        # RFC 7518 section 3.4 has two numbers of a fixed length.
        message, _, text = make_token().rpartition(".")
        raw = decode(text)
        r, s = raw[:32], raw[32:]
        body = b"".join(b"\x02\x21\0" + number for number in (r, s))
        assert not await is_valid(f"{message}.{encode(b'0' + bytes([len(body)]) + body)}")

    @pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256", "ES256"])
    async def test_takes_the_public_key_for_a_secret(self, algorithm: str) -> None:
        # RFC 8725 section 2.1, with the header of each kind.
        key = key_for("RS256")
        auth = backend(keys=StaticKeys(pem(key)), algorithms=["RS256"])
        message = f"{encode(as_json(good_header(algorithm)))}.{encode(as_json(good_claims()))}"
        for text in (pem(key), pem(key).strip(), pem(key).replace("\n", "\r\n")):
            digest = hmac.digest(text.encode(), message.encode(), "sha256")
            assert not await is_valid(f"{message}.{encode(digest)}", auth)
        assert not await is_valid(f"{message}.", auth)
        assert not await is_valid(message, auth)

    async def test_names_an_algorithm_that_does_not_fit_the_key(self) -> None:
        keys = StaticKeys(
            public_jwk(key_for("ES256"), kid="256"),
            public_jwk(key_for("ES384"), kid="384"),
            public_jwk(key_for("EdDSA"), kid="ed"),
            public_jwk(key_for("RS256"), kid="rsa", alg="RS256"),
        )
        auth = backend(keys=keys, algorithms=["ES256", "ES384", "EdDSA", "Ed25519", "RS256"])
        kids = {"ES256": "256", "ES384": "384", "EdDSA": "ed", "Ed25519": "ed", "RS256": "rsa"}
        for algorithm, kid in kids.items():
            assert await is_valid(make_token(algorithm, kid=kid), auth)
            for other in {"256", "384", "ed", "rsa"} - {kid}:
                assert not await is_valid(make_token(algorithm, kid=other), auth)

    @pytest.mark.parametrize("own", ["EdDSA", "Ed25519"])
    async def test_names_another_algorithm_than_the_key(self, own: str) -> None:
        keys = StaticKeys(public_jwk(key_for("EdDSA"), alg=own))
        auth = backend(keys=keys, algorithms=[own])
        assert await is_valid(make_token(own, key=key_for("EdDSA")), auth)
        other = {"EdDSA": "Ed25519", "Ed25519": "EdDSA"}[own]
        with pytest.raises(ValueError, match="algorithms: none of the keys can check"):
            backend(keys=keys, algorithms=[own, other])

    @pytest.mark.parametrize(
        "kid",
        ["../../dev/null", "/dev/null", "' OR 1=1 --", "one\0", "http://127.0.0.1/", "x" * 5000],
    )
    async def test_has_a_kid_that_is_not_a_name(self, kid: str) -> None:
        auth = backend(keys=StaticKeys(public_jwk(key_for("ES256"), kid="one")))
        assert await is_valid(make_token(kid="one"), auth)
        assert not await is_valid(make_token(kid=kid), auth)

    async def test_is_encrypted(self) -> None:
        assert not await is_valid(make_token() + ".x.x")


# Nothing of this waits, so a second kind of loop would prove nothing.
ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
TEXT = st.text(max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("x"), inner),
    max_leaves=3,
)
NAMES = st.sampled_from(
    [*("alg", "typ", "kid", "crit", "b64", "jwk", "iss", "aud", "sub", "exp", "nbf", "iat", "cnf")]
)


async def is_refused_if_wrong(token: str) -> None:
    auth = backend()
    try:
        await auth.authenticate(connection(token))
    except InvalidCredentials:
        assert await auth.verify(token) is None


@ONE_LOOP
@given(st.dictionaries(NAMES | TEXT, JSON, max_size=3))
async def test_no_header_raises_anything_else(header: dict[str, Any]) -> None:
    await is_refused_if_wrong(make_token(header={**good_header(), **header}))


@ONE_LOOP
@given(st.dictionaries(NAMES | TEXT, JSON, max_size=3))
async def test_no_claims_raise_anything_else(claims: dict[str, Any]) -> None:
    await is_refused_if_wrong(make_token(claims={**good_claims(), **claims}))


@ONE_LOOP
@given(st.binary(), st.booleans())
async def test_no_bytes_raise_anything_else(data: bytes, as_header: bool) -> None:
    if as_header:
        await is_refused_if_wrong(make_token(header=data))
    else:
        await is_refused_if_wrong(make_token(claims=data))


@ONE_LOOP
@given(st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0xFF)))
async def test_no_text_raises_anything_else(token: str) -> None:
    await is_refused_if_wrong(token)


class Users(BaseJWTAuth[Any]):
    keys = EC
    issuer = ISSUER
    audience = AUDIENCE
    algorithms = ("ES256",)

    def __init__(self, found: Any = None) -> None:
        self.found = found
        self.asked: list[Mapping[str, Any]] = []

    async def find_user(self, claims: Mapping[str, Any]) -> Any:
        self.asked.append(claims)
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class TestFindUser:
    async def test_gets_all_claims(self) -> None:
        auth = Users("alice")
        claims = good_claims(groups=["a", "b"], nested={"x": 1.5})
        assert await auth.verify(make_token(claims=claims)) == "alice"
        assert auth.asked == [claims]

    async def test_is_not_asked_about_a_wrong_token(self) -> None:
        auth = Users("alice")
        for token in ("", make_token()[:-2], make_token(claims=good_claims(exp=1))):
            assert await auth.verify(token) is None
        assert not await auth.verify(make_token(key=key_for("ES256", "other")))
        assert auth.asked == []

    @pytest.mark.parametrize("nobody", [None, False, {}, [], 0, "", OrderedDict()])
    async def test_finds_nobody(self, nobody: object) -> None:
        auth = Users(nobody)
        assert await auth.verify(make_token()) is None
        assert await auth.resolve(make_token()) is None
        with pytest.raises(InvalidCredentials):
            await auth.authenticate(connection(make_token()))

    async def test_may_find_a_user_who_is_false(self) -> None:
        class Group(list[str]):
            pass

        group = Group()
        assert await Users(group).verify(make_token()) is group

    async def test_takes_too_long(self) -> None:
        auth = Users(TimeoutError(MARK))
        for call in (auth.verify, auth.resolve):
            with pytest.raises(AuthenticationUnavailable) as raised:
                await call(make_token())
            assert raised.value.__cause__ is None
            assert raised.value.__context__ is None
        with pytest.raises(AuthenticationUnavailable) as raised:
            await auth.authenticate(connection(make_token()))
        assert MARK not in repr(raised.value)

    async def test_must_be_awaited(self) -> None:
        async def later() -> str:
            return "alice"

        with pytest.raises(TypeError, match="was not awaited"):
            await Users(later()).authenticate(connection(make_token()))

    async def test_must_be_async(self) -> None:
        class Sync(Users):
            def find_user(self, claims: Mapping[str, Any]) -> Any:
                return {"name": MARK}

        with pytest.raises(TypeError, match="find_user returned an object of the class dict"):
            await Sync().verify(make_token())

    async def test_raises_its_own_errors(self) -> None:
        with pytest.raises(LookupError):
            await Users(LookupError()).verify(make_token())


class TestScopes:
    async def granted(self, auth: BaseJWTAuth[Any], claims: dict[str, Any]) -> list[str]:
        result = await auth.authenticate(connection(make_token(claims=good_claims(**claims))))
        assert result is not None
        return list(result[0].scopes)

    @pytest.mark.parametrize(
        ("claims", "scopes"),
        [
            ({}, []),
            ({"scope": "read"}, ["read"]),
            ({"scope": "read write"}, ["read", "write"]),
            ({"scope": " read  write read "}, ["read", "write"]),
            ({"scope": ""}, []),
            ({"scope": "", "scp": "read"}, []),
            ({"scope": "read", "scp": "write"}, ["read"]),
            # Only the space separates (RFC 6749 section 3.3).
            ({"scope": "read\twrite"}, []),
            ({"scope": "read\u00a0write"}, []),
            ({"scope": "read\nadmin ok"}, ["ok"]),
            ({"scope": 'say"hi" back\\slash ok'}, ["ok"]),
            ({"scope": "lesen-\u00fc ok"}, ["ok"]),
            # A list in `scope` is not RFC 9068's.
            ({"scope": ["read"]}, []),
            ({"scope": ["read"], "scp": ["read"]}, []),
            ({"scope": 5}, []),
            ({"scope": {"read": 1}}, []),
            ({"scp": "read write"}, ["read", "write"]),
            ({"scp": ["read", "write", "read"]}, ["read", "write"]),
            ({"scp": ["read", 5]}, []),
            ({"scp": ["read write", "ok"]}, ["ok"]),
            ({"scp": 5}, []),
            ({"scp": {"read": 1}}, []),
            # Only backends grant them.
            ({"scope": "fresh via:session via: via:x read"}, ["read"]),
            ({"scp": ["fresh", "via:password", "Fresh", "refresh"]}, ["Fresh", "refresh"]),
        ],
    )
    async def test_are_the_claimed_ones(self, claims: dict[str, Any], scopes: list[str]) -> None:
        assert await self.granted(backend(), claims) == ["authenticated", *scopes]
        assert backend().get_claimed_scopes(claims) == scopes

    async def test_are_null(self) -> None:
        token = make_token(claims=as_json({**good_claims(scp="read"), "scope": None}))
        resolved = await backend().resolve(token)
        assert resolved is not None
        assert resolved[1] == ["authenticated"]

    async def test_are_those_of_the_class_too(self) -> None:
        class Own(Users):
            scopes = ("authenticated", "via:jwt")

            def get_scopes(self, user: Any) -> list[str]:
                return [*self.scopes, user]

        assert await self.granted(Own("alice"), {"scope": "read alice"}) == [
            *("authenticated", "via:jwt", "alice", "read"),
        ]

    async def test_may_stand_in_another_claim(self) -> None:
        class Roles(Users):
            def get_claimed_scopes(self, claims: Mapping[str, Any]) -> Any:
                return claims["roles"]

        roles = ["admin", "fresh", "via:session", "two words", "admin", 5, ["x"]]
        assert await self.granted(Roles("x"), {"roles": roles}) == ["authenticated", "admin"]
        with pytest.raises(TypeError, match="get_claimed_scopes must return a sequence"):
            await self.granted(Roles("x"), {"roles": "admin"})


class TestTheLog:
    @pytest.mark.parametrize(
        ("rule", "token"),
        [
            ("size", lambda: "a" * 20_000),
            ("form", lambda: "a.b"),
            ("header", lambda: make_token(header=b"[]")),
            ("alg", lambda: make_token(header=good_header(alg="none"))),
            ("crit", lambda: make_token(header=good_header(crit=[MARK]))),
            ("b64", lambda: make_token(header=good_header(b64=False))),
            ("kid", lambda: make_token(header=good_header(kid=[MARK]))),
            ("typ", lambda: make_token(header=good_header(typ=MARK))),
            ("payload", lambda: make_token(claims=b"[]")),
            ("iss", lambda: make_token(claims=good_claims(iss=MARK))),
            ("aud", lambda: make_token(claims=good_claims(aud=MARK))),
            ("sub", lambda: make_token(claims=good_claims(sub=MARK + "\0"))),
            ("exp", lambda: make_token(claims=good_claims(exp=MARK))),
            ("nbf", lambda: make_token(claims=good_claims(nbf=MARK))),
            ("iat", lambda: make_token(claims=good_claims(iat=MARK))),
            ("cnf", lambda: make_token(claims=good_claims(cnf=MARK))),
            ("key", lambda: make_token(kid=MARK)),
            ("signature", lambda: make_token(kid="one", key=key_for("ES256", "other"))),
            ("user", lambda: make_token(kid="one")),
        ],
    )
    async def test_names_the_rule_at_debug(
        self, rule: str, token: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Nobody(Users):
            keys = StaticKeys(public_jwk(key_for("ES256"), kid="one"))

        caplog.set_level(logging.DEBUG)
        assert await Nobody().verify(token()) is None
        records = [record for record in caplog.records if record.name == "starlette_auth_jwt"]
        assert [record.getMessage() for record in records] == [f"Token refused by the rule {rule}"]
        assert records[0].levelno == logging.DEBUG
        assert MARK not in caplog.text

    @pytest.mark.parametrize(
        ("rule", "token"),
        [
            ("size", "a" * 20_000),
            ("form", MARK + ","),
            ("form", ""),
            ("form", MARK + " " + MARK),
            ("form", MARK + "\u00e9"),
        ],
    )
    async def test_names_the_rule_of_a_header_that_holds_no_token(
        self, rule: str, token: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with pytest.raises(InvalidCredentials):
            await backend().authenticate(connection(token))
        messages = [each.getMessage() for each in caplog.records if each.levelno == logging.DEBUG]
        assert messages == [f"Token refused by the rule {rule}"]
        assert MARK not in caplog.text

    async def test_is_empty_about_valid_tokens(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "starlette_auth_jwt")
        assert await is_valid(make_token())
        assert caplog.records == []

    async def test_shows_no_claim_of_a_user(self) -> None:
        user = JWTUser(good_claims(sub=MARK, email=MARK))
        assert MARK not in repr(user)
        assert MARK not in str(user)

    async def test_leeway_is_a_setting(self) -> None:
        token = make_token(claims=good_claims(exp=time.time() - 31))
        assert not await is_valid(token)
        assert await is_valid(token, backend(leeway=timedelta(minutes=1)))
        assert not await is_valid(
            make_token(claims=good_claims(exp=time.time() - 0.5)), backend(leeway=timedelta(0))
        )
