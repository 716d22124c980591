"""Good and bad `Authorization` headers, each with the right answer and the section that decides it.

The answers follow RFC 9110 section 11 (before it RFC 7235), RFC 7617 (Basic) with RFC 4648
(base64), RFC 6750 (Bearer), and RFC 9112 for the bytes of a request.

- `IN`: the header follows the grammar, and its password or token is right.
- `REFUSED`: the secret is wrong, the header holds no credentials of the scheme, an RFC forbids the
  text or has it rejected, or the grammar allows no single reading of it.
- `EITHER`: the RFCs leave the answer open. That is so where they say MAY or SHOULD, where an older
  RFC allowed the form, and where only the text around the credentials is malformed and a repair
  leaves one reading (RFC 9110 section 2.4).
"""

import base64
from dataclasses import dataclass
from typing import Literal

Right = Literal["in", "refused", "either"]
Scheme = Literal["basic", "bearer"]
Row = tuple[str, bytes, Right, str]

IN: Right = "in"
REFUSED: Right = "refused"
EITHER: Right = "either"

#: The users that may log in by Basic, with their passwords. No two share a password.
USERS = {
    "Aladdin": "open sesame",  # RFC 7617 section 2
    "test": "123£",  # RFC 7617 section 2.1
    "": "without a user-id",
    "0": "0.0",
    "Ali": "k",
    "alice@example.com": "at sign",
    "apostrophe": "it's",
    "backslash\\alice": "back\\slash",
    "blank user": "blank in the user-id",
    "blanks": " at both ends ",
    "c1": "next\x85line",
    "colon": ":",
    "colons": "a:b::c:",
    "comma": "a,b",
    "delete": "del\x7fete",
    "empty": "",
    "equals": "==",
    "feed": "line\nfeed",
    "header": "Basic dTpw",
    "kana": "パスワード",
    "lang": "é" * 100,
    "letters": "x" * 200,
    "null": "null",
    "percent": "%3A%20%",
    "plus": "???>>>~~~",
    "quote": 'say "hi"',
    "tab": "tab\tbed",
    "tilde": "!#$&'()*,-./;<=>?@[]^_`{|}~",
}
#: The bearer tokens that are valid, each with its user.
TOKENS = {
    "mF_9.B5f-4.1JqM": "rfc6750",  # RFC 6750 section 2.1
    "AZaz09-._~+/": "alphabet",
    "dG9rZW4=": "padded",
    "dG9rZW4xMg==": "padded-twice",
    "more====": "padded-more",
    "a": "letter",
    "0": "zero",
    "-._~+/": "marks",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.c2ln": "jwt",
    "null": "null",
    "Bearer": "scheme",
    "basic": "other-scheme",
    "x" * 200: "long",
    "y" * 4000: "longer",
    "v!#s;c": "vschar",
}
# Each scheme's good credentials, those of another user, and wrong ones.
_GOOD = {"basic": b"QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "bearer": b"mF_9.B5f-4.1JqM"}
_OTHER = {"basic": b"QWxpOms=", "bearer": b"dG9rZW4="}
_WRONG = {"basic": b"QWxhZGRpbjp3cm9uZw==", "bearer": b"wrong"}
_NAME = {"basic": b"Basic", "bearer": b"Bearer"}
_FOREIGN = {"basic": b"Bearer mF_9.B5f-4.1JqM", "bearer": b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
# Each scheme's own grammar says more about its credentials than the common one does.
_TOKEN68 = "RFC 9110 §11.2"
_GRAMMAR = {"basic": f"{_TOKEN68}, RFC 4648 §3.3", "bearer": f"{_TOKEN68}, RFC 6750 §2.1"}


@dataclass(frozen=True)
class Case:
    """A header to send, and what is right.

    Attributes:
        id: Its name, which begins with the scheme that the server asks for.
        scheme: The scheme that the server asks for.
        lines: The header lines to send beside `Host`, without the last CRLF.
        right: The right answer.
        section: The section that decides it.
    """

    id: str
    scheme: Scheme
    lines: bytes
    right: Right
    section: str


def _b64(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return base64.b64encode(raw)


def _basic(text: str | bytes) -> bytes:
    return b"Authorization: Basic " + _b64(text)


def _bearer(token: bytes) -> bytes:
    return b"Authorization: Bearer " + token


# Rows for both schemes. <S>: the scheme. <G>, <O>, <W>: credentials that are good, another
# user's, wrong. <F>: good credentials of the scheme that the server does not ask for.
_SHARED: list[Row] = [
    ("good", b"Authorization: <S> <G>", IN, "RFC 9110 §11.4"),
    ("good-other-user", b"Authorization: <S> <O>", IN, "RFC 9110 §11.4"),
    ("wrong", b"Authorization: <S> <W>", REFUSED, "RFC 9110 §11.4"),
    ("absent", b"X-Other: 1", REFUSED, "RFC 9110 §11.4"),
    # The name of the field.
    ("name-lower-case", b"authorization: <S> <G>", IN, "RFC 9110 §5.1"),
    ("name-upper-case", b"AUTHORIZATION: <S> <G>", IN, "RFC 9110 §5.1"),
    ("name-mixed-case", b"aUTHORIZATIOn: <S> <G>", IN, "RFC 9110 §5.1"),
    ("name-after-others", b"X-A: 1\r\nX-B: 2\r\nAuthorization: <S> <G>", IN, "RFC 9110 §5.3"),
    ("name-before-others", b"Authorization: <S> <G>\r\nX-A: 1", IN, "RFC 9110 §5.3"),
    ("name-proxy", b"Proxy-Authorization: <S> <G>", REFUSED, "RFC 9110 §11.7.2"),
    ("name-proxy-beside-wrong", b"Proxy-Authorization: <S> <G>\r\nAuthorization: <S> <W>", REFUSED,
     "RFC 9110 §11.7.2"),
    ("name-proxy-beside-good", b"Proxy-Authorization: <S> <W>\r\nAuthorization: <S> <G>", IN,
     "RFC 9110 §11.7.2"),
    ("name-x", b"X-Authorization: <S> <G>", REFUSED, "RFC 9110 §11.6.2"),
    ("name-prefix", b"Authorizatio: <S> <G>", REFUSED, "RFC 9110 §11.6.2"),
    ("name-longer", b"Authorizations: <S> <G>", REFUSED, "RFC 9110 §11.6.2"),
    ("name-cgi", b"HTTP_AUTHORIZATION: <S> <G>", REFUSED, "RFC 9110 §11.6.2"),
    ("name-blank-before-colon", b"Authorization : <S> <G>", REFUSED, "RFC 9112 §5.1"),
    ("name-tab-before-colon", b"Authorization\t: <S> <G>", REFUSED, "RFC 9112 §5.1"),
    ("name-blank-first", b" Authorization: <S> <G>", REFUSED, "RFC 9112 §5.2"),
    ("name-nul", b"Authorization\0: <S> <G>", REFUSED, "RFC 9110 §5.1"),
    ("name-non-ascii", b"Authoriz\xe4tion: <S> <G>", REFUSED, "RFC 9110 §5.1"),
    ("name-no-colon", b"Authorization <S> <G>", REFUSED, "RFC 9112 §5"),
    ("name-in-trailer", b"Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: <S> <G>", REFUSED,
     "RFC 9112 §7.1.2"),
    ("name-in-cookie", b"Cookie: Authorization=<S> <G>", REFUSED, "RFC 9110 §11.6.2"),
    ("name-www-authenticate", b"WWW-Authenticate: <S> <G>", REFUSED, "RFC 9110 §11.6.1"),
    ("name-authentication-info", b"Authentication-Info: <S> <G>", REFUSED, "RFC 9110 §11.6.3"),
    # Blanks around the value.
    ("ows-none", b"Authorization:<S> <G>", IN, "RFC 9112 §5.1"),
    ("ows-blanks-before", b"Authorization:   <S> <G>", IN, "RFC 9112 §5.1"),
    ("ows-tab-before", b"Authorization:\t<S> <G>", IN, "RFC 9112 §5.1"),
    ("ows-mixed-before", b"Authorization: \t \t<S> <G>", IN, "RFC 9112 §5.1"),
    ("ows-blank-after", b"Authorization: <S> <G> ", IN, "RFC 9112 §5.1"),
    ("ows-tab-after", b"Authorization: <S> <G>\t", IN, "RFC 9112 §5.1"),
    ("ows-mixed-after", b"Authorization: <S> <G> \t  ", IN, "RFC 9112 §5.1"),
    ("ows-vertical-tab-before", b"Authorization: \x0b<S> <G>", REFUSED, "RFC 9110 §5.5"),
    ("ows-form-feed-after", b"Authorization: <S> <G>\x0c", REFUSED, "RFC 9110 §5.5"),
    ("ows-unit-separator-after", b"Authorization: <S> <G>\x1f", REFUSED, "RFC 9110 §5.5"),
    ("ows-nbsp-before", b"Authorization: \xa0<S> <G>", REFUSED, "RFC 9110 §5.5"),
    ("ows-nbsp-after", b"Authorization: <S> <G>\xa0", REFUSED, "RFC 9110 §5.5"),
    ("ows-next-line-after", b"Authorization: <S> <G>\x85", REFUSED, "RFC 9110 §5.5"),
    ("ows-ideographic-after", "Authorization: <S> <G>\u3000".encode(), REFUSED, "RFC 9110 §5.5"),
    # The scheme.
    ("scheme-lower-case", b"Authorization: <s> <G>", IN, "RFC 9110 §11.1"),
    ("scheme-upper-case", b"Authorization: <U> <G>", IN, "RFC 9110 §11.1"),
    ("scheme-swapped-case", b"Authorization: <X> <G>", IN, "RFC 9110 §11.1"),
    ("scheme-missing", b"Authorization: <G>", REFUSED, "RFC 9110 §11.4"),
    ("scheme-empty-header", b"Authorization:", REFUSED, "RFC 9110 §11.4"),
    ("scheme-blank-header", b"Authorization:   ", REFUSED, "RFC 9110 §11.4"),
    ("scheme-alone", b"Authorization: <S>", REFUSED, "RFC 9110 §11.4"),
    ("scheme-and-blank", b"Authorization: <S> ", REFUSED, "RFC 9110 §11.4"),
    ("scheme-and-blanks", b"Authorization: <S>    ", REFUSED, "RFC 9110 §11.4"),
    ("scheme-foreign", b"Authorization: <F>", REFUSED, "RFC 9110 §11.1"),
    ("scheme-digest", b"Authorization: Digest <G>", REFUSED, "RFC 9110 §11.1"),
    ("scheme-token", b"Authorization: Token <G>", REFUSED, "RFC 9110 §11.1"),
    ("scheme-negotiate", b"Authorization: Negotiate <G>", REFUSED, "RFC 9110 §11.1"),
    ("scheme-unknown", b"Authorization: X <G>", REFUSED, "RFC 9110 §11.1"),
    ("scheme-shorter", b"Authorization: <C> <G>", REFUSED, "RFC 9110 §11.1"),
    ("scheme-longer", b"Authorization: <S>s <G>", REFUSED, "RFC 9110 §11.1"),
    ("scheme-hyphen", b"Authorization: <S>-Auth <G>", REFUSED, "RFC 9110 §11.1"),
    ("scheme-x", b"Authorization: X-<S> <G>", REFUSED, "RFC 9110 §11.1"),
    ("scheme-twice", b"Authorization: <S> <S> <G>", REFUSED, "RFC 9110 §11.4"),
    ("scheme-after", b"Authorization: <G> <S>", REFUSED, "RFC 9110 §11.4"),
    ("scheme-glued", b"Authorization: <S><G>", REFUSED, "RFC 9110 §11.4"),
    ("scheme-colon", b"Authorization: <S>: <G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-colon-glued", b"Authorization: <S>:<G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-equals", b"Authorization: <S>=<G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-equals-blank", b"Authorization: <S>= <G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-comma", b"Authorization: <S>,<G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-comma-blank", b"Authorization: <S>, <G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-semicolon", b"Authorization: <S>; <G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-slash", b"Authorization: <S>/<G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-quoted", b'Authorization: "<S>" <G>', REFUSED, "RFC 9110 §11.1"),
    ("scheme-other-first", b"Authorization: X <S> <G>", REFUSED, "RFC 9110 §11.4"),
    ("scheme-bom", b"Authorization: \xef\xbb\xbf<S> <G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-non-ascii", b"Authorization: <S>\xe9 <G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-full-width", b"Authorization: \xef\xbc\xa2<C> <G>", REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-nul-inside", b"Authorization: <S>\0x <G>", REFUSED, "RFC 9110 §5.5"),
    # Between the scheme and the credentials.
    ("sp-two", b"Authorization: <S>  <G>", IN, "RFC 9110 §11.4"),
    ("sp-eight", b"Authorization: <S>        <G>", IN, "RFC 9110 §11.4"),
    ("sp-tab", b"Authorization: <S>\t<G>", EITHER, "RFC 2616 §2.1, RFC 9110 §2.4"),
    ("sp-blank-tab", b"Authorization: <S> \t<G>", EITHER, "RFC 2616 §2.1, RFC 9110 §2.4"),
    ("sp-tab-blank", b"Authorization: <S>\t <G>", EITHER, "RFC 2616 §2.1, RFC 9110 §2.4"),
    ("sp-vertical-tab", b"Authorization: <S>\x0b<G>", REFUSED, "RFC 9110 §11.4"),
    ("sp-form-feed", b"Authorization: <S>\x0c<G>", REFUSED, "RFC 9110 §11.4"),
    ("sp-blank-form-feed", b"Authorization: <S> \x0c<G>", REFUSED, "RFC 9110 §5.5"),
    ("sp-file-separator", b"Authorization: <S> \x1c<G>", REFUSED, "RFC 9110 §5.5"),
    ("sp-nbsp", b"Authorization: <S>\xa0<G>", REFUSED, "RFC 9110 §11.4"),
    ("sp-blank-nbsp", b"Authorization: <S> \xa0<G>", REFUSED, "RFC 9110 §5.5"),
    ("sp-next-line", b"Authorization: <S> \x85<G>", REFUSED, "RFC 9110 §5.5"),
    ("sp-nbsp-utf-8", "Authorization: <S>\xa0<G>".encode(), REFUSED, "RFC 9110 §11.4"),
    ("sp-nul", b"Authorization: <S>\0<G>", EITHER, "RFC 9110 §5.5"),
    ("sp-bare-cr", b"Authorization: <S>\r<G>", EITHER, "RFC 9112 §2.2"),
    ("sp-fold", b"Authorization: <S>\r\n <G>", EITHER, "RFC 9112 §5.2"),
    ("sp-fold-tab", b"Authorization: <S>\r\n\t<G>", EITHER, "RFC 9112 §5.2"),
    ("sp-percent", b"Authorization: <S>%20<G>", REFUSED, "RFC 9110 §5.6.2"),
    ("sp-plus", b"Authorization: <S>+<G>", REFUSED, "RFC 9110 §11.1"),
    # More than one.
    ("list-good-wrong", b"Authorization: <S> <G>, <S> <W>", REFUSED, "RFC 9110 §11.2"),
    ("list-wrong-good", b"Authorization: <S> <W>, <S> <G>", REFUSED, "RFC 9110 §11.2"),
    ("list-good-good", b"Authorization: <S> <G>, <S> <G>", EITHER, "RFC 9110 §2.4, §5.2"),
    ("list-of-credentials", b"Authorization: <S> <G>,<O>", REFUSED, "RFC 9110 §11.2"),
    ("list-blank", b"Authorization: <S> <G> <O>", REFUSED, "RFC 9110 §11.2"),
    ("list-same-blank", b"Authorization: <S> <G> <G>", REFUSED, "RFC 9110 §11.2"),
    ("list-foreign-first", b"Authorization: <F>, <S> <G>", REFUSED, "RFC 9110 §11.2"),
    ("list-foreign-last", b"Authorization: <S> <G>, <F>", REFUSED, "RFC 9110 §11.2"),
    ("list-semicolon", b"Authorization: <S> <G>; <S> <O>", REFUSED, "RFC 9110 §11.2"),
    ("twice-good-wrong", b"Authorization: <S> <G>\r\nAuthorization: <S> <W>", REFUSED,
     "RFC 9110 §5.2, §5.3"),
    ("twice-wrong-good", b"Authorization: <S> <W>\r\nAuthorization: <S> <G>", REFUSED,
     "RFC 9110 §5.2, §5.3"),
    ("twice-two-users", b"Authorization: <S> <G>\r\nAuthorization: <S> <O>", REFUSED,
     "RFC 9110 §5.2, §5.3"),
    ("twice-two-users-reversed", b"Authorization: <S> <O>\r\nAuthorization: <S> <G>", REFUSED,
     "RFC 9110 §5.2, §5.3"),
    ("twice-good-foreign", b"Authorization: <S> <G>\r\nAuthorization: <F>", REFUSED,
     "RFC 9110 §5.2, §5.3"),
    ("twice-foreign-good", b"Authorization: <F>\r\nAuthorization: <S> <G>", REFUSED,
     "RFC 9110 §5.2, §5.3"),
    ("twice-wrong-apart", b"Authorization: <S> <W>\r\nX-A: 1\r\nauthorization: <S> <G>", REFUSED,
     "RFC 9110 §5.2, §5.3"),
    ("twice-same", b"Authorization: <S> <G>\r\nAuthorization: <S> <G>", EITHER,
     "RFC 9110 §2.4, §5.3"),
    ("twice-empty-good", b"Authorization:\r\nAuthorization: <S> <G>", EITHER,
     "RFC 9110 §2.4, §5.3"),
    ("twice-good-empty", b"Authorization: <S> <G>\r\nAuthorization:", EITHER,
     "RFC 9110 §2.4, §5.3"),
    # After the credentials.
    ("after-parameter", b'Authorization: <S> <G> realm="x"', REFUSED, "RFC 7235 §2.1"),
    ("after-comma-parameter", b'Authorization: <S> <G>, realm="x"', REFUSED, "RFC 7235 §2.1"),
    ("after-charset", b"Authorization: <S> <G>, charset=UTF-8", REFUSED, "RFC 7235 §2.1"),
    ("after-comma", b"Authorization: <S> <G>,", REFUSED, "RFC 9110 §11.2"),
    ("after-semicolon", b"Authorization: <S> <G>;", REFUSED, "RFC 9110 §11.2"),
    ("after-word", b"Authorization: <S> <G> x", REFUSED, "RFC 9110 §11.2"),
    ("after-nul", b"Authorization: <S> <G>\0", EITHER, "RFC 9110 §5.5"),
    ("after-nul-word", b"Authorization: <S> <G>\0x", REFUSED, "RFC 9110 §5.5"),
    ("after-bare-cr", b"Authorization: <S> <G>\rx", REFUSED, "RFC 9112 §2.2"),
    ("after-fold", b"Authorization: <S> <G>\r\n x", REFUSED, "RFC 9112 §5.2"),
    ("after-empty-fold", b"Authorization: <S> <G>\r\n ", EITHER, "RFC 9112 §5.2"),
    ("after-bare-lf", b"Authorization: <S> <G>\nX-A: 1", EITHER, "RFC 9112 §2.2"),
    ("after-literal-crlf", b"Authorization: <S> <G>\\r\\n", REFUSED, "RFC 9110 §11.2"),
    ("after-comment", b"Authorization: <S> <G> (Aladdin)", REFUSED, "RFC 9110 §11.2"),
    # Around the credentials.
    ("around-quotes", b'Authorization: <S> "<G>"', REFUSED, "RFC 9110 §11.2"),
    ("around-apostrophes", b"Authorization: <S> '<G>'", REFUSED, "RFC 9110 §11.2"),
    ("around-angles", b"Authorization: <S> <<G>>", REFUSED, "RFC 9110 §11.2"),
    ("around-brackets", b"Authorization: <S> [<G>]", REFUSED, "RFC 9110 §11.2"),
    ("around-braces", b"Authorization: <S> {<G>}", REFUSED, "RFC 9110 §11.2"),
    ("before-comma", b"Authorization: <S> ,<G>", REFUSED, "RFC 9110 §11.2"),
    ("before-equals", b"Authorization: <S> =<G>", REFUSED, "RFC 9110 §11.2"),
    ("before-colon", b"Authorization: <S> :<G>", REFUSED, "RFC 9110 §11.2"),
    ("before-bom", b"Authorization: <S> \xef\xbb\xbf<G>", REFUSED, "RFC 9110 §11.2"),
    ("before-zero-width", "Authorization: <S> \u200b<G>".encode(), REFUSED, "RFC 9110 §11.2"),
    ("as-parameter", b"Authorization: <S> credentials=<G>", REFUSED, "RFC 9110 §11.2"),
    ("as-quoted-parameter", b'Authorization: <S> token="<G>"', REFUSED, "RFC 9110 §11.2"),
    ("parameters-alone", b'Authorization: <S> realm="x"', REFUSED, "RFC 9110 §11.2"),
    ("empty-quotes", b'Authorization: <S> ""', REFUSED, "RFC 9110 §11.2"),
    ("padding-alone", b"Authorization: <S> ====", REFUSED, "RFC 9110 §11.2"),
    ("inside-blank", b"Authorization: <S> <1> <2>", REFUSED, "RFC 9110 §11.2"),
    ("inside-tab", b"Authorization: <S> <1>\t<2>", REFUSED, "RFC 9110 §11.2"),
    ("inside-nul", b"Authorization: <S> <1>\0<2>", REFUSED, "RFC 9110 §5.5"),
    ("inside-bare-cr", b"Authorization: <S> <1>\r<2>", REFUSED, "RFC 9112 §2.2"),
    ("inside-fold", b"Authorization: <S> <1>\r\n <2>", REFUSED, "RFC 9112 §5.2"),
    ("inside-escape", b"Authorization: <S> <1>\x1b<2>", REFUSED, "RFC 9110 §5.5"),
    ("inside-delete", b"Authorization: <S> <1>\x7f<2>", REFUSED, "RFC 9110 §5.5"),
    ("inside-backspace", b"Authorization: <S> <1>x\x08<2>", REFUSED, "RFC 9110 §5.5"),
    ("inside-obs-text", b"Authorization: <S> <1>\xff<2>", REFUSED, "RFC 9110 §11.2"),
    ("inside-soft-hyphen", b"Authorization: <S> <1>\xad<2>", REFUSED, "RFC 9110 §11.2"),
    ("inside-exclamation", b"Authorization: <S> <1>!<2>", REFUSED, "RFC 9110 §11.2"),
    ("inside-percent", b"Authorization: <S> <1>%<2>", REFUSED, "RFC 9110 §11.2"),
    ("inside-backslash", b"Authorization: <S> <1>\\<2>", REFUSED, "RFC 9110 §11.2"),
    ("inside-equals", b"Authorization: <S> <1>=<2>", REFUSED, "RFC 9110 §11.2"),
    # Made up.
    ("word-undefined", b"Authorization: <S> undefined", REFUSED, "RFC 9110 §11.4"),
    ("word-star", b"Authorization: <S> *", REFUSED, "RFC 9110 §11.2"),
    ("word-sql", b"Authorization: <S> '||'1'='1", REFUSED, "RFC 9110 §11.2"),
    ("word-json", b'Authorization: <S> {"user": "Aladdin"}', REFUSED, "RFC 9110 §11.2"),
    ("word-format", b"Authorization: <S> %s%s%n{}${x}", REFUSED, "RFC 9110 §11.2"),
    ("word-invalid-utf-8", b"Authorization: <S> \xc3\x28\xff\xfe", REFUSED, "RFC 9110 §11.2"),
    ("word-surrogate", b"Authorization: <S> \xed\xa0\x80", REFUSED, "RFC 9110 §11.2"),
    ("word-long", b"Authorization: <S> " + b"QUFB" * 1500, REFUSED, "RFC 9110 §5.4, §11.4"),
    ("word-longer", b"Authorization: <S> " + b"QUFB" * 16000, REFUSED, "RFC 9110 §5.4, §11.4"),
    ("word-many-commas", b"Authorization: <S> " + b"," * 4000, REFUSED, "RFC 9110 §11.2"),
    ("word-many-blanks", b"Authorization: <S>" + b" " * 4000 + b"x", REFUSED, "RFC 9110 §11.4"),
]  # fmt: skip

_BASIC: list[Row] = [
    # Right user-ids and passwords, and those that no header may carry.
    ("utf-8", b"Authorization: Basic dGVzdDoxMjPCow==", EITHER, "RFC 7617 §2.1"),
    ("utf-8-two-bytes", _basic("lang:" + "é" * 100), EITHER, "RFC 7617 §2.1"),
    ("utf-8-three-bytes", _basic("kana:パスワード"), EITHER, "RFC 7617 §2.1"),
    ("latin-1", _basic(b"test:123\xa3"), EITHER, "RFC 7617 §2.1"),
    ("c1-control", _basic("c1:next\x85line"), EITHER, "RFC 7617 §2, RFC 5234 §B.1"),
    ("colons", _basic("colons:a:b::c:"), IN, "RFC 7617 §2"),
    ("colon-alone", _basic("colon::"), IN, "RFC 7617 §2"),
    ("password-blanks", _basic("blanks: at both ends "), IN, "RFC 7617 §2"),
    ("password-percent", _basic("percent:%3A%20%"), IN, "RFC 7617 §2"),
    ("password-quotes", _basic('quote:say "hi"'), IN, "RFC 7617 §2"),
    ("password-apostrophe", _basic("apostrophe:it's"), IN, "RFC 7617 §2"),
    ("password-comma", _basic("comma:a,b"), IN, "RFC 7617 §2"),
    ("password-equals", _basic("equals:=="), IN, "RFC 7617 §2"),
    ("password-marks", _basic("tilde:!#$&'()*,-./;<=>?@[]^_`{|}~"), IN, "RFC 7617 §2"),
    ("password-header", _basic("header:Basic dTpw"), IN, "RFC 7617 §2"),
    ("password-long", _basic("letters:" + "x" * 200), IN, "RFC 7617 §2"),
    ("password-null", _basic("null:null"), IN, "RFC 7617 §2"),
    ("password-zero", _basic("0:0.0"), IN, "RFC 7617 §2"),
    ("user-blank", _basic("blank user:blank in the user-id"), IN, "RFC 7617 §2"),
    ("user-at", _basic("alice@example.com:at sign"), IN, "RFC 7617 §2"),
    ("user-backslash", _basic("backslash\\alice:back\\slash"), IN, "RFC 7617 §2"),
    ("password-empty", _basic("empty:"), EITHER, "RFC 2617 §2"),
    ("user-empty", _basic(":without a user-id"), EITHER, "RFC 2617 §2"),
    ("base64-plus-slash", b"Authorization: Basic cGx1czo/Pz8+Pj5+fn4=", IN, "RFC 4648 §4"),
    ("control-tab", _basic("tab:tab\tbed"), REFUSED, "RFC 7617 §2"),
    ("control-line-feed", _basic("feed:line\nfeed"), REFUSED, "RFC 7617 §2"),
    ("control-delete", _basic("delete:del\x7fete"), REFUSED, "RFC 7617 §2"),
    ("control-line-feed-after", _basic("Aladdin:open sesame\n"), REFUSED, "RFC 7617 §2"),
    ("control-crlf-after", _basic("Aladdin:open sesame\r\n"), REFUSED, "RFC 7617 §2"),
    ("control-nul-after", _basic("Aladdin:open sesame\0"), REFUSED, "RFC 7617 §2"),
    ("control-nul-and-more", _basic("Aladdin:open sesame\0more"), REFUSED, "RFC 7617 §2"),
    ("control-nul-in-user", _basic("Aladdin\0:open sesame"), REFUSED, "RFC 7617 §2"),
    ("control-nul-and-more-in-user", _basic("Aladdin\0x:open sesame"), REFUSED, "RFC 7617 §2"),
    ("control-nul-first", _basic("\0Aladdin:open sesame"), REFUSED, "RFC 7617 §2"),
    ("control-nul-alone", _basic("\0"), REFUSED, "RFC 7617 §2"),
    ("control-nuls", _basic("\0:\0"), REFUSED, "RFC 7617 §2"),
    ("control-backspace", _basic("Aladdin:open sesamx\x08e"), REFUSED, "RFC 7617 §2"),
    ("control-line-feed-in-user", _basic("Aladdin\n:open sesame"), REFUSED, "RFC 7617 §2"),
    ("control-new-line-of-file", _basic("x:y\nAladdin:open sesame"), REFUSED, "RFC 7617 §2"),
    # Wrong.
    ("unknown-user", _basic("nobody:open sesame"), REFUSED, "RFC 9110 §11.4"),
    ("password-of-other", _basic("Aladdin:k"), REFUSED, "RFC 9110 §11.4"),
    ("password-case", _basic("Aladdin:Open Sesame"), REFUSED, "RFC 9110 §11.4"),
    ("password-prefix", _basic("Aladdin:open sesam"), REFUSED, "RFC 9110 §11.4"),
    ("password-longer", _basic("Aladdin:open sesame1"), REFUSED, "RFC 9110 §11.4"),
    ("password-blank-before", _basic("Aladdin: open sesame"), REFUSED, "RFC 7617 §2"),
    ("password-blank-after", _basic("Aladdin:open sesame "), REFUSED, "RFC 7617 §2"),
    ("password-without-blanks", _basic("blanks:at both ends"), REFUSED, "RFC 7617 §2"),
    ("password-decoded", _basic("percent:: %"), REFUSED, "RFC 7617 §2"),
    ("password-colon-before", _basic("Aladdin::open sesame"), REFUSED, "RFC 7617 §2"),
    ("password-colon-after", _basic("Aladdin:open sesame:"), REFUSED, "RFC 7617 §2"),
    ("password-missing", _basic("Aladdin:"), REFUSED, "RFC 9110 §11.4"),
    ("password-unset", _basic("nobody:"), REFUSED, "RFC 9110 §11.4"),
    ("password-plus-for-blank", _basic("Aladdin:open+sesame"), REFUSED, "RFC 7617 §2"),
    ("password-nbsp", _basic("Aladdin:open\xa0sesame"), REFUSED, "RFC 7617 §2"),
    ("password-long-wrong", _basic("Aladdin:" + "x" * 3000), REFUSED, "RFC 9110 §11.4"),
    ("user-blank-after", _basic("Aladdin :open sesame"), REFUSED, "RFC 7617 §2"),
    ("user-blank-before", _basic(" Aladdin:open sesame"), REFUSED, "RFC 7617 §2"),
    ("user-case", _basic("aladdin:open sesame"), EITHER, "RFC 8265 §3.2"),
    ("user-missing", _basic(":open sesame"), REFUSED, "RFC 9110 §11.4"),
    ("user-quoted", _basic('"Aladdin":"open sesame"'), REFUSED, "RFC 7617 §2"),
    ("user-long-wrong", _basic("x" * 3000 + ":open sesame"), REFUSED, "RFC 9110 §11.4"),
    ("user-surrogate", _basic(b"\xed\xa0\x80:open sesame"), REFUSED, "RFC 9110 §11.4"),
    ("user-not-utf-8", _basic(b"\xff\xfe:open sesame"), REFUSED, "RFC 9110 §11.4"),
    ("swapped", _basic("open sesame:Aladdin"), REFUSED, "RFC 9110 §11.4"),
    # No user-pass.
    ("no-colon", _basic("Aladdin"), REFUSED, "RFC 7617 §2"),
    ("no-colon-both", _basic("Aladdinopen sesame"), REFUSED, "RFC 7617 §2"),
    ("no-colon-line-feed", _basic("Aladdin\nopen sesame"), REFUSED, "RFC 7617 §2"),
    ("no-colon-blank", _basic("Aladdin open sesame"), REFUSED, "RFC 7617 §2"),
    ("no-colon-full-width", _basic("Aladdin\uff1aopen sesame"), REFUSED, "RFC 7617 §2"),
    ("no-colon-percent", _basic("Aladdin%3Aopen sesame"), REFUSED, "RFC 7617 §2"),
    ("no-colon-tab", _basic("Aladdin\topen sesame"), REFUSED, "RFC 7617 §2"),
    ("no-colon-not-utf-8", _basic(b"\xff\xfe\xfd"), REFUSED, "RFC 7617 §2"),
    ("only-colon", _basic(":"), REFUSED, "RFC 9110 §11.4"),
    ("only-colons", _basic(":::"), REFUSED, "RFC 9110 §11.4"),
    ("utf-16", _basic("Aladdin:open sesame".encode("utf-16")), REFUSED, "RFC 7617 §2"),
    ("utf-16-big", _basic("Aladdin:open sesame".encode("utf-16-be")), REFUSED, "RFC 7617 §2"),
    ("utf-32", _basic("Aladdin:open sesame".encode("utf-32-le")), REFUSED, "RFC 7617 §2"),
    ("bom", _basic("\ufeffAladdin:open sesame"), REFUSED, "RFC 7617 §2.1"),
    ("overlong", _basic(b"Aladdin\xc0\xbaopen sesame"), REFUSED, "RFC 3629 §3"),
    ("plain-text", b"Authorization: Basic Aladdin:open sesame", REFUSED, "RFC 7617 §2"),
    ("plain-text-no-blank", b"Authorization: Basic Ali:k", REFUSED, "RFC 7617 §2"),
    ("parameters", b'Authorization: Basic username="Aladdin", password="open sesame"', REFUSED,
     "RFC 7617 §2"),
    ("base64-of-base64", _basic(_b64("Aladdin:open sesame")), REFUSED, "RFC 7617 §2"),
    ("base64-of-header", _basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), REFUSED, "RFC 7617 §2"),
    ("base64-each", b"Authorization: Basic QWxhZGRpbg==:b3BlbiBzZXNhbWU=", REFUSED,
     "RFC 4648 §3.3"),
    ("hex", b"Authorization: Basic " + b"Aladdin:open sesame".hex().encode(), REFUSED,
     "RFC 7617 §2"),
    ("base32", b"Authorization: Basic " + base64.b32encode(b"Aladdin:open sesame"), REFUSED,
     "RFC 7617 §2"),
    ("scheme-long-s", "Authorization: Ba\u017fic QWxpOms=".encode(), REFUSED, "RFC 9110 §5.6.2"),
    ("scheme-dotless-i", "Authorization: Bas\u0131c QWxpOms=".encode(), REFUSED,
     "RFC 9110 §5.6.2"),
    # Base64.
    ("base64-url-alphabet", b"Authorization: Basic cGx1czo_Pz8-Pj5-fn4=", REFUSED,
     "RFC 4648 §3.3, §4"),
    ("base64-mixed-alphabet", b"Authorization: Basic cGx1czo/Pz8-Pj5+fn4=", REFUSED,
     "RFC 4648 §3.3, §4"),
    ("base64-padding-missing", b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ", EITHER,
     "RFC 4648 §3.2"),
    ("base64-padding-short", b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=", EITHER,
     "RFC 4648 §3.2"),
    ("base64-padding-one-missing", b"Authorization: Basic QWxpOms", EITHER, "RFC 4648 §3.2"),
    ("base64-padding-more", b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ===", EITHER,
     "RFC 4648 §3.3"),
    ("base64-padding-needless", b"Authorization: Basic ZXF1YWxzOj09=", EITHER, "RFC 4648 §3.3"),
    ("base64-padding-within", b"Authorization: Basic QWxhZGRpbjo=b3BlbiBzZXNhbWU=", REFUSED,
     "RFC 4648 §3.3"),
    ("base64-after-padding", b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==QWxpOms=",
     REFUSED, "RFC 4648 §3.3"),
    ("base64-letter-after-padding", b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==x",
     REFUSED, "RFC 4648 §3.3"),
    ("base64-between-padding", b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=!=", REFUSED,
     "RFC 4648 §3.3"),
    ("base64-blank-in-padding", b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ= =", REFUSED,
     "RFC 4648 §3.3"),
    ("base64-trailing-bits", b"Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==", EITHER,
     "RFC 4648 §3.5"),
    ("base64-trailing-bits-one", b"Authorization: Basic QWxpOmt=", EITHER, "RFC 4648 §3.5"),
    ("base64-one-letter", b"Authorization: Basic Q", REFUSED, "RFC 4648 §4"),
    ("base64-letter-too-many", b"Authorization: Basic ZXF1YWxzOj09A", REFUSED, "RFC 4648 §4"),
    ("base64-dot", b"Authorization: Basic QWxpOms.=", REFUSED, "RFC 4648 §3.3"),
    ("base64-dash-added", b"Authorization: Basic QWxp-Oms=", REFUSED, "RFC 4648 §3.3"),
    ("base64-underscore-added", b"Authorization: Basic QWxp_Oms=", REFUSED, "RFC 4648 §3.3"),
    ("base64-tilde-added", b"Authorization: Basic QWxp~Oms=", REFUSED, "RFC 4648 §3.3"),
    ("base64-dot-added", b"Authorization: Basic QWxp.Oms=", REFUSED, "RFC 4648 §3.3"),
    ("base64-dots-around", b"Authorization: Basic ..QWxpOms=..", REFUSED, "RFC 4648 §3.3"),
    ("base64-many-marks", b"Authorization: Basic Q.W.x.p.O.m.s.=", REFUSED, "RFC 4648 §3.3"),
    ("base64-equals-escaped", b"Authorization: Basic QWxpOms%3D", REFUSED, "RFC 4648 §3.3"),
    ("base64-full-width", "Authorization: Basic QWxpOm\uff53=".encode(), REFUSED,
     "RFC 4648 §3.3"),
    ("base64-case", b"Authorization: Basic qwXPoMS=", REFUSED, "RFC 4648 §4"),
    ("base64-data-url", b"Authorization: Basic data:;base64,QWxpOms=", REFUSED, "RFC 4648 §3.3"),
]  # fmt: skip

# Of these tokens, two are in rows that both schemes have, and two may be refused.
_APART = ("rfc6750", "padded", "longer", "vschar")

_BEARER: list[Row] = [
    *((f"token-{user}", _bearer(token.encode()), IN, "RFC 6750 §2.1")
      for token, user in TOKENS.items() if user not in _APART),
    ("token-longer", _bearer(b"y" * 4000), EITHER, "RFC 9110 §5.4"),
    ("token-vschar", _bearer(b"v!#s;c"), EITHER, "RFC 6749 §A.12, RFC 6750 §2.1"),
    ("token-prefix", _bearer(b"mF_9.B5f-4.1Jq"), REFUSED, "RFC 6750 §3.1"),
    ("token-and-more", _bearer(b"mF_9.B5f-4.1JqMx"), REFUSED, "RFC 6750 §3.1"),
    ("token-case", _bearer(b"MF_9.B5F-4.1JQM"), REFUSED, "RFC 6750 §3.1"),
    ("token-swapped-case", _bearer(b"Mf_9.b5F-4.1jQm"), REFUSED, "RFC 6750 §3.1"),
    ("token-reversed", _bearer(b"MqJ1.4-f5B.9_Fm"), REFUSED, "RFC 6750 §3.1"),
    ("token-dot-after", _bearer(b"mF_9.B5f-4.1JqM."), REFUSED, "RFC 6750 §3.1"),
    ("token-slash-after", _bearer(b"mF_9.B5f-4.1JqM/"), REFUSED, "RFC 6750 §3.1"),
    ("token-padding-added", _bearer(b"mF_9.B5f-4.1JqM="), REFUSED, "RFC 6750 §3.1"),
    ("token-padding-removed", _bearer(b"dG9rZW4"), REFUSED, "RFC 6750 §3.1"),
    ("token-padding-more", _bearer(b"dG9rZW4=="), REFUSED, "RFC 6750 §3.1"),
    ("token-padding-first", _bearer(b"=dG9rZW4"), REFUSED, "RFC 6750 §2.1"),
    ("token-padding-inside", _bearer(b"dG9r=ZW4="), REFUSED, "RFC 6750 §2.1"),
    ("token-decoded", _bearer(b"token"), REFUSED, "RFC 6750 §3.1"),
    ("token-base64", _bearer(_b64("mF_9.B5f-4.1JqM")), REFUSED, "RFC 6750 §3.1"),
    ("token-percent-encoded", _bearer(b"mF%5F9.B5f-4.1JqM"), REFUSED, "RFC 6750 §2.1"),
    ("token-plus-for-blank", _bearer(b"AZaz09-._~ /"), REFUSED, "RFC 6750 §2.1"),
    ("token-url-alphabet", _bearer(b"AZaz09-._~-_"), REFUSED, "RFC 6750 §3.1"),
    ("token-twice", _bearer(b"mF_9.B5f-4.1JqMmF_9.B5f-4.1JqM"), REFUSED, "RFC 6750 §3.1"),
    ("token-parameter", _bearer(b"access_token=mF_9.B5f-4.1JqM"), REFUSED, "RFC 6750 §2.1"),
    ("token-quoted-parameter", _bearer(b'access_token="mF_9.B5f-4.1JqM"'), REFUSED,
     "RFC 6750 §2.1"),
    ("token-json", _bearer(b'{"access_token":"mF_9.B5f-4.1JqM"}'), REFUSED, "RFC 6750 §2.1"),
    ("token-full-width", "Authorization: Bearer mF_9.B5f-4.1Jq\uff2d".encode(), REFUSED,
     "RFC 6750 §2.1"),
    ("token-cyrillic", "Authorization: Bearer \u0430".encode(), REFUSED, "RFC 6750 §2.1"),
    ("token-ordinal", b"Authorization: Bearer \xaa", REFUSED, "RFC 6750 §2.1"),
    ("token-superscript", b"Authorization: Bearer \xb2", REFUSED, "RFC 6750 §2.1"),
    ("token-combining", "Authorization: Bearer a\u0301".encode(), REFUSED, "RFC 6750 §2.1"),
    ("token-alg-none", _bearer(b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."), REFUSED,
     "RFC 6750 §3.1"),
    ("token-two-dots", _bearer(b".."), REFUSED, "RFC 6750 §3.1"),
    ("token-jwt-empty-parts", _bearer(b"e30.e30."), REFUSED, "RFC 6750 §3.1"),
    ("token-jwt-not-json", _bearer(b"AAAA.AAAA.AAAA"), REFUSED, "RFC 6750 §3.1"),
    ("token-jwt-nested", _bearer(_b64(b"[" * 1500) + b".e30.AA"), REFUSED, "RFC 6750 §3.1"),
    ("token-none", _bearer(b"None"), REFUSED, "RFC 6750 §3.1"),
    ("token-true", _bearer(b"true"), REFUSED, "RFC 6750 §3.1"),
    ("token-zeros", _bearer(b"00"), REFUSED, "RFC 6750 §3.1"),
    ("token-user-name", _bearer(b"rfc6750"), REFUSED, "RFC 6750 §3.1"),
    ("scheme-dpop", b"Authorization: DPoP mF_9.B5f-4.1JqM", REFUSED, "RFC 9449 §7.1"),
    ("scheme-mac", b'Authorization: MAC id="mF_9.B5f-4.1JqM"', REFUSED, "RFC 9110 §11.1"),
    ("scheme-oauth", b"Authorization: OAuth mF_9.B5f-4.1JqM", REFUSED, "RFC 9110 §11.1"),
    ("scheme-jwt", b"Authorization: JWT mF_9.B5f-4.1JqM", REFUSED, "RFC 9110 §11.1"),
    ("basic-token-as-password", _basic("x:mF_9.B5f-4.1JqM"), REFUSED, "RFC 6750 §2.1"),
    ("basic-token-as-user", _basic("mF_9.B5f-4.1JqM:"), REFUSED, "RFC 6750 §2.1"),
]  # fmt: skip


def _filled(template: bytes, scheme: Scheme) -> bytes:
    name, good = _NAME[scheme], _GOOD[scheme]
    values = {
        b"<S>": name,
        b"<s>": name.lower(),
        b"<U>": name.upper(),
        b"<X>": name.swapcase(),
        b"<C>": name[:-1],
        b"<1>": good[:8],
        b"<2>": good[8:],
        b"<F>": _FOREIGN[scheme],
        b"<G>": good,
        b"<O>": _OTHER[scheme],
        b"<W>": _WRONG[scheme],
    }
    for place, value in values.items():
        template = template.replace(place, value)
    return template


def _cases(scheme: Scheme, own: list[Row]) -> list[Case]:
    rows = [
        (id_, _filled(lines, scheme), right, section.replace(_TOKEN68, _GRAMMAR[scheme]))
        for id_, lines, right, section in _SHARED
    ]
    return [Case(f"{scheme}-{row[0]}", scheme, *row[1:]) for row in [*rows, *own]]


CASES = [*_cases("basic", _BASIC), *_cases("bearer", _BEARER)]
