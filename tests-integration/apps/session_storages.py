"""Users and sessions in a real database, through each of the storages."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import databases
import orm
from sqlalchemy import ForeignKey, String, make_url, select, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from starlette_auth_orm import ModelTokenStore, token_fields
from starlette_auth_sqlalchemy import SQLAlchemyTokenStore, TokenMixin

DRIVERS = {
    "mysql": "mysql+aiomysql",
    "postgresql": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
}


class Storage(Protocol):
    """A storage in one database, which is connected while the context lasts."""

    @property
    def store(self) -> Any: ...

    async def create(self) -> None:
        """Make the tables anew; connected or not."""

    async def add_user(self, username: str) -> Any: ...

    async def find_user(self, username: str) -> Any: ...

    async def execute(self, statement: str) -> None: ...

    def connected(self, app: object = None) -> Any: ...


class OnSQLAlchemy:
    """SQLAlchemy 2, with async sessions."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self.engine = create_async_engine(parsed.set(drivername=DRIVERS[parsed.drivername]))
        self.sessions = async_sessionmaker(self.engine, expire_on_commit=False)

        class Base(DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "users"

            id: Mapped[int] = mapped_column(primary_key=True)
            username: Mapped[str] = mapped_column(String(150), unique=True)

        class Session(TokenMixin, Base):
            __tablename__ = "sessions"

            id: Mapped[int] = mapped_column(primary_key=True)
            # Not by its annotation, which can't name a class in a function.
            user_id = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
            user = relationship(User)

        self.Base, self.User = Base, User
        self.store: Any = SQLAlchemyTokenStore(Session, self.sessions)

    async def create(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(self.Base.metadata.drop_all)
            await connection.run_sync(self.Base.metadata.create_all)
        await self.engine.dispose()

    async def add_user(self, username: str) -> Any:
        async with self.sessions.begin() as session:
            user = self.User(username=username)
            session.add(user)
        return user

    async def find_user(self, username: str) -> Any:
        async with self.sessions() as session:
            found = select(self.User).where(self.User.username == username)
            return (await session.scalars(found)).one()

    async def execute(self, statement: str) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(statement))

    @asynccontextmanager
    async def connected(self, app: object = None) -> AsyncIterator[None]:
        yield
        await self.engine.dispose()


class OnOrm:
    """encode/orm."""

    def __init__(self, url: str) -> None:
        self.database = databases.Database(url)
        models = orm.ModelRegistry(database=self.database)

        class User(orm.Model):
            tablename = "users"
            registry = models
            fields = {
                "id": orm.Integer(primary_key=True),
                "username": orm.String(max_length=150, unique=True),
            }

        class Session(orm.Model):
            tablename = "sessions"
            registry = models
            fields = token_fields(User)

        self.models = models
        # orm's fields are attributes that no type checker sees.
        self.User: Any = User
        self.store: Any = ModelTokenStore(Session)

    async def create(self) -> None:
        await self.models.drop_all()
        await self.models.create_all()

    async def add_user(self, username: str) -> Any:
        return await self.User.objects.create(username=username)

    async def find_user(self, username: str) -> Any:
        return await self.User.objects.get(username=username)

    async def execute(self, statement: str) -> None:
        await self.database.execute(statement)

    @asynccontextmanager
    async def connected(self, app: object = None) -> AsyncIterator[None]:
        async with self.database:
            yield


STORAGES: dict[str, Callable[[str], Storage]] = {"sqlalchemy": OnSQLAlchemy, "orm": OnOrm}
