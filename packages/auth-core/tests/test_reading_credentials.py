"""Which headers are credentials, which are another backend's business, and which are refused."""

import base64
import logging
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any, NamedTuple

import pytest
from starlette.authentication import SimpleUser
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    InvalidCredentials,
    authenticate,
)

pytestmark = pytest.mark.anyio

Connect = Callable[..., HTTPConnection]
Headers = list[tuple[bytes, bytes]]


class BasicAuth(BaseBasicAuth[tuple[str, str]]):
    """Lets everybody in, with what was sent as the user."""

    async def verify(self, username: str, password: str) -> tuple[str, str]:
        return username, password


class TokenAuth(BaseTokenAuth[str]):
    async def verify(self, token: str) -> str:
        return token


class BearerAuth(BaseBearerAuth[str]):
    async def verify(self, token: str) -> str:
        return token


class APIKeyAuth(BaseAPIKeyAuth[str]):
    async def verify(self, token: str) -> str:
        return token


class Outcome(Enum):
    NOT_MINE = "not mine"
    REFUSED = "refused"


NOT_MINE, REFUSED = Outcome


class Case(NamedTuple):
    header: bytes
    outcome: Any  # an Outcome, or what is accepted
    section: str  # what decides it


def basic(decoded: bytes | str) -> bytes:
    raw = decoded.encode() if isinstance(decoded, str) else decoded
    return b"Basic " + base64.b64encode(raw)


BASIC = [
    # The RFC's own examples.
    Case(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ("Aladdin", "open sesame"), "RFC 7617 2"),
    Case(b"Basic dGVzdDoxMjPCow==", ("test", "123£"), "RFC 7617 2.1"),
    # The scheme.
    Case(b"basic dTpw", ("u", "p"), "RFC 9110 11.1: schemes are case-insensitive"),
    Case(b"BASIC dTpw", ("u", "p"), "RFC 9110 11.1: schemes are case-insensitive"),
    Case(b"bAsIc dTpw", ("u", "p"), "RFC 9110 11.1: schemes are case-insensitive"),
    Case(b"Basic   dTpw", ("u", "p"), "RFC 9110 11.4: 1*SP"),
    Case(b"Bearer dTpw", NOT_MINE, "RFC 9110 11.1: another scheme"),
    Case(b"Basics dTpw", NOT_MINE, "RFC 9110 11.1: another scheme"),
    Case(b"Bas dTpw", NOT_MINE, "RFC 9110 11.1: another scheme"),
    Case(b'Digest username="Mufasa", realm="x"', NOT_MINE, "RFC 9110 11.1: another scheme"),
    Case(b"Negotiate", NOT_MINE, "RFC 9110 11.1: another scheme"),
    Case(b"", REFUSED, "RFC 9110 11.4: a header without a scheme"),
    Case(b"   ", REFUSED, "RFC 9110 11.4: a header without a scheme"),
    Case(b" Basic dTpw", ("u", "p"), "RFC 9110 5.5: blanks around a value are not part of it"),
    Case(b"\t Basic dTpw\t ", ("u", "p"), "RFC 9110 5.5: blanks around a value are not part of it"),
    Case(b"\x0bBasic dTpw", REFUSED, "RFC 9110 5.5: SP and HTAB are blanks, nothing else"),
    Case(b"Basic dTpw\x0c", REFUSED, "RFC 9110 5.5: SP and HTAB are blanks, nothing else"),
    Case(b"Basic dTpw\xa0", REFUSED, "RFC 9110 5.5: SP and HTAB are blanks, nothing else"),
    Case(b"Basic\tdTpw", REFUSED, "RFC 9110 11.4: 1*SP, no tab"),
    Case(b"Basic \tdTpw", REFUSED, "RFC 9110 11.4: 1*SP, no tab"),
    Case(b"Basic\xa0dTpw", REFUSED, "RFC 9110 11.4: 1*SP, no other space"),
    Case(b"Basic:dTpw", REFUSED, "RFC 9110 5.6.2: a colon is in no token"),
    Case(b'"Basic" dTpw', REFUSED, "RFC 9110 11.1: a scheme is a token, not quoted"),
    Case(b"B\xc3\xa4sic dTpw", REFUSED, "RFC 9110 5.6.2: a token is ASCII"),
    # The credentials' form.
    Case(b"Basic", REFUSED, "RFC 7617 2: nothing after the scheme"),
    Case(b"Basic ", REFUSED, "RFC 7617 2: nothing after the scheme"),
    Case(b"Basic dTpw ", ("u", "p"), "RFC 9110 5.5: some servers leave blanks at the end"),
    Case(b"Basic dT pw", REFUSED, "RFC 9110 11.2: token68"),
    Case(b"Basic dTpw, Basic dTpw", REFUSED, "RFC 9110 11.2: two of them joined by a proxy"),
    Case(b"Basic dTpw,dTpw", REFUSED, "RFC 9110 11.2: token68"),
    Case(b'Basic realm="x"', REFUSED, "RFC 7617 2: token68, no parameters"),
    Case(b"Basic dTpw\n", REFUSED, "RFC 4648 3.1: no line feeds"),
    Case(b"Basic dT\r\npw", REFUSED, "RFC 4648 3.1: no line feeds"),
    Case(b"Basic dTpw\x00", REFUSED, "RFC 4648 3.3: nothing outside of the alphabet"),
    Case(b"Basic dTpw\xff", REFUSED, "RFC 4648 3.3: nothing outside of the alphabet"),
    Case(b"Basic !dTpw", REFUSED, "RFC 4648 3.3: nothing outside of the alphabet"),
    # Base64.
    Case(b"Basic Oj8/Pz4+", ("", "???>>"), "RFC 4648 4: the alphabet has + and /"),
    Case(b"Basic Oj8_Pz4-", REFUSED, "RFC 4648 5: another alphabet, for URLs"),
    Case(b"Basic dGVzdDoxMjPCow=", REFUSED, "RFC 4648 3.2: padding is not optional"),
    Case(b"Basic dGVzdDoxMjPCow", REFUSED, "RFC 4648 3.2: padding is not optional"),
    Case(b"Basic dTpw====", REFUSED, "RFC 4648 3.2: no padding beyond what is needed"),
    Case(b"Basic dTpw=", REFUSED, "RFC 4648 3.2: no padding beyond what is needed"),
    Case(b"Basic dTo=dTpw", REFUSED, "RFC 4648 3.3: padding within"),
    Case(b"Basic =dTpw", REFUSED, "RFC 4648 3.3: padding within"),
    Case(b"Basic ====", REFUSED, "RFC 4648 3.3: padding alone"),
    Case(b"Basic dTpwd", REFUSED, "RFC 4648 4: no such length"),
    Case(b"Basic dGVzdDoxMjPCox==", REFUSED, "RFC 4648 3.5: trailing bits are zero"),
    Case(b"Basic dTp=", REFUSED, "RFC 4648 3.5: trailing bits are zero"),
    # User-id and password.
    Case(basic("alice:a:b::c"), ("alice", "a:b::c"), "RFC 7617 2: the first colon"),
    Case(basic(":"), ("", ""), "RFC 7617 2: both may be empty"),
    Case(basic("alice:"), ("alice", ""), "RFC 7617 2: both may be empty"),
    Case(basic(":secret"), ("", "secret"), "RFC 7617 2: both may be empty"),
    Case(basic("alice"), REFUSED, "RFC 7617 2: no colon"),
    Case(basic(' a"b\\ : c '), (' a"b\\ ', " c "), "RFC 7617 2: all other ASCII is text"),
    Case(basic("алиса:пароль"), ("алиса", "пароль"), "RFC 7617 2.1: UTF-8"),
    Case(basic("u:💥"), ("u", "💥"), "RFC 7617 2.1: UTF-8"),
    Case(basic("\ufeffu:p"), ("\ufeffu", "p"), "RFC 7617 2.1: handed on as it came"),
    Case(basic("e\u0301:\u00e9"), ("e\u0301", "\u00e9"), "RFC 7617 2.1: handed on as it came"),
    Case(basic("a\xa0:b\u2028"), ("a\xa0", "b\u2028"), "RFC 7617 2: not of the category Cc"),
    *(
        Case(basic(text), REFUSED, "RFC 7617 2: no control characters")
        for control in "\x00\x01\t\n\r\x1b\x1f\x7f\x80\x85\x9f"
        for text in (f"u{control}:p", f"u:p{control}")
    ),
    Case(basic(b"u:123\xa3"), REFUSED, "RFC 3629 3: ISO-8859-1 is no UTF-8"),
    Case(basic(b"u:\xc0\x80"), REFUSED, "RFC 3629 3: overlong NUL"),
    Case(basic(b"u\xc0\xbap"), REFUSED, "RFC 3629 3: overlong colon"),
    Case(basic(b"u:\xed\xa0\x80"), REFUSED, "RFC 3629 3: a surrogate"),
    Case(basic(b"u:\xf4\x90\x80\x80"), REFUSED, "RFC 3629 3: beyond U+10FFFF"),
    Case(basic(b"u:\x80"), REFUSED, "RFC 3629 4: a tail alone"),
    Case(basic(b"u:\xe2\x82"), REFUSED, "RFC 3629 4: cut off"),
]

TOKEN = [
    Case(b"Token abcd", "abcd", "the documented form"),
    Case(b"token abcd", "abcd", "RFC 9110 11.1: schemes are case-insensitive"),
    Case(b"TOKEN   abcd", "abcd", "RFC 9110 11.4: 1*SP"),
    Case(
        b"Token !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "VCHAR"
    ),
    Case(b"Bearer abcd", NOT_MINE, "RFC 9110 11.1: another scheme"),
    Case(b"Tokens abcd", NOT_MINE, "RFC 9110 11.1: another scheme"),
    Case(b"Token", REFUSED, "nothing after the scheme"),
    Case(b"Token  ", REFUSED, "nothing after the scheme"),
    Case(b"Token a b", REFUSED, "RFC 5234 B.1: VCHAR has no space"),
    Case(b"Token a\tb", REFUSED, "RFC 5234 B.1: VCHAR has no tab"),
    Case(b"Token a\x00", REFUSED, "RFC 5234 B.1: VCHAR"),
    Case(b"Token a\x7f", REFUSED, "RFC 5234 B.1: VCHAR"),
    Case(b"Token \xc3\xa9", REFUSED, "RFC 5234 B.1: VCHAR is ASCII"),
    Case(b"Token a, Token b", REFUSED, "RFC 9110 5.3: two of them joined by a proxy"),
    Case(b"Token\tabcd", REFUSED, "RFC 9110 11.4: 1*SP, no tab"),
    Case(b"", REFUSED, "RFC 9110 11.4: a header without a scheme"),
]

BEARER = [
    Case(b"Bearer mF_9.B5f-4.1JqM", "mF_9.B5f-4.1JqM", "RFC 6750 2.1, the example"),
    Case(b"bearer a", "a", "RFC 9110 11.1: schemes are case-insensitive"),
    Case(b"Bearer  a", "a", "RFC 6750 2.1: 1*SP"),
    Case(b"Bearer aZ09-._~+/==", "aZ09-._~+/==", "RFC 6750 2.1: b64token"),
    Case(b"Bearer a=======", "a=======", "RFC 6750 2.1: any number of ="),
    Case(b"Basic dTpw", NOT_MINE, "RFC 9110 11.1: another scheme"),
    Case(b"Bearer", REFUSED, "RFC 6750 2.1: nothing after the scheme"),
    Case(b"Bearer ", REFUSED, "RFC 6750 2.1: nothing after the scheme"),
    Case(b"Bearer ==", REFUSED, "RFC 6750 2.1: = at the end only"),
    Case(b"Bearer =a", REFUSED, "RFC 6750 2.1: = at the end only"),
    Case(b"Bearer a=b", REFUSED, "RFC 6750 2.1: = at the end only"),
    Case(b"Bearer a b", REFUSED, "RFC 6750 2.1: b64token"),
    Case(b"Bearer a:b", REFUSED, "RFC 6750 2.1: b64token"),
    Case(b"Bearer a!", REFUSED, "RFC 6750 2.1: b64token"),
    Case(b"Bearer \xc3\xa9", REFUSED, "RFC 6750 2.1: b64token"),
    Case(b'Bearer realm="x"', REFUSED, "RFC 6750 2.1: b64token"),
    Case(b"Bearer a, Bearer b", REFUSED, "RFC 9110 5.3: two of them joined by a proxy"),
]

API_KEY = [
    Case(b"abcd", "abcd", "the bare token"),
    Case(b"a=b:c,d", "a=b:c,d", "RFC 5234 B.1: VCHAR"),
    Case(b"", REFUSED, "an empty token"),
    Case(b"a b", REFUSED, "RFC 5234 B.1: VCHAR has no space"),
    Case(b"a, b", REFUSED, "RFC 9110 5.3: two of them joined by a proxy"),
    Case(b"a\x00", REFUSED, "RFC 5234 B.1: VCHAR"),
    Case(b"\xc3\xa9", REFUSED, "RFC 5234 B.1: VCHAR is ASCII"),
]


async def outcome_of(backend: AuthBackend[Any], conn: HTTPConnection) -> Any:
    try:
        result = await backend.authenticate(conn)
    except InvalidCredentials:
        return REFUSED
    return NOT_MINE if result is None else result[1]


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", cases, ids=lambda case: f"{case.header!r}-{case.section}"
    )


class TestTables:
    @each(BASIC)
    async def test_basic(self, case: Case, connect: Connect) -> None:
        assert await outcome_of(BasicAuth(), connect(case.header)) == case.outcome

    @each(TOKEN)
    async def test_token(self, case: Case, connect: Connect) -> None:
        assert await outcome_of(TokenAuth(), connect(case.header)) == case.outcome

    @each(BEARER)
    async def test_bearer(self, case: Case, connect: Connect) -> None:
        assert await outcome_of(BearerAuth(), connect(case.header)) == case.outcome

    @each(API_KEY)
    async def test_api_key(self, case: Case, connect: Connect) -> None:
        conn = connect((b"x-api-key", case.header))
        assert await outcome_of(APIKeyAuth(), conn) == case.outcome


BACKENDS = [BasicAuth(), TokenAuth(), BearerAuth(), APIKeyAuth()]


class TestHeaders:
    @pytest.mark.parametrize("backend", BACKENDS)
    async def test_no_header_is_not_mine(self, backend: AuthBackend[Any], connect: Connect) -> None:
        conn = connect((b"host", b"example.com"), (b"proxy-authorization", b"Basic dTpw"))
        assert await outcome_of(backend, conn) is NOT_MINE

    async def test_a_websocket_is_authenticated_alike(self, connect: Connect) -> None:
        conn = connect(b"Basic dTpw", kind="websocket")
        assert await outcome_of(BasicAuth(), conn) == ("u", "p")

    @pytest.mark.parametrize("backend", [BasicAuth(), TokenAuth(), BearerAuth()])
    @pytest.mark.parametrize(
        "lines",
        [
            (b"Basic dTpw", b"Basic dTpw"),
            (b"Token a", b"Token b"),
            (b"Bearer a", b"Basic dTpw"),
            (b"Basic dTpw", b"Bearer a"),
            (b"Negotiate a", b"Digest b"),
            (b"", b""),
        ],
    )
    async def test_several_lines_are_refused_whatever_their_schemes(
        self, backend: AuthBackend[Any], lines: tuple[bytes, ...], connect: Connect
    ) -> None:
        conn = connect(lines[0], (b"accept", b"*/*"), *lines[1:])
        assert await outcome_of(backend, conn) is REFUSED

    async def test_several_api_keys_are_refused(self, connect: Connect) -> None:
        conn = connect((b"x-api-key", b"a"), (b"x-api-key", b"a"))
        assert await outcome_of(APIKeyAuth(), conn) is REFUSED

    async def test_an_api_key_leaves_the_authorization_header_alone(self, connect: Connect) -> None:
        conn = connect(b"Basic dTpw", (b"x-api-key", b"a"), b"Bearer b")
        assert await outcome_of(APIKeyAuth(), conn) == "a"

    async def test_a_key_may_come_in_another_header(self, connect: Connect) -> None:
        class DeployKeyAuth(APIKeyAuth):
            header = "Deploy-Key"

        assert await outcome_of(DeployKeyAuth(), connect((b"deploy-key", b"a"))) == "a"
        assert await outcome_of(DeployKeyAuth(), connect((b"x-api-key", b"a"))) is NOT_MINE

    async def test_a_token_may_come_with_another_scheme(self, connect: Connect) -> None:
        class JWTAuth(TokenAuth):
            scheme = "JWT"

        assert await outcome_of(JWTAuth(), connect(b"jwt a.b.c")) == "a.b.c"
        assert await outcome_of(JWTAuth(), connect(b"Token a.b.c")) is NOT_MINE

    @pytest.mark.parametrize("query", [b"access_token=a", b"token=a", b"x-api-key=a"])
    async def test_tokens_in_a_query_are_not_looked_for(self, query: bytes) -> None:
        # RFC 6750 section 2.3, and section 5.3 on why not.
        conn = HTTPConnection({"type": "http", "headers": [], "query_string": query})
        assert await outcome_of(BearerAuth(), conn) is NOT_MINE
        assert await outcome_of(APIKeyAuth(), conn) is NOT_MINE


class TestSize:
    LIMIT = 8192  # documented

    @pytest.mark.parametrize("spare", [0, 1])
    async def test_8_kib_of_token_are_accepted_and_no_more(
        self, spare: int, connect: Connect
    ) -> None:
        token = b"a" * (self.LIMIT + spare)
        expected = REFUSED if spare else token.decode()
        assert await outcome_of(TokenAuth(), connect(b"Token " + token)) == expected
        assert await outcome_of(BearerAuth(), connect(b"Bearer   " + token)) == expected
        assert await outcome_of(APIKeyAuth(), connect((b"x-api-key", token))) == expected

    @pytest.mark.parametrize("spare", [0, 3])
    async def test_8_kib_of_basic_are_accepted_and_no_more(
        self, spare: int, connect: Connect
    ) -> None:
        password = "p" * (self.LIMIT * 3 // 4 - 2 + spare)
        expected = REFUSED if spare else ("u", password)
        assert await outcome_of(BasicAuth(), connect(basic(f"u:{password}"))) == expected

    async def test_the_size_of_another_scheme_is_its_own_business(self, connect: Connect) -> None:
        conn = connect(b"Negotiate " + b"a" * 50_000)
        assert await outcome_of(BasicAuth(), conn) is NOT_MINE

    @pytest.mark.parametrize("limit", [10, 16_384])
    async def test_the_limit_is_a_setting(self, limit: int, connect: Connect) -> None:
        for base, name, start in (
            (TokenAuth, b"authorization", b"Token "),
            (BearerAuth, b"authorization", b"Bearer "),
            (APIKeyAuth, b"x-api-key", b""),
        ):
            backend: Any = type("LimitedAuth", (base,), {"max_credentials_size": limit})()
            token = b"a" * limit
            assert await outcome_of(backend, connect((name, start + token))) == token.decode()
            assert await outcome_of(backend, connect((name, start + token + b"a"))) is REFUSED
        limited: Any = type("LimitedAuth", (BasicAuth,), {"max_credentials_size": 8})()
        assert await outcome_of(limited, connect(basic("u:pppp"))) == ("u", "pppp")
        assert await outcome_of(limited, connect(basic("u:ppppp"))) is REFUSED

    @pytest.mark.parametrize(
        ("backend", "header"),
        [
            (BasicAuth(), (b"authorization", basic("u:" + "p" * 8192))),
            (BearerAuth(), (b"authorization", b"Bearer " + b"a" * 8193)),
            (APIKeyAuth(), (b"x-api-key", b"a" * 8193)),
        ],
    )
    async def test_the_refusal_is_like_any_other_and_the_log_names_the_setting(
        self,
        backend: AuthBackend[Any],
        header: tuple[bytes, bytes],
        connect: Connect,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        refusals = []
        with caplog.at_level(logging.INFO):
            for value in (header[1], header[1][:9] + b"\xff"):
                with pytest.raises(HTTPException) as caught:
                    await authenticate(connect((header[0], value)), backend)
                refused = caught.value
                refusals.append((refused.status_code, refused.detail, refused.headers))
        assert refusals[0] == refusals[1]
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("starlette_auth_core", logging.INFO)
        assert record.getMessage() == (
            "Credentials refused: they are longer than max_credentials_size, which is 8192 bytes"
        )


class CountedHeaders(Headers):
    """Counts how often one of the headers is looked at."""

    looks = 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for header in super().__iter__():
            self.looks += 1
            yield header


class TestManyLines:
    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("name", [b"authorization", b"x-api-key", b"cookie"])
    async def test_ten_thousand_lines_are_looked_at_once(
        self, backend: AuthBackend[Any], name: bytes
    ) -> None:
        headers = CountedHeaders([(name, b"Basic dTpw")] * 10_000)
        await outcome_of(backend, HTTPConnection({"type": "http", "headers": headers}))
        assert headers.looks <= 10_000

    async def test_so_are_they_by_the_middleware(self) -> None:
        headers = CountedHeaders([(b"authorization", b"Basic dTpw")] * 10_000)
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def never(*args: Any) -> Any:
            raise AssertionError("Nothing is left to do")

        app = AuthenticationMiddleware(never, BasicAuth())
        await app({"type": "http", "headers": headers}, never, send)
        assert sent[0]["status"] == 401
        assert headers.looks <= 10_000


class Latin1BasicAuth(BasicAuth):
    fallback_charset = "iso-8859-1"


class TestFallbackCharset:
    async def test_latin_1_is_accepted_where_it_is_named(self, connect: Connect) -> None:
        # What Python's requests sends for ("test", "123£").
        conn = connect(basic(b"test:123\xa3"))
        assert await outcome_of(Latin1BasicAuth(), conn) == ("test", "123£")
        assert await outcome_of(BasicAuth(), conn) is REFUSED

    async def test_utf_8_goes_first(self, connect: Connect) -> None:
        conn = connect(basic("test:123£"))
        assert await outcome_of(Latin1BasicAuth(), conn) == ("test", "123£")

    async def test_control_characters_are_refused_there_too(self, connect: Connect) -> None:
        # U+0080 to U+009F are controls, and cp1252's quotes only in cp1252.
        conn = connect(basic(b"test:\x93"))
        assert await outcome_of(Latin1BasicAuth(), conn) is REFUSED

    @pytest.mark.parametrize("charset", ["ascii", "utf-16", "punycode", "idna"])
    async def test_what_the_charset_cannot_read_is_refused(
        self, charset: str, connect: Connect
    ) -> None:
        class FallbackBasicAuth(BasicAuth):
            fallback_charset = charset

        assert await outcome_of(FallbackBasicAuth(), connect(basic(b"u:\xff"))) is REFUSED

    @pytest.mark.parametrize("charset", ["latin-42", "rot13"])
    def test_an_unknown_charset_fails_at_construction(self, charset: str) -> None:
        class FallbackBasicAuth(BasicAuth):
            fallback_charset = charset

        with pytest.raises(ValueError, match=charset):
            FallbackBasicAuth()


async def test_a_user_is_whatever_verify_returns(connect: Connect) -> None:
    class Auth(BaseTokenAuth[SimpleUser]):
        async def verify(self, token: str) -> SimpleUser | None:
            return SimpleUser("bob") if token == "abcd" else None

    result = await Auth().authenticate(connect(b"Token abcd"))
    assert result is not None
    credentials, user = result
    assert credentials.scopes == ["authenticated"]
    assert user.username == "bob"


async def test_a_header_that_is_too_long_is_logged_once_for_a_connection(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    conn = connect(b"Token " + b"a" * 8193)
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert await outcome_of(TokenAuth(), conn) is REFUSED
    assert len(caplog.records) == 1


async def test_headers_that_can_be_read_only_once_reach_everybody(connect: Connect) -> None:
    headers = [(b"x-api-key", b"abcd"), (b"authorization", b"Token efgh")]
    conn = HTTPConnection({"type": "http", "headers": (each for each in headers)})
    assert await outcome_of(BearerAuth(), conn) is NOT_MINE
    assert await outcome_of(TokenAuth(), conn) == "efgh"
    assert await outcome_of(APIKeyAuth(), conn) == "abcd"
    assert conn.headers["X-API-Key"] == "abcd"
