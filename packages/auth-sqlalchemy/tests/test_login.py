"""Logins: who is found, what is stored, and how the user can be used afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import CHAR, String, event, inspect, text
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy_databases import CASES, User

from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth

if TYPE_CHECKING:
    from sqlalchemy_databases import Database, Log, Statements

    from starlette_auth_core.testing import ContractHasher

pytestmark = pytest.mark.anyio

everywhere = pytest.mark.parametrize("case", CASES, indirect=True)


@everywhere
async def test_login_is_one_query_and_two_more_to_upgrade(
    database: Database, hasher: ContractHasher, statements: Statements
) -> None:
    database.user(password=hasher.make("pwd", "old"), email="a@example.org")
    backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
    statements.clear()
    for password, expected in (
        ("wrong", ["SELECT"]),
        ("pwd", ["SELECT", "UPDATE", "SELECT"]),
        ("pwd", ["SELECT"]),
    ):
        await backend.verify("alice", password)
        assert [statement.split()[0] for statement in statements.seen] == expected
        assert all(" SET password=" in s for s in statements.seen if s.startswith("UPDATE"))
        statements.clear()


@pytest.mark.parametrize("options", [{}, {"expire_on_commit": False}, {"autobegin": False}])
@everywhere
async def test_user_is_detached_and_not_modified(
    database: Database, hasher: ContractHasher, options: dict[str, Any]
) -> None:
    database.user(password=hasher.make("pwd", "old"), email="a@example.org")
    sessions = database.make_sessions(**options)
    backend = SQLAlchemyBasicAuth(User, sessions, hasher=hasher, active_field="active")
    user = await backend.verify("alice", "pwd")
    assert user is not None
    assert user.password == database.stored(user)
    assert (user.id, user.username, user.email, user.active) == (
        user.id,
        "alice",
        "a@example.org",
        True,
    )
    assert inspect(user).detached
    assert not inspect(user).modified
    # The app's next merge writes nothing.
    database.change(user, password="new:0:changed meanwhile")
    with Session(database.admin) as session:
        session.merge(user, load=False)
        session.commit()
    assert database.stored(user) == "new:0:changed meanwhile"


@pytest.mark.parametrize("case", ["sqlite+aiosqlite"], indirect=True)
async def test_own_class_of_sessions(database: Database, hasher: ContractHasher) -> None:
    made = []

    class OwnSession(AsyncSession):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    database.user(password=hasher.make("pwd"))
    sessions = database.make_sessions(class_=OwnSession)
    assert await SQLAlchemyBasicAuth(User, sessions, hasher=hasher).verify("alice", "pwd")
    assert len(made) == 1


async def test_session_that_has_begun_already(database: Database, hasher: ContractHasher) -> None:
    class Eager(Session):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.begin()

    kind = {"sync_session_class": Eager} if "aio" in database.driver else {"class_": Eager}
    database.user(password=hasher.make("pwd", "old"))
    sessions = database.make_sessions(**kind)
    user = await SQLAlchemyBasicAuth(User, sessions, hasher=hasher).verify("alice", "pwd")
    assert user is not None
    assert user.password is not None
    assert user.password.startswith("new:")


@everywhere
async def test_find_by_another_column(database: Database, hasher: ContractHasher) -> None:
    alice = database.user(email="alice@example.org")
    database.user("bob", email="bob@example.org", active=False)
    backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher, active_field="active")
    found = await backend.find_by("email", "alice@example.org")
    assert found is not None
    assert found.id == alice.id
    unknown = ["ALICE@example.org", "alice@example.org ", "bob@example.org", "", "nobody"]
    for email in (*unknown, "alice\0", "\ud800"):
        assert await backend.find_by("email", email) is None


class Base(DeclarativeBase):
    pass


class Padded(Base):
    __tablename__ = "padded_users"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    username: Mapped[str] = mapped_column(CHAR(20))
    password: Mapped[str] = mapped_column(CHAR(120))


@everywhere
async def test_padding_of_char_is_not_a_part_of_names_and_hashes(
    database: Database, hasher: ContractHasher
) -> None:
    with database.tables(Base):
        database.add(Padded(id=0, username="alice", password=hasher.make("pwd", "old")))
        backend = SQLAlchemyBasicAuth(Padded, database.sessions, hasher=hasher)
        user = await backend.verify("alice", "pwd")
        assert user is not None
        assert user.username == "alice"
        assert not inspect(user).modified
        stored = database.stored(user)
        assert stored.startswith("new:")
        assert user.password == stored
        assert backend.get_password_hash(user) == stored.rstrip(" ")
        assert await backend.verify("alice ", "pwd") is None
        assert await backend.verify("alice", "pwd") is not None


class TestPostgreSQL:
    pytestmark = pytest.mark.parametrize(
        "case", ["postgresql+asyncpg", "postgresql+psycopg"], indirect=True
    )

    async def test_case_of_citext_counts(
        self, database: Database, hasher: ContractHasher, log: Log
    ) -> None:
        class Other(DeclarativeBase):
            pass

        class Insensitive(Other):
            __tablename__ = "insensitive_users"

            id: Mapped[int] = mapped_column(primary_key=True)
            username: Mapped[str] = mapped_column(CITEXT)
            password: Mapped[str]

        try:
            database.execute("CREATE EXTENSION IF NOT EXISTS citext SCHEMA pg_catalog")
        except Exception:  # noqa: BLE001  # Any failure means that it is not there.
            pytest.skip("PostgreSQL has no citext here")
        with database.tables(Other):
            for name in ("alice", "ALICE"):
                database.add(Insensitive(username=name, password=hasher.make(name)))
            backend = SQLAlchemyBasicAuth(Insensitive, database.sessions, hasher=hasher)
            for name in ("alice", "ALICE"):
                user = await backend.verify(name, name)
                assert user is not None
                assert user.username == name
            assert await backend.verify("Alice", "alice") is None
        assert log.messages == []


class TestMariaDB:
    pytestmark = pytest.mark.parametrize("case", ["mysql+aiomysql", "mysql+pymysql"], indirect=True)

    async def test_name_that_the_column_can_not_hold_is_unknown(
        self, database: Database, hasher: ContractHasher, log: Log
    ) -> None:
        database.execute("ALTER TABLE users MODIFY username VARCHAR(150) CHARACTER SET utf8mb3")
        try:
            backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
            assert await backend.verify("fox 🦊", "pwd") is None
        finally:
            database.execute("ALTER TABLE users MODIFY username VARCHAR(150)")
        assert hasher.work == ["dummy_verify"]
        assert log.messages == []


async def test_bytes_of_another_encoding_are_not_a_hash(
    database: Database, hasher: ContractHasher, log: Log
) -> None:
    database.user()
    database.execute("UPDATE users SET password = x'ff00'")
    backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
    assert await backend.verify("alice", "pwd") is None
    assert log.messages == ["WARNING The bytes in User.password are not a password hash."]


class TestBytesInThePasswordColumn:
    """Of a table whose hashes were once written as bytes, which SQLite takes in any column."""

    @pytest.mark.parametrize("kind", ["new", "old"])
    async def test_login_makes_them_text(
        self, database: Database, hasher: ContractHasher, kind: str, log: Log
    ) -> None:
        alice = database.user("alice")
        database.execute(
            f"UPDATE users SET password = x'{hasher.make('pwd', kind).encode().hex()}'"
        )
        backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)

        assert await backend.verify("alice", "wrong") is None
        assert isinstance(database.stored(alice), bytes)
        for _ in range(2):
            user = await backend.verify("alice", "pwd")
            assert user is not None
            assert user.password == database.stored(alice)
            assert isinstance(user.password, str)
            assert user.password.startswith("new:")
        assert log.messages == []

    async def test_inactive_user_keeps_them(
        self, database: Database, hasher: ContractHasher
    ) -> None:
        alice = database.user("alice", active=False)
        database.execute(f"UPDATE users SET password = x'{hasher.make('pwd').encode().hex()}'")
        everybody = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
        user = await everybody.find_user("alice")
        assert user is not None
        backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher, active_field="active")

        assert await backend.verify_password(user, "pwd")
        assert isinstance(database.stored(alice), bytes)

    @pytest.mark.parametrize("case", ["mysql+aiomysql", "mysql+pymysql"], indirect=True)
    async def test_column_of_bytes_keeps_them(
        self, database: Database, hasher: ContractHasher, log: Log
    ) -> None:
        database.execute("ALTER TABLE users MODIFY password VARBINARY(255)")
        try:
            alice = database.user("alice", password=hasher.make("pwd"))
            backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
            user = await backend.verify("alice", "pwd")
            assert user is not None
            assert isinstance(database.stored(alice), bytes)
        finally:
            database.execute("ALTER TABLE users MODIFY password VARCHAR(255)")
        assert log.messages == []


class TestUpgrade:
    async def test_hash_that_is_too_long_leaves_the_old_one(
        self, database: Database, hasher: ContractHasher, statements: Statements, log: Log
    ) -> None:
        password = "x" * 300
        old = hasher.make(password, "old")
        database.user("alice", password=old)
        backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
        user = await backend.verify("alice", password)
        assert user is not None
        assert user.password == database.stored(user) == old
        assert len(statements.seen) == 1
        assert log.messages[0].startswith("WARNING An outdated password hash was kept: a new one")

    @pytest.mark.parametrize("case", ["mysql+aiomysql", "mysql+pymysql"], indirect=True)
    async def test_hash_that_mariadb_cuts_leaves_the_old_one(
        self, database: Database, hasher: ContractHasher, log: Log
    ) -> None:
        class Other(DeclarativeBase):
            pass

        class Short(Other):
            __tablename__ = "short_users"

            id: Mapped[int] = mapped_column(primary_key=True)
            username: Mapped[str] = mapped_column(String(150))
            # Longer than what is in the database.
            password: Mapped[str] = mapped_column(String(255))

        with database.tables(Other):
            old = "old:1:pwd"
            alice = database.add(Short(username="alice", password=old))
            database.execute("ALTER TABLE short_users MODIFY password VARCHAR(10)")
            backend = SQLAlchemyBasicAuth(Short, _lenient(database), hasher=hasher)
            hasher._made = 100
            user = await backend.verify("alice", "pwd")
            assert user is not None
            assert user.password == database.stored(alice) == old
        assert log.messages[0].startswith("ERROR An outdated password hash was kept: the database")

    async def test_other_columns_that_changed_meanwhile_stay(
        self, database: Database, hasher: ContractHasher
    ) -> None:
        database.user("alice", password=hasher.make("pwd", "old"), email="old@example.org")
        backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
        user = await backend.find_user("alice")
        assert user is not None
        database.change(user, email="new@example.org")
        assert await backend.verify_password(user, "pwd")
        with Session(database.admin) as session:
            stored = session.get_one(User, user.id)
            assert stored.email == "new@example.org"
            assert stored.password is not None
            assert stored.password.startswith("new:")

    async def test_user_carries_a_hash_that_changed_meanwhile(
        self, database: Database, hasher: ContractHasher
    ) -> None:
        old = hasher.make("pwd", "old")
        database.user("alice", password=old)
        backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
        user = await backend.find_user("alice")
        assert user is not None
        database.change(user, password="new:0:changed")
        await backend.replace_password_hash(user, old, hasher.make("pwd"))
        assert user.password == database.stored(user) == "new:0:changed"

    async def test_user_in_a_session_of_the_app_is_left_alone(
        self, database: Database, hasher: ContractHasher
    ) -> None:
        old, new = hasher.make("pwd", "old"), hasher.make("pwd")
        alice = database.user("alice", password=old)
        backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
        with Session(database.admin) as session:
            attached = session.get_one(User, alice.id)
            session.commit()  # It is expired now.
            await backend.replace_password_hash(attached, old, new)
            assert "password" not in inspect(attached).dict
        assert database.stored(alice) == new
        changed = await backend.find_user("alice")
        assert changed is not None
        changed.password = "typed by the app"
        await backend.replace_password_hash(changed, new, hasher.make("pwd"))
        assert changed.password == "typed by the app"
        assert database.stored(alice) == "new:3:pwd"

    async def test_deleted_and_unsaved_users(
        self, database: Database, hasher: ContractHasher
    ) -> None:
        alice = database.user("alice", password="old:1:pwd")
        backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
        database.execute("DELETE FROM users")
        await backend.replace_password_hash(alice, "old:1:pwd", "new:2:pwd")
        assert alice.password == "old:1:pwd"
        with pytest.raises(ValueError, match="the user is not stored"):
            await backend.replace_password_hash(User(id=1), "old:1:pwd", "new:2:pwd")


def _lenient(database: Database) -> Any:
    """Return sessions whose database cuts what is too long."""

    def relax(session: Any, transaction: Any, connection: Any) -> None:
        connection.execute(text("SET SESSION sql_mode = ''"))

    class Lenient(Session):
        pass

    event.listen(Lenient, "after_begin", relax)
    kind = {"sync_session_class": Lenient} if "aio" in database.driver else {"class_": Lenient}
    return database.make_sessions(**kind)
