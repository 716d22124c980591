"""Takes credentials out of a request's headers: the one place that sees raw header values.

`None` says that there are none of the kind asked for. What is of that kind, but not by the
grammar of RFC 9110 section 11.4, RFC 7617 section 2 or RFC 6750 section 2.1, is
`InvalidCredentials`.
"""

import binascii
import re
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from ._exceptions import InvalidCredentials

__all__ = [
    "MAX_CREDENTIALS_SIZE",
    "TOKEN68",
    "VISIBLE_ASCII",
    "BasicCredentials",
    "Grammar",
    "has_scheme",
    "is_plain_text",
    "read_api_key",
    "read_basic",
    "read_token",
]

#: The longest credentials that are looked at, in bytes (without the scheme's name): 8 KiB. It is
#: more than most servers allow for a whole header.
MAX_CREDENTIALS_SIZE = 8192

_AUTHORIZATION = b"authorization"
_TOKEN_CHARACTERS = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# All of the Unicode category Cc, and the surrogates, which no UTF-8 has.
_UNFIT_FOR_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """The user-id and password of RFC 7617. Its `repr` shows neither."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a token is made of: *characters*, and at the end any number of *padding*."""

    characters: bytes
    padding: bytes = b""

    def matches(self, token: bytes) -> bool:
        """Tell whether *token* is one, in linear time and without a copy of what is right."""
        stem = token.rstrip(self.padding) if self.padding else token
        return bool(stem) and not stem.translate(None, self.characters)


#: Visible ASCII without spaces: what `Authorization: Token …` and `X-API-Key: …` may carry.
VISIBLE_ASCII = Grammar(bytes(range(0x21, 0x7F)))
#: `token68` of RFC 9110 section 11.2, the `b64token` of RFC 6750 section 2.1.
TOKEN68 = Grammar(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/", padding=b"="
)


def read_basic(
    conn: HTTPConnection, *, fallback_charset: str | None = None
) -> BasicCredentials | None:
    """Return the credentials of the scheme `Basic`.

    Args:
        conn: The request.
        fallback_charset: The charset to try when the credentials are not UTF-8.

    Returns:
        The user-id and password, or None where there is no header or one of another scheme.

    Raises:
        InvalidCredentials: If the header is of the scheme, and malformed. Base64 has to be what
            an encoder of RFC 4648 section 4 writes, padding and zero trailing bits included
            (sections 3.2 and 3.5): one text for one meaning.
    """
    encoded = _read_scheme(conn, b"basic")
    if encoded is None:
        return None
    text = _decode(_decode_base64(encoded), fallback_charset)
    # The user-id ends at the first colon; the password may hold more of them.
    username, colon, password = text.partition(":")
    if not colon or not is_plain_text(text):
        raise InvalidCredentials
    return BasicCredentials(username, password)


def read_token(conn: HTTPConnection, scheme: str, grammar: Grammar) -> str | None:
    """Return the token of *scheme*, or None where there is no header or one of another scheme.

    Raises:
        InvalidCredentials: If the header is of the scheme, and malformed.
    """
    token = _read_scheme(conn, scheme.lower().encode("ascii"))
    return None if token is None else _checked(token, grammar)


def read_api_key(conn: HTTPConnection, header: str, grammar: Grammar) -> str | None:
    """Return the bare token in the header of that name, or None where there is none.

    Raises:
        InvalidCredentials: If the token is malformed, or the header occurs twice.
    """
    token = _read_header(conn, header.lower().encode("ascii"))
    return None if token is None else _checked(token, grammar)


def has_scheme(conn: HTTPConnection, scheme: str) -> bool:
    """Tell whether the request's credentials are of *scheme*."""
    try:
        return _read_scheme(conn, scheme.lower().encode("ascii")) is not None
    except InvalidCredentials:
        return False


def is_plain_text(text: object) -> bool:
    """Tell whether *text* is a string without control characters and lone surrogates.

    RFC 7617 section 2 keeps control characters out of user-id and password. Neither can be sent
    to every database.
    """
    # What is printable has none of them, and is told in less than half the time.
    return isinstance(text, str) and (text.isprintable() or _UNFIT_FOR_TEXT.search(text) is None)


def _read_header(conn: HTTPConnection, name: bytes) -> bytes | None:
    # RFC 9110 section 5.3: such a field is sent once. Two parties that pick different ones of
    # several would disagree about who is asking.
    found: bytes | None = None
    for key, value in conn.scope["headers"]:
        if key == name:
            if found is not None:
                raise InvalidCredentials
            found = value
    return found


def _read_scheme(conn: HTTPConnection, scheme: bytes) -> bytes | None:
    header = _read_header(conn, _AUTHORIZATION)
    if header is None:
        return None
    name, _, credentials = header.partition(b" ")
    if name.lower() == scheme:
        return credentials.lstrip(b" ")
    # `Basic<tab>…` or an empty header names no scheme at all, so it is not another one's.
    if not name or name.translate(None, _TOKEN_CHARACTERS):
        raise InvalidCredentials
    return None


def _checked(token: bytes, grammar: Grammar) -> str:
    if len(token) > MAX_CREDENTIALS_SIZE or not grammar.matches(token):
        raise InvalidCredentials
    return token.decode("ascii")


def _decode_base64(encoded: bytes) -> bytes:
    if not 0 < len(encoded) <= MAX_CREDENTIALS_SIZE:
        raise InvalidCredentials
    try:
        decoded = binascii.a2b_base64(encoded)
    except ValueError:
        decoded = b""
    # Encoding it again shows everything that a lenient decoder passes over.
    if binascii.b2a_base64(decoded, newline=False) != encoded:
        raise InvalidCredentials
    return decoded


def _decode(decoded: bytes, fallback_charset: str | None) -> str:
    for charset in ("utf-8", fallback_charset):
        if charset is not None:
            try:
                return decoded.decode(charset)
            except UnicodeError:
                continue
    # Raised here, out of the handler: a UnicodeDecodeError carries the whole credentials.
    raise InvalidCredentials
