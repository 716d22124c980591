from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Security, WebSocket

from starlette_auth_core import BaseBasicAuth, BearerAuth, requires
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


USERS = {
    "alice": User("alice", password_hasher.make_sync("alicepwd"), ("articles:write",)),
    "bob": User("bob", password_hasher.make_sync("bobpwd")),
}


class Passwords(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)

    def get_scopes(self, user: User) -> Sequence[str]:
        return ["authenticated", *user.rights]


class Bearer(BearerAuth[User]):
    def get_scopes(self, user: User) -> Sequence[str]:
        return ["authenticated", *user.rights]


# It forgets them with the process: use the store of a database.
tokens: Tokens[User, Any] = Tokens(MemoryTokenStore(), prefix="shop")
passwords = Passwords()
auth = Authenticated[User](MultiAuth([Bearer(tokens), passwords]), token_url="/token")

CurrentUser = Annotated[User, Security(auth)]
Editor = Annotated[User, Security(auth, scopes=["articles:write"])]
MaybeUser = Annotated[User | None, Depends(auth.optional)]

app = FastAPI()
auth.install(app)
app.include_router(login_router(passwords, tokens, expires_in=timedelta(hours=12)))


@app.get("/")
async def home(user: MaybeUser) -> dict[str, str]:
    return {"message": f"Hello, {user.username if user else 'stranger'}!"}


@app.get("/protected")
async def protected(user: CurrentUser) -> dict[str, str]:
    return {"message": f"Hello, {user.username}!"}


@app.put("/articles/{name}")
async def write(name: str, user: Editor) -> dict[str, str]:
    return {"name": name, "author": user.username}


@app.get("/scopes")
@requires("authenticated")
async def scopes(request: Request) -> list[str]:
    return list(request.auth.scopes)


@app.websocket("/chat")
async def chat(websocket: WebSocket, user: CurrentUser) -> None:
    await websocket.accept()
    await websocket.send_json({"message": f"Hello, {user.username}!"})
    await websocket.close()
