"""Reads the claimed user name as the wrapped backends do."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from starlette_auth_core import InvalidCredentials
from starlette_auth_core.credentials import MAX_CREDENTIALS_SIZE, read_basic

__all__ = ["BasicHeader", "BasicReader", "inner_of", "walk"]

# More than core reads as Basic: no wrapped backend may read what is not counted. The blanks are
# those of `str.split`, by which many take the header apart.
_BASIC = re.compile(rb"[\s\x1c-\x1f\x85\xa0]*basic(?![0-9a-z!#$%&'*+.^_`|~-])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BasicHeader:
    """The header of one attempt, without credentials.

    Attributes:
        identity: The same for the same header.
        usernames: The claimed user name. There are several where wrapped backends read the bytes in
            different charsets, and none where the credentials are malformed.
        malformed: Whether they are.
    """

    identity: int
    usernames: Sequence[str]
    malformed: bool


class BasicReader:
    """Reads `Authorization: Basic` with the charsets and the size of a backend's.

    Args:
        backend: The backend. Those that it wraps are found in `backend` and `backends`.
    """

    def __init__(self, backend: object) -> None:
        charsets: dict[str | None, None] = {}
        sizes = [MAX_CREDENTIALS_SIZE]
        for each in walk(backend):
            charset = getattr(each, "fallback_charset", None)
            if isinstance(charset, str):
                charsets[charset] = None
            size = getattr(each, "max_credentials_size", None)
            if isinstance(size, int):
                sizes.append(size)
        self._charsets = tuple(charsets) or (None,)
        self._max_size = max(sizes)

    def read(self, conn: HTTPConnection) -> BasicHeader | None:
        """Return the header of a request, or None for one without Basic credentials."""
        if type(conn.scope["headers"]) is not list:
            # An iterator can be read only once.
            conn.scope["headers"] = list(conn.scope["headers"])
        secrets = tuple(value for key, value in conn.scope["headers"] if key == b"authorization")
        if not any(map(_BASIC.match, secrets)):
            return None
        usernames: dict[str, None] = {}
        for charset in self._charsets:
            with suppress(InvalidCredentials):
                found = read_basic(conn, fallback_charset=charset, max_size=self._max_size)
                usernames |= {} if found is None else {found.username: None}
        named = [username for username in usernames if username]
        return BasicHeader(hash(secrets), named, not usernames)


def walk(backend: object) -> Iterator[object]:
    """Return a backend and all that it wraps in `backend` or `backends`, in order."""
    seen: list[object] = []
    waiting = [backend]
    while waiting:
        each = waiting.pop()
        if any(each is other for other in seen):
            continue
        seen.append(each)
        yield each
        waiting += reversed(inner_of(each))


def inner_of(backend: object) -> Sequence[object]:
    """Return the backends that one wraps."""
    several: Any = getattr(backend, "backends", ())
    inner: Any = getattr(backend, "backend", None)
    return [
        *(several if isinstance(several, (tuple, list)) else ()),
        *(() if inner is None else (inner,)),
    ]
