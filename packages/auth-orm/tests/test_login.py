"""Who is let in, and who is not, on each of the three databases."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import HTTPConnection

from starlette_auth_core import InvalidCredentials
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


async def test_wrong_password_is_refused(store: Store, hasher: Hasher) -> None:
    await store.add("alice", hasher.make("pwd"))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)

    with pytest.raises(InvalidCredentials):
        await backend.authenticate(basic("alice", "wrong"))


async def test_other_fields_may_hold_user_id_and_password(store: Store, hasher: Hasher) -> None:
    alice = await store.add(hasher.make("pwd"), None, email="alice@example.org")
    backend: Any = ModelBasicAuth(
        store.User, hasher=hasher, username_field="email", password_field="username"
    )

    assert await backend.verify("alice@example.org", "pwd") == alice


async def test_user_with_the_key_0_logs_in(store: Store, hasher: Hasher) -> None:
    await store.add("alice", hasher.make("pwd", "old"))
    # MariaDB gives out the next number where 0 is inserted.
    await store.database.execute(store.User.table.update().values(id=0))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)

    user = await backend.verify("alice", "pwd")

    assert user.id == 0
    assert await store.stored(user) == user.password
    assert user.password.startswith("new:")


class TestUserIdsAreComparedExactly:
    LOOKALIKES = ("alice", "ALICE", "alicé", "alice ", "àlice")

    async def test_mariadb_takes_them_for_the_same(self, store: Store, hasher: Hasher) -> None:
        # The premise of the test below.
        for username in self.LOOKALIKES:
            await store.add(username, None)

        found = await store.User.objects.filter(username="alice").all()

        assert len(found) == (len(self.LOOKALIKES) if store.server.kind == "mysql" else 1)

    async def test_each_is_a_user_of_their_own(self, store: Store, hasher: Hasher) -> None:
        for username in self.LOOKALIKES:
            await store.add(username, hasher.make(f"{username}'s password", "old"))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        for number, username in enumerate(self.LOOKALIKES, start=1):
            for other in set(self.LOOKALIKES) - {username}:
                assert await backend.verify(username, f"{other}'s password") is None
            user = await backend.verify(username, f"{username}'s password")
            assert user.username == username
            assert user.password.startswith("new:")
            upgraded = await store.User.objects.filter(password__contains="new:").all()
            assert len(upgraded) == number

    async def test_lookalike_of_a_user_is_an_unknown_user(
        self, store: Store, hasher: Hasher
    ) -> None:
        await store.add("alice", hasher.make("pwd"))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        for username in self.LOOKALIKES[1:]:
            assert await backend.verify(username, "pwd") is None
        assert hasher.work == ["dummy_verify"] * (len(self.LOOKALIKES) - 1)

    async def test_user_id_of_four_byte_characters(self, store: Store, hasher: Hasher) -> None:
        await store.add("алиса 🦊", hasher.make("pwd"))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)

        assert await backend.verify("алиса 🦊", "pwd") is not None
        assert await backend.verify("алиса 🐻", "pwd") is None


async def test_two_users_with_one_user_id_are_refused_and_logged(
    store: Store, hasher: Hasher, log: Log
) -> None:
    for password in ("one", "two"):
        await store.add("alice", hasher.make(password))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)

    for password in ("one", "two"):
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(basic("alice", password))

    assert hasher.work == ["dummy_verify"] * 2
    assert (
        log.messages
        == [
            (
                "ERROR Nobody is let in by 2 rows of User that have the same username: "
                "make that column unique"
            )
        ]
        * 2
    )


class TestUsersWhoMayNotLogIn:
    @pytest.mark.parametrize("password", [None, "", "!", "!old:1:pwd"])
    async def test_user_without_a_password(
        self, store: Store, hasher: Hasher, password: str | None
    ) -> None:
        await store.add("nobody", None)
        await store.database.execute(store.User.table.update().values(password=password))
        await store.add("alice", hasher.make("pwd"))
        backend: Any = ModelBasicAuth(store.User, hasher=hasher)
        assert await backend.verify("alice", "wrong") is None
        wrong_password = hasher.work.copy()

        for typed in ("", "!", "pwd", "None"):
            hasher.work.clear()
            assert await backend.verify("nobody", typed) is None
            assert hasher.work == wrong_password

    @pytest.mark.parametrize("active", [False, None])
    async def test_user_who_is_not_active(
        self, store: Store, hasher: Hasher, active: bool | None
    ) -> None:
        user = await store.add("alice", hasher.make("pwd", "old"), active=active)
        backend: Any = ModelBasicAuth(store.User, hasher=hasher, active_field="active")

        assert await backend.verify("alice", "pwd") is None
        assert await backend.verify("alice", "wrong") is None
        assert hasher.work == ["dummy_verify"] * 2
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


async def test_odd_user_ids_are_unknown_users(store: Store, hasher: Hasher, log: Log) -> None:
    await store.add("alice", hasher.make("pwd"))
    backend: Any = ModelBasicAuth(store.User, hasher=hasher)

    for username in ("", "%", "a%", "' OR '1'='1", "alice\\", '"', "x" * 8000, "🦊" * 2000):
        hasher.work.clear()
        assert await backend.verify(username, "pwd") is None
        assert hasher.work == ["dummy_verify"]
    assert log.messages == []
