"""starlette-auth-fastapi alone, with what it depends on: an app with a login, and a client."""

import importlib.util
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, FastAPI, Security
from starlette.authentication import SimpleUser
from starlette.testclient import TestClient

from starlette_auth_core import BaseBasicAuth, BearerAuth
from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_fastapi import Authenticated, login_router

for absent in ("multipart", "passlib", "python_multipart", "sqlalchemy", "starlette_auth_multi"):
    assert importlib.util.find_spec(absent) is None, absent


class Passwords(BaseBasicAuth[SimpleUser]):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        return SimpleUser(username) if (username, password) == ("alice", "right") else None


tokens: Tokens[SimpleUser] = Tokens(MemoryTokenStore[SimpleUser](), prefix="shop")
auth = Authenticated(BearerAuth(tokens), token_url="/token")
CurrentUser = Annotated[SimpleUser, Security(auth)]
MaybeUser = Annotated[SimpleUser | None, Depends(auth.optional)]

app = FastAPI()
app.include_router(login_router(Passwords(), tokens, expires_in=timedelta(hours=1)))


@app.get("/me")
async def me(user: CurrentUser) -> str:
    return user.username


@app.get("/maybe")
async def maybe(user: MaybeUser) -> bool:
    return user is not None


with TestClient(app) as client:
    assert client.get("/me").status_code == 401
    assert client.get("/maybe").json() is False
    login = {"grant_type": "password", "username": "alice", "password": "wrong"}
    assert client.post("/token", data=login).json()["error"] == "invalid_grant"
    token = client.post("/token", data={**login, "password": "right"}).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/me", headers=headers).json() == "alice"
    assert client.get("/maybe", headers=headers).json() is True
    assert "OAuth2-Password" in client.get("/openapi.json").json()["components"]["securitySchemes"]
