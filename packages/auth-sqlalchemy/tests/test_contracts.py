"""The contracts of storages, with every driver."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session
from sqlalchemy_databases import CASES, Token, User

from starlette_auth_core.testing import (
    PasswordStorageContract,
    StoredUsers,
    TokenStoreContract,
)
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy_databases import Database

    from starlette_auth_core.testing import ContractHasher

everywhere = pytest.mark.parametrize("case", CASES, indirect=True)


class Users(StoredUsers):
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, username: str, password: str | None) -> Any:
        return self._database.user(username, password)

    async def stored(self, user: Any) -> Any:
        return self._database.stored(user)

    async def change(self, user: Any, password: str | None) -> None:
        self._database.change(user, password=password)

    async def disable(self, user: Any) -> None:
        self._database.change(user, active=False)

    async def delete(self, user: Any) -> None:
        with Session(self._database.admin) as session:
            session.execute(delete(User).where(User.id == user.id))
            session.commit()

    def username(self, user: Any) -> str:
        username: str = user.username
        return username

    @asynccontextmanager
    async def unavailable(self) -> AsyncIterator[None]:
        with self._database.down():
            yield


@everywhere
class TestUsers(PasswordStorageContract):
    @pytest.fixture
    def users(self, database: Database) -> Users:
        return Users(database)

    @pytest.fixture
    def backend(self, database: Database, hasher: ContractHasher) -> Any:
        return SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher, active_field="active")


@everywhere
class TestTokens(TokenStoreContract):
    extra: ClassVar[Mapping[str, Any]] = {"name": "laptop"}

    @pytest.fixture
    def store(self, database: Database) -> SQLAlchemyTokenStore[Token]:
        self._database = database
        return SQLAlchemyTokenStore(Token, database.sessions, active_field="active")

    @pytest.fixture
    def users(self, database: Database) -> Sequence[Any]:
        return [database.user("alice"), database.user("bob")]

    async def lock_out(self, user: Any) -> None:
        self._database.change(user, active=False)

    async def delete_user(self, user: Any) -> None:
        self._database.execute(f"DELETE FROM users WHERE id = {user.id}")
