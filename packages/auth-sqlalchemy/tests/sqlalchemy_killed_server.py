"""The app of `test_kill.py`, whose server is killed."""

import os

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import sessionmaker
from sqlalchemy_databases import Server, User
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware
from starlette_auth_core.testing import ContractHasher
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth

engine = Server(make_url(os.environ["DATABASE_URL"])).engine(os.environ["DATABASE_DRIVER"])
backend = (
    SQLAlchemyBasicAuth(User, async_sessionmaker(engine), hasher=ContractHasher())
    if isinstance(engine, AsyncEngine)
    else SQLAlchemyBasicAuth(User, sessionmaker(engine), hasher=ContractHasher())
)


async def name(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.user.username)


app = Starlette(
    routes=[Route("/", name)],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
)
