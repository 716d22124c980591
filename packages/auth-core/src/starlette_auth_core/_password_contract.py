"""The contract of a storage of users and their password hashes, as tests to inherit."""

import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import anyio
import pytest

from ._exceptions import AuthenticationUnavailable

__all__ = ["ContractHasher", "PasswordStorageContract", "StoredUsers"]

LOOKALIKES = ("alice", "ALICE", "alicé", "alice ", "àlice")


class ContractHasher:
    """A password hasher that makes readable hashes: `old:` or `new:`, a number, the password.

    A hash that starts with `old:` is outdated. As with real hashes, none ends with a blank.

    Attributes:
        work: The names of the methods that checked a password, in order.
    """

    def __init__(self) -> None:
        self.work: list[str] = []
        self._made = 0
        self._arrived: anyio.Event | None = None
        self._gate: anyio.Event | None = None

    def make(self, secret: str, kind: str = "new") -> str:
        """Return a hash of a password, different from all others."""
        self._made += 1
        return f"{kind}:{self._made}:{secret}"

    async def verify(self, secret: str, hashed: str | None, /) -> bool:
        """Return whether a password is that of a hash."""
        await self._work("verify")
        kind, _, rest = (hashed or "").partition(":")
        number, _, password = rest.partition(":")
        return kind in {"old", "new"} and number.isdigit() and password == secret

    async def verify_and_update(
        self, secret: str, hashed: str | None, /
    ) -> tuple[bool, str | None]:
        """Return that, and a new hash where the stored one is outdated."""
        valid = await self.verify(secret, hashed)
        outdated = hashed is not None and hashed.startswith("old:")
        return valid, self.make(secret) if valid and outdated else None

    async def dummy_verify(self, secret: str, username: str, /) -> None:
        """Do the work of `verify` for a user who does not exist."""
        await self._work("dummy_verify")

    def hold(self) -> None:
        """Let every check from now on wait until `release`."""
        self._arrived, self._gate = anyio.Event(), anyio.Event()

    async def arrived(self) -> None:
        """Wait until a check is being held."""
        assert self._arrived is not None, "hold the hasher first"
        await self._arrived.wait()

    def release(self) -> None:
        """Let the held checks go on."""
        assert self._gate is not None, "hold the hasher first"
        self._gate.set()

    async def _work(self, method: str) -> None:
        self.work.append(method)
        if self._gate is not None and self._arrived is not None:
            self._arrived.set()
            await self._gate.wait()


class StoredUsers(Protocol):
    """The table of users behind a backend, as the contract uses it.

    It has no unique constraint on user-ids, and is empty at the start of each test.
    """

    @abstractmethod
    async def add(self, username: str, password: str | None) -> Any:
        """Store an active user, and return what the other methods know the user by."""

    @abstractmethod
    async def stored(self, user: Any) -> str | None:
        """Return the password hash that is stored now."""

    @abstractmethod
    async def change(self, user: Any, password: str | None) -> None:
        """Store another password hash."""

    @abstractmethod
    async def disable(self, user: Any) -> None:
        """Store that the user may not log in, in the backend's `active_field`."""

    @abstractmethod
    async def delete(self, user: Any) -> None:
        """Delete the user."""

    @abstractmethod
    def username(self, user: Any) -> str:
        """Return the user-id of a user that the backend returned."""

    @abstractmethod
    def unavailable(self) -> AbstractAsyncContextManager[None]:
        """Let every query fail inside the block, as those of a database that is down."""


@pytest.mark.anyio
class PasswordStorageContract:
    """Tests of a storage of users: a subclass of `BaseBasicAuth` that finds them in a database.

    Inherit it in a test module, and override two fixtures: `users`, a `StoredUsers`, and `backend`,
    which is made with the fixture `hasher`, and with an `active_field`. The tests run on the
    `anyio_backend` of your own fixture of that name, where there is one.

    Example:
        ```python
        class TestPasswords(PasswordStorageContract):
            @pytest.fixture
            def users(self, database):
                return MyUsers(database)

            @pytest.fixture
            def backend(self, database, hasher):
                return MyBasicAuth(database, hasher=hasher, active_field="active")
        ```
    """

    @pytest.fixture
    def users(self) -> StoredUsers:
        """Override this: the table of users, empty."""
        raise NotImplementedError("override the fixture `users`")

    @pytest.fixture
    def backend(self) -> Any:
        """Override this: the backend, made with the fixture `hasher`."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def hasher(self) -> ContractHasher:
        """Return the hasher for the backend."""
        return ContractHasher()

    async def test_right_password_gives_the_user(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher
    ) -> None:
        await users.add("alice", hasher.make("pwd"))
        await users.add("bob", hasher.make("pwd of bob"))

        user = await backend.verify("alice", "pwd")
        assert user is not None
        assert users.username(user) == "alice"
        assert await backend.verify("alice", "pwd of bob") is None

    async def test_user_ids_are_compared_exactly(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher
    ) -> None:
        for number, username in enumerate(LOOKALIKES):
            await users.add(username, hasher.make(f"password {number}", "old"))

        for number, username in enumerate(LOOKALIKES):
            for other in range(len(LOOKALIKES)):
                user = await backend.verify(username, f"password {other}")
                assert (user is not None) == (number == other)
                assert user is None or users.username(user) == username

    async def test_lookalike_of_a_user_is_an_unknown_user(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher
    ) -> None:
        await users.add("alice", hasher.make("pwd"))

        for username in (*LOOKALIKES[1:], "", "%", "a%", "alice\\", "' OR '1'='1", "🦊" * 9):
            hasher.work.clear()
            assert await backend.verify(username, "pwd") is None
            assert hasher.work == ["dummy_verify"]

    async def test_two_users_of_one_user_id_are_refused_and_logged(
        self,
        users: StoredUsers,
        backend: Any,
        hasher: ContractHasher,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        await users.add("alice", hasher.make("one"))
        try:
            await users.add("alice", hasher.make("two"))
        except Exception:  # noqa: BLE001  # Each storage has an error of its own.
            pytest.skip("the storage has a unique constraint, and so no two users of one user-id")
        caplog.clear()

        for password in ("one", "two"):
            assert await backend.verify("alice", password) is None

        assert hasher.work == ["dummy_verify"] * 2
        messages = [text for text in caplog.messages if text.startswith("Login refused: 2 rows of")]
        assert len(messages) == 2
        assert "alice" not in "".join(messages)

    @pytest.mark.parametrize("password", [None, "", "!", "!old:1:pwd"])
    async def test_user_without_a_password_is_refused(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher, password: str | None
    ) -> None:
        await users.add("alice", password)

        for typed in ("", "!", "pwd", "None"):
            assert await backend.verify("alice", typed) is None
        assert len(hasher.work) == 4

    async def test_user_who_is_not_active_is_refused_at_the_same_cost(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher
    ) -> None:
        outdated = hasher.make("pwd", "old")
        alice = await users.add("alice", outdated)
        await users.disable(alice)

        assert await backend.verify("alice", "pwd") is None
        assert len(hasher.work) == 1
        assert await users.stored(alice) == outdated

    async def test_outdated_hash_is_replaced_for_that_user_alone(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher
    ) -> None:
        alice = await users.add("alice", hasher.make("pwd", "old"))
        other = hasher.make("pwd", "old")
        bob = await users.add("bob", other)

        assert await backend.verify("alice", "wrong") is None
        assert (await users.stored(alice) or "").startswith("old:")
        assert await backend.verify("alice", "pwd") is not None

        assert (await users.stored(alice) or "").startswith("new:")
        assert await users.stored(bob) == other
        assert await backend.verify("alice", "pwd") is not None

    async def test_20_logins_at_once_replace_an_outdated_hash(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher
    ) -> None:
        alice = await users.add("alice", hasher.make("pwd", "old"))
        found = []

        async def log_in() -> None:
            found.append(await backend.verify("alice", "pwd"))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(log_in)

        assert None not in found
        assert (await users.stored(alice) or "").startswith("new:")
        assert await backend.verify("alice", "pwd") is not None

    @pytest.mark.parametrize("changed", ["new:0:changed", "", "!", "n", None])
    async def test_password_changed_meanwhile_is_not_overwritten(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher, changed: str | None
    ) -> None:
        alice = await users.add("alice", hasher.make("pwd", "old"))

        async with _held_login(backend, hasher):
            await users.change(alice, changed)

        assert await users.stored(alice) == changed
        assert await backend.verify("alice", "pwd") is None

    async def test_user_deleted_meanwhile_stays_deleted(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher
    ) -> None:
        alice = await users.add("alice", hasher.make("pwd", "old"))

        async with _held_login(backend, hasher):
            await users.delete(alice)

        assert await backend.verify("alice", "pwd") is None

    async def test_replacing_a_hash_that_is_not_stored_changes_nothing(
        self, users: StoredUsers, backend: Any, hasher: ContractHasher
    ) -> None:
        stored = hasher.make("pwd")
        alice = await users.add("alice", stored)
        user = await backend.verify("alice", "pwd")

        await backend.replace_password_hash(user, hasher.make("pwd", "old"), hasher.make("pwd"))

        assert await users.stored(alice) == stored

    async def test_database_that_is_down_is_unavailable(
        self,
        users: StoredUsers,
        backend: Any,
        hasher: ContractHasher,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        await users.add("alice", hasher.make("pwd"))
        caplog.set_level(logging.INFO)
        caplog.clear()

        async with users.unavailable():
            for username in ("alice", "nobody"):
                with pytest.raises(AuthenticationUnavailable) as error:
                    await backend.verify(username, "pwd")
                assert username not in str(error.value)

        assert hasher.work == []
        assert "Authentication is unavailable" in caplog.text
        for secret in ("alice", "nobody", "pwd"):
            assert secret not in caplog.text
        assert await backend.verify("alice", "pwd") is not None

    async def test_login_succeeds_where_the_new_hash_can_not_be_stored(
        self,
        users: StoredUsers,
        backend: Any,
        hasher: ContractHasher,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        outdated = hasher.make("pwd", "old")
        alice = await users.add("alice", outdated)
        caplog.clear()

        async with _held_login(backend, hasher) as finish, users.unavailable():
            await finish()

        assert await users.stored(alice) == outdated
        assert "Storing an upgraded password hash failed" in caplog.text


@asynccontextmanager
async def _held_login(
    backend: Any, hasher: ContractHasher
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    # A login of alice that has read the stored hash, and goes on at the end of the block.
    found = []
    finished = anyio.Event()

    async def log_in() -> None:
        found.append(await backend.verify("alice", "pwd"))
        finished.set()

    async def finish() -> None:
        hasher.release()
        await finished.wait()

    hasher.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log_in)
        await hasher.arrived()
        yield finish
        await finish()
    # The login was right when it was checked.
    assert found != [None]
