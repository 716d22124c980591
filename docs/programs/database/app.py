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

from starlette_auth_core import AuthenticationMiddleware, requires
from starlette_auth_hashers import Argon2Hasher, MultiHasher, PBKDF2Hasher
from starlette_auth_orm import ModelBasicAuth

database = databases.Database(os.environ.get("DATABASE_URL", "sqlite:///users.db"))
models = orm.ModelRegistry(database=database)

# New hashes are Argon2. Stored ones of PBKDF2 verify, and are replaced when their user logs in.
hasher = MultiHasher([Argon2Hasher(), PBKDF2Hasher()])


class User(orm.Model):
    tablename = "users"
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "username": orm.String(max_length=150, unique=True),
        "email": orm.String(max_length=254, unique=True),
        "password": orm.Text(),  # a hash of it, never the password
        "is_active": orm.Boolean(default=True),
    }


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with database:
        yield


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


backend = ModelBasicAuth(User, hasher=hasher, active_field="is_active")
app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    lifespan=lifespan,
)
