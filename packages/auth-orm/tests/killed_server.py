"""The app of `test_kill.py`, whose server is killed."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import databases
from conftest import Hasher, models_of
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware
from starlette_auth_orm import ModelBasicAuth

database = databases.Database(os.environ["DATABASE_URL"])
User, _ = models_of(database)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with database:
        yield


async def name(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.user.username)


app = Starlette(
    routes=[Route("/", name)],
    middleware=[
        Middleware(AuthenticationMiddleware, backend=ModelBasicAuth(User, hasher=Hasher()))
    ],
    lifespan=lifespan,
)
