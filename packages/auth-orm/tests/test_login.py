"""Who is let in, and who is not, on each of the three databases."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import databases
import pytest
from starlette.requests import HTTPConnection

from starlette_auth_orm import ModelBasicAuth

if TYPE_CHECKING:
    from conftest import Hasher, Log, Store

pytestmark = pytest.mark.anyio


def basic(username: str, password: str) -> HTTPConnection:
    credentials = b64encode(f"{username}:{password}".encode()).decode()
    return HTTPConnection(
        {"type": "http", "headers": [(b"authorization", f"Basic {credentials}".encode())]}
    )


async def test_right_password_gives_the_user(store: Store, hasher: Hasher) -> None:
    alice = await store.add("alice", hasher.make("pwd"))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)

    result = await backend.authenticate(basic("alice", "pwd"))

    assert result is not None
    credentials, user = result
    assert credentials.scopes == ["authenticated"]
    assert user == alice


async def test_other_fields_may_hold_user_id_and_password(store: Store, hasher: Hasher) -> None:
    alice = await store.add(hasher.make("pwd"), None, email="alice@example.org")
    backend: Any = ModelBasicAuth(
        store.User, hasher=hasher, username_field="email", password_field="username"
    )

    assert await backend.verify("alice@example.org", "pwd") == alice


async def test_mariadb_takes_lookalikes_for_the_same(store: Store) -> None:
    # The premise of the contract's tests of exact user-ids.
    lookalikes = ("alice", "ALICE", "alicé", "alice ", "àlice")
    for username in lookalikes:
        await store.add(username, None)

    found = await store.User.objects.filter(username="alice").all()

    assert len(found) == (len(lookalikes) if store.server.kind == "mysql" else 1)


async def test_user_with_the_key_0_logs_in(store: Store, hasher: Hasher) -> None:
    await store.add("alice", hasher.make("pwd", "old"))
    # MariaDB gives out the next number where 0 is inserted.
    await store.database.execute(store.User.table.update().values(id=0))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)

    user = await backend.verify("alice", "pwd")

    assert user.id == 0
    assert await store.stored(user) == user.password
    assert user.password.startswith("new:")


class TestUsersWhoMayNotLogIn:
    @pytest.mark.parametrize("active", [False, None])
    async def test_user_who_is_not_active(
        self, store: Store, hasher: Hasher, active: bool | None
    ) -> None:
        user = await store.add("alice", hasher.make("pwd", "old"), active=active)
        backend: Any = ModelBasicAuth(store.User, hasher=hasher, active_field="active")

        assert await backend.find_by("username", "alice") is None
        assert await backend.verify("alice", "pwd") is None
        assert hasher.work == ["dummy_verify"]
        assert await store.stored(user) == user.password

        await store.database.execute(store.User.table.update().values(active=True))
        assert await backend.verify("alice", "pwd") is not None

    async def test_user_who_is_not_active_but_found_in_another_way(
        self, store: Store, hasher: Hasher
    ) -> None:
        class ByEmail(ModelBasicAuth[Any]):
            async def find_user(self, username: str) -> Any:
                return await store.User.objects.first(email=username)

        await store.add("alice", hasher.make("pwd"), email="a@example.org", active=False)
        backend: Any = ByEmail(store.User, hasher=hasher, active_field="active")

        assert await backend.verify("a@example.org", "pwd") is None
        assert hasher.work == ["verify"]

    async def test_activity_is_of_no_interest_by_default(
        self, store: Store, hasher: Hasher
    ) -> None:
        await store.add("alice", hasher.make("pwd"), active=False)

        assert await ModelBasicAuth(store.User, hasher=hasher).verify("alice", "pwd") is not None


class TestOwnWaysToFindAUser:
    async def test_case_folded_names(self, store: Store, hasher: Hasher) -> None:
        class FoldedAuth(ModelBasicAuth[Any]):
            async def find_user(self, username: str) -> Any:
                return await super().find_user(username.casefold())

        await store.add("strasse", hasher.make("pwd", "old"))
        backend: Any = FoldedAuth(store.User, hasher=hasher)

        user = await backend.verify("Straße", "pwd")

        assert user.username == "strasse"
        assert await store.stored(user) == user.password
        assert user.password.startswith("new:")

    async def test_name_or_email(self, store: Store, hasher: Hasher) -> None:
        class NameOrEmailAuth(ModelBasicAuth[Any]):
            async def find_user(self, username: str) -> Any:
                return await self.find_by("email" if "@" in username else "username", username)

        alice = await store.add("alice", hasher.make("pwd"), email="alice@example.org")
        backend: Any = NameOrEmailAuth(store.User, hasher=hasher)

        assert await backend.verify("alice", "pwd") == alice
        assert await backend.verify("alice@example.org", "pwd") == alice
        assert await backend.verify("alice@example.com", "pwd") is None

    async def test_by_a_field_that_is_none_of_text(self, store: Store, hasher: Hasher) -> None:
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        with pytest.raises(ValueError, match="find_by: User has no field 'phone'"):
            await backend.find_by("phone", "1")
        with pytest.raises(ValueError, match="must be of the type String or Text"):
            await backend.find_by("id", "1")


async def test_text_that_no_header_carries_never_reaches_the_database(
    store: Store, hasher: Hasher, log: Log
) -> None:
    # A lone surrogate is an error to all three, NUL to PostgreSQL.
    await store.add("alice", hasher.make("pwd", "old"))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)
    log.clear()

    for text in ("alice\x00", "\x00", "alice\ud800", "\udfff", "a\nb", "\x85"):
        hasher.work.clear()
        assert await backend.verify(text, "pwd") is None
        assert await backend.verify("alice", text) is None
        assert hasher.work == ["dummy_verify"] * 2

    assert log.statements == []


async def test_long_user_ids_are_unknown_users(store: Store, hasher: Hasher, log: Log) -> None:
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)

    for username in ("x" * 8000, "🦊" * 2000):
        assert await backend.verify(username, "pwd") is None
    assert hasher.work == ["dummy_verify"] * 2
    assert log.messages == []


class TestCharactersThatTheColumnCanNotHold:
    @pytest.mark.parametrize("server", ["mysql"], indirect=True)
    async def test_user_id_with_them_is_an_unknown_user(
        self, store: Store, hasher: Hasher, log: Log
    ) -> None:
        await store.add("alice", hasher.make("pwd"))
        await store.database.execute(
            "ALTER TABLE users MODIFY username VARCHAR(150) CHARACTER SET utf8mb3"
        )
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        assert await backend.verify("🦊", "pwd") is None
        assert hasher.work == ["dummy_verify"]
        assert log.messages == []
        assert await backend.verify("alice", "pwd") is not None

    @pytest.mark.parametrize("server", ["mysql"], indirect=True)
    async def test_user_id_that_the_connection_can_not_hold_is_unknown_too(
        self, store: Store, hasher: Hasher, log: Log
    ) -> None:
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        async with store.server.open(min_size=1, charset="latin1") as database:
            store.User.registry.database = database
            assert await backend.verify("🦊", "pwd") is None
            store.User.registry.database = store.database

        assert hasher.work == ["dummy_verify"]
        assert log.messages == []


@pytest.mark.parametrize("server", ["postgresql"], indirect=True)
async def test_address_may_begin_with_postgres(store: Store, hasher: Hasher) -> None:
    alice = await store.add("alice", hasher.make("pwd", "old"))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)
    url = store.server.url.replace("postgresql:", "postgres:", 1)

    async with databases.Database(url, **store.server.options, min_size=1) as database:
        store.User.registry.database = database
        user = await backend.verify("alice", "pwd")
        store.User.registry.database = store.database

    assert user.password == await store.stored(alice)
    assert user.password.startswith("new:")


class TestPaddedColumns:
    @pytest.fixture
    async def padded(self, store: Store) -> None:
        """User-id and password are of the type `CHAR(n)`."""
        for column, size in (("username", 20), ("password", 60)):
            change = {
                "postgresql": f"ALTER {column} TYPE CHAR({size})",
                "mysql": f"MODIFY {column} CHAR({size})",
            }[store.server.kind]
            await store.database.execute(f"ALTER TABLE users {change}")

    @pytest.mark.parametrize("server", ["postgresql", "mysql"], indirect=True)
    @pytest.mark.parametrize("kind", ["old", "new"])
    async def test_padding_is_part_of_neither_user_id_nor_hash(
        self, store: Store, hasher: Hasher, log: Log, padded: None, kind: str
    ) -> None:
        await store.add("alice", hasher.make("pwd", kind))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        for _ in range(2):
            user = await backend.verify("alice", "pwd")
            assert user.username == "alice"
            assert backend.get_password_hash(user).startswith("new:")
            assert (await store.stored(user)).startswith("new:")
        for username in ("ALICE", "alice ", " alice"):
            assert await backend.verify(username, "pwd") is None
        assert log.messages == []


class TestBytesInThePasswordColumn:
    """Of a table whose hashes were once written as bytes."""

    async def write(self, store: Store, user: Any, value: bytes) -> None:
        literal, *statements = {
            "sqlite": (f"x'{value.hex()}'",),  # It takes bytes in any column.
            "postgresql": (
                f"decode('{value.hex()}', 'hex')",
                "ALTER TABLE users ALTER password TYPE BYTEA USING password::bytea",
            ),
            "mysql": (
                f"x'{value.hex()}'",
                "ALTER TABLE users MODIFY password VARBINARY(255)",
            ),
        }[store.server.kind]
        for statement in (*statements, f"UPDATE users SET password = {literal}"):
            await store.database.execute(statement)

    @pytest.mark.parametrize("kind", ["new", "old"])
    async def test_ascii_is_a_hash(self, store: Store, hasher: Hasher, kind: str, log: Log) -> None:
        alice = await store.add("alice", None)
        await self.write(store, alice, hasher.make("pwd", kind).encode())
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        assert await backend.verify("alice", "wrong") is None
        for _ in range(2):
            assert await backend.verify("alice", "pwd") is not None
        assert all("pwd" not in message for message in log.messages)

    @pytest.mark.parametrize("kind", ["new", "old"])
    @pytest.mark.parametrize("server", ["sqlite"], indirect=True)
    async def test_login_makes_them_text(
        self, store: Store, hasher: Hasher, kind: str, log: Log
    ) -> None:
        alice = await store.add("alice", None)
        await self.write(store, alice, hasher.make("pwd", kind).encode())
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        user = await backend.verify("alice", "pwd")

        stored = await store.stored(alice)
        assert isinstance(stored, str)
        assert stored == user.password
        assert stored.startswith("new:")
        assert log.messages == []

    async def test_others_are_a_wrong_password(
        self, store: Store, hasher: Hasher, log: Log
    ) -> None:
        alice = await store.add("alice", None)
        await self.write(store, alice, b"new:1:p\xffd")
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        assert await backend.verify("alice", "pwd") is None
        assert hasher.work == ["verify"]
        assert log.messages == ["WARNING The bytes in User.password are not a password hash."]
