from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel import Field, Relationship, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BearerAuth, requires
from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_multi import MultiAuth
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

engine = create_async_engine("sqlite+aiosqlite:///sqlmodel.db")
sessions = async_sessionmaker(engine, class_=AsyncSession)
hasher = Argon2Hasher()


class User(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    username: str = Field(unique=True)
    password: str = Field(repr=False)  # a hash of it, never the password


class Token(TokenMixin, SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    user_id: int = Field(foreign_key="user.id", ondelete="CASCADE", index=True)
    user: User = Relationship()


tokens = Tokens(SQLAlchemyTokenStore(Token, sessions), prefix="shop")
backend = MultiAuth([BearerAuth(tokens), SQLAlchemyBasicAuth(User, sessions, hasher=hasher)])


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    async with sessions.begin() as session:
        session.add(User(username="alice", password=await hasher.make("alicepwd")))
    yield
    await engine.dispose()


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    lifespan=lifespan,
)
