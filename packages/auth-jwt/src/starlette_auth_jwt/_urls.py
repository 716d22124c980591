"""Which URLs are safe to take keys and metadata from."""

import re
from ipaddress import IPv4Address
from urllib.parse import SplitResult, urlsplit

__all__ = ["check_url", "without_query"]

_VISIBLE_ASCII = re.compile(r"[!-~]+")
# RFC 3986 has no place for these.
_UNSAFE = re.compile(r'["<>\\^`{|}]')


def check_url(setting: str, url: object, *, query: bool = True) -> SplitResult:
    """Return the parts of a URL.

    Args:
        setting: The name for the error.
        url: The URL. It is absolute and `https`, or `http` to this machine: without TLS anybody on
            the way could put keys of their own in.
        query: Whether it may have a query.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is not such a URL, or has user information or a fragment.
    """
    if not isinstance(url, str):
        raise TypeError(f"{setting} must be a URL, a string; got {type(url).__name__}")
    parts = _split(url)
    problem = ""
    if parts is None:
        problem = "must be an absolute URL in ASCII, such as https://issuer.example/keys"
    elif "@" in parts.netloc:
        problem = "has user information, which would end up in logs: remove it"
    elif "#" in url:
        problem = "has a fragment, which is never sent: remove it"
    elif "?" in url and not query:
        problem = "has a query: remove it"
    elif not (parts.scheme == "https" or (parts.scheme == "http" and _is_local(parts.hostname))):
        problem = "must be https (http only to localhost, 127.0.0.0/8 and [::1])"
    if parts is None or problem:
        # Not the URL itself: it may hold a password.
        raise ValueError(f"{setting} {problem}")
    return parts


def without_query(url: str) -> str:
    """Return *url* as it may be logged: keys to an API may be in its query."""
    return url.partition("?")[0]


def _split(url: str) -> SplitResult | None:
    if not _VISIBLE_ASCII.fullmatch(url) or _UNSAFE.search(url):
        return None
    try:
        parts = urlsplit(url)
        # Read for its error: a port may be out of range.
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def _is_local(host: str | None) -> bool:
    if host in ("localhost", "::1"):
        return True
    try:
        return IPv4Address(host or "").is_loopback
    except ValueError:
        return False
