import logging
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from anyio import to_thread

from starlette_auth_core import AuthenticationUnavailable, BaseBasicAuth, PasswordHasher
from starlette_auth_core.storage import exactly_one, log_unavailable
from starlette_auth_core.tokens import TokenStore

logger = logging.getLogger(__name__)

# AUTOINCREMENT, since SQLite otherwise gives the key of a deleted user to the next one.
TABLES = """
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT, password TEXT, active INTEGER DEFAULT 1
);
CREATE TABLE tokens (
    digest TEXT PRIMARY KEY, user INTEGER NOT NULL, scopes TEXT, created_at INTEGER NOT NULL,
    expires_at INTEGER, last_used_at INTEGER, name TEXT
);
CREATE INDEX tokens_user ON tokens (user);
"""
SELECT_USER = "SELECT id, username, password, active FROM users"
SELECT_TOKEN = """
SELECT digest, scopes, created_at, expires_at, last_used_at, name, id, username, password, active
FROM tokens JOIN users ON users.id = tokens.user
"""


@dataclass
class User:
    id: int
    username: str
    password: str | None = field(repr=False)  # a hash of it, never the password
    active: bool


@dataclass
class Token:
    digest: str = field(repr=False)
    user: User
    scopes: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    name: str | None


@dataclass(frozen=True)
class Database:
    path: str

    async def fetch(self, statement: str, *values: object) -> list[Any]:
        return (await to_thread.run_sync(self._execute, statement, values))[0]

    async def change(self, statement: str, *values: object) -> int:
        return (await to_thread.run_sync(self._execute, statement, values))[1]

    def _execute(self, statement: str, values: tuple[object, ...]) -> tuple[list[Any], int]:
        try:
            with closing(sqlite3.connect(self.path)) as connection, connection:
                cursor = connection.execute(statement, values)
                return cursor.fetchall(), cursor.rowcount
        except sqlite3.OperationalError as error:  # the file is locked, or is not there
            log_unavailable(error, logger=logger)
            raise AuthenticationUnavailable from error


class SQLiteBasicAuth(BaseBasicAuth[User]):
    active_field = "active"

    def __init__(self, database: Database, *, hasher: PasswordHasher) -> None:
        self.database = database
        self.hasher = hasher

    async def find_user(self, username: str) -> User | None:
        rows = await self.database.fetch(f"{SELECT_USER} WHERE username = ?", username)
        return exactly_one(
            [User(*row) for row in rows],
            username,
            read=lambda user: user.username,
            model="users",
            field="username",
            logger=logger,
        )

    async def replace_password_hash(self, user: User, old: str, new: str) -> None:
        statement = "UPDATE users SET password = ? WHERE id = ? AND password = ?"
        await self.database.change(statement, new, user.id, old)


class SQLiteTokenStore(TokenStore[User, Token]):
    def __init__(self, database: Database) -> None:
        self.database = database

    async def find(self, digest: str) -> Token | None:
        statement = f"{SELECT_TOKEN} WHERE digest = ? AND active"
        rows = await self.database.fetch(statement, digest)
        return to_token(rows[0]) if rows else None

    async def insert(
        self,
        user: User,
        *,
        digest: str,
        scopes: str | None,
        created_at: datetime,
        expires_at: datetime | None,
        **extra: Any,
    ) -> Token:
        unknown = sorted(extra.keys() - {"name"})
        if unknown:
            raise TypeError(f"a token has no field for the app to set: {', '.join(unknown)}")
        # One statement: a user who is deleted or disabled meanwhile gets no token.
        await self.database.change(
            "INSERT INTO tokens (digest, user, scopes, created_at, expires_at, name) "
            "SELECT ?, id, ?, ?, ?, ? FROM users WHERE id = ? AND active",
            *(digest, scopes, to_seconds(created_at), to_seconds(expires_at)),
            *(extra.get("name"), user.id),
        )
        row = await self.find(digest)
        if row is None:
            raise ValueError("the user has been deleted, or is not active")
        return row

    def extra(self, row: Token) -> Mapping[str, Any]:
        return {"name": row.name}

    async def expire(self, row: Token, at: datetime | None) -> bool:
        # Only where the stored end is still that of the row: of two calls at once one succeeds.
        statement = "UPDATE tokens SET expires_at = ? WHERE digest = ? AND expires_at IS ?"
        values = to_seconds(at), row.digest, to_seconds(row.expires_at)
        return await self.database.change(statement, *values) == 1

    async def touch(self, row: Token, at: datetime, *, unless_since: datetime) -> bool:
        statement = (
            "UPDATE tokens SET last_used_at = ? "
            "WHERE digest = ? AND (last_used_at IS NULL OR last_used_at < ?)"
        )
        values = to_seconds(at), row.digest, to_seconds(unless_since)
        return await self.database.change(statement, *values) == 1

    async def delete(self, row: Token) -> bool:
        return await self.database.change("DELETE FROM tokens WHERE digest = ?", row.digest) == 1

    async def delete_all(self, user: User, *, keep: Token | None = None) -> int:
        statement = "DELETE FROM tokens WHERE user = ? AND digest IS NOT ?"
        return await self.database.change(statement, user.id, keep and keep.digest)

    async def list(self, user: User) -> Sequence[Token]:
        newest_first = "ORDER BY created_at DESC, tokens.rowid DESC"
        statement = f"{SELECT_TOKEN} WHERE tokens.user = ? {newest_first}"
        return [to_token(row) for row in await self.database.fetch(statement, user.id)]

    async def purge(self, before: datetime) -> int:
        statement = "DELETE FROM tokens WHERE expires_at < ?"
        return await self.database.change(statement, to_seconds(before))


def to_seconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp())


def to_time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def to_token(row: tuple[Any, ...]) -> Token:
    digest, scopes, created_at, expires_at, last_used_at, name, *user = row
    return Token(
        digest,
        User(*user),
        scopes,
        to_time(created_at),
        None if expires_at is None else to_time(expires_at),
        None if last_used_at is None else to_time(last_used_at),
        name,
    )
