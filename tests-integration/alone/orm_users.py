"""starlette-auth-orm alone, with what it depends on: users and tokens, and no passlib."""

import asyncio
import importlib.util
import tempfile
from datetime import timedelta

import databases
import orm

from starlette_auth_core import TokenAuth
from starlette_auth_core.tokens import Tokens
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore, token_fields

assert importlib.util.find_spec("passlib") is None
assert importlib.util.find_spec("starlette_auth_hashers") is None


class Reversed:
    """Stands for a hasher that one has already. It hides nothing."""

    async def verify(self, secret: str, hashed: str | None) -> bool:
        return hashed == secret[::-1]

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        return await self.verify(secret, hashed), None

    async def dummy_verify(self, secret: str, username: str = "") -> None:
        pass


async def main(folder: str) -> None:
    database = databases.Database(f"sqlite:///{folder}/users.db")
    models = orm.ModelRegistry(database=database)

    class User(orm.Model):
        tablename = "users"
        registry = models
        fields = {
            "id": orm.Integer(primary_key=True),
            "username": orm.String(max_length=150, unique=True),
            "password": orm.Text(),
        }

    class Token(orm.Model):
        tablename = "tokens"
        registry = models
        fields = token_fields(User)

    passwords = ModelBasicAuth(User, hasher=Reversed())
    tokens = Tokens(ModelTokenStore(Token), prefix="shop")
    backend = TokenAuth(tokens)
    await models.create_all()
    async with database:
        alice = await User.objects.create(username="alice", password="dwpecila")
        assert await passwords.verify("alice", "alicepwd") is not None
        assert await passwords.verify("alice", "wrong") is None
        assert await passwords.verify("eve", "x") is None

        token, row = await tokens.issue(alice, expires_in=timedelta(days=1))
        assert await backend.verify(token) == alice
        assert await tokens.revoke(row)
        assert await backend.verify(token) is None


with tempfile.TemporaryDirectory() as folder:
    asyncio.run(main(folder))
