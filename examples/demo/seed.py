"""The demo's database before the first request."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from app import hasher
from starlette.applications import Starlette

from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import PBKDF2Hasher

# As strong as release 0.5.0 made them.
OLD_HASHER = PBKDF2Hasher(rounds=29_000)


class Storage(Protocol):
    """The modules `on_sqlalchemy` and `on_orm`."""

    @property
    def app(self) -> Starlette: ...

    @property
    def tokens(self) -> Tokens[Any, Any]: ...

    def lifespan(self) -> AbstractAsyncContextManager[None]: ...

    async def create_tables(self) -> None: ...

    async def put_user(self, username: str, hashed: str) -> Any: ...

    async def stored_hash(self, username: str) -> str: ...


async def create_users(storage: Storage) -> str:
    """Create alice, bob with an old hash, and a token of alice's, which is returned."""
    await storage.create_tables()
    async with storage.lifespan():
        alice = await storage.put_user("alice", await hasher.make("alicepwd"))
        await storage.put_user("bob", await OLD_HASHER.make("bobpwd"))

        # Shown once, here. What is stored can't be turned back into it.
        token, _ = await storage.tokens.issue(alice)
    return token


async def stored_hash(storage: Storage, username: str) -> str:
    """Return what is stored for a user."""
    async with storage.lifespan():
        return await storage.stored_hash(username)
