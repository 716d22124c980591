import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import ForeignKey, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BearerAuth, requires
from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import Argon2Hasher, MultiHasher, PBKDF2Hasher
from starlette_auth_multi import MultiAuth
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

engine = create_async_engine(os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///users.db"))
sessions = async_sessionmaker(engine)
# New passwords get Argon2. Hashes made with PBKDF2 still verify, and are replaced at login.
hasher = MultiHasher([Argon2Hasher(), PBKDF2Hasher()])


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]  # a hash of it, never the password
    is_active: Mapped[bool] = mapped_column(default=True)
    roles: Mapped[list["Role"]] = relationship()


class Role(Base):
    __tablename__ = "roles"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)


class Token(TokenMixin, Base):
    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    user: Mapped[User] = relationship()


class PasswordAuth(SQLAlchemyBasicAuth[User]):
    # Only a password may make tokens: a stolen token makes no more of them.
    scopes = ("authenticated", "tokens")


# The relationship is loaded with the user, by a query for all: the user is detached then.
passwords = PasswordAuth(
    User, sessions, hasher=hasher, active_field="is_active", options=[joinedload(User.roles)]
)
store = SQLAlchemyTokenStore(
    Token,
    sessions,
    active_field="is_active",
    options=[joinedload(Token.user).selectinload(User.roles)],
)
tokens = Tokens(store, prefix="shop")
backend = MultiAuth([BearerAuth(tokens), passwords])


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    roles = [role.name for role in request.user.roles]
    return JSONResponse({"message": f"Hello, {request.user.username}!", "roles": roles})


@requires("tokens")
async def issue(request: Request) -> JSONResponse:
    token, _ = await tokens.issue(request.user, name="laptop", expires_in=timedelta(days=90))
    return JSONResponse({"token": token}, 201, {"Cache-Control": "no-store"})


@requires("authenticated")
async def rename(request: Request) -> JSONResponse:
    async with sessions.begin() as session:
        # The user is brought into this session without a query.
        user = await session.merge(request.user, load=False)
        user.username = "alicia"
    return JSONResponse({"message": "Hello, alicia!"})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions.begin() as session:
        if await session.scalar(select(User.id).where(User.username == "alice")) is None:
            old_hash = await PBKDF2Hasher(rounds=29_000).make("alicepwd")
            session.add(User(username="alice", password=old_hash, roles=[Role(name="editor")]))
    yield
    await engine.dispose()


app = Starlette(
    routes=[
        Route("/protected", protected),
        Route("/tokens", issue, methods=["POST"]),
        Route("/name", rename, methods=["PUT"]),
    ],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    lifespan=lifespan,
)
