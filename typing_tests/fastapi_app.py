"""What users of FastAPI write."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, assert_type

from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError
from starlette.requests import HTTPConnection

from starlette_auth_core import BaseBasicAuth, BearerAuth
from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_fastapi import Authenticated, login_router
from starlette_auth_multi import MultiAuth


@dataclass
class User:
    username: str


class Passwords(BaseBasicAuth[User]):
    async def verify(self, username: str, password: str) -> User | None:
        return None


class Plain(AuthenticationBackend):
    """One of Starlette's, which does not say of what class its users are."""


tokens: Tokens[User, Any] = Tokens(MemoryTokenStore[User](), prefix="shop")
passwords = Passwords()

auth = Authenticated(passwords)
assert_type(auth, Authenticated[User])
assert_type(auth.optional, Callable[..., AsyncIterator[User | None]])
by_token: Authenticated[User] = Authenticated(BearerAuth(tokens), token_url="/token")
by_both: Authenticated[User] = Authenticated(MultiAuth([BearerAuth(tokens), passwords]))
plain: Authenticated[Any] = Authenticated(Plain())

CurrentUser = Annotated[User, Security(auth)]
Editor = Annotated[User, Security(by_token, scopes=["articles:write"])]
MaybeUser = Annotated[User | None, Depends(auth.optional)]


def observer(conn: HTTPConnection, outcome: AuthCredentials | AuthenticationError) -> None:
    return None


app = FastAPI(dependencies=[Security(by_both)])
auth.install(app)
auth.install(app, on_invalid="anonymous", observer=observer, browser_dialog=True)
router: APIRouter = login_router(passwords, tokens, expires_in=timedelta(hours=12))
app.include_router(login_router(Plain(), tokens, path="/login", expires_in=timedelta(hours=1)))


@app.get("/me")
async def me(user: CurrentUser) -> str:
    assert_type(user, User)
    return user.username


@app.get("/articles")
def articles(editor: Editor, user: MaybeUser) -> str | None:
    assert_type(editor, User)
    assert_type(user, User | None)
    return None if user is None else user.username


@app.websocket("/chat")
async def chat(websocket: WebSocket, user: CurrentUser) -> None:
    await websocket.send_text(user.username)


app.dependency_overrides[auth] = lambda: User("alice")
app.dependency_overrides[auth.optional] = lambda: None

Authenticated()  # type: ignore[call-overload]
Authenticated("backend")  # type: ignore[call-overload]
auth.install(app, on_invalid="ignore")  # type: ignore[arg-type]
login_router(passwords, tokens)  # type: ignore[call-arg]
login_router(passwords, MemoryTokenStore(), expires_in=timedelta(1))  # type: ignore[arg-type]
login_router(passwords, tokens, expires_in=3600)  # type: ignore[arg-type]
