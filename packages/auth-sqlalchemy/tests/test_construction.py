"""Mistakes that are seen at construction; and models that are whole only later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    configure_mappers,
    mapped_column,
    relationship,
    scoped_session,
    sessionmaker,
)
from sqlalchemy_databases import Base, Token, User

from starlette_auth_core.testing import ContractHasher
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

ENGINE, ASYNC_ENGINE = create_engine("sqlite://"), create_async_engine("sqlite+aiosqlite://")
SESSIONS: Any = sessionmaker(ENGINE)
# The types know better.
ANY_SESSIONMAKER: Any = sessionmaker
ANY_ASYNC_SESSIONMAKER: Any = async_sessionmaker
HASHER = ContractHasher()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_model_may_be_without_last_use() -> None:
    class Own(DeclarativeBase):
        pass

    class Plain(Own):
        __tablename__ = "plain"

        digest: Mapped[str] = mapped_column(primary_key=True)
        scopes: Mapped[str | None]
        created_at: Mapped[datetime]
        expires_at: Mapped[datetime | None]

    assert SQLAlchemyTokenStore(Plain, SESSIONS).records_use is False
    assert SQLAlchemyTokenStore(Token, SESSIONS).records_use is True


@pytest.mark.parametrize(
    ("sessions", "advice"),
    [
        (ENGINE, "write sessionmaker(engine)"),
        (ASYNC_ENGINE, "write async_sessionmaker(engine)"),
        (SESSIONS(), "got a Session"),
        (async_sessionmaker(ASYNC_ENGINE)(), "got a AsyncSession"),
        (scoped_session(SESSIONS), "pass its session_factory"),
        (
            async_scoped_session(async_sessionmaker(ASYNC_ENGINE), scopefunc=lambda: 1),
            "pass its session_factory",
        ),
        (Session, "got the class Session"),
        (AsyncSession, "got the class AsyncSession"),
        (lambda: Session(ENGINE), "got a function"),
        (None, "got a NoneType"),
        (ANY_SESSIONMAKER(class_=AsyncSession), "use async_sessionmaker"),
        (ANY_SESSIONMAKER(ASYNC_ENGINE), "use async_sessionmaker"),
        (ANY_SESSIONMAKER(binds={User: ASYNC_ENGINE}), "use async_sessionmaker"),
        (ANY_SESSIONMAKER(ASYNC_ENGINE.sync_engine), "whose driver is not async"),
        (ANY_SESSIONMAKER(create_engine("sqlite+aiosqlite://")), "whose driver is not async"),
        (ANY_SESSIONMAKER("sqlite://"), "needs an Engine"),
        (ANY_ASYNC_SESSIONMAKER(ENGINE), "needs an AsyncEngine"),
        (ANY_ASYNC_SESSIONMAKER(binds={User: ENGINE}), "needs an AsyncEngine"),
        (ANY_ASYNC_SESSIONMAKER(ASYNC_ENGINE, class_=Session), "class_ of async sessions"),
    ],
)
def test_sessions_must_be_a_maker_of_sessions(sessions: Any, advice: str) -> None:
    for make in (
        lambda: SQLAlchemyBasicAuth(User, sessions, hasher=HASHER),
        lambda: SQLAlchemyTokenStore(Token, sessions),
    ):
        with pytest.raises(TypeError) as error:
            make()
        assert "sessions must be an async_sessionmaker or a sessionmaker" in str(error.value)
        assert advice in str(error.value)


@pytest.mark.parametrize(
    "sessions", [sessionmaker(), async_sessionmaker(), sessionmaker(binds={User: ENGINE})]
)
def test_sessions_may_be_bound_later_or_by_class(sessions: Any) -> None:
    SQLAlchemyBasicAuth(User, sessions, hasher=HASHER)


@dataclass
class NotMapped:
    username: str


class Abstract(DeclarativeBase):
    pass


@pytest.mark.parametrize(
    "model", [NotMapped, Abstract, User(), User.__table__, User.__mapper__, "User", None, dict]
)
def test_model_must_be_a_mapped_class(model: Any) -> None:
    with pytest.raises(TypeError, match="model must be a class that SQLAlchemy maps"):
        SQLAlchemyBasicAuth(model, SESSIONS, hasher=HASHER)
    with pytest.raises(TypeError, match="model must be a class that SQLAlchemy maps"):
        SQLAlchemyTokenStore(model, SESSIONS)


@pytest.mark.parametrize("option", ["username_field", "password_field", "active_field"])
def test_unknown_column_is_named_with_those_there_are(option: str) -> None:
    with pytest.raises(ValueError, match="has no column 'nick'") as error:
        SQLAlchemyBasicAuth(User, SESSIONS, hasher=HASHER, **{option: "nick"})  # type: ignore[arg-type]  # one of three
    assert str(error.value) == (
        f"{option}: User has no column 'nick', "
        "it has 'id', 'username', 'password', 'email', 'active'"
    )


def test_hasher_must_be_one() -> None:
    with pytest.raises(TypeError, match="hasher must be an object with"):
        SQLAlchemyBasicAuth(User, SESSIONS, hasher=ContractHasher)  # type: ignore[arg-type]  # the mistake


def test_tokens_need_their_columns() -> None:
    with pytest.raises(ValueError, match="model: User has no column 'digest', it has 'id', "):
        SQLAlchemyTokenStore(User, SESSIONS)


def test_columns_are_named_by_attribute() -> None:
    class Person(Base):
        __tablename__ = "people"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column("user_name")
        hashed: Mapped[str] = mapped_column("pwd", deferred=True)

        @property
        def is_active(self) -> bool:
            return True

    SQLAlchemyBasicAuth(
        Person,
        SESSIONS,
        hasher=HASHER,
        username_field="name",
        password_field="hashed",
        active_field="is_active",
    )
    with pytest.raises(ValueError, match="'user_name', it has 'id', 'name', 'hashed'"):
        SQLAlchemyBasicAuth(
            Person, SESSIONS, hasher=HASHER, username_field="user_name", password_field="hashed"
        )
    Base.metadata.remove(Base.metadata.tables["people"])


class TestRelationshipsByName:
    """Classes that refer to others which are not there yet."""

    @pytest.mark.anyio
    async def test_mappers_are_not_configured_while_modules_are_imported(self) -> None:
        class Early(DeclarativeBase):
            pass

        class Account(Early):
            __tablename__ = "accounts"
            id: Mapped[int] = mapped_column(primary_key=True)
            username: Mapped[str]
            password: Mapped[str]
            team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))
            team: Mapped[Any] = relationship("Team")

        class Key(TokenMixin, Early):
            __tablename__ = "keys"
            id: Mapped[int] = mapped_column(primary_key=True)
            account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
            user: Mapped[Any] = relationship("Account")

        engine = create_engine("sqlite://")
        SQLAlchemyBasicAuth(Account, sessionmaker(engine), hasher=HASHER)
        SQLAlchemyTokenStore(Key, sessionmaker(engine), active_field="is_active")
        with pytest.raises(ValueError, match="no column 'nick'"):
            SQLAlchemyBasicAuth(Account, sessionmaker(engine), hasher=HASHER, username_field="nick")

        class Team(Early):
            __tablename__ = "teams"
            id: Mapped[int] = mapped_column(primary_key=True)

        configure_mappers()
        engine.dispose()


@pytest.mark.anyio
async def test_tokens_need_the_relationship_of_their_user() -> None:
    class Other(DeclarativeBase):
        pass

    class Lonely(TokenMixin, Other):
        __tablename__ = "lonely"
        id: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(ValueError, match="Lonely needs a many-to-one relationship 'user'"):
        await SQLAlchemyTokenStore(Lonely, SESSIONS).find("")


@pytest.mark.anyio
async def test_users_of_tokens_need_their_active_field() -> None:
    store = SQLAlchemyTokenStore(Token, SESSIONS, active_field="enabled")
    with pytest.raises(ValueError, match="active_field: User has no column 'enabled', it has"):
        await store.find("")


@pytest.mark.anyio
async def test_tokens_have_one_table() -> None:
    class Joined(Token):
        __tablename__ = "joined_tokens"
        id: Mapped[int] = mapped_column(ForeignKey("tokens.id"), primary_key=True)

    with pytest.raises(ValueError, match="Joined must be mapped to one table"):
        await SQLAlchemyTokenStore(Joined, SESSIONS).find("")
    Joined.registry._dispose_cls(Joined)
    Base.metadata.remove(Base.metadata.tables["joined_tokens"])
