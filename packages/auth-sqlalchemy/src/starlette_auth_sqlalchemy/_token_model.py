"""The mapped class of tokens, taken apart: its columns, and how its rows refer to their users."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import Column, ColumnElement, Insert, UniqueConstraint
from sqlalchemy.orm import Mapper, RelationshipDirection, Session, joinedload, undefer
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.interfaces import ORMOption

from starlette_auth_core.storage import exactly_one, is_active

from ._models import check_attribute, column_of, entity_of, key_clauses, key_value
from ._times import in_utc

__all__ = ["REQUIRED", "TokenModel"]

logger = logging.getLogger("starlette_auth_sqlalchemy")

REQUIRED = ("digest", "scopes", "created_at", "expires_at")
_TIMES = ("created_at", "expires_at", "last_used_at")
_PROTOCOL = {*REQUIRED, *_TIMES, "user"}


class TokenModel:
    """The mapped class of tokens. Making one configures the mappers.

    Args:
        mapper: The mapper of the tokens.
        active_field: The attribute of a user that is false for one whose tokens do not work.
        options: Loader options of the tokens.

    Raises:
        ValueError: If the class has more than one table, lacks the relationship `user`, or the
            users lack *active_field*.
    """

    def __init__(
        self, mapper: Mapper[Any], active_field: str | None, options: Sequence[ORMOption]
    ) -> None:
        name = mapper.class_.__name__
        if len(mapper.tables) != 1:
            raise ValueError(f"model: {name} must be mapped to one table")
        user = mapper.relationships.get("user")
        if user is None or user.direction is not RelationshipDirection.MANYTOONE:
            raise ValueError(f"model: {name} needs a many-to-one relationship 'user'")
        check_attribute(user.mapper, "active_field", active_field)
        self.mapper = mapper
        self.table: Any = mapper.tables[0]
        self._users: Mapper[Any] = user.mapper
        self._references: list[tuple[Any, Any]] = list(user.local_remote_pairs or ())
        self._active_field = active_field
        self._options = options

    def column(self, name: str) -> Any:
        """Return the column of an attribute."""
        return column_of(self.mapper, "model", name)

    def may_set(self, name: str) -> bool:
        """Return whether an attribute is a column of the app's own."""
        column = self.mapper.columns.get(name)
        return (
            isinstance(column, Column)
            and name not in _PROTOCOL
            and not (column.primary_key or column.foreign_keys or column.computed)
            and column is not self.mapper.polymorphic_on
            and column is not self.mapper.version_id_col
        )

    def is_unique(self, name: str) -> bool:
        """Return whether two rows may be refused for having the same value."""
        constraints = [
            each for each in self.table.constraints if isinstance(each, UniqueConstraint)
        ]
        indexes = [each for each in self.table.indexes if each.unique]
        column = self.column(name)
        return any(each.columns.contains_column(column) for each in (*constraints, *indexes))

    def identity_of(self, user: Any) -> Sequence[Any]:
        """Return the primary key of a stored user, who may be expired in a session of the app's."""
        kind = self._users.class_
        if not isinstance(user, kind):
            raise TypeError(f"user must be a {kind.__name__}; got a {type(user).__name__}")
        identity: Sequence[Any] | None = sqlalchemy.inspect(user, raiseerr=True).identity
        if identity is None:
            raise ValueError("the user is not stored: add it to a session and commit first")
        return identity

    def of_this_class(self) -> list[ColumnElement[bool]]:
        """Return the condition that keeps the rows of sibling classes in the same table out."""
        kind = self.mapper.polymorphic_on
        if kind is None or self.mapper.inherits is None:
            return []
        return [kind.in_([each.polymorphic_identity for each in self.mapper.self_and_descendants])]

    def rows_of(self, identity: Sequence[Any]) -> list[ColumnElement[bool]]:
        """Return the conditions for the rows of a user."""
        clauses = []
        for own, theirs in self._references:
            value = key_value(self._users, identity, theirs)
            where = key_clauses(self._users, identity, theirs.table)
            wanted = value[0] if value else sqlalchemy.select(theirs).where(*where)
            clauses.append(own == (wanted if value else wanted.scalar_subquery()))
        return clauses

    def insert(self, values: Mapping[str, ColumnElement[Any]], identity: Sequence[Any]) -> Insert:
        """Return the statement that adds a row if its user is stored."""
        columns = {self.column(name): value for name, value in values.items()}
        if self.mapper.polymorphic_on is not None:
            kind = self.mapper.polymorphic_on
            columns[kind] = sqlalchemy.literal(self.mapper.polymorphic_identity, kind.type)
        columns |= dict(self._references)
        users = self._references[0][1].table
        user = key_clauses(self._users, identity, users)
        select = sqlalchemy.select(*columns.values()).select_from(users).where(*user)
        return sqlalchemy.insert(self.table).from_select(list(columns), select)

    def one(self, session: Session, digest: str) -> Any | None:
        """Return the one row of *digest*, or None."""
        return exactly_one(
            self.rows(session, [self.column("digest") == digest]),
            digest,
            read=lambda row: row.digest,
            model=self.mapper.class_.__name__,
            field="digest",
            logger=logger,
        )

    def rows(
        self,
        session: Session,
        where: Sequence[ColumnElement[bool]],
        order: Sequence[ColumnElement[Any]] = (),
    ) -> list[Any]:
        """Return rows with their users, and with times that are aware and in UTC."""
        user: Any = self.mapper.class_.user
        users = entity_of(self._users, aliased=True)
        if users is not self._users.class_:
            user = user.of_type(users)
        statement = (
            sqlalchemy.select(self.mapper.class_)
            .where(*where)
            .order_by(*order)
            .options(undefer("*"), joinedload(user).undefer("*"), *self._options)
        )
        rows = list(session.execute(statement).unique().scalars())
        for row in rows:
            for name in _TIMES:
                time = getattr(row, name, None)
                if time is not None:
                    set_committed_value(row, name, in_utc(time))
        return rows

    def works(self, row: Any) -> bool:
        """Return whether a row has a user who may log in."""
        return row.user is not None and is_active(row.user, self._active_field)
