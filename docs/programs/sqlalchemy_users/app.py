from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy_auth import SQLAlchemyBasicAuth
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, requires
from starlette_auth_hashers import Argon2Hasher, MultiHasher, PBKDF2Hasher

engine = create_async_engine("sqlite+aiosqlite:///users.db")
sessions = async_sessionmaker(engine)
hasher = MultiHasher([Argon2Hasher(), PBKDF2Hasher()])


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions.begin() as session:
        old_hash = await PBKDF2Hasher(rounds=29_000).make("alicepwd")
        session.add(User(username="alice", password=old_hash))
    yield
    await engine.dispose()


backend = SQLAlchemyBasicAuth(User, sessions, hasher=hasher)
app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    lifespan=lifespan,
)
