"""HTTP Basic authentication of the users of a mapped class.

The flow of a login is that of `starlette_auth_core.BaseBasicAuth`. This module finds the user, and
replaces a hash.
"""

import logging
from collections.abc import Sequence
from typing import Any, cast

import sqlalchemy
from sqlalchemy.orm import Session, undefer
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.orm.interfaces import ORMOption

from starlette_auth_core import BaseBasicAuth, PasswordHasher, UserT
from starlette_auth_core.credentials import is_plain_text
from starlette_auth_core.storage import (
    check_hasher,
    exactly_one,
    has_room,
    is_active,
    is_stored,
    read_hash,
)

from ._failures import is_unstorable
from ._models import check_attribute, column_of, entity_of, key_clauses, mapper_of
from ._sessions import Sessions, ask, check_sessions, run

__all__ = ["SQLAlchemyBasicAuth"]

logger = logging.getLogger("starlette_auth_sqlalchemy")


class SQLAlchemyBasicAuth(BaseBasicAuth[UserT]):
    """HTTP Basic authentication of the users of a mapped class of SQLAlchemy 2 or SQLModel.

    A login is one query, and a transaction of two statements where it upgrades its hash. Each has a
    short session of its own, and no connection is held while a password is hashed.

    The user is detached: every column can be read, and a relationship only if *options* load it.
    `session.merge(user, load=False)` brings the user into a session of the app's.

    Override `find_user` to find users in another way, and build it from `find_by`.

    Args:
        model: The mapped class of the users.
        sessions: An `async_sessionmaker`, or a `sessionmaker`, whose sessions work in threads.
        hasher: The hasher of the passwords. It says too which stored hashes are outdated.
        username_field: The attribute of the user-id. Its column should have a unique index: a
            user-id that two users share lets neither of them in.
        password_field: The attribute of the password's hash. Give its column room: a hash of
            Argon2 has about 100 characters, and `Text` takes any.
        active_field: The attribute that is false for a user who may not log in: a column, or a
            property.
        options: Loader options of the query, such as `selectinload(User.roles)`.

    Attributes:
        query_timeout: How long a query or transaction may take, in seconds, the wait for a
            connection included. None: for ever.

    Raises:
        TypeError: At construction, if *model*, *sessions* or *hasher* is something else.
        ValueError: At construction, if the model lacks one of the attributes.
    """

    query_timeout: float | None = 10.0

    def __init__(
        self,
        model: type[UserT],
        sessions: Sessions,
        *,
        hasher: PasswordHasher,
        username_field: str = "username",
        password_field: str = "password",
        active_field: str | None = None,
        options: Sequence[ORMOption] = (),
    ) -> None:
        mapper = mapper_of(model)
        check_sessions(sessions)
        check_hasher(hasher)
        column_of(mapper, "username_field", username_field)
        column_of(mapper, "password_field", password_field)
        check_attribute(mapper, "active_field", active_field)
        self.model = model
        self.sessions = sessions
        self.hasher = hasher
        self.username_field = username_field
        self.password_field = password_field
        self.active_field = active_field
        self.options = tuple(options)

    async def find_user(self, username: str) -> UserT | None:
        """Return the active user whose `username_field` is exactly *username*, or None.

        Raises:
            AuthenticationUnavailable: If the database is down or slow.
        """
        return await self.find_by(self.username_field, username)

    async def find_by(self, field: str, value: str) -> UserT | None:
        """Return the active user whose *field* is exactly *value*.

        Args:
            field: The name of an attribute of text. Its column should have a unique index.
            value: The value to look for.

        Returns:
            The user, detached. None where there is none, and where there are several, which is
            logged.

        Raises:
            AuthenticationUnavailable: If the database is down or slow.
            ValueError: If the model has no such column.
        """
        mapper = mapper_of(self.model)
        column = column_of(mapper, "find_by", field)
        if not is_plain_text(value):
            return None  # Some databases raise for NUL and lone surrogates; no user-id has them.

        def find(session: Session) -> UserT | None:
            statement = (
                sqlalchemy.select(entity_of(mapper))
                .where(column == value)
                .options(undefer("*"), *self.options)
            )
            users = session.execute(statement).unique().scalars().all()
            # PostgreSQL pads the values of `CHAR(n)` with blanks, and compares them without.
            padded = session.get_bind(mapper).dialect.name == "postgresql"
            user: UserT | None = exactly_one(
                users,
                value,
                read=lambda user: getattr(user, field),
                model=mapper.class_.__name__,
                field=field,
                logger=logger,
                ignore_padding=padded,
            )
            if user is not None and padded:
                set_committed_value(user, field, value)
            return user

        try:
            user = await ask(self.sessions, mapper, find, seconds=self.query_timeout)
        except Exception as error:
            # MariaDB and MySQL refuse to look for an emoji in a column of `utf8mb3`: nobody has it.
            if not value.isascii() and is_unstorable(error):
                return None
            raise
        return user if user is not None and is_active(user, self.active_field) else None

    async def verify_password(self, user: UserT, password: str) -> bool:
        """Check a password, and on SQLite store as text what is stored as bytes.

        Other databases have one type in a column; see `BaseBasicAuth.verify_password`.
        """
        valid = await super().verify_password(user, password)
        bytes_left = isinstance(getattr(user, self.password_field, None), bytes)
        if valid and bytes_left and is_active(user, self.active_field):
            hashed = cast("str", self.get_password_hash(user))  # It has just been verified.
            await self._upgrade(user, hashed, hashed)
        return valid

    def get_password_hash(self, user: UserT) -> str | None:
        """Return the stored hash of a user as text.

        Args:
            user: The user, as `find_user` returned it.

        Returns:
            The hash, without the blanks that `CHAR(n)` pads it with. Bytes are read as ASCII. None
            for a user without a password.
        """
        return self._read_hash(super().get_password_hash(user))

    async def replace_password_hash(self, user: UserT, old: str, new: str) -> None:
        """Store *new* where *old* is still stored, and let *user* carry what is stored then.

        A user who is in a session of the app's, or was changed by the app, is left as it is.

        Args:
            user: The user, as `find_user` returned it.
            old: The hash that was verified.
            new: The hash to store in its place.

        Raises:
            TimeoutError: If it took longer than `query_timeout`.
            ValueError: If the user is not stored.
            Exception: Whatever the database's driver raises.
        """
        state: Any = sqlalchemy.inspect(user)
        mapper, name = state.mapper, self.password_field
        column: Any = column_of(mapper, "password_field", name)
        length = getattr(column.type, "length", None)
        if not has_room(new, length, **self._column()):
            return
        if state.identity is None:
            raise ValueError("the user is not stored")
        own_row = key_clauses(mapper, state.identity, column.table)
        carried = state.dict.get(name)
        # The database compares what it stores, which may be padded.
        verified = carried if self._read_hash(carried) == old else old
        # Columns with an `onupdate` keep what they hold: nothing but the password is written.
        kept = {each: each for each in column.table.c if each.onupdate is not None}
        update = sqlalchemy.update(column.table).where(*own_row, column == verified)

        def swap(session: Session) -> Any:
            where = {"mapper": mapper}
            if new == old and session.get_bind(mapper).dialect.name != "sqlite":
                return carried
            result: Any = session.execute(
                update.values({**kept, column: new}), bind_arguments=where
            )
            select = sqlalchemy.select(column).where(*own_row)
            stored = session.execute(select, bind_arguments=where).scalar_one_or_none()
            if result.rowcount and not is_stored(new, stored, **self._column()):
                raise _Cut
            return stored

        try:
            stored = await run(self.sessions, mapper, swap, seconds=self.query_timeout, writes=True)
        except _Cut:
            return
        if stored is not None and state.detached and not state.modified:
            # An assignment would mark the user as changed, to be stored by the next merge.
            set_committed_value(user, name, stored)

    def _read_hash(self, stored: object) -> str | None:
        return read_hash(stored, **self._column())

    def _column(self) -> dict[str, Any]:
        return {"model": self.model.__name__, "field": self.password_field, "logger": logger}


class _Cut(Exception):
    """Raised to roll back an UPDATE whose hash the database has cut."""
