"""The contracts of storages, on each of the three databases."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from starlette_auth_core.testing import (
    PasswordStorageContract,
    StoredUsers,
    TokenStoreContract,
)
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from conftest import Store

    from starlette_auth_core.testing import ContractHasher


class Users(StoredUsers):
    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, username: str, password: str | None) -> Any:
        user = await self._store.add(username, None)
        await self.change(user, password)
        return user

    async def stored(self, user: Any) -> Any:
        return await self._store.stored(user)

    async def change(self, user: Any, password: str | None) -> None:
        # orm's own `update` would store None for an empty string.
        table = self._store.User.table
        update = table.update().where(table.c.id == user.id).values(password=password)
        await self._store.database.execute(update)

    async def disable(self, user: Any) -> None:
        await user.update(active=False)

    async def delete(self, user: Any) -> None:
        await user.delete()

    def username(self, user: Any) -> str:
        username: str = user.username
        return username

    @asynccontextmanager
    async def unavailable(self) -> AsyncIterator[None]:
        await self._store.database.execute("ALTER TABLE users RENAME TO elsewhere")
        yield
        await self._store.database.execute("ALTER TABLE elsewhere RENAME TO users")


class TestUsers(PasswordStorageContract):
    @pytest.fixture
    def users(self, store: Store) -> Users:
        return Users(store)

    @pytest.fixture
    def backend(self, store: Store, hasher: ContractHasher) -> Any:
        return ModelBasicAuth(store.User, hasher=hasher, active_field="active")


class TestTokens(TokenStoreContract):
    extra: ClassVar[Mapping[str, Any]] = {"name": "laptop"}
    refused: ClassVar[Sequence[str]] = ("id", "nonsense")

    @pytest.fixture
    def store(self, store: Store) -> ModelTokenStore:
        return ModelTokenStore(store.Token, active_field="active")

    @pytest.fixture
    async def users(self, store: ModelTokenStore) -> Sequence[Any]:
        model: Any = store.model
        create = model.fields["user"].target.objects.create
        return [await create(username=name, active=True) for name in ("alice", "bob")]

    async def lock_out(self, user: Any) -> None:
        await user.update(active=False)

    async def delete_user(self, user: Any) -> None:
        await user.delete()
