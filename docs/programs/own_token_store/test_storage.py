import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from storage import SELECT_USER, TABLES, Database, SQLiteBasicAuth, SQLiteTokenStore, User

from starlette_auth_core.testing import (
    ContractHasher,
    PasswordStorageContract,
    StoredUsers,
    TokenStoreContract,
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # Leave it out to test on trio too.


@pytest.fixture
def database(tmp_path: Path) -> Database:
    path = tmp_path / "users.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    return Database(str(path))


class Users(StoredUsers):
    """The table of users, as the tests of passwords use it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def add(self, username: str, password: str | None) -> int:
        statement = "INSERT INTO users (username, password) VALUES (?, ?)"
        await self.database.change(statement, username, password)
        ((key,),) = await self.database.fetch("SELECT max(id) FROM users")
        return int(key)

    async def stored(self, user: int) -> str | None:
        rows = await self.database.fetch("SELECT password FROM users WHERE id = ?", user)
        password: str | None = rows[0][0]
        return password

    async def change(self, user: int, password: str | None) -> None:
        await self.database.change("UPDATE users SET password = ? WHERE id = ?", password, user)

    async def disable(self, user: int) -> None:
        await self.database.change("UPDATE users SET active = 0 WHERE id = ?", user)

    async def delete(self, user: int) -> None:
        await self.database.change("DELETE FROM users WHERE id = ?", user)

    def username(self, user: User) -> str:
        return user.username

    @asynccontextmanager
    async def unavailable(self) -> AsyncIterator[None]:
        await self.database.change("ALTER TABLE users RENAME TO gone")
        yield
        await self.database.change("ALTER TABLE gone RENAME TO users")


class TestPasswords(PasswordStorageContract):
    @pytest.fixture
    def users(self, database: Database) -> Users:
        return Users(database)

    @pytest.fixture
    def backend(self, database: Database, hasher: ContractHasher) -> SQLiteBasicAuth:
        return SQLiteBasicAuth(database, hasher=hasher)


class TestTokens(TokenStoreContract):
    extra: ClassVar[Mapping[str, Any]] = {"name": "laptop"}
    refused: ClassVar[Sequence[str]] = ("user", "nonsense")

    @pytest.fixture(autouse=True)
    def table(self, database: Database) -> None:
        self.table_of_users = Users(database)

    @pytest.fixture
    def store(self, database: Database) -> SQLiteTokenStore:
        return SQLiteTokenStore(database)

    @pytest.fixture
    async def users(self, database: Database) -> Sequence[User]:
        for username in ("alice", "bob"):
            await self.table_of_users.add(username, None)
        return [User(*row) for row in await database.fetch(SELECT_USER)]

    async def lock_out(self, user: User) -> None:
        await self.table_of_users.disable(user.id)

    async def delete_user(self, user: User) -> None:
        await self.table_of_users.delete(user.id)
