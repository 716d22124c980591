"""The users, the tokens and the backend, on a database: a SQLite file, or `DATABASE_URL`."""

import os
from datetime import UTC, datetime

from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker
from starlette.requests import HTTPConnection

from starlette_auth_core import APIKeyAuth, BearerAuth, Challenge, TokenAuth
from starlette_auth_core.tokens import Tokens, digest_token, generate_token
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_multi import MultiAuth
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore, TokenMixin

engine = create_engine(os.environ.get("DATABASE_URL", "sqlite:///fastapi-example.db"))
sessions = sessionmaker(engine)
password_hasher = Argon2Hasher()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "starlette_auth_fastapi_users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str]  # a hash of it


class Token(TokenMixin, Base):
    __tablename__ = "starlette_auth_fastapi_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), index=True)
    user: Mapped[User] = relationship()


Base.metadata.create_all(engine)
with sessions.begin() as session:
    for username, password in (("alice", "alicepwd"), ("zoë", "123£")):
        if session.scalar(select(User).where(User.username == username)) is None:
            session.add(User(username=username, password=password_hasher.make_sync(password)))
    # Shown once, here.
    token = generate_token("demo")
    print("Your token:", token)
    alice = session.scalars(select(User).where(User.username == "alice")).one()
    now = datetime.now(UTC).replace(tzinfo=None)
    session.add(Token(digest=digest_token(token), user=alice, created_at=now, name="example"))

tokens = Tokens(SQLAlchemyTokenStore(Token, sessions), prefix="demo")


class Passwords(SQLAlchemyBasicAuth[User]):
    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        """Ask scripts, those of the documentation too, in a scheme that browsers do not know.

        Asked for `Basic`, the browser opens its own password dialogue, and the script waits.
        """
        if conn.headers.get("Sec-Fetch-Mode", "navigate") == "navigate":
            return super().challenges(conn)
        return (Challenge("XBasic", realm=self.realm),)


class _ByToken(TokenAuth[User]):
    scopes = ("authenticated", "via:token")


class BearerTokens(_ByToken, BearerAuth[User]):
    """`Authorization: Bearer …`."""


class APIKeys(_ByToken, APIKeyAuth[User]):
    """`X-API-Key: …`."""


backend = MultiAuth(
    [
        BearerTokens(tokens),
        _ByToken(tokens),
        APIKeys(tokens),
        Passwords(User, sessions, hasher=password_hasher),
    ]
)
