from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

from fastapi import FastAPI, Security

from starlette_auth_core import BaseBasicAuth, BearerAuth
from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_fastapi import Authenticated, login_router
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_multi import MultiAuth

password_hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password
    rights: tuple[str, ...] = ()


USERS = {"alice": User("alice", password_hasher.make_sync("alicepwd"), ("articles:write",))}


class Passwords(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)

    def get_scopes(self, user: User) -> Sequence[str]:
        return ["authenticated", *user.rights]


class Bearer(BearerAuth[User]):
    def get_scopes(self, user: User) -> Sequence[str]:
        return ["authenticated", *user.rights]


tokens: Tokens[User, Any] = Tokens(MemoryTokenStore(), prefix="shop")
auth = Authenticated[User](MultiAuth([Bearer(tokens), Passwords()]), token_url="/token")
CurrentUser = Annotated[User, Security(auth)]
Editor = Annotated[User, Security(auth, scopes=["articles:write"])]

app = FastAPI()
auth.install(app)
app.include_router(login_router(Passwords(), tokens, expires_in=timedelta(hours=12)))


@app.get("/protected")
async def protected(user: CurrentUser) -> dict[str, str]:
    return {"message": f"Hello, {user.username}!"}


@app.put("/articles/{name}")
async def write(name: str, user: Editor) -> dict[str, str]:
    return {"name": name, "author": user.username}
