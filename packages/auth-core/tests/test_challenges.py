"""What a 401 asks for."""

from collections.abc import Callable

import pytest
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    AuthBackend,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    Challenge,
)

Connect = Callable[..., HTTPConnection]


class BasicAuth(BaseBasicAuth):
    async def verify(self, username: str, password: str) -> None:
        return None


class TokenAuth(BaseTokenAuth):
    async def verify(self, token: str) -> None:
        return None


class BearerAuth(TokenAuth, BaseBearerAuth):
    pass


class APIKeyAuth(TokenAuth, BaseAPIKeyAuth):
    pass


class TestChallenge:
    @pytest.mark.parametrize(
        ("challenge", "header"),
        [
            (Challenge("Basic", realm="WallyWorld"), 'Basic realm="WallyWorld"'),  # RFC 7617 2
            (
                Challenge("Basic", realm="foo", charset="UTF-8"),  # RFC 7617 2.1
                'Basic realm="foo", charset="UTF-8"',
            ),
            (
                Challenge("Bearer", realm="example", error="invalid_token"),  # RFC 6750 3
                'Bearer realm="example", error="invalid_token"',
            ),
            (Challenge("Negotiate"), "Negotiate"),
            (Challenge("Newauth", realm=""), 'Newauth realm=""'),
            (Challenge("X", realm='say "hi"'), r'X realm="say \"hi\""'),  # RFC 9110 5.6.4
            (Challenge("X", realm="a\\b"), r'X realm="a\\b"'),
            (Challenge("X", realm='\\"'), r'X realm="\\\""'),
        ],
    )
    def test_it_is_rendered_as_the_rfcs_do(self, challenge: Challenge, header: str) -> None:
        assert challenge.to_header() == header

    @pytest.mark.parametrize("control", [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0))])
    def test_control_characters_cannot_get_into_a_header(self, control: str) -> None:
        with pytest.raises(ValueError, match="printable ASCII"):
            Challenge("Basic", realm=f"a{control}b")
        with pytest.raises(ValueError, match="invalid scheme"):
            Challenge(f"Basic{control}")
        with pytest.raises(ValueError, match="invalid parameter name"):
            Challenge("Basic", **{f"realm{control}": ""})

    @pytest.mark.parametrize("scheme", ["", "Basic realm", "Basic,", 'Ba"sic', "Bäsic", "a=b"])
    def test_a_scheme_is_a_token(self, scheme: str) -> None:
        with pytest.raises(ValueError, match="RFC 9110"):
            Challenge(scheme)

    def test_other_text_has_no_agreed_encoding_there(self) -> None:
        with pytest.raises(ValueError, match="printable ASCII"):
            Challenge("Basic", realm="Büro")

    def test_a_parameter_occurs_once(self) -> None:
        with pytest.raises(ValueError, match="twice"):
            Challenge("Basic", realm="a", Realm="b")

    def test_it_is_a_value(self) -> None:
        challenge = Challenge("Basic", realm="a")
        assert challenge == Challenge("Basic", realm="a")
        assert hash(challenge) == hash(Challenge("Basic", realm="a"))
        assert challenge != Challenge("Basic", realm="b")
        with pytest.raises(AttributeError):
            challenge.scheme = "Bearer"  # type: ignore[misc]  # it is frozen


class TestBackends:
    @pytest.mark.parametrize(
        ("backend", "header"),
        [
            (BasicAuth(), 'Basic realm="Restricted", charset="UTF-8"'),
            (TokenAuth(), 'Token realm="Restricted"'),
            (BearerAuth(), 'Bearer realm="Restricted"'),  # RFC 6750 3.1: no error
            (APIKeyAuth(), 'ApiKey realm="Restricted"'),
        ],
    )
    def test_a_backend_asks_for_its_scheme_and_realm(
        self, backend: AuthBackend, header: str, connect: Connect
    ) -> None:
        assert [c.to_header() for c in backend.challenges(connect())] == [header]

    def test_a_backend_without_a_scheme_asks_for_nothing(self, connect: Connect) -> None:
        class CookieAuth(AuthBackend):
            async def authenticate(self, conn: HTTPConnection) -> None:
                return None

        assert CookieAuth().challenges(connect()) == ()

    @pytest.mark.parametrize("base", [BasicAuth, TokenAuth, BearerAuth, APIKeyAuth])
    @pytest.mark.parametrize("realm", ["a\r\nSet-Cookie: b=c", "a\x00", "Büro"])
    def test_a_bad_realm_fails_at_construction(self, base: type[AuthBackend], realm: str) -> None:
        of_class = type("OfClass", (base,), {"realm": realm})
        with pytest.raises(ValueError, match="realm"):
            of_class()

        def init(self: AuthBackend) -> None:
            self.realm = realm

        of_instance = type("OfInstance", (base,), {"__init__": init})
        with pytest.raises(ValueError, match="realm"):
            of_instance()

    def test_so_does_one_that_only_an_own_challenge_would_name(self) -> None:
        class CustomAuth(AuthBackend):
            realm = "a\r\nSet-Cookie: b=c"

            async def authenticate(self, conn: HTTPConnection) -> None:
                return None

            def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
                return (Challenge("Custom", realm=self.realm),)

        with pytest.raises(ValueError, match="realm"):
            CustomAuth()

    @pytest.mark.parametrize("base", [BasicAuth, TokenAuth, APIKeyAuth])
    @pytest.mark.parametrize("scheme", ["", "To ken", "Tok\nen"])
    def test_a_bad_scheme_fails_at_construction(self, base: type[AuthBackend], scheme: str) -> None:
        with pytest.raises(ValueError, match="scheme"):
            type("Auth", (base,), {"scheme": scheme})()

    @pytest.mark.parametrize("header", ["", "X API Key", "X-API-Key:", "X-Äpi"])
    def test_a_bad_name_of_a_header_fails_at_construction(self, header: str) -> None:
        with pytest.raises(ValueError, match="header"):
            type("Auth", (APIKeyAuth,), {"header": header})()
