"""HTTP Basic authentication of the users of an orm model.

The flow of a login is that of `starlette_auth_core.BaseBasicAuth`. What is here finds the user,
and replaces a hash.
"""

import logging
from typing import Any

import orm

from starlette_auth_core import BaseBasicAuth, PasswordHasher, UserT
from starlette_auth_core.backends import check_hasher

from ._storage import (
    QUERY_TIMEOUT,
    ModelSource,
    check_field,
    check_source,
    execute,
    fetch,
    find,
    is_active,
    is_model,
    key_of,
    load_model,
    select,
)

__all__ = ["ModelBasicAuth"]

logger = logging.getLogger(__name__)


class ModelBasicAuth(BaseBasicAuth[UserT]):
    """HTTP Basic authentication of the users of an orm model.

    A login is one query, and two more where it upgrades its hash. No connection is held while a
    password is hashed, unless the app has opened a transaction around the login.

    Override `find_user` to find users in another way, and build it from `find_by`.

    Args:
        model: The user model, or what returns it. A callable is called at each use.
        hasher: The hasher of the passwords. It says too which stored hashes are outdated.
        password_field: The field of the password's hash. Give it room: a hash of Argon2 has about
            100 characters, and `orm.Text` takes any.
        username_field: The field of the user-id. It should have a unique index: a user-id that two
            users share lets neither of them in.
        active_field: The field that is false for a user who may not log in.

    Attributes:
        query_timeout: How long a query may take, in seconds, the wait for a connection included.
            None: for ever.

    Raises:
        TypeError: At construction, if *model* or *hasher* is something else.
        ValueError: If the model lacks one of the fields: at construction, or on first use where
            a callable returns the model.
    """

    query_timeout: float | None = QUERY_TIMEOUT

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
            value: What to look for.

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

    def get_password_hash(self, user: UserT) -> str | None:
        """Return the stored hash of *user*, and None for one who may not log in.

        An own `find_user` may hand over users who are not active: no password is right for them.
        """
        return super().get_password_hash(user) if is_active(user, self.active_field) else None

    async def replace_password_hash(self, user: UserT, old: str, new: str) -> None:
        """Store *new* where *old* is still stored, and let *user* carry what is stored then."""
        if not self._has_room(user, new):
            return
        await self._swap(user, old, new)
        await self._refresh(user)
        stored = getattr(user, self.password_field)
        if stored is not None and _is_cut(stored, old, new):
            await self._swap(user, stored, old)
            logger.error(
                "The database cut a new password hash, the old one was put back: "
                "make the column %s of %s longer",
                self.password_field,
                type(user).__name__,
            )
            await self._refresh(user)

    def _load_model(self) -> type[UserT]:
        model = load_model(self.model)
        check_field(model, "password_field", self.password_field, orm.String, orm.Text)
        check_field(model, "username_field", self.username_field, orm.String, orm.Text)
        check_field(model, "active_field", self.active_field)
        return model

    def _has_room(self, user: UserT, new: str) -> bool:
        model: Any = type(user)
        room = model.fields[self.password_field].validator.max_length
        if room is None or len(new) <= room:
            return True
        logger.warning(
            "An outdated password hash was kept: a new one has %d characters, %s.%s takes %d",
            len(new),
            model.__name__,
            self.password_field,
            room,
        )
        return False

    # The two below take the model from the user: a callable may return another one by now.

    async def _swap(self, user: Any, old: str, new: str) -> None:
        model: Any = type(user)
        password = model.table.columns[self.password_field]
        statement = model.table.update().where(key_of(model) == user.pk, password == old)
        await execute(model, statement.values({password: new}), seconds=self.query_timeout)

    async def _refresh(self, user: Any) -> None:
        model: Any = type(user)
        statement = select(model).where(key_of(model) == user.pk)
        for row in await fetch(model, statement, seconds=self.query_timeout):
            setattr(user, self.password_field, row[model.table.columns[self.password_field]])


def _is_cut(stored: str, old: str, new: str) -> bool:
    # MySQL and MariaDB cut what is too long, unless they are strict, and the user could not log in
    # any more. The old hash had room; what is shorter was put there by somebody else.
    return len(old) <= len(stored) < len(new) and new.startswith(stored)
