"""Refuses what another site makes a browser send.

A browser adds the session cookie to a request whoever made it send that request. `Sec-Fetch-Site`
(Fetch Metadata Request Headers, section 2.3) and `Origin` (RFC 6454 section 7) say who did, and no
script can set either. The order of the rules is that of Go 1.25's `CrossOriginProtection`, with
`Sec-Fetch-Site: same-site` refused: a subdomain, or another port, is another app.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from starlette.authentication import AuthenticationError
from starlette.requests import HTTPConnection

__all__ = ["CrossOriginRequest", "Origin", "check_origin", "is_unsafe", "trusted"]

# RFC 9110 section 9.2.1. The names are case-sensitive: `get` is another method.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_ORIGIN = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<host>[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# A page that opens a WebSocket has the origin of its own scheme.
_PAGE_SCHEMES = {"ws": "http", "wss": "https"}
# Optional whitespace around a field value, RFC 9110 section 5.5. Some servers leave it there.
_BLANKS = " \t"


class CrossOriginRequest(AuthenticationError):
    """Raised when another site made a browser send a request that changes something.

    Args:
        message: The text of the response.

    Attributes:
        status_code: The status of the response: 403. It has no challenge, since no other
            credentials would help.
    """

    status_code = 403

    def __init__(self, message: str = "Cross-origin request refused") -> None:
        super().__init__(message)


class Origin(NamedTuple):
    """A scheme, a host and a port: an origin of RFC 6454 section 4."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "Origin | None":
        """Return the origin that is written as *text*, or None where that is not an origin."""
        match = _ORIGIN.fullmatch(text)
        if match is None:
            return None
        scheme = match["scheme"].lower()
        scheme = _PAGE_SCHEMES.get(scheme, scheme)
        port = _DEFAULT_PORTS.get(scheme) if match["port"] is None else int(match["port"])
        return (
            None if port is not None and port > 65535 else cls(scheme, match["host"].lower(), port)
        )


def trusted(origins: Iterable[str]) -> frozenset[Origin]:
    """Return the setting `trusted_origins`, parsed.

    Raises:
        TypeError: If it is not a sequence, or one of its values is not a string.
        ValueError: If one of them is not an origin.
    """
    if isinstance(origins, (str, bytes, bytearray)):
        raise TypeError(f"trusted_origins must be a sequence of origins: use ({origins!r},)")
    if not isinstance(origins, Iterable):
        raise TypeError(
            f"trusted_origins must be a sequence of origins, not a {type(origins).__name__}"
        )
    parsed = set()
    for text in origins:
        if not isinstance(text, str):
            raise TypeError(f"trusted_origins holds a {type(text).__name__}: write origins as str")
        origin = Origin.parse(text)
        if origin is None:
            raise ValueError(
                f"trusted_origins: {text!r} is not an origin: write a scheme, a host and perhaps a "
                "port, such as 'https://app.example.org', without a path, a slash at the end, a "
                "user or a wildcard"
            )
        parsed.add(origin)
    return frozenset(parsed)


def is_unsafe(conn: HTTPConnection) -> bool:
    """Return whether a request may change something; a WebSocket may."""
    return conn.scope["type"] == "websocket" or conn.scope["method"] not in _SAFE_METHODS


def check_origin(conn: HTTPConnection, trusted_origins: frozenset[Origin]) -> None:
    """Refuse a request that a page of another origin made the browser send.

    Raises:
        CrossOriginRequest: If it is one, or does not say it clearly.
    """
    origins, sites = _lines(conn, "origin"), _lines(conn, "sec-fetch-site")
    if len(origins) > 1 or len(sites) > 1:
        raise CrossOriginRequest
    origin = Origin.parse(origins[0]) if origins else None
    if origin is not None and origin in trusted_origins:
        return
    if sites and sites[0]:
        # The browser compares better than we do: it knows the host that its user sees.
        if sites[0] in {"same-origin", "none"}:
            return
        raise CrossOriginRequest
    # Browsers send an Origin with every unsafe request and every handshake. Other clients keep no
    # cookies that another site could use.
    if origins and (origin is None or origin != _own_origin(conn)):
        raise CrossOriginRequest


def _own_origin(conn: HTTPConnection) -> Origin | None:
    hosts = _lines(conn, "host")
    scheme = conn.scope.get("scheme", "http")
    return Origin.parse(f"{scheme}://{hosts[0]}") if len(hosts) == 1 else None


def _lines(conn: HTTPConnection, name: str) -> list[str]:
    return [line.strip(_BLANKS) for line in conn.headers.getlist(name)]
