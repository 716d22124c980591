"""What is accepted, compared with the RFCs' own grammar, and any bytes whatever as headers.

`abnf` is an independent parser of ABNF that carries the RFCs' rules. What the rules derive is
accepted, but for what the documentation says is refused: more than 8 KiB, and several headers.
"""

import base64
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from abnf import ParseError, Rule
from abnf.grammars import rfc9110
from abnf.grammars.misc import load_grammar_rulelist
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    InvalidCredentials,
)

Connect = Callable[..., HTTPConnection]
T = TypeVar("T")


@load_grammar_rulelist([("token68", rfc9110.Rule("token68"))])
class Grammar(Rule):
    # `user-pass` and `base64` are written out here: RFC 7617 gives them in prose (the category Cc
    # is C0, DEL and C1), and RFC 4648 in a table.
    grammar = """
basic-credentials = "Basic" 1*SP base64-user-pass
base64-user-pass = token68

base64 = *(4b64) [ 2b64 b64-two-zero-bits "=" / b64 b64-four-zero-bits "==" ]
b64 = ALPHA / DIGIT / "+" / "/"
b64-two-zero-bits = %x41 / %x45 / %x49 / %x4D / %x51 / %x55 / %x59 / %x63 / %x67 / %x6B / %x6F
 / %x73 / %x77 / %x30 / %x34 / %x38
b64-four-zero-bits = %x41 / %x51 / %x67 / %x77

user-pass = user-id ":" password
user-id = *( %x20-39 / %x3B-7E / UTF8-no-control )
password = *( %x20-7E / UTF8-no-control )
UTF8-no-control = %xC2 %xA0-BF / %xC3-DF UTF8-tail / UTF8-3 / UTF8-4
UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) / %xED %x80-9F UTF8-tail
 / %xEE-EF 2( UTF8-tail )
UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) / %xF4 %x80-8F 2( UTF8-tail )
UTF8-tail = %x80-BF

bearer-credentials = "Bearer" 1*SP b64token
b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="

token-credentials = "Token" 1*SP api-key
api-key = 1*VCHAR
"""


def derives(rule: str, text: bytes) -> bool:
    try:
        Grammar(rule).parse_all(text.decode("latin-1"))
    except ParseError:
        return False
    return True


def value_of(header: bytes) -> bytes:
    """Return the field value of *header*, RFC 9110 section 5.5: blanks around it are no part."""
    return header.strip(b" \t")


def may_log_in(header: bytes) -> bool:
    """Return whether *header* is of the scheme Basic, by the grammar alone."""
    if not derives("basic-credentials", header):
        return False
    encoded = header[len("Basic") :].lstrip(b" ")
    return derives("base64", encoded) and derives("user-pass", base64.b64decode(encoded))


class BasicAuth(BaseBasicAuth[bool]):
    async def verify(self, username: str, password: str) -> bool:
        assert ":" not in username
        return True


class Latin1BasicAuth(BasicAuth):
    fallback_charset = "iso-8859-1"


class TokenAuth(BaseTokenAuth[bool]):
    async def verify(self, token: str) -> bool:
        assert token
        return True


class BearerAuth(TokenAuth, BaseBearerAuth[bool]):
    pass


class APIKeyAuth(TokenAuth, BaseAPIKeyAuth[bool]):
    pass


BASIC, LATIN_1, TOKEN, BEARER, API_KEY = (
    BasicAuth(),
    Latin1BasicAuth(),
    TokenAuth(),
    BearerAuth(),
    APIKeyAuth(),
)
BACKENDS = (BASIC, LATIN_1, TOKEN, BEARER, API_KEY)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing: an event loop would take most of a million's time."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise AssertionError("It waited for something")


def accepts(backend: BaseBasicAuth[bool] | BaseTokenAuth[bool], conn: HTTPConnection) -> bool:
    try:
        return run(backend.authenticate(conn)) is not None
    except InvalidCredentials:
        return False


# Headers that are right, nearly right, and anything at all.
schemes = st.sampled_from([b"Basic", b"basic", b"Bearer", b"Token", b"Digest", b"\xff", b""])
spaces = st.sampled_from([b" ", b"   "])
separators = spaces | st.sampled_from([b"", b"\t", b" \t", b"\xa0", b",", b":"])
token68 = st.text("aZ09-._~+/=", max_size=12).map(str.encode)
user_pass = st.one_of(
    st.binary(max_size=12),
    st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.tuples(st.text(max_size=6), st.text(max_size=6)).map(
        lambda pair: ":".join(pair).encode("utf-8", "surrogatepass")
    ),
)
fit = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)
encoded = st.one_of(fit.map(lambda text: (text + ":" + text[::-1]).encode()), user_pass).map(
    base64.b64encode
)
damaged = st.tuples(encoded, st.integers(0, 16), st.binary(max_size=2)).map(
    lambda made: made[0][: made[1]] + made[2] + made[0][made[1] :]
)
cut_off = st.tuples(encoded, st.integers(1, 3)).map(lambda made: made[0][: -made[1]])
payloads = st.one_of(encoded, token68, damaged, cut_off, st.binary(max_size=24))
anything = st.tuples(schemes, separators, payloads).map(b"".join) | st.binary(max_size=32)


def near(scheme: bytes, *likely: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Make headers of *scheme*, most of them well formed, and some that are anything."""
    right = st.tuples(st.sampled_from([scheme, scheme.swapcase()]), spaces, st.one_of(likely))
    return right.map(b"".join) | anything


basic = near(b"Basic", encoded, damaged, cut_off)
bearer = near(b"Bearer", token68, encoded)
token = near(b"Token", token68, st.binary(max_size=24))
headers = basic | bearer | token
names = st.sampled_from([b"authorization", b"x-api-key", b"host"])


class TestGrammar:
    # The parser takes a thousand times longer than what it is compared with.
    some = settings(max_examples=max(200, settings().max_examples // 100))

    @some
    @given(basic)
    @example(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    @example(b"Basic dGVzdDoxMjPCow==")
    @example(b"Basic dGVzdDoxMjPCox==")
    @example(b"Basic dTpwwoA=")
    @example(b"Basic Oj8/Pz4+")
    def test_basic_accepts_what_the_grammar_derives(self, connect: Connect, header: bytes) -> None:
        assert accepts(BASIC, connect(header)) == may_log_in(value_of(header))

    @some
    @given(bearer)
    @example(b"Bearer mF_9.B5f-4.1JqM")
    @example(b"Bearer a=b")
    def test_bearer_accepts_what_the_grammar_derives(self, connect: Connect, header: bytes) -> None:
        assert accepts(BEARER, connect(header)) == derives("bearer-credentials", value_of(header))

    @some
    @given(token)
    @example(b"Token a=b")
    def test_token_accepts_what_the_grammar_derives(self, connect: Connect, header: bytes) -> None:
        assert accepts(TOKEN, connect(header)) == derives("token-credentials", value_of(header))

    @some
    @given(payloads)
    def test_api_keys_are_what_the_grammar_derives(self, connect: Connect, header: bytes) -> None:
        conn = connect((b"x-api-key", header))
        assert accepts(API_KEY, conn) == derives("api-key", value_of(header))

    @some
    @given(fit, st.text())
    def test_text_that_is_fit_comes_through_and_no_other(
        self, connect: Connect, username: str, password: str
    ) -> None:
        header = b"Basic " + base64.b64encode(
            f"{username}:{password}".encode("utf-8", "surrogatepass")
        )
        fit = not any(
            c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in password
        )
        assert accepts(BASIC, connect(header)) == fit


@pytest.mark.parametrize("value", [b"\xff" * 9000, b"Basic " + b"=" * 9000, b"Bearer " * 2000])
def test_long_headers_are_refused(connect: Connect, value: bytes) -> None:
    conn = connect(value, (b"x-api-key", value))
    assert not any(accepts(backend, conn) for backend in BACKENDS)


@given(st.lists(st.tuples(names, headers), max_size=3))
def test_any_bytes_are_accepted_or_invalid_credentials(
    connect: Connect, raw: list[tuple[bytes, bytes]]
) -> None:
    conn = connect(*raw)
    for backend in BACKENDS:
        accepts(backend, conn)  # any other exception comes through
