"""The storage of tokens: queries, and no rule about which token is valid.

The rules are those of `starlette_auth_core.tokens.Tokens`, so a storage knows neither the time nor
the form of a token: rows are told apart by a digest, which any source may choose.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from ._typing import TypeVar

__all__ = ["TokenRow", "TokenStore"]

_UserT_contra = TypeVar("_UserT_contra", contravariant=True, default=Any)
# Without a bound: pyright does not see that the columns of a mapped class satisfy TokenRow.
_RowT = TypeVar("_RowT", default=Any)


class TokenRow(Protocol):
    """The row of a token, as a storage returns it.

    A row may also have `last_used_at`, which is a `datetime` or None, and fields of the app such as
    a `name`. A row without `last_used_at` records no use. Naive times count as UTC.

    Attributes:
        digest: The key of the row, unique. For an API token: `digest_token(token)`.
        user: The user, loaded.
        scopes: The scopes of the token, separated by spaces. None: those that the backend grants
            to the user. An empty string: none of its own.
        created_at: The time of issue, in whole seconds.
        expires_at: The first second at which the token is not valid. None: until it is revoked.
    """

    @property
    def digest(self) -> str: ...
    @property
    def user(self) -> Any: ...
    @property
    def scopes(self) -> str | None: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime | None: ...


class TokenStore(Protocol[_UserT_contra, _RowT]):
    """A storage of tokens: nine methods, each one statement or a short transaction.

    `starlette_auth_core.testing.TokenStoreContract` tests all that is said here. Every row that a
    method returns is a copy: a later change of what is stored does not show in it. A storage that
    can't be reached raises `AuthenticationUnavailable` or `TimeoutError`. A call that is cancelled
    has either changed the storage when it ends, or never will.

    All times that a method is given are aware, in UTC and whole seconds.

    A storage whose rows may lack `last_used_at` may also have an attribute `records_use`, which is
    False where they do: sessions, which end when they are not used, refuse such a storage.
    """

    @abstractmethod
    async def find(self, digest: str) -> _RowT | None:
        """Return the row with exactly this digest, also if the row has expired.

        Args:
            digest: The digest. Letter case and blanks count.

        Returns:
            The row with its user loaded, or None where there is no such row, there are several,
            or the user may not log in.
        """

    @abstractmethod
    async def insert(
        self,
        user: _UserT_contra,
        *,
        digest: str,
        scopes: str | None,
        created_at: datetime,
        expires_at: datetime | None,
        **extra: Any,
    ) -> _RowT:
        """Store a row.

        Args:
            user: The user.
            digest: The digest.
            scopes: The scopes; an empty string stays one.
            created_at: The time of issue.
            expires_at: The end, or None.
            **extra: Fields of the app.

        Returns:
            The row as it is stored.

        Raises:
            TypeError: If *extra* names a field that is not the app's to set, or *user* is not of
                the right class; nothing is stored.
            ValueError: If the user is deleted or may not log in; nothing is stored.
        """

    @abstractmethod
    def extra(self, row: _RowT) -> Mapping[str, Any]:
        """Return the app's own fields of *row*, as `insert` takes them.

        Args:
            row: A row.

        Returns:
            The fields without unique ones, keys, and those that `TokenRow` names.
        """

    @abstractmethod
    async def expire(self, row: _RowT, at: datetime | None) -> bool:
        """Give *row* another end, only where the stored one is still that of *row*.

        This is a compare-and-swap in one statement: of two calls at once with equal rows, the
        second one must not succeed, unless *at* is the end that the row has already.

        Args:
            row: The row as it was read. It is not changed.
            at: The new end. None: the row gets back that it does not end.

        Returns:
            Whether the row was there and its end the same. A row that has the end *at* already
            counts, which MariaDB's and MySQL's number of changed rows does not do by itself.
        """

    @abstractmethod
    async def touch(self, row: _RowT, at: datetime, *, unless_since: datetime) -> bool:
        """Store that *row* was used, only where the stored last use is older or None.

        Args:
            row: The row as it was read. Where a plain assignment to its `last_used_at` would mark
                an ORM's object as changed, set it here after storing. Elsewhere `Tokens` does, or
                reads a frozen row again.
            at: The time of use.
            unless_since: Nothing is stored if the stored last use is at this time or later.

        Returns:
            Whether it was stored.
        """

    @abstractmethod
    async def delete(self, row: _RowT) -> bool:
        """Delete *row*.

        Args:
            row: The row, told apart by its digest: some databases give the key of a deleted row
                to the next one.

        Returns:
            Whether it was there.
        """

    @abstractmethod
    async def delete_all(self, user: _UserT_contra, *, keep: _RowT | None = None) -> int:
        """Delete the rows of a user.

        Args:
            user: The user.
            keep: A row that stays.

        Returns:
            The number of deleted rows.
        """

    @abstractmethod
    async def list(self, user: _UserT_contra) -> Sequence[_RowT]:
        """Return the rows of a user, those that have expired included.

        Args:
            user: The user.

        Returns:
            The rows, newest first by `created_at`.
        """

    @abstractmethod
    async def purge(self, before: datetime) -> int:
        """Delete the rows of all users that expired before a time.

        Args:
            before: The time.

        Returns:
            The number of deleted rows.
        """
