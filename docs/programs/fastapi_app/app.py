from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, WebSocket
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.models import HTTPBase, HTTPBearer
from fastapi.openapi.models import SecurityBase as SchemeModel
from fastapi.requests import HTTPConnection
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security.base import SecurityBase

from starlette_auth_core import (
    AuthenticationMiddleware,
    BaseBasicAuth,
    BaseBearerAuth,
    authorize,
)
from starlette_auth_core.tokens import digest_token, generate_token
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_multi import MultiAuth

password_hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


USERS = {"alice": User("alice", password_hasher.make_sync("alicepwd"))}
token = generate_token("shop")
Path("token.txt").write_text(token)
TOKENS = {digest_token(token): "alice"}


class BearerAuth(BaseBearerAuth[User]):
    prefix = "shop"

    async def verify(self, token: str) -> User | None:
        username = TOKENS.get(digest_token(token))
        return None if username is None else USERS[username]


class BasicAuth(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


class Scheme(SecurityBase):
    """Shows a scheme in OpenAPI, and lets in who was authenticated by the middleware."""

    def __init__(self, scheme_name: str, model: SchemeModel) -> None:
        self.scheme_name = scheme_name
        self.model = model

    async def __call__(self, conn: HTTPConnection) -> User:
        authorize(conn, "authenticated")
        user: User = conn.user
        return user


basic = Scheme("Basic", HTTPBase(scheme="basic"))
bearer = Scheme("Bearer", HTTPBearer())

# OpenAPI shows them as alternatives. Each lets in whoever was authenticated, by either scheme.
authenticated = [Depends(basic), Depends(bearer)]
CurrentUser = Annotated[User, Depends(basic)]

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
app.add_middleware(AuthenticationMiddleware, backend=MultiAuth([BearerAuth(), BasicAuth()]))


@app.get("/protected", dependencies=authenticated)
async def protected(user: CurrentUser) -> dict[str, str]:
    return {"message": f"Hello, {user.username}!"}


@app.websocket("/chat")
async def chat(websocket: WebSocket, user: CurrentUser) -> None:
    await websocket.accept()
    await websocket.send_json({"message": f"Hello, {user.username}!"})
    await websocket.close()


# The documentation, for those who are let in.
@app.get("/openapi.json", include_in_schema=False, dependencies=authenticated)
async def openapi() -> JSONResponse:
    return JSONResponse(app.openapi())


@app.get("/docs", include_in_schema=False, dependencies=authenticated)
async def docs() -> HTMLResponse:
    return get_swagger_ui_html(openapi_url="/openapi.json", title=app.title)
