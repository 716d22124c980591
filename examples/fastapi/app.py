from datetime import timedelta
from typing import Annotated

from database import Base, Token, User, sessions
from fastapi import FastAPI, Query, Security

from starlette_auth_core import BearerAuth
from starlette_auth_core.tokens import Tokens
from starlette_auth_fastapi import Authenticated, login_router
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_multi import MultiAuth
from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth, SQLAlchemyTokenStore

hasher = Argon2Hasher()
with sessions.begin() as session:
    Base.metadata.create_all(session.connection())
    if session.get(User, 1) is None:
        session.add(User(username="alice", password=hasher.make_sync("alicepwd")))

passwords = SQLAlchemyBasicAuth(User, sessions, hasher=hasher)
tokens = Tokens(SQLAlchemyTokenStore(Token, sessions), prefix="demo")
auth = Authenticated(MultiAuth([BearerAuth(tokens), passwords]), token_url="/token")
CurrentUser = Annotated[User, Security(auth)]

app = FastAPI()
auth.install(app)
app.include_router(login_router(passwords, tokens, expires_in=timedelta(hours=12)))


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, str]:
    return {"username": user.username}


@app.post("/tokens")
async def create_token(name: Annotated[str, Query(pattern=r"^[\w-]+$")], user: CurrentUser) -> str:
    return (await tokens.issue(user, name=name, expires_in=timedelta(days=90)))[0]


@app.get("/tokens")
async def list_tokens(user: CurrentUser) -> list[str]:
    return [row.name for row in await tokens.list(user) if row.name]


@app.delete("/tokens/{name}")
async def revoke_token(name: str, user: CurrentUser) -> list[bool]:
    return [await tokens.revoke(row) for row in await tokens.list(user) if row.name == name]
