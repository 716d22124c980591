"""The session id, its digest, and the cookie that carries it.

The prefix `__Host-` (RFC 6265bis section 4.1.3.2) makes browsers accept the cookie over https only,
without a Domain and for all paths, so that neither a subdomain nor plain http can set it.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from starlette.requests import HTTPConnection
from starlette.responses import Response

__all__ = ["Cookie", "SessionId"]

_ID_BYTES = 32
_ID = re.compile(r"[A-Za-z0-9_-]{43}")
# No token holds a NUL, so no digest of a token (`digest_token`) is that of an id.
_DOMAIN = b"starlette_auth_sessions\0"
_BLANKS = " \t"


@dataclass(frozen=True, slots=True)
class SessionId:
    """A well-formed session id. Its `repr` does not show it: error reporters show variables."""

    secret: str = field(repr=False)

    @classmethod
    def generate(cls) -> "SessionId":
        """Return a new one: 256 bits of the system's secure random source."""
        return cls(secrets.token_urlsafe(_ID_BYTES))

    @classmethod
    def parse(cls, secret: str) -> "SessionId | None":
        """Return the id that is written so, or None where `generate` makes none like that."""
        return cls(secret) if _ID.fullmatch(secret) else None

    @property
    def digest(self) -> str:
        """What is stored of the id: a SHA-256 in lower-case hexadecimal."""
        return hashlib.sha256(_DOMAIN + self.secret.encode("ascii")).hexdigest()


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

    def read(self, conn: HTTPConnection) -> list[SessionId | None]:
        """Return the ids in all cookies of this name, and None for each malformed one.

        A value counts exactly as it was sent. Starlette's `conn.cookies` unquotes values, and shows
        one of several.
        """
        ids = []
        # HTTP/2 lets a client send cookies in several lines (RFC 9113 section 8.2.3).
        for line in conn.headers.getlist("cookie"):
            for pair in line.strip(_BLANKS).split(";"):
                name, equals, secret = pair.lstrip(_BLANKS).partition("=")
                if equals and name == self.name:
                    ids.append(SessionId.parse(secret))
        return ids

    def set(self, response: Response, session_id: SessionId, max_age: timedelta) -> None:
        """Have *response* set the cookie."""
        self._send(response, session_id.secret, int(max_age.total_seconds()))

    def expire(self, response: Response) -> None:
        """Have *response* delete the cookie."""
        self._send(response, "", 0)

    def _send(self, response: Response, secret: str, max_age: int) -> None:
        attributes = ("Path=/", *(() if self.insecure else ("Secure",)), "HttpOnly", "SameSite=Lax")
        line = "; ".join((f"{self.name}={secret}", *attributes, f"Max-Age={max_age}"))
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
