"""The keys that attempts are counted by: the account, and the address.

No header is read here, ever. Behind a reverse proxy the server takes the address from the proxy.
"""

import functools
import ipaddress
import unicodedata
from collections.abc import Callable
from typing import TypeAlias

from starlette.requests import HTTPConnection

__all__ = ["Key", "by_address", "by_username", "has_address"]

#: What an attempt is counted by: text, or None where the attempt is not counted.
Key: TypeAlias = Callable[[HTTPConnection | None, str | None], str | None]

#: The key of every client whose address the server does not know, as behind a Unix socket.
_UNKNOWN = "unknown"

# Normalising takes quadratic time for a run of combining characters. No account has a name with
# one of this length, and it counts all the same.
_LONGEST_RUN = 1024
# Those of no combining class whose normal form is of combining characters.
_HIDDEN = dict.fromkeys(map(ord, "\u0f73\u0f75\u0f81\uff9e\uff9f"), "\u0301")

# Both hold an IPv4 address in their last 32 bits: RFC 4291 section 2.5.5.2 and RFC 6052 section
# 2.1.
_IPV4_INSIDE = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))


def by_username(conn: HTTPConnection | None, username: str | None) -> str | None:
    """Count by account: the claimed user name, whoever sends it.

    Where `Alice` and `alice` are two accounts, write a key of your own: the success of one clears
    the failures of the other.

    Args:
        conn: The request or WebSocket, which is not looked at.
        username: The claimed user name.

    Returns:
        The name in Unicode's form NFKC (UAX #15), without case and surrounding white space, so that
        `Alice` and `alice ` are one account. A name with 1,024 combining characters in a row is
        not normalised. None without a name.
    """
    if username is None:
        return None
    name = username if _is_slow(username) else unicodedata.normalize("NFKC", username)
    return name.casefold().strip() or None


def _is_slow(name: str) -> bool:
    if len(name) < _LONGEST_RUN or name.isascii():
        return False
    classes = map(unicodedata.combining, name.translate(_HIDDEN))
    return b"\1" * _LONGEST_RUN in bytes(map(bool, classes))


def by_address(conn: HTTPConnection | None, username: str | None) -> str | None:
    """Count by the address of the client, as the server knows it.

    Args:
        conn: The request or WebSocket.
        username: The claimed user name, which is not looked at.

    Returns:
        An IPv4 address; the /64 network of an IPv6 address, which is what one customer gets (RFC
        6177), without a scope id; the IPv4 address inside an IPv6 address of `::ffff:0:0/96` or
        `64:ff9b::/96`; something that is not an address, as it is; or one constant for all clients
        that the server does not know. None without a connection.
    """
    if conn is None:
        return None
    if not has_address(conn):
        return _UNKNOWN
    assert conn.client is not None  # noqa: S101 - it has an address
    return _network(conn.client.host)


def has_address(conn: HTTPConnection | None) -> bool:
    """Return whether the server knows where *conn* comes from."""
    return conn is not None and conn.client is not None and bool(conn.client.host)


@functools.lru_cache(maxsize=4096)
def _network(host: str) -> str:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if any(address in network for network in _IPV4_INSIDE):
        return str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
