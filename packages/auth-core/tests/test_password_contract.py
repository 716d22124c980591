"""The contract of a storage of users: a right storage passes, and each wrong one fails."""

from __future__ import annotations

import inspect
import logging
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from starlette_auth_core import AuthenticationUnavailable, BaseBasicAuth
from starlette_auth_core.storage import exactly_one, is_active, log_unavailable
from starlette_auth_core.testing import ContractHasher, PasswordStorageContract, StoredUsers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.anyio

LOGGER = logging.getLogger("a_storage")


@dataclass
class User:
    name: str
    password: str | None
    active: bool = True


@dataclass
class Users(StoredUsers):
    rows: list[User] = field(default_factory=list)
    down: bool = False

    async def add(self, username: str, password: str | None) -> User:
        self.rows.append(User(username, password))
        return self.rows[-1]

    async def stored(self, user: User) -> str | None:
        return user.password

    async def change(self, user: User, password: str | None) -> None:
        user.password = password

    async def disable(self, user: User) -> None:
        user.active = False

    async def delete(self, user: User) -> None:
        self.rows.remove(user)

    def username(self, user: User) -> str:
        return user.name

    @asynccontextmanager
    async def unavailable(self) -> AsyncIterator[None]:
        self.down = True
        yield
        self.down = False


class MemoryAuth(BaseBasicAuth[User]):
    """A right one: each wrong one overrides a part."""

    def __init__(self, users: Users, hasher: ContractHasher) -> None:
        self.users = users
        self.hasher = hasher

    async def find_user(self, username: str) -> User | None:
        self.ask(username)
        user = self.choose(self.users.rows, username)
        return copy(user) if user is not None and self.may_log_in(user) else None

    async def replace_password_hash(self, user: User, old: str, new: str) -> None:
        self.ask(user.name)
        for row in self.users.rows:
            if row.name == user.name:
                self.swap(row, old, new)

    def ask(self, username: str) -> None:
        if self.users.down:
            error = ConnectionError("no answer")
            log_unavailable(error, logger=LOGGER)
            raise AuthenticationUnavailable from error

    def choose(self, rows: Sequence[User], username: str) -> User | None:
        alike = (row for row in rows if row.name.casefold() == username.casefold())
        return exactly_one(
            alike, username, read=lambda row: row.name, model="User", field="name", logger=LOGGER
        )

    def may_log_in(self, user: User) -> bool:
        return is_active(user, "active")

    def swap(self, row: User, old: str, new: str) -> None:
        if row.password == old:
            row.password = new


class TestMemory(PasswordStorageContract):
    @pytest.fixture
    def users(self) -> Users:
        return Users()

    @pytest.fixture
    def backend(self, users: Users, hasher: ContractHasher) -> MemoryAuth:
        return MemoryAuth(users, hasher)


class LetterCase(MemoryAuth):
    def choose(self, rows: Sequence[User], username: str) -> User | None:
        return next((row for row in rows if row.name.casefold() == username.casefold()), None)


class FirstOfTwo(MemoryAuth):
    def choose(self, rows: Sequence[User], username: str) -> User | None:
        return next((row for row in rows if row.name == username), None)


class Silent(MemoryAuth):
    def choose(self, rows: Sequence[User], username: str) -> User | None:
        exact = [row for row in rows if row.name == username]
        return exact[0] if len(exact) == 1 else None


class Nobody(MemoryAuth):
    def choose(self, rows: Sequence[User], username: str) -> User | None:
        return None


class Inactive(MemoryAuth):
    def may_log_in(self, user: User) -> bool:
        return True


class Overwriting(MemoryAuth):
    def swap(self, row: User, old: str, new: str) -> None:
        row.password = new


class NeverStoring(MemoryAuth):
    def swap(self, row: User, old: str, new: str) -> None:
        pass


class StoringForAll(MemoryAuth):
    async def replace_password_hash(self, user: User, old: str, new: str) -> None:
        self.ask(user.name)
        for row in self.users.rows:
            row.password = new


class Restoring(MemoryAuth):
    async def replace_password_hash(self, user: User, old: str, new: str) -> None:
        self.ask(user.name)
        self.users.rows[:] = [User(user.name, new)]


class WrongWhenDown(MemoryAuth):
    def ask(self, username: str) -> None:
        if self.users.down:
            raise ConnectionError("no answer")


class Unlogged(MemoryAuth):
    def ask(self, username: str) -> None:
        if self.users.down:
            raise AuthenticationUnavailable


class Talkative(MemoryAuth):
    def ask(self, username: str) -> None:
        if self.users.down:
            log_unavailable(ConnectionError(), logger=LOGGER, text=username)
            raise AuthenticationUnavailable


class Revealing(MemoryAuth):
    def ask(self, username: str) -> None:
        if self.users.down:
            raise AuthenticationUnavailable(f"no answer about {username}")


class StoringWhenDown(MemoryAuth):
    async def replace_password_hash(self, user: User, old: str, new: str) -> None:
        for row in self.users.rows:
            self.swap(row, old, new)


@pytest.mark.parametrize(
    ("wrong", "test", "arguments"),
    [
        (Nobody, "test_right_password_gives_the_user", {}),
        (LetterCase, "test_user_ids_are_compared_exactly", {}),
        (LetterCase, "test_lookalike_of_a_user_is_an_unknown_user", {}),
        (FirstOfTwo, "test_two_users_of_one_user_id_are_refused_and_logged", {}),
        (Silent, "test_two_users_of_one_user_id_are_refused_and_logged", {}),
        (Inactive, "test_user_who_is_not_active_is_refused_at_the_same_cost", {}),
        (NeverStoring, "test_outdated_hash_is_replaced_for_that_user_alone", {}),
        (StoringForAll, "test_outdated_hash_is_replaced_for_that_user_alone", {}),
        (NeverStoring, "test_20_logins_at_once_replace_an_outdated_hash", {}),
        (Overwriting, "test_password_changed_meanwhile_is_not_overwritten", {"changed": "!"}),
        (Restoring, "test_user_deleted_meanwhile_stays_deleted", {}),
        (Overwriting, "test_replacing_a_hash_that_is_not_stored_changes_nothing", {}),
        (WrongWhenDown, "test_database_that_is_down_is_unavailable", {}),
        (Unlogged, "test_database_that_is_down_is_unavailable", {}),
        (Talkative, "test_database_that_is_down_is_unavailable", {}),
        (Revealing, "test_database_that_is_down_is_unavailable", {}),
        (StoringWhenDown, "test_login_succeeds_where_the_new_hash_can_not_be_stored", {}),
    ],
)
async def test_wrong_storage_fails(
    wrong: type[MemoryAuth],
    test: str,
    arguments: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    users, hasher = Users(), ContractHasher()
    method = getattr(PasswordStorageContract(), test)
    given = arguments | {
        "users": users,
        "hasher": hasher,
        "backend": wrong(users, hasher),
        "caplog": caplog,
    }

    with pytest.raises((AssertionError, ConnectionError)):
        await method(**{name: given[name] for name in inspect.signature(method).parameters})


class UniqueUsers(Users):
    async def add(self, username: str, password: str | None) -> User:
        if any(self.username(user) == username for user in self.rows):
            raise ValueError("there is a user of that name")
        return await super().add(username, password)


async def test_storage_with_a_unique_constraint_has_no_two_users_of_one_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    users, hasher = UniqueUsers(), ContractHasher()
    method = TestMemory().test_two_users_of_one_user_id_are_refused_and_logged
    with pytest.raises(pytest.skip.Exception, match="unique constraint"):
        await method(users, MemoryAuth(users, hasher), hasher, caplog)


@pytest.mark.parametrize("fixture", ["users", "backend"])
def test_fixture_that_is_not_overridden_says_so(fixture: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_own=f"""
        from starlette_auth_core.testing import PasswordStorageContract

        class Test(PasswordStorageContract):
            def test_of_a_subclass(self, {fixture}):
                pass
        """
    )

    result = pytester.runpytest("test_own.py::Test::test_of_a_subclass")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*override the fixture `{fixture}`"])
