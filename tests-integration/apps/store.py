"""The users and tokens of the tests, in a real database."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import databases
import orm
from starlette.applications import Starlette

from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import Argon2Hasher, MultiHasher, PBKDF2Hasher
from starlette_auth_orm import ModelTokenStore, token_fields

# As strong as release 0.5.0 made them.
OLD_HASHER = PBKDF2Hasher(rounds=29_000)
# A test of what happens meanwhile can make it take as long as it likes.
TIME_COST = int(os.environ.get("ARGON2_TIME_COST", "3"))
HASHER = MultiHasher([Argon2Hasher(time_cost=TIME_COST), PBKDF2Hasher()])

# Beyond ASCII, and with colons: what clients get wrong.
ZOE = ("zoë", "pä:ss:wörd£")
ALICE = ("alice", "alicepwd")
# Has an old hash.
BOB = ("bob", "bobpwd")


class Store:
    """The models on one database, which is not connected yet."""

    def __init__(self, url: str) -> None:
        self.database = databases.Database(url)
        models = orm.ModelRegistry(database=self.database)

        class User(orm.Model):
            tablename = "users"
            registry = models
            fields = {
                "id": orm.Integer(primary_key=True),
                "username": orm.String(max_length=150, unique=True),
                "password": orm.String(max_length=255),
            }

        class Token(orm.Model):
            tablename = "tokens"
            registry = models
            fields = token_fields(User)

        self.models = models
        # orm's fields are attributes that no type checker sees.
        self.User: Any = User
        self.Token: Any = Token
        self.tokens = Tokens(ModelTokenStore(Token), prefix="test")

    async def create(self) -> None:
        """Make the tables anew."""
        await self.models.drop_all()
        await self.models.create_all()

    async def fill(self) -> str:
        """Create the three users, and return a token of alice's."""
        await self.create()
        async with self.database:
            for (username, password), hasher in (
                (ALICE, HASHER),
                (ZOE, HASHER),
                (BOB, OLD_HASHER),
            ):
                await self.User.objects.create(
                    username=username, password=await hasher.make(password)
                )
            alice = await self.User.objects.get(username="alice")
            token, _ = await self.tokens.issue(alice, scopes=["machines"])
        return token

    async def stored(self, username: str) -> str:
        """Return the hash that is stored for a user."""
        async with self.database:
            user = await self.User.objects.get(username=username)
        hashed: str = user.password
        return hashed

    def lifespan(self) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
        """Return what connects an app to the database while it runs."""

        @asynccontextmanager
        async def connected(app: Starlette) -> AsyncIterator[None]:
            async with self.database:
                yield

        return connected


def fill(url: str) -> tuple[Store, str]:
    """Fill the database at *url*, and return what is in it and a token."""
    store = Store(url)
    return store, asyncio.run(store.fill())


def whoami(conn: Any) -> dict[str, Any]:
    """Return who asks, as JSON's types."""
    return {"user": conn.user.username, "scopes": list(conn.auth.scopes)}
