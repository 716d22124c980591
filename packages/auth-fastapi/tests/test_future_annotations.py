"""Endpoints whose annotations are text, as `from __future__ import annotations` makes them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Security, WebSocket
from fastapi_backends import Passwords, User
from starlette.testclient import TestClient

from starlette_auth_fastapi import Authenticated

auth = Authenticated(Passwords(User("alice", "alicepwd")))
CurrentUser = Annotated[User, Security(auth)]
MaybeUser = Annotated[User | None, Depends(auth.optional)]
app = FastAPI()


@app.get("/me")
async def me(user: CurrentUser) -> str:
    return user.username


@app.get("/maybe")
def maybe(user: MaybeUser) -> str:
    return "nobody" if user is None else user.username


@app.websocket("/live")
async def live(websocket: WebSocket, user: CurrentUser) -> None:
    await websocket.accept()
    await websocket.send_text(user.username)
    await websocket.close()


def test_endpoints() -> None:
    client = TestClient(app)
    assert client.get("/me").status_code == 401
    assert client.get("/me", auth=("alice", "alicepwd")).json() == "alice"
    assert client.get("/maybe").json() == "nobody"
    headers = {"Authorization": "Basic YWxpY2U6YWxpY2Vwd2Q="}
    with client.websocket_connect("/live", headers=headers) as websocket:
        assert websocket.receive_text() == "alice"


def test_documentation_shows_no_parameters() -> None:
    paths = app.openapi()["paths"]
    for path in ("/me", "/maybe"):
        assert "parameters" not in paths[path]["get"]
        assert "requestBody" not in paths[path]["get"]
