import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any

from fastapi import FastAPI, Security
from sqlalchemy import ForeignKey, String, Uuid
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from starlette_auth_core import BearerAuth
from starlette_auth_core.tokens import Tokens
from starlette_auth_fastapi import Authenticated, login_router
from starlette_auth_hashers import Argon2Hasher, BCryptHasher, MultiHasher
from starlette_auth_multi import MultiAuth
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

engine = create_async_engine(os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///users.db"))
sessions = async_sessionmaker(engine)
# The type of their keys: 36 characters where a database has no type for them.
KEY = Uuid().with_variant(String(36), "sqlite", "mysql", "mariadb")


class Base(DeclarativeBase): ...


class User(Base):
    __tablename__ = "user"
    id: Mapped[Any] = mapped_column(KEY, primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    hashed_password: Mapped[str] = mapped_column(String(1024))
    is_active: Mapped[bool]
    is_superuser: Mapped[bool]
    is_verified: Mapped[bool]


class Token(TokenMixin, Base):
    __tablename__ = "api_token"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[Any] = mapped_column(KEY, ForeignKey(User.id, ondelete="CASCADE"), index=True)
    user: Mapped[User] = relationship()


class Passwords(SQLAlchemyBasicAuth[User]):
    async def find_user(self, username: str) -> User | None:
        return await self.find_by("email", username.lower())


passwords = Passwords(
    User,
    sessions,
    hasher=MultiHasher([Argon2Hasher(), BCryptHasher()]),
    username_field="email",
    password_field="hashed_password",
    active_field="is_active",
)
tokens = Tokens(SQLAlchemyTokenStore(Token, sessions, active_field="is_active"), prefix="shop")
auth = Authenticated(MultiAuth([BearerAuth(tokens), passwords]), token_url="/login")
CurrentUser = Annotated[User, Security(auth)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
auth.install(app)
app.include_router(login_router(passwords, tokens, path="/login", expires_in=timedelta(hours=12)))


@app.get("/protected")
async def protected(user: CurrentUser) -> dict[str, str]:
    return {"message": f"Hello, {user.email}!"}
