import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport
from fastapi_users.authentication.strategy.db import DatabaseStrategy
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from fastapi_users_db_sqlalchemy.access_token import (
    SQLAlchemyAccessTokenDatabase,
    SQLAlchemyBaseAccessTokenTableUUID,
)
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

engine = create_async_engine(os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///users.db"))
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase): ...


class User(SQLAlchemyBaseUserTableUUID, Base): ...


class AccessToken(SQLAlchemyBaseAccessTokenTableUUID, Base): ...


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]): ...


class UserRead(schemas.BaseUser[uuid.UUID]): ...


class UserCreate(schemas.BaseUserCreate): ...


async def get_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]


async def get_user_manager(session: Session) -> UserManager:
    return UserManager(SQLAlchemyUserDatabase(session, User))


def get_strategy(session: Session) -> DatabaseStrategy[User, uuid.UUID, AccessToken]:
    database = SQLAlchemyAccessTokenDatabase(session, AccessToken)
    return DatabaseStrategy(database, lifetime_seconds=43200)


backend = AuthenticationBackend(
    name="database", transport=BearerTransport(tokenUrl="login"), get_strategy=get_strategy
)
fastapi_users = FastAPIUsers[User, uuid.UUID](get_user_manager, [backend])
CurrentUser = Annotated[User, Depends(fastapi_users.current_user(active=True))]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
app.include_router(fastapi_users.get_auth_router(backend))
app.include_router(fastapi_users.get_register_router(UserRead, UserCreate))


@app.get("/protected")
async def protected(user: CurrentUser) -> dict[str, str]:
    return {"message": f"Hello, {user.email}!"}
