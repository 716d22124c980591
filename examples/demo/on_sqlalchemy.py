"""The app with users and tokens on SQLAlchemy 2."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app import create_app, hasher
from sqlalchemy import ForeignKey, String, make_url, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from starlette_auth_core.tokens import Tokens
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

# The drivers of URLs that name none, such as postgresql://user@localhost/name.
DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}

url = make_url(os.environ.get("DATABASE_URL", "sqlite:///demo.db"))
engine = create_async_engine(url.set(drivername=DRIVERS.get(url.drivername, url.drivername)))
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "starlette_auth_sqlalchemy_demo_users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(150), unique=True)
    password: Mapped[str] = mapped_column(String(255))  # a hash of it, never the password


class Token(TokenMixin, Base):  # a digest of it, never the token
    __tablename__ = "starlette_auth_sqlalchemy_demo_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    user: Mapped[User] = relationship()


class Session(TokenMixin, Base):  # a digest of its id, never the id
    __tablename__ = "starlette_auth_sqlalchemy_demo_sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    user: Mapped[User] = relationship()


@asynccontextmanager
async def lifespan(app: object = None) -> AsyncIterator[None]:
    yield
    await engine.dispose()


# Issues tokens and knows which ones are valid; the store holds their digests.
tokens = Tokens(SQLAlchemyTokenStore(Token, sessions), prefix="demo")
app = create_app(
    tokens,
    SQLAlchemyTokenStore(Session, sessions),
    SQLAlchemyBasicAuth(User, sessions, hasher=hasher),
    lifespan,
)


async def create_tables() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


async def put_user(username: str, hashed: str) -> User:
    """Store a new user, or a new hash of one who is there."""
    async with sessions.begin() as session:
        user = await session.scalar(select(User).where(User.username == username))
        if user is None:
            user = User(username=username)
            session.add(user)
        user.password = hashed
    return user


async def stored_hash(username: str) -> str:
    async with sessions() as session:
        return (await session.scalars(select(User.password).filter_by(username=username))).one()
