"""Wrong settings fail when the backend is made, and are named."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from jwt_tokens import AUDIENCE, ISSUER, key_for, make_token, pem, public_jwk, secret
from starlette.requests import HTTPConnection

from starlette_auth_jwt import JWKS, BaseJWTAuth, JWTAuth, JWTUser, StaticKeys

KEYS = StaticKeys(
    public_jwk(key_for("ES256")), public_jwk(key_for("EdDSA")), secret(key_for("HS256"))
)
GOOD: dict[str, Any] = {
    "keys": KEYS,
    "issuer": ISSUER,
    "audience": AUDIENCE,
    "algorithms": ["ES256"],
}
REQUIRED = list(GOOD)

WRONG: list[tuple[str, Any, type[Exception]]] = [
    *[(name, value, TypeError) for name in REQUIRED for value in (None, 5, object())],
    ("keys", [], TypeError),
    ("keys", {}, TypeError),
    ("keys", "https://issuer.example/keys", TypeError),
    ("keys", JWKS, TypeError),
    ("keys", [public_jwk(key_for("ES256"))], TypeError),
    ("issuer", "", ValueError),
    ("issuer", b"x", TypeError),
    ("issuer", [ISSUER], TypeError),
    ("audience", "", ValueError),
    ("audience", [], ValueError),
    ("audience", [""], ValueError),
    ("audience", [AUDIENCE, ""], ValueError),
    ("audience", [None], TypeError),
    ("audience", {AUDIENCE: 1}, TypeError),
    ("audience", b"x", TypeError),
    ("algorithms", "ES256", TypeError),
    ("algorithms", b"ES256", TypeError),
    ("algorithms", [], ValueError),
    ("algorithms", [""], ValueError),
    ("algorithms", [None], TypeError),
    ("algorithms", [["ES256"]], TypeError),
    ("algorithms", (name for name in ["ES256"]), TypeError),
    *[
        ("algorithms", ["ES256", name], ValueError)
        for name in ("none", "None", "NONE", "nOne", "es256", "ES256K", "ES521", "HS1", "RSA-OAEP")
    ],
    ("algorithms", ["RS256"], ValueError),
    ("algorithms", ["ES256", "ES384"], ValueError),
    ("algorithms", ["HS384"], ValueError),
    ("token_types", "at+jwt", TypeError),
    ("token_types", b"at+jwt", TypeError),
    ("token_types", [], ValueError),
    ("token_types", [""], ValueError),
    ("token_types", ["at+jwt", ""], ValueError),
    ("token_types", ["application/"], ValueError),
    ("token_types", ["\uff41t+jwt"], ValueError),
    ("token_types", [None], TypeError),
    ("token_types", 5, TypeError),
    ("leeway", timedelta(seconds=-1), ValueError),
    ("leeway", 30, TypeError),
    ("leeway", None, TypeError),
    ("resource_metadata", "", ValueError),
    ("resource_metadata", "http://api.example/metadata", ValueError),
    ("resource_metadata", "/.well-known/oauth-protected-resource", ValueError),
    ("resource_metadata", 5, TypeError),
]


@pytest.mark.parametrize(
    ("setting", "value", "error"),
    WRONG,
    ids=[f"{setting}-{number}" for number, (setting, _, _) in enumerate(WRONG)],
)
class TestAWrongSetting:
    def test_is_named_by_the_constructor(
        self, setting: str, value: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=setting):
            JWTAuth(**{**GOOD, setting: value})

    def test_is_named_as_a_class_attribute(
        self, setting: str, value: Any, error: type[Exception]
    ) -> None:
        async def find_user(self: Any, claims: Mapping[str, Any]) -> JWTUser | None:
            raise NotImplementedError

        body = {**GOOD, setting: value, "find_user": find_user}
        with pytest.raises(error, match=setting):
            type("Own", (BaseJWTAuth,), body)()


class Own(BaseJWTAuth[JWTUser]):
    keys = KEYS
    issuer = ISSUER
    audience = AUDIENCE
    algorithms = ("ES256",)

    async def find_user(self, claims: Mapping[str, Any]) -> JWTUser | None:
        return JWTUser(claims)


class TestABackend:
    @pytest.mark.parametrize("missing", REQUIRED)
    def test_wants_all_that_is_required(self, missing: str) -> None:
        body: dict[str, Any] = {name: value for name, value in GOOD.items() if name != missing}
        body["find_user"] = Own.find_user
        with pytest.raises(TypeError, match=f"^{missing} must be set"):
            type("Incomplete", (BaseJWTAuth,), body)()
        del body["find_user"]
        with pytest.raises(TypeError, match=missing):
            JWTAuth(**body)

    def test_wants_find_user(self) -> None:
        class Nobody(BaseJWTAuth[JWTUser]):
            keys = KEYS
            issuer = ISSUER
            audience = AUDIENCE
            algorithms = ("ES256",)

        with pytest.raises(TypeError, match="override find_user"):
            Nobody()
        with pytest.raises(TypeError, match="override find_user"):
            BaseJWTAuth()

    def test_does_not_call_verify(self) -> None:
        class Verifying(Own):
            async def verify(self, token: str) -> JWTUser | None:
                raise NotImplementedError

        with pytest.raises(TypeError, match="overrides verify"):
            Verifying()

    async def test_has_a_default_that_finds_nobody(self) -> None:
        class Calling(Own):
            async def find_user(self, claims: Mapping[str, Any]) -> JWTUser | None:
                return await super(Own, self).find_user(claims)

        with pytest.raises(NotImplementedError):
            await Calling().verify(make_token())

    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    def test_takes_no_secrets_from_a_key_set(self, algorithm: str) -> None:
        keys = JWKS("https://issuer.example/keys")
        with pytest.raises(ValueError, match=f"algorithms: {algorithm} has a secret"):
            JWTAuth(**{**GOOD, "keys": keys, "algorithms": ["RS256", algorithm]})

    def test_has_the_issuer_of_its_keys(self) -> None:
        keys = JWKS.discover(ISSUER)
        JWTAuth(**{**GOOD, "keys": keys})
        for issuer in (ISSUER + "/", "https://other.example"):
            with pytest.raises(ValueError, match="issuer is "):
                JWTAuth(**{**GOOD, "keys": keys, "issuer": issuer})
        # Where the keys are says nothing of the issuer.
        JWTAuth(**{**GOOD, "keys": JWKS("https://elsewhere.example/keys")})

    @pytest.mark.parametrize(
        "changes",
        [
            {"audience": (AUDIENCE, "other")},
            {"audience": {AUDIENCE}},
            {"algorithms": {"ES256", "EdDSA", "Ed25519", "HS256"}},
            {"token_types": ("JWT", "application/at+jwt", "a/b")},
            {"token_types": None},
            {"leeway": timedelta(0)},
            {"resource_metadata": "http://localhost:8000/metadata"},
            {"resource_metadata": "https://api.example/.well-known/oauth-protected-resource?x=1"},
        ],
        ids=lambda changes: str(next(iter(changes))),
    )
    def test_takes_what_is_right(self, changes: dict[str, Any]) -> None:
        JWTAuth(**{**GOOD, **changes})

    def test_may_be_set_up_in_init(self) -> None:
        class Late(BaseJWTAuth[JWTUser]):
            def __init__(self, issuer: str) -> None:
                self.keys = StaticKeys(pem(key_for("ES256")))
                self.issuer = issuer
                self.audience = AUDIENCE
                self.algorithms = ["ES256"]

            async def find_user(self, claims: Mapping[str, Any]) -> JWTUser | None:
                return JWTUser(claims)

        assert list(inspect.signature(Late).parameters) == ["issuer"]
        Late(ISSUER)
        with pytest.raises(ValueError, match="issuer"):
            Late("")

    def test_shows_its_settings(self) -> None:
        assert list(inspect.signature(JWTAuth).parameters) == [
            *("keys", "issuer", "audience", "algorithms", "token_types", "leeway"),
            "resource_metadata",
        ]
        auth = JWTAuth(**GOOD)
        assert auth.token_types == ("at+jwt",)
        assert auth.leeway == timedelta(seconds=30)
        assert auth.max_credentials_size == 16_384
        assert auth.resource_metadata is None

    def test_is_documented_as_a_bearer_jwt(self) -> None:
        assert Own().openapi_scheme() == {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
        }

        class Renamed(Own):
            scheme = "Token"

        found = Renamed().openapi_scheme()
        assert found is not None
        assert found["type"] == "apiKey"

    def test_has_one_challenge(self) -> None:
        conn = HTTPConnection({"type": "http", "headers": []})
        (challenge,) = Own().challenges(conn)
        assert challenge.to_header() == 'Bearer realm="Restricted"'


pytestmark = pytest.mark.anyio
