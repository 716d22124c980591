"""Reads credentials from a request's headers: the one place that sees raw header values.

None means that the request holds no credentials of that kind. Credentials of that kind which do
not follow the grammar of RFC 9110 section 11.4, RFC 7617 section 2 or RFC 6750 section 2.1 raise
`InvalidCredentials`.

Error reporters show the local variables of each frame. So a local that may hold a credential is
named `secret`, `password` or `token` here: reporters hide those names.
"""

import binascii
import functools
import logging
import re
from dataclasses import dataclass, field
from typing import NoReturn

from starlette.requests import HTTPConnection

from ._exceptions import InvalidCredentials
from ._grammar import is_reserved_scope, is_scope_token

__all__ = [
    "MAX_CREDENTIALS_SIZE",
    "TOKEN68",
    "VISIBLE_ASCII",
    "BasicCredentials",
    "Grammar",
    "is_plain_text",
    "is_reserved_scope",
    "is_scope_token",
    "read_api_key",
    "read_basic",
    "read_token",
]

_logger = logging.getLogger("starlette_auth_core")

#: The longest credentials that are read by default, in bytes (without the name of the scheme):
#: 8 KiB, which is more than most servers allow for a whole header.
MAX_CREDENTIALS_SIZE = 8192

_TOKEN_CHARACTERS = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# The key of a scope that holds the limit which was logged.
_TOO_LONG = "starlette_auth_core.too_long"
# Optional whitespace around a field value, RFC 9110 section 5.5. Some servers leave it there.
_BLANKS = b" \t"
# All of the Unicode category Cc, and the surrogates, which UTF-8 can't encode.
_UNFIT_FOR_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """The user-id and password of RFC 7617. Its `repr` shows neither."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Grammar:
    """The grammar of a token: one or more *characters*, then any number of *padding*.

    Args:
        characters: The characters that the token consists of.
        padding: The character that may follow at the end. Empty: none.
    """

    characters: bytes
    padding: bytes = b""
    _table: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Leaves each of the characters as it is, and changes every other byte. A token is looked at
        # in each request, and to delete the characters from it takes twice the time.
        table = bytes(byte if byte in self.characters else 255 - byte for byte in range(256))
        object.__setattr__(self, "_table", table)

    def matches(self, token: bytes) -> bool:
        """Return whether *token* follows the grammar, in linear time."""
        secret = token.rstrip(self.padding) if self.padding else token
        return secret != b"" and secret.translate(self._table) == secret


#: Visible ASCII without spaces: the grammar of `Authorization: Token …` and `X-API-Key: …`.
VISIBLE_ASCII = Grammar(bytes(range(0x21, 0x7F)))
#: `token68` of RFC 9110 section 11.2, the `b64token` of RFC 6750 section 2.1.
TOKEN68 = Grammar(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/", padding=b"="
)


def read_basic(
    conn: HTTPConnection,
    *,
    fallback_charset: str | None = None,
    max_size: int = MAX_CREDENTIALS_SIZE,
) -> BasicCredentials | None:
    """Return the credentials of the scheme `Basic`.

    Args:
        conn: The request or WebSocket.
        fallback_charset: The charset to try when the credentials are not UTF-8.
        max_size: The longest credentials to read, in bytes of base64.

    Returns:
        The user-id and password, or None where the request has no `Authorization` header or one
        of another scheme.

    Raises:
        InvalidCredentials: If the header is of the scheme, and malformed or too long. Base64 has
            to be exactly what an encoder of RFC 4648 section 4 writes, padding and zero trailing
            bits included (sections 3.2 and 3.5), so that each meaning has one text.
    """
    secret = _read_pair(conn, fallback_charset, max_size)
    return None if secret is None else BasicCredentials(*secret)


def _read_pair(
    conn: HTTPConnection, fallback_charset: str | None, max_size: int
) -> tuple[str, str] | None:
    """Do as `read_basic` does, at half the cost of its frozen object."""
    token = _read_header(conn, b"authorization", b"basic")
    if token is None:
        return None
    if len(token) > max_size:
        _refuse(conn, token, max_size)
    secret = _decode(_decode_base64(token), fallback_charset)
    if ":" not in secret or not is_plain_text(secret):
        raise InvalidCredentials
    # The user-id ends at the first colon; the password may hold more of them.
    username, _, password = secret.partition(":")
    return username, password


def read_token(
    conn: HTTPConnection,
    scheme: str,
    grammar: Grammar = VISIBLE_ASCII,
    *,
    max_size: int = MAX_CREDENTIALS_SIZE,
) -> str | None:
    """Return the token of a scheme: `Authorization: <scheme> <token>`.

    Args:
        conn: The request or WebSocket.
        scheme: The name of the scheme, in any case.
        grammar: The grammar of the token.
        max_size: The longest token to read, in bytes.

    Returns:
        The token, or None where the request has no `Authorization` header or one of another
        scheme.

    Raises:
        InvalidCredentials: If the header is of the scheme, and malformed or too long.
    """
    token = _read_header(conn, b"authorization", _lowered(scheme))
    if token is None:
        return None
    if len(token) > max_size or not grammar.matches(token):
        _refuse(conn, token, max_size)
    return token.decode("ascii")


def read_api_key(
    conn: HTTPConnection,
    header: str,
    grammar: Grammar = VISIBLE_ASCII,
    *,
    max_size: int = MAX_CREDENTIALS_SIZE,
) -> str | None:
    """Return the bare token in a header.

    Args:
        conn: The request or WebSocket.
        header: The name of the header, in any case.
        grammar: The grammar of the token.
        max_size: The longest token to read, in bytes.

    Returns:
        The token, or None where the request does not have the header.

    Raises:
        InvalidCredentials: If the token is malformed or too long, or the header occurs twice.
    """
    token = _read_header(conn, _lowered(header))
    if token is None:
        return None
    if len(token) > max_size or not grammar.matches(token):
        _refuse(conn, token, max_size)
    return token.decode("ascii")


def is_plain_text(text: object) -> bool:
    """Return whether *text* is a string without control characters and lone surrogates.

    RFC 7617 section 2 keeps control characters out of user-id and password. Some databases can
    store neither.
    """
    # Fast path: printable text contains none of them.
    return isinstance(text, str) and (text.isprintable() or _UNFIT_FOR_TEXT.search(text) is None)


@functools.lru_cache(maxsize=64)
def _lowered(name: str) -> bytes:
    return name.lower().encode("ascii")


def _read_header(conn: HTTPConnection, name: bytes, scheme: bytes | None = None) -> bytes | None:
    # The value of a header; or, given a scheme, the credentials of that scheme in it.
    scope = conn.scope
    if type(scope["headers"]) is not list:
        # An iterator can be read only once: the next backend and the app would see no headers.
        scope["headers"] = list(scope["headers"])
    token: bytes | None = None
    for key, secret in scope["headers"]:
        if key == name:
            # RFC 9110 section 5.3: such a field is sent once. Two parties that pick different
            # ones of several would disagree about who is asking.
            if token is not None:
                raise InvalidCredentials
            token = secret
    if token is None:
        return None
    token = token.strip(_BLANKS)
    if scheme is None:
        return token
    # The first word is a credential where a client forgot to name the scheme.
    secret, _, token = token.partition(b" ")
    if secret.lower() == scheme:
        return token.lstrip(b" ")
    # `Basic<tab>…` and an empty header do not name a scheme, so they are not another one's. No
    # scheme was tried, so RFC 6750 section 3.1 has no error to name.
    if not secret or secret.translate(None, _TOKEN_CHARACTERS):
        raise InvalidCredentials(parameters={})
    return None


def _refuse(conn: HTTPConnection, token: bytes, max_size: int) -> NoReturn:
    # One line for each connection, however many backends read the same header.
    if len(token) > max_size and conn.scope.get(_TOO_LONG) != max_size:
        conn.scope[_TOO_LONG] = max_size
        _logger.info(
            "Credentials refused: they are longer than max_credentials_size, which is %d bytes",
            max_size,
        )
    raise InvalidCredentials


def _decode_base64(token: bytes) -> bytes:
    try:
        secret = binascii.a2b_base64(token)
    except ValueError:
        secret = b""
    # Encoding it again shows everything that a lenient decoder passes over.
    if not token or binascii.b2a_base64(secret, newline=False) != token:
        raise InvalidCredentials
    return secret


def _decode(secret: bytes, fallback_charset: str | None) -> str:
    for charset in ("utf-8", fallback_charset):
        if charset is not None:
            try:
                return secret.decode(charset)
            except UnicodeError:
                continue
    # Raised here, out of the handler: a UnicodeDecodeError carries the whole credentials.
    raise InvalidCredentials
