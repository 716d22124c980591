"""The session id, its digest, and the cookie that carries it.

The prefix `__Host-` (RFC 6265bis section 4.1.3.2) makes browsers accept the cookie over https only,
without a Domain and for all paths, so that neither a subdomain nor plain http can set it.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import HTTPConnection
from starlette.responses import Response

__all__ = ["Cookie", "digest_id", "generate_id", "is_well_formed"]

_ID_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9_-]{43}")
# No token holds a NUL, so no digest of a token (`digest_token`) is that of an id.
_DOMAIN = b"starlette_auth_sessions\0"
_BLANKS = " \t"


def generate_id() -> str:
    """Return a new session id: 256 bits of the system's secure random source."""
    return secrets.token_urlsafe(_ID_BYTES)


def is_well_formed(session_id: str) -> bool:
    """Return whether *session_id* could have come from `generate_id`."""
    return _ID.fullmatch(session_id) is not None


def digest_id(session_id: str) -> str:
    """Return what is stored of a well-formed id: a SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(_DOMAIN + session_id.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Cookie:
    """The cookie of sessions, in one of its two modes.

    Args:
        insecure: Whether it works over plain http too. Each mode has a name of its own, so that a
            cookie that plain http has set is never taken for one of https.
    """

    insecure: bool

    @property
    def name(self) -> str:
        """The name of the cookie."""
        # Not `session`, which is the one of Starlette's SessionMiddleware.
        return "insecure-session" if self.insecure else "__Host-session"

    def read(self, conn: HTTPConnection) -> list[str]:
        """Return the values of all cookies of this name, exactly as they were sent.

        Starlette's `conn.cookies` unquotes values, and shows one of several.
        """
        values = []
        # HTTP/2 lets a client send cookies in several lines (RFC 9113 section 8.2.3).
        for line in conn.headers.getlist("cookie"):
            for pair in line.strip(_BLANKS).split(";"):
                name, equals, value = pair.lstrip(_BLANKS).partition("=")
                if equals and name == self.name:
                    values.append(value)
        return values

    def set(self, response: Response, session_id: str, max_age: timedelta) -> None:
        """Have *response* set the cookie."""
        self._send(response, session_id, int(max_age.total_seconds()))

    def expire(self, response: Response) -> None:
        """Have *response* delete the cookie."""
        self._send(response, "", 0)

    def _send(self, response: Response, value: str, max_age: int) -> None:
        attributes = ("Path=/", *(() if self.insecure else ("Secure",)), "HttpOnly", "SameSite=Lax")
        line = "; ".join((f"{self.name}={value}", *attributes, f"Max-Age={max_age}"))
        # RFC 6265 section 4.1.1: a response sets a cookie once.
        own = f"{self.name}=".encode("ascii")
        response.raw_headers[:] = [
            (key, other)
            for key, other in response.raw_headers
            if not (key.lower() == b"set-cookie" and other.startswith(own))
        ]
        response.headers.append("set-cookie", line)
        # OWASP Session Management Cheat Sheet, "Web Content Caching".
        response.headers.setdefault("cache-control", "no-store")
