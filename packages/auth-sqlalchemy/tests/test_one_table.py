"""Several classes of tokens in one table, and columns that the app updates by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

from starlette_auth_core.testing import ContractHasher
from starlette_auth_core.tokens import Tokens
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.anyio


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "one_table_users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]
    changes: Mapped[int] = mapped_column(default=0, onupdate=1)


class Token(TokenMixin, Base):
    __tablename__ = "one_table_tokens"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "token"}

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    user: Mapped[User] = relationship()


class APIToken(Token):
    __mapper_args__ = {"polymorphic_identity": "api"}


class Session(Token):
    __mapper_args__ = {"polymorphic_identity": "session"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sessions(tmp_path: Path) -> Iterator[Any]:
    engine = create_engine(f"sqlite:///{tmp_path / 'one.db'}")
    Base.metadata.create_all(engine)
    yield sessionmaker(engine)
    engine.dispose()


@pytest.fixture
def user(sessions: Any) -> User:
    with sessions.begin() as session:
        session.add(User(username="alice", password="!old:1:pwd"))
    with sessions() as session:
        found: User = session.scalars(select(User)).one()
        session.expunge(found)
        return found


async def test_a_class_keeps_to_its_own_rows(sessions: Any, user: User) -> None:
    api, other, all_kinds = (
        Tokens(SQLAlchemyTokenStore(model, sessions), prefix="shop")
        for model in (APIToken, Session, Token)
    )
    await api.issue(user)
    token, row = await other.issue(user)
    assert not await api.revoke(row)
    assert await api.revoke_all(user) == 1
    assert await other.find(token) is not None
    assert await api.purge() == 0
    # The class above has the rows of those below.
    assert await all_kinds.revoke_all(user) == 1
    assert await other.find(token) is None


async def test_an_upgrade_writes_the_password_only(sessions: Any, user: User) -> None:
    backend = SQLAlchemyBasicAuth(User, sessions, hasher=ContractHasher())
    await backend.replace_password_hash(user, "!old:1:pwd", "new")
    with sessions() as session:
        stored = session.scalars(select(User)).one()
        assert (stored.password, stored.changes) == ("new", 0)


@pytest.mark.parametrize("value", ["al\x00ice", "\ud800", "é\x00", "a\nb"])
async def test_text_that_no_user_id_has_is_nobody(sessions: Any, user: User, value: str) -> None:
    backend = SQLAlchemyBasicAuth(User, sessions, hasher=ContractHasher())
    assert await backend.find_by("username", value) is None
