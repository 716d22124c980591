"""The app with users and tokens on encode/orm."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import databases
import orm
from app import create_app, hasher

from starlette_auth_core.tokens import Tokens
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore, token_fields

# Any database that encode/databases knows, such as postgresql://user@localhost/name.
database = databases.Database(os.environ.get("DATABASE_URL", "sqlite:///demo.db"))
models = orm.ModelRegistry(database=database)


class User(orm.Model):
    tablename = "starlette_auth_demo_users"
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "username": orm.String(max_length=150, unique=True),
        "password": orm.String(max_length=255),  # a hash of it, never the password
    }


class Token(orm.Model):
    tablename = "starlette_auth_demo_tokens"
    registry = models
    fields = token_fields(User)  # a digest of it, never the token


class Session(orm.Model):
    tablename = "starlette_auth_demo_sessions"
    registry = models
    fields = token_fields(User)  # a digest of its id, never the id


@asynccontextmanager
async def lifespan(app: object = None) -> AsyncIterator[None]:
    async with database:
        yield


# Issues tokens and knows which ones are valid; the store holds their digests.
tokens = Tokens(ModelTokenStore(Token), prefix="demo")
app = create_app(tokens, ModelTokenStore(Session), ModelBasicAuth(User, hasher=hasher), lifespan)


async def create_tables() -> None:
    await models.create_all()


async def put_user(username: str, hashed: str) -> User:
    """Store a new user, or a new hash of one who is there."""
    user: User
    user, _ = await User.objects.update_or_create({"password": hashed}, username=username)
    return user


async def stored_hash(username: str) -> str:
    user = await User.objects.get(username=username)
    hashed: str = user.password
    return hashed
