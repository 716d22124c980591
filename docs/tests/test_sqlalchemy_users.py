"""The worked example of a new storage, on SQLAlchemy 2."""

import asyncio
import importlib
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy.exc
from pages import PROGRAMS

from starlette_auth_core import AuthenticationUnavailable
from starlette_auth_hashers import PBKDF2Hasher

WEAK, STRONG = PBKDF2Hasher(rounds=1), PBKDF2Hasher(rounds=2)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(PROGRAMS / "sqlalchemy_users"))
    for name in ("app", "sqlalchemy_auth"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    app = importlib.import_module("app")
    sqlalchemy_auth = importlib.import_module("sqlalchemy_auth")

    class Example:
        user = app.User
        sessions = app.sessions
        auth: Any = sqlalchemy_auth.SQLAlchemyBasicAuth

        def backend(self, **options: Any) -> Any:
            return self.auth(self.user, self.sessions, hasher=STRONG, **options)

        def run(self, test: Any) -> Any:
            async def main() -> Any:
                async with app.engine.begin() as connection:
                    await connection.run_sync(app.Base.metadata.create_all)
                try:
                    return await test
                finally:
                    await app.engine.dispose()

            return asyncio.run(main())

        async def add(self, username: str, password: str | None = None) -> None:
            async with self.sessions.begin() as session:
                hashed = WEAK.make_sync(password or f"{username}pwd")
                session.add(self.user(username=username, password=hashed))

        def stored(self) -> str:
            with sqlite3.connect("users.db") as connection:
                (hashed,) = connection.execute("SELECT password FROM users").fetchone()
            return str(hashed)

        def overwrite(self, hashed: str) -> None:
            with sqlite3.connect("users.db") as connection:
                connection.execute("UPDATE users SET password = ?", (hashed,))

    return Example()


def test_it_is_under_60_lines() -> None:
    lines = (PROGRAMS / "sqlalchemy_users/sqlalchemy_auth.py").read_text().splitlines()
    assert len(lines) < 60


def test_login_upgrades_the_hash(example: Any) -> None:
    async def test() -> None:
        await example.add("alice")
        backend = example.backend()
        assert await backend.verify("alice", "wrong") is None
        assert await backend.verify("eve", "wrong") is None
        user = await backend.verify("alice", "alicepwd")
        assert user.username == "alice"

    example.run(test())
    assert not STRONG.needs_update(example.stored())
    assert STRONG.verify_sync("alicepwd", example.stored())


def test_password_changed_meanwhile_is_not_overwritten(example: Any) -> None:
    changed = STRONG.make_sync("changed")

    async def test() -> None:
        await example.add("alice")
        backend = example.backend()
        user = await backend.find_user("alice")
        example.overwrite(changed)
        await backend.replace_password_hash(user, user.password, STRONG.make_sync("alicepwd"))

    example.run(test())
    assert example.stored() == changed


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        sqlalchemy.exc.OperationalError("SELECT", {}, Exception()),
        sqlalchemy.exc.InterfaceError("SELECT", {}, Exception()),
        sqlalchemy.exc.TimeoutError(),  # of the pool; it is none of Python's
    ],
    ids=lambda error: type(error).__name__,
)
def test_database_that_is_down_is_unavailable(example: Any, error: Exception) -> None:
    class Down:
        async def __aenter__(self) -> None:
            raise error

        async def __aexit__(self, *_: object) -> None: ...

    example.sessions = Down
    with pytest.raises(AuthenticationUnavailable):
        asyncio.run(example.backend().verify("alice", "alicepwd"))


def test_database_that_is_slow_is_unavailable(example: Any) -> None:
    class Slow:
        async def __aenter__(self) -> None:
            await asyncio.sleep(60)

        async def __aexit__(self, *_: object) -> None: ...

    example.sessions = Slow
    backend = example.backend()
    backend.query_timeout = 0.01
    with pytest.raises(AuthenticationUnavailable):
        asyncio.run(backend.verify("alice", "alicepwd"))


def test_column_that_the_model_lacks(example: Any) -> None:
    with pytest.raises(ValueError, match="User has no column 'mail'"):
        example.backend(username_field="mail")
