import os
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request, Response, Security
from pydantic import BaseModel, SecretStr

from starlette_auth_core import BaseBasicAuth
from starlette_auth_core.tokens import MemoryTokenStore
from starlette_auth_fastapi import Authenticated
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_sessions import SessionAuth, Sessions

password_hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


USERS = {"alice": User("alice", password_hasher.make_sync("alicepwd"))}


class Passwords(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


class Login(BaseModel):
    username: str
    password: SecretStr


passwords = Passwords()
# In practice: a store of starlette-auth-sqlalchemy or starlette-auth-orm.
store: MemoryTokenStore[User] = MemoryTokenStore()
sessions = Sessions(store, insecure="DEVELOPMENT" in os.environ)
auth = Authenticated(SessionAuth(sessions))

CurrentUser = Annotated[User, Security(auth)]
# For what should ask for the password again.
FreshUser = Annotated[User, Security(auth, scopes=["fresh"])]

app = FastAPI()
auth.install(app)


@app.post("/login", status_code=204)
async def login(body: Login, request: Request, response: Response) -> None:
    user = await passwords.verify(body.username, body.password.get_secret_value())
    if user is None:
        raise HTTPException(401, "The name or the password is wrong")
    await sessions.login(request, response, user)


@app.post("/logout", status_code=204)
async def logout(request: Request, response: Response) -> None:
    await sessions.logout(request, response)


@app.get("/me")
async def me(user: CurrentUser) -> dict[str, str]:
    return {"username": user.username}


@app.delete("/me", status_code=202)
async def close_account(user: FreshUser) -> None:
    """Only soon after a login."""
