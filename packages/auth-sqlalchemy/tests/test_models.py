"""Users and tokens of every kind of mapping."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlmodel
from sqlalchemy import Column, DateTime, ForeignKey, Integer, String, Table, inspect, text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    joinedload,
    mapped_column,
    registry,
    relationship,
)
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession

from starlette_auth_core.tokens import Tokens
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

if TYPE_CHECKING:
    from sqlalchemy_databases import Database, Statements

    from starlette_auth_core.testing import ContractHasher

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase):
    pass


class Imperative:
    id: Any
    username: Any
    password: Any


class ImperativeToken:
    digest: str
    user: Any


mapping = registry(metadata=Base.metadata)
imperative_users = Table(
    "imperative_users",
    Base.metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(50)),
    Column("pwd", String(100)),
)
imperative_tokens = Table(
    "imperative_tokens",
    Base.metadata,
    Column("digest", String(64), primary_key=True),
    Column("user_id", ForeignKey("imperative_users.id")),
    Column("scopes", String(200)),
    Column("created_at", DateTime, nullable=False),
    Column("expires_at", DateTime),
)
mapping.map_imperatively(
    Imperative,
    imperative_users,
    properties={"username": imperative_users.c.name, "password": imperative_users.c.pwd},
)
mapping.map_imperatively(
    ImperativeToken, imperative_tokens, properties={"user": relationship(Imperative)}
)


class SQLModelUser(sqlmodel.SQLModel, table=True):
    metadata = Base.metadata

    id: int | None = sqlmodel.Field(default=None, primary_key=True)
    username: str
    password: str


class SQLModelToken(TokenMixin, sqlmodel.SQLModel, table=True):
    metadata = Base.metadata

    id: int | None = sqlmodel.Field(default=None, primary_key=True)
    user_id: int = sqlmodel.Field(foreign_key="sqlmodeluser.id")
    user: SQLModelUser = sqlmodel.Relationship()


class DataclassBase(MappedAsDataclass, DeclarativeBase):
    metadata = Base.metadata


class DataclassUser(DataclassBase):
    __tablename__ = "dataclass_users"

    username: Mapped[str] = mapped_column(String(50))
    password: Mapped[str] = mapped_column(String(100))
    id: Mapped[int] = mapped_column(primary_key=True, init=False)


class DataclassToken(TokenMixin, DataclassBase):
    __tablename__ = "dataclass_tokens"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    user_id: Mapped[int] = mapped_column(ForeignKey("dataclass_users.id"), init=False)
    user: Mapped[DataclassUser] = relationship(init=False)


class UUIDUser(Base):
    __tablename__ = "uuid_users"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    username: Mapped[str] = mapped_column(String(50))
    password: Mapped[str] = mapped_column(String(100))


class UUIDToken(TokenMixin, Base):
    __tablename__ = "uuid_tokens"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("uuid_users.id"))
    user: Mapped[UUIDUser] = relationship()


class CompositeUser(Base):
    __tablename__ = "composite_users"

    tenant: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(50))
    password: Mapped[str] = mapped_column(String(100))


class CompositeToken(TokenMixin, Base):
    __tablename__ = "composite_tokens"

    tenant: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int]
    user: Mapped[CompositeUser] = relationship(
        primaryjoin="and_(CompositeToken.tenant == CompositeUser.tenant,"
        " CompositeToken.number == CompositeUser.number)",
        foreign_keys="[CompositeToken.tenant, CompositeToken.number]",
    )


class Role(Base):
    __tablename__ = "roles"

    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    name: Mapped[str] = mapped_column(String(50))


class Person(Base):
    __tablename__ = "people"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    username: Mapped[str] = mapped_column(String(50))
    bio: Mapped[str] = mapped_column(String(50), deferred=True, default="bio")
    secret: Mapped[str] = mapped_column(
        String(50), deferred=True, deferred_raiseload=True, default="secret"
    )
    joined_at: Mapped[datetime] = mapped_column(server_default=text("CURRENT_TIMESTAMP"))
    roles: Mapped[list[Role]] = relationship()

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}


class Admin(Person):
    __tablename__ = "admins"

    id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    password: Mapped[str] = mapped_column(String(100))
    level: Mapped[int] = mapped_column(deferred=True, default=7)

    __mapper_args__ = {"polymorphic_identity": "admin"}


class Owner(Person):
    """Its key has a name of its own."""

    __tablename__ = "owners"

    owner_id: Mapped[int] = mapped_column(ForeignKey("people.id"), primary_key=True)
    password: Mapped[str] = mapped_column(String(100))

    __mapper_args__ = {"polymorphic_identity": "owner"}


class PersonToken(TokenMixin, Base):
    __tablename__ = "person_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    user: Mapped[Person] = relationship(lazy="raise")

    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "token"}


class SessionToken(PersonToken):
    __mapper_args__ = {"polymorphic_identity": "session"}


@pytest.fixture
def tables(database: Database) -> Any:
    with database.tables(Base):
        yield


@pytest.fixture(autouse=True)
def everywhere(tables: None) -> None:
    """The tables are there for each test."""


MODELS: list[tuple[Any, Any, dict[str, Any]]] = [
    (Imperative, ImperativeToken, {}),
    (SQLModelUser, SQLModelToken, {}),
    (DataclassUser, DataclassToken, {}),
    (UUIDUser, UUIDToken, {}),
    (CompositeUser, CompositeToken, {"tenant": 0, "number": 0}),
    (Admin, PersonToken, {}),
    (Admin, SessionToken, {}),
    (Owner, PersonToken, {}),
]


def make(model: Any, **values: Any) -> Any:
    if model is not Imperative:
        return model(**values)
    user = Imperative()
    for name, value in values.items():
        setattr(user, name, value)
    return user


def assert_usable(row: Any) -> None:
    """It is detached, not changed, and each of its columns can be read."""
    state = inspect(row)
    assert state.detached
    assert not state.modified
    for name in state.mapper.columns.keys():  # noqa: SIM118  # It iterates over columns.
        assert name in state.dict
        getattr(row, name)


@pytest.mark.parametrize(("model", "token_model", "fields"), MODELS)
async def test_user_logs_in_and_has_tokens(
    database: Database,
    hasher: ContractHasher,
    statements: Statements,
    *,
    model: Any,
    token_model: Any,
    fields: dict[str, Any],
) -> None:
    database.add(
        make(
            model,
            username="bob",
            password=hasher.make("other"),
            **fields | dict.fromkeys(fields, 1),
        ),
        make(model, username="alice", password=hasher.make("pwd", "old"), **fields),
    )
    backend: Any = SQLAlchemyBasicAuth(model, database.sessions, hasher=hasher)
    statements.clear()
    user = await backend.verify("alice", "pwd")
    assert len(statements.seen) == 3
    assert user.username == "alice"
    assert user.password.startswith("new:")
    assert_usable(user)

    statements.clear()
    again = await backend.verify("alice", "pwd")
    assert len(statements.seen) == 1
    assert again.password == user.password

    tokens: Any = Tokens(SQLAlchemyTokenStore(token_model, database.sessions), prefix="shop")
    token, row = await tokens.issue(user)
    statements.clear()
    found = await tokens.find(token)
    assert len(statements.seen) == 1 + hasattr(row, "last_used_at")
    for each in (row, found, *await tokens.list(user)):
        assert_usable(each)
        assert_usable(each.user)
        assert each.user.username == "alice"
        assert each.user.password == user.password
    assert await tokens.revoke_all(user) == 1
    assert await tokens.find(token) is None


async def test_columns_of_a_subclass_are_loaded_by_the_one_query(
    database: Database, hasher: ContractHasher, statements: Statements
) -> None:
    database.add(Admin(username="alice", password=hasher.make("pwd"), roles=[Role(name="boss")]))
    database.add(Person(username="bob"))
    backend = SQLAlchemyBasicAuth(
        Person,
        database.sessions,
        hasher=hasher,
        password_field="kind",
        options=[joinedload(Person.roles)],
    )
    statements.clear()
    alice: Any = await backend.find_user("alice")
    assert len(statements.seen) == 1
    assert isinstance(alice, Admin)
    assert_usable(alice)
    assert (alice.level, alice.bio, alice.secret) == (7, "bio", "secret")
    assert alice.joined_at is not None
    assert [role.name for role in alice.roles] == ["boss"]
    bob = await backend.find_user("bob")
    assert type(bob) is Person


async def test_options_of_the_tokens_load_more_of_their_users(
    database: Database, hasher: ContractHasher, statements: Statements
) -> None:
    roles = [Role(name="boss"), Role(name="clerk")]
    admin = database.add(Admin(username="alice", password="", roles=roles))
    for load in (
        joinedload(PersonToken.user).selectinload(Person.roles),
        joinedload(PersonToken.user).joinedload(Person.roles),
    ):
        store = SQLAlchemyTokenStore(PersonToken, database.sessions, options=[load])
        tokens: Tokens[Any, Any] = Tokens(store, prefix="shop")
        token, row = await tokens.issue(admin)
        for each in (row, await tokens.find(token)):
            assert each is not None
            assert_usable(each)
            assert_usable(each.user)
            assert [role.name for role in each.user.roles] == ["boss", "clerk"]


async def test_sqlmodels_own_sessions(database: Database, hasher: ContractHasher) -> None:
    is_async = "aio" in database.driver
    sessions = database.make_sessions(
        class_=SQLModelAsyncSession if is_async else sqlmodel.Session, expire_on_commit=False
    )
    database.add(SQLModelUser(username="alice", password=hasher.make("pwd", "old")))
    user = await SQLAlchemyBasicAuth(SQLModelUser, sessions, hasher=hasher).verify("alice", "pwd")
    assert user is not None
    assert user.password.startswith("new:")
    assert user.model_dump() == {"id": 1, "username": "alice", "password": user.password}
