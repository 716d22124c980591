"""The examples of the RFCs: their signatures, and the access token of RFC 9068."""

from __future__ import annotations

import time
from typing import Any

import pytest
from jwt_tokens import decode, encode, good_header, key_for, make_token, public_jwk

from starlette_auth_jwt import JWTAuth, StaticKeys
from starlette_auth_jwt._jwk import read_jwk
from starlette_auth_jwt._pyjwt import verify

CLAIMS = (
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)

EXAMPLES: dict[str, tuple[dict[str, str], str, str, str]] = {
    # Also that of RFC 7519 section 3.1.
    "RFC 7515 A.1": (
        {
            "kty": "oct",
            "k": (
                "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1"
                "Z9CAow"
            ),
        },
        "HS256",
        f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}",
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    ),
    "RFC 7515 A.2": (
        {
            "kty": "RSA",
            "n": (
                "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ"
                "PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0"
                "LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD"
                "Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2"
                "PAcDTW9gb54h4FRWyuXpoQ"
            ),
            "e": "AQAB",
        },
        "RS256",
        f"eyJhbGciOiJSUzI1NiJ9.{CLAIMS}",
        (
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF"
            "5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK"
            "5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqt"
            "FZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
            "p0igcN_IoypGlUPQGe77Rw"
        ),
    ),
    "RFC 7515 A.3": (
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        },
        "ES256",
        f"eyJhbGciOiJFUzI1NiJ9.{CLAIMS}",
        ("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
    ),
    "RFC 7515 A.4": (
        {
            "kty": "EC",
            "crv": "P-521",
            "x": (
                "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxc"
                "WceqwQGk"
            ),
            "y": (
                "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf6"
                "3e3kyMj2"
            ),
        },
        "ES512",
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
        (
            "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO"
            "0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9E"
            "RBXukOXolLzeO_Jn"
        ),
    ),
    "RFC 8037 A.4": (
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        },
        "EdDSA",
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        ("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_signatures(name: str) -> None:
    jwk, algorithm, message, signature = EXAMPLES[name]
    public = read_jwk(jwk).public
    assert encode(decode(signature)) == signature
    assert verify(algorithm, public, message.encode(), decode(signature))
    assert not verify(algorithm, public, message.encode() + b"A", decode(signature))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "token",
    [
        ".".join((EXAMPLES["RFC 7515 A.2"][2], EXAMPLES["RFC 7515 A.2"][3])),
        # RFC 7519 section 6.1, unsecured.
        f"eyJhbGciOiJub25lIn0.{CLAIMS}.",
    ],
)
async def test_tokens_that_are_for_nobody(token: str) -> None:
    # RFC 7519 demands no claim of a token, and this package four.
    auth = JWTAuth(
        keys=StaticKeys(EXAMPLES["RFC 7515 A.2"][0]),
        issuer="joe",
        audience="joe",
        algorithms=["RS256"],
        token_types=None,
    )
    assert await auth.verify(token) is None


@pytest.mark.anyio
async def test_access_token() -> None:
    # RFC 9068 section 3, with its dates moved to today.
    claims: dict[str, Any] = {
        "iss": "https://authorization-server.example.com/",
        "sub": "5ba552d67",
        "aud": "https://rs.example.com/",
        "exp": int(time.time()) + 300,
        "iat": int(time.time()),
        "jti": "dbe39bf3a3ba4238a513f51d6e1691c4",
        "client_id": "s6BhdRkqt3",
        "scope": "openid profile reademail",
    }
    header = good_header("RS256", typ="at+JWT", kid="RjEwOwOA")
    auth = JWTAuth(
        keys=StaticKeys(public_jwk(key_for("RS256"), kid="RjEwOwOA")),
        issuer="https://authorization-server.example.com/",
        audience="https://rs.example.com/",
        algorithms=["RS256"],
    )
    resolved = await auth.resolve(make_token("RS256", header=header, claims=claims))
    assert resolved is not None
    user, scopes = resolved
    assert user.username == "5ba552d67"
    assert scopes == ["authenticated", "openid", "profile", "reademail"]
