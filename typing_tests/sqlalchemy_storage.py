"""What users of SQLAlchemy write."""

from datetime import datetime, timedelta
from typing import assert_type

from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
    sessionmaker,
)

from starlette_auth_core import TokenAuth
from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str]
    tokens: Mapped[list["Token"]] = relationship(back_populates="user")


class Token(TokenMixin, Base):
    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    user: Mapped[User] = relationship(back_populates="tokens")


sessions: async_sessionmaker[AsyncSession] = async_sessionmaker(create_async_engine("sqlite://"))
sync_sessions: sessionmaker[Session] = sessionmaker(create_engine("sqlite://"))


async def users_are_the_models() -> None:
    auth = SQLAlchemyBasicAuth(User, sessions, hasher=Argon2Hasher())
    assert_type(auth, SQLAlchemyBasicAuth[User])
    assert_type(await auth.verify("alice", "secret"), User | None)
    assert_type(await auth.find_by("email", "alice@example.org"), User | None)

    loaded = SQLAlchemyBasicAuth(
        User, sync_sessions, hasher=Argon2Hasher(), options=[selectinload(User.tokens)]
    )
    assert_type(await loaded.verify("alice", "secret"), User | None)

    SQLAlchemyBasicAuth(User, sessions)  # type: ignore[call-arg]
    SQLAlchemyBasicAuth(User, sessions(), hasher=Argon2Hasher())  # type: ignore[arg-type]
    SQLAlchemyBasicAuth("User", sessions, hasher=Argon2Hasher())  # type: ignore[arg-type]


async def tokens_are_the_models() -> None:
    store = SQLAlchemyTokenStore(Token, sessions, options=[joinedload(Token.user)])
    assert_type(store, SQLAlchemyTokenStore[Token])
    assert_type(await store.find("digest"), Token | None)
    tokens = Tokens(store, prefix="acme")
    text, row = await tokens.issue(User(), expires_in=timedelta(days=1), name="laptop")
    assert_type(text, str)
    assert_type(row, Token)
    assert_type(row.last_used_at, datetime | None)
    assert_type(row.name, str | None)

    auth: TokenAuth[User] = TokenAuth(tokens)
    assert_type(await auth.verify(text), User | None)

    SQLAlchemyTokenStore("Token", sessions)  # type: ignore[arg-type]
