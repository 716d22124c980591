"""Tokens in the memory of one process, for tests and demos."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic

from ._token_store import TokenStore
from ._typing import TypeVar

__all__ = ["MemoryTokenRow", "MemoryTokenStore"]

_UserT = TypeVar("_UserT", default=Any)


# Neither digests nor users show in a repr, which ends up in logs. Rows of one digest are equal.
@dataclass(unsafe_hash=True)
class MemoryTokenRow(Generic[_UserT]):
    """A row of `MemoryTokenStore`; the app's own fields are attributes too."""

    digest: str = field(repr=False)
    user: _UserT = field(repr=False, compare=False)
    scopes: str | None = field(compare=False)
    created_at: datetime = field(compare=False)
    expires_at: datetime | None = field(compare=False)
    last_used_at: datetime | None = field(default=None, compare=False)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


_OWN_FIELDS = frozenset(MemoryTokenRow.__dataclass_fields__)


class MemoryTokenStore(TokenStore[_UserT, MemoryTokenRow[_UserT]], Generic[_UserT]):
    """Keeps tokens in memory, for tests and demos: they are gone when the process ends.

    It takes any field of the app, and has no table of users: users are compared by `==`, and a
    deleted one is not known as such. Call `revoke_all` for a user who is deleted. It is not safe to
    use from several threads at once.

    Args:
        active_field: The attribute of a user that is false for one who may not log in. None:
            every user may.
    """

    def __init__(self, *, active_field: str | None = None) -> None:
        self._active_field = active_field
        self._rows: dict[str, MemoryTokenRow[_UserT]] = {}

    async def find(self, digest: str) -> MemoryTokenRow[_UserT] | None:
        """Return the row with this digest; see `TokenStore.find`."""
        row = self._rows.get(digest)
        return copy.copy(row) if row is not None and self._is_active(row.user) else None

    async def insert(
        self,
        user: _UserT,
        *,
        digest: str,
        scopes: str | None,
        created_at: datetime,
        expires_at: datetime | None,
        **extra: Any,
    ) -> MemoryTokenRow[_UserT]:
        """Store a row; see `TokenStore.insert`.

        Raises:
            TypeError: If *extra* holds `last_used_at`.
            ValueError: If the user may not log in, or there is a row with this digest.
        """
        if not self._is_active(user):
            raise ValueError("the user may not log in, so they get no token")
        if digest in self._rows:
            raise ValueError("there is a row with this digest")
        if not _OWN_FIELDS.isdisjoint(extra):
            raise TypeError("last_used_at can't be set: touch records it")
        row = MemoryTokenRow(digest, user, scopes, created_at, expires_at)
        vars(row).update(extra)
        self._rows[digest] = row
        return copy.copy(row)

    def extra(self, row: MemoryTokenRow[_UserT]) -> Mapping[str, Any]:
        """Return the app's own fields of *row*; see `TokenStore.extra`."""
        return {name: value for name, value in vars(row).items() if name not in _OWN_FIELDS}

    async def expire(self, row: MemoryTokenRow[_UserT], at: datetime | None) -> bool:
        """Give *row* another end, where it still has the one it says; see `TokenStore.expire`."""
        stored = self._rows.get(row.digest)
        if stored is None or stored.expires_at != row.expires_at:
            return False
        stored.expires_at = at
        return True

    async def touch(
        self, row: MemoryTokenRow[_UserT], at: datetime, *, unless_since: datetime
    ) -> bool:
        """Store that *row* was used, where that is due; see `TokenStore.touch`."""
        stored = self._rows.get(row.digest)
        if stored is None or (stored.last_used_at and stored.last_used_at >= unless_since):
            return False
        stored.last_used_at = at
        return True

    async def delete(self, row: MemoryTokenRow[_UserT]) -> bool:
        """Delete *row*; see `TokenStore.delete`."""
        return self._rows.pop(row.digest, None) is not None

    async def delete_all(self, user: _UserT, *, keep: MemoryTokenRow[_UserT] | None = None) -> int:
        """Delete the rows of a user; see `TokenStore.delete_all`."""
        return self._delete([row for row in self._of(user) if row != keep])

    async def list(self, user: _UserT) -> Sequence[MemoryTokenRow[_UserT]]:
        """Return the rows of a user, newest first; see `TokenStore.list`."""
        # Of two rows of one second, the one that was stored later is newer.
        rows = [copy.copy(row) for row in reversed(self._of(user))]
        rows.sort(key=lambda row: row.created_at, reverse=True)
        return rows

    async def purge(self, before: datetime) -> int:
        """Delete what expired before a time; see `TokenStore.purge`."""
        rows = self._rows.values()
        return self._delete([row for row in rows if row.expires_at and row.expires_at < before])

    def _is_active(self, user: _UserT) -> bool:
        return self._active_field is None or bool(getattr(user, self._active_field))

    def _of(self, user: _UserT) -> Sequence[MemoryTokenRow[_UserT]]:
        return [row for row in self._rows.values() if row.user == user]

    def _delete(self, rows: Sequence[MemoryTokenRow[_UserT]]) -> int:
        for row in rows:
            del self._rows[row.digest]
        return len(rows)
