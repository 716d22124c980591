"""HTTP Basic authentication of the users of a SQLAlchemy 2 model."""

import asyncio

from sqlalchemy import inspect, select, update
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from starlette_auth_core import AuthenticationUnavailable, BaseBasicAuth, PasswordHasher, UserT


class SQLAlchemyBasicAuth(BaseBasicAuth[UserT]):
    """Finds a user by one query, and holds no connection while the password is hashed."""

    query_timeout = 10.0  # in seconds

    def __init__(
        self,
        model: type[UserT],
        sessions: async_sessionmaker[AsyncSession],
        *,
        hasher: PasswordHasher,
        username_field: str = "username",
        password_field: str = "password",
    ) -> None:
        for name in (username_field, password_field):
            if name not in inspect(model).column_attrs:
                raise ValueError(f"{model.__name__} has no column {name!r}")
        self.model = model
        self.sessions = sessions
        self.hasher = hasher
        self.username_field = username_field
        self.password_field = password_field

    async def find_user(self, username: str) -> UserT | None:
        column = getattr(self.model, self.username_field)
        try:
            async with asyncio.timeout(self.query_timeout), self.sessions() as session:
                users = await session.scalars(select(self.model).where(column == username))
                # To some collations `alice`, `ALICE` and `alicé` are the same.
                exact = [user for user in users if getattr(user, column.key) == username]
        except (OSError, InterfaceError, OperationalError, PoolTimeout) as error:
            raise AuthenticationUnavailable from error
        return exact[0] if len(exact) == 1 else None

    async def replace_password_hash(self, user: UserT, old: str, new: str) -> None:
        password = getattr(self.model, self.password_field)
        mapper = inspect(self.model)
        key = zip(mapper.primary_key, mapper.primary_key_from_instance(user), strict=True)
        is_user = (column == value for column, value in key)
        # Only if the old hash is still there: the password may have been changed meanwhile.
        statement = update(self.model).where(*is_user, password == old).values({password: new})
        async with asyncio.timeout(self.query_timeout), self.sessions.begin() as session:
            await session.execute(statement)
