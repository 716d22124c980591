"""Tokens that are rows of a mapped class: the queries for `starlette_auth_core.tokens.Tokens`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.interfaces import ORMOption

from starlette_auth_core.tokens import TokenStore

from ._models import column_of, mapper_of
from ._sessions import Sessions, ask, check_sessions
from ._times import in_utc, to_column
from ._token_model import REQUIRED, TokenModel

__all__ = ["SQLAlchemyTokenStore"]

_RowT = TypeVar("_RowT")


class SQLAlchemyTokenStore(TokenStore[Any, _RowT], Generic[_RowT]):
    """Stores tokens as rows of a mapped class; see `starlette_auth_core.tokens.TokenStore`.

    Finding a token is one query. Rows and their users are detached: every column can be read, and a
    relationship only if *options* load it. The times of a row are aware and in UTC.

    Args:
        model: The mapped class of the tokens, with the columns of `TokenMixin` and a relationship
            `user`. `last_used_at` and `name` may be missing.
        sessions: An `async_sessionmaker`, or a `sessionmaker`, whose sessions work in threads.
        active_field: The attribute of a user that is false for one whose tokens do not work.
        options: Loader options of the tokens' class, such as
            `joinedload(Token.user).selectinload(User.roles)`. The user itself is loaded by a join,
            so options for `user` begin with `joinedload` too.

    Raises:
        TypeError: At construction, if *model* or *sessions* is something else.
        ValueError: If the model lacks a column, at construction. If it lacks the relationship
            `user`, or the users lack *active_field*, on first use: while modules are imported the
            users' class may not be there yet.
    """

    def __init__(
        self,
        model: type[_RowT],
        sessions: Sessions,
        *,
        active_field: str | None = None,
        options: Sequence[ORMOption] = (),
    ) -> None:
        mapper = mapper_of(model)
        check_sessions(sessions)
        for name in REQUIRED:
            column_of(mapper, "model", name)
        self.model = model
        self.sessions = sessions
        self.active_field = active_field
        self.options = tuple(options)

    @property
    def records_use(self) -> bool:
        """Whether the model has `last_used_at`, without which it can't hold sessions."""
        return "last_used_at" in mapper_of(self.model).columns

    async def find(self, digest: str) -> _RowT | None:
        """Return the row of *digest*, with its user, or None.

        Raises:
            AuthenticationUnavailable: If the database is down or slow.
        """
        model = self._model
        row = await ask(self.sessions, model.mapper, lambda session: model.one(session, digest))
        return row if row is not None and model.works(row) else None

    async def insert(
        self,
        user: Any,
        *,
        digest: str,
        scopes: str | None,
        created_at: datetime,
        expires_at: datetime | None,
        **extra: Any,
    ) -> _RowT:
        """Add a row, provided that its user is stored and active.

        The user is not asked, nor attached to the row: the database knows better.

        Raises:
            AuthenticationUnavailable: If the database is down or slow.
            TypeError: If *user* is not of the users' class, or *extra* has a name that is not a
                column, the primary key, a foreign key, or an attribute of the protocol.
            ValueError: If *user* is not stored (any more), or is not active.
        """
        model = self._model
        identity = model.identity_of(user)
        refused = sorted(name for name in extra if not model.may_set(name))
        if refused:
            raise TypeError(
                f"{self.model.__name__} has no column for the app to set: {', '.join(refused)}"
            )
        values: dict[str, ColumnElement[Any]] = {
            name: sqlalchemy.literal(value, model.column(name).type)
            for name, value in ({"digest": digest, "scopes": scopes} | extra).items()
        }
        for name, time in {"created_at": created_at, "expires_at": expires_at}.items():
            values[name] = to_column(model.column(name), time)
        insert = model.insert(values, identity)

        def add(session: Session) -> _RowT:
            # One statement, the first of its transaction: SQLite would refuse to write after a
            # read where somebody else has written.
            session.execute(insert, bind_arguments={"mapper": model.mapper})
            row: _RowT | None = model.one(session, digest)
            if row is None or not model.works(row):
                raise ValueError("the user has been deleted, or is not active")
            return row

        return await ask(self.sessions, model.mapper, add, writes=True)

    def extra(self, row: _RowT) -> Mapping[str, Any]:
        """Return the app's own columns of *row*, but for unique ones."""
        model = self._model
        names = [name for name in model.mapper.columns.keys() if model.may_set(name)]  # noqa: SIM118  # It iterates over columns.
        return {name: getattr(row, name) for name in names if not model.is_unique(name)}

    async def expire(self, row: _RowT, at: datetime | None) -> bool:
        """Let *row* end at *at* where it still ends when *row* says; return whether it did."""
        column = self._model.column("expires_at")
        end = cast("Any", row).expires_at
        same = column.is_(None) if end is None else column == to_column(column, end)
        # SQLAlchemy counts the rows that matched, on MariaDB and MySQL too.
        return bool(await self._update(row, same, {column: to_column(column, at)}))

    async def touch(self, row: _RowT, at: datetime, *, unless_since: datetime) -> bool:
        """Store that *row* was used, unless a use since *unless_since* is stored."""
        model = self._model
        if not self.records_use:
            return False
        column = model.column("last_used_at")
        due = sqlalchemy.or_(column.is_(None), column < to_column(column, unless_since))
        if not await self._update(row, due, {column: to_column(column, at)}):
            return False
        # An assignment would mark the row as changed, to be stored by the next merge.
        set_committed_value(row, "last_used_at", in_utc(at))
        return True

    async def delete(self, row: _RowT) -> bool:
        """Delete *row*; return whether it was there."""
        # Not by its key: SQLite gives the key of a deleted row to the next one.
        column = self._model.column("digest")
        return bool(await self._delete(column == cast("Any", row).digest))

    async def delete_all(self, user: Any, *, keep: _RowT | None = None) -> int:
        """Delete the rows of *user*, but for *keep*; return how many there were."""
        model = self._model
        where = model.rows_of(model.identity_of(user))
        if keep is not None:
            where.append(model.column("digest") != cast("Any", keep).digest)
        return await self._delete(*where)

    async def list(self, user: Any) -> Sequence[_RowT]:
        """Return the rows of *user*, the newest first."""
        model = self._model
        where = model.rows_of(model.identity_of(user))
        keys = (key.desc() for key in model.mapper.primary_key)
        order = (model.column("created_at").desc(), *keys)
        return await ask(
            self.sessions, model.mapper, lambda session: model.rows(session, where, order)
        )

    async def purge(self, before: datetime) -> int:
        """Delete the rows that ended before *before*; return how many there were."""
        column = self._model.column("expires_at")
        return await self._delete(column < to_column(column, before))

    @cached_property
    def _model(self) -> TokenModel:
        # On first use: it configures the mappers.
        return TokenModel(mapper_of(self.model), self.active_field, self.options)

    async def _update(
        self, row: _RowT, where: ColumnElement[bool], values: Mapping[Any, Any]
    ) -> int:
        model = self._model
        own_row = model.column("digest") == cast("Any", row).digest
        return await self._count(
            sqlalchemy.update(model.table)
            .where(own_row, where, *model.of_this_class())
            .values(values)
        )

    async def _delete(self, *where: ColumnElement[bool]) -> int:
        model = self._model
        return await self._count(
            sqlalchemy.delete(model.table).where(*where, *model.of_this_class())
        )

    async def _count(self, statement: Any) -> int:
        mapper = self._model.mapper

        def work(session: Session) -> int:
            result: Any = session.execute(statement, bind_arguments={"mapper": mapper})
            return int(result.rowcount)

        return await ask(self.sessions, mapper, work, writes=True)
