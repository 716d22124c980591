"""A whole app: users in a database, passwords and tokens, and hashes that get stronger.

Beside this demo it runs by itself too: `uvicorn app:app`.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import databases
import orm
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, TokenAuth, requires
from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import Argon2Hasher, MultiHasher, PBKDF2Hasher
from starlette_auth_multi import MultiAuth
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore, token_fields

# Any database that encode/databases knows, such as postgresql://user@localhost/name.
database = databases.Database(os.environ.get("DATABASE_URL", "sqlite:///demo.db"))
models = orm.ModelRegistry(database=database)

# The first one makes new hashes. The others are for hashes that are stored already: each of those
# is replaced when its user logs in.
hasher = MultiHasher([Argon2Hasher(), PBKDF2Hasher()])


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


# Issues tokens and knows which ones are valid; the store holds their digests.
tokens = Tokens(ModelTokenStore(Token), prefix="demo")

# The request's own scheme decides which of the two is asked: `Authorization: Token demo_…`, or
# `Authorization: Basic …`.
backend = MultiAuth([TokenAuth(tokens), ModelBasicAuth(User, hasher=hasher)])


async def home(request: Request) -> JSONResponse:
    """Greet everybody."""
    name = request.user.username if "authenticated" in request.auth.scopes else "stranger"
    return JSONResponse({"message": f"Hello, {name}!"})


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    """Greet those who said who they are; all others are answered with 401."""
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with database:
        yield


app = Starlette(
    routes=[Route("/", home), Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    lifespan=lifespan,
)
