import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import (
    HTTPBasic,
    HTTPBasicCredentials,
    OAuth2PasswordBearer,
    OAuth2PasswordRequestForm,
    SecurityScopes,
)

from starlette_auth_hashers import Argon2Hasher

hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password
    rights: tuple[str, ...] = ()


USERS = {"alice": User("alice", hasher.make_sync("alicepwd"), ("articles:write",))}
TOKENS: dict[str, tuple[str, float]] = {}

by_token = OAuth2PasswordBearer(
    "/token", scopes={"articles:write": "Write articles"}, auto_error=False
)
by_password = HTTPBasic(auto_error=False)


def refused(status: int, detail: str, scopes: SecurityScopes) -> HTTPException:
    challenge = f'Bearer scope="{scopes.scope_str}"' if scopes.scopes else "Bearer"
    return HTTPException(status, detail, {"WWW-Authenticate": f"{challenge}, Basic"})


async def check_password(username: str, password: str) -> User | None:
    user = USERS.get(username)
    if user is None:
        await hasher.dummy_verify(password, username)
        return None
    return user if await hasher.verify(password, user.password) else None


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def get_current_user(
    scopes: SecurityScopes,
    token: Annotated[str | None, Depends(by_token)],
    basic: Annotated[HTTPBasicCredentials | None, Depends(by_password)],
) -> User:
    user = None
    if token is not None:
        username, expires_at = TOKENS.get(digest(token), ("", 0))
        user = USERS.get(username) if expires_at > time.time() else None
    elif basic is not None:
        user = await check_password(basic.username, basic.password)
    if user is None:
        raise refused(401, "Not authenticated", scopes)
    if not all(scope in user.rights for scope in scopes.scopes):
        raise refused(403, "Not enough permissions", scopes)
    return user


CurrentUser = Annotated[User, Security(get_current_user)]
Editor = Annotated[User, Security(get_current_user, scopes=["articles:write"])]

app = FastAPI()


@app.post("/token")
async def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
    user = await check_password(form.username, form.password)
    if user is None:
        raise HTTPException(400, "Incorrect username or password")
    token = secrets.token_urlsafe(32)
    TOKENS[digest(token)] = (user.username, time.time() + 43200)
    return {"access_token": token, "token_type": "bearer"}


@app.get("/protected")
async def protected(user: CurrentUser) -> dict[str, str]:
    return {"message": f"Hello, {user.username}!"}


@app.put("/articles/{name}")
async def write(name: str, user: Editor) -> dict[str, str]:
    return {"name": name, "author": user.username}
