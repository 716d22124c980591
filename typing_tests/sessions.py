"""What users of sessions write."""

from dataclasses import dataclass
from datetime import timedelta
from typing import assert_type

from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from starlette.authentication import AuthenticationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from starlette_auth_core import AuthBackend, BearerAuth
from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_multi import MultiAuth
from starlette_auth_sessions import CrossOriginRequest, SessionAuth, Sessions
from starlette_auth_sqlalchemy import SQLAlchemyTokenStore, TokenMixin


@dataclass
class Member:
    name: str


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)


class Session(TokenMixin, Base):
    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    user: Mapped[User] = relationship()


maker: async_sessionmaker[AsyncSession] = async_sessionmaker(create_async_engine("sqlite://"))


async def rows_are_the_models(request: Request, websocket: WebSocket) -> None:
    sessions = Sessions(SQLAlchemyTokenStore(Session, maker))
    row = await sessions.login(request, Response(), User(), name="laptop")
    assert_type(row, Session)
    assert_type(row.name, str | None)
    for each in await sessions.list(row.user):
        assert_type(each, Session)
    assert_type(await sessions.end_all(row.user, keep=request), int)
    assert_type(await sessions.end_all(row.user, keep=websocket), int)
    assert_type(await sessions.purge(), int)
    await sessions.logout(request, Response())

    SessionAuth(SQLAlchemyTokenStore(Session, maker))  # type: ignore[arg-type]
    Sessions(maker)  # type: ignore[arg-type]
    Sessions(SQLAlchemyTokenStore(Session, maker), idle=3600)  # type: ignore[arg-type]


async def users_are_those_of_the_store(request: Request) -> None:
    store: MemoryTokenStore[Member] = MemoryTokenStore()
    sessions = Sessions(
        store,
        idle=timedelta(hours=1),
        absolute=timedelta(days=1),
        fresh=timedelta(minutes=5),
        trusted_origins=["https://app.example.org"],
        insecure=True,
    )
    await sessions.login(request, Response(), Member("alice"))
    await sessions.login(request, Response(), User())  # type: ignore[arg-type]
    auth = SessionAuth(sessions)
    assert_type(auth, SessionAuth[Member])
    backend: AuthBackend[Member] = auth
    tokens: Tokens[Member] = Tokens(MemoryTokenStore[Member](), prefix="acme")
    MultiAuth([BearerAuth(tokens), backend])


class OwnAuth(SessionAuth[Member]):
    def get_scopes(self, user: Member) -> tuple[str, ...]:
        return ("authenticated", user.name)


def refusal() -> AuthenticationError:
    return CrossOriginRequest()
