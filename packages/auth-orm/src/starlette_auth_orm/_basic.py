"""HTTP Basic authentication of the users of an orm model.

The flow of a login is that of `starlette_auth_core.BaseBasicAuth`. This module finds the user, and
replaces a hash.
"""

import logging
from typing import Any, cast

import orm

from starlette_auth_core import BaseBasicAuth, PasswordHasher, UserT
from starlette_auth_core.storage import check_hasher, has_room, is_active, is_stored, read_hash

from ._models import ModelSource, check_field, check_source, is_model, key_of, load_model
from ._queries import count, find, is_sqlite, run, select, to_object, transaction

__all__ = ["ModelBasicAuth"]

logger = logging.getLogger("starlette_auth_orm")


class ModelBasicAuth(BaseBasicAuth[UserT]):
    """HTTP Basic authentication of the users of an orm model.

    A login is one query, and a transaction where it upgrades its hash. No connection is held while
    a password is hashed, unless the app has opened a transaction around the login.

    Override `find_user` to find users in another way, and build it from `find_by`.

    Args:
        model: The user model, or a function that returns it, which is called at each use.
        hasher: The hasher of the passwords. It says too which stored hashes are outdated.
        password_field: The field of the password's hash. Give it room: a hash of Argon2 has about
            100 characters, and `orm.Text` takes any.
        username_field: The field of the user-id. It should have a unique index: a user-id that two
            users share lets neither of them in.
        active_field: The field that is false for a user who may not log in.

    Attributes:
        query_timeout: How long a query or transaction may take, in seconds, the wait for a
            connection included. None: for ever.

    Raises:
        TypeError: At construction, if *model* or *hasher* is something else.
        ValueError: If the model lacks one of the fields: at construction, or on first use where
            a callable returns the model.
    """

    query_timeout: float | None = 10.0

    def __init__(
        self,
        model: ModelSource[UserT],
        *,
        hasher: PasswordHasher,
        password_field: str = "password",
        username_field: str = "username",
        active_field: str | None = None,
    ) -> None:
        check_source(model)
        check_hasher(hasher)
        self.model = model
        self.hasher = hasher
        self.password_field = password_field
        self.username_field = username_field
        self.active_field = active_field
        if is_model(model):
            self._load_model()

    async def find_user(self, username: str) -> UserT | None:
        """Return the active user whose `username_field` is exactly *username*, or None.

        Raises:
            AuthenticationUnavailable: If the database is down, slow or not connected.
        """
        return await self.find_by(self.username_field, username)

    async def find_by(self, field: str, value: str) -> UserT | None:
        """Return the active user whose *field* is exactly *value*.

        Args:
            field: The name of a field of text. It should have a unique index.
            value: The value to look for.

        Returns:
            The user. None where there is none, and where there are several, which is logged.

        Raises:
            AuthenticationUnavailable: If the database is down, slow or not connected.
            ValueError: If the model has no such field.
        """
        model = self._load_model()
        check_field(model, "find_by", field, orm.String, orm.Text)
        user: UserT | None = await find(model, field, value, seconds=self.query_timeout)
        return user if user is not None and is_active(user, self.active_field) else None

    async def verify_password(self, user: UserT, password: str) -> bool:
        """Check a password, and on SQLite store as text what is stored as bytes.

        Other databases have one type in a column; see `BaseBasicAuth.verify_password`.
        """
        valid = await super().verify_password(user, password)
        bytes_left = isinstance(getattr(user, self.password_field, None), bytes)
        if valid and bytes_left and is_sqlite(type(user)) and is_active(user, self.active_field):
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
        return read_hash(super().get_password_hash(user), **self._column_of(user))

    async def replace_password_hash(self, user: UserT, old: str, new: str) -> None:
        """Store *new* where *old* is still stored, and let *user* carry what is stored then.

        Args:
            user: The user, as `find_user` returned it.
            old: The hash that was verified.
            new: The hash to store in its place.

        Raises:
            TimeoutError: If it took longer than `query_timeout`.
            Exception: Whatever the database's driver raises.
        """
        # A callable may return another model by now.
        model: Any = type(user)
        column = self._column_of(user)
        if not has_room(new, model.fields[self.password_field].validator.max_length, **column):
            return
        password = model.table.columns[self.password_field]
        own_row = key_of(model) == getattr(user, model.pkname)
        carried = getattr(user, self.password_field)
        verified = old
        if self.get_password_hash(user) == old and (isinstance(carried, str) or is_sqlite(model)):
            # The database compares what it stores: padded text, or, on SQLite, bytes.
            verified = carried
        update = model.table.update().where(own_row, password == verified).values({password: new})

        async def swap(connection: Any) -> object:
            async with transaction(connection):
                changed = await count(connection, model, update)
                row = await connection.fetch_one(select(model).where(own_row))
                if row is None:
                    return carried
                stored = getattr(to_object(row, model), self.password_field)
                if changed and not is_stored(new, stored, **column):
                    raise _Cut
                return stored

        try:
            stored = await run(model, swap, seconds=self.query_timeout)
        except _Cut:
            return
        setattr(user, self.password_field, stored)

    def _load_model(self) -> type[UserT]:
        model = load_model(self.model)
        check_field(model, "password_field", self.password_field, orm.String, orm.Text)
        check_field(model, "username_field", self.username_field, orm.String, orm.Text)
        check_field(model, "active_field", self.active_field)
        return model

    def _column_of(self, user: Any) -> dict[str, Any]:
        return {"model": type(user).__name__, "field": self.password_field, "logger": logger}


class _Cut(Exception):
    """Raised to roll back an UPDATE whose hash the database has cut."""
