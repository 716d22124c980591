"""The same dependency on WebSocket routes: a denial response, or else a close with code 1008."""

from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Security, WebSocket
from fastapi_backends import User
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from starlette_auth_core import AuthBackend, InvalidCredentials, TooManyAttempts
from starlette_auth_fastapi import Authenticated

ALICE = {"Authorization": "Basic YWxpY2U6YWxpY2Vwd2Q="}
WRONG = {"Authorization": "Basic YWxpY2U6d3Jvbmc="}


class Without:
    """A server that does not offer denial responses."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {}
        await self.app(scope, receive, send)


@pytest.fixture
def chat(app: FastAPI, auth: Authenticated[Any]) -> FastAPI:
    @app.websocket("/me")
    async def me(websocket: WebSocket, user: Annotated[User, Security(auth)]) -> None:
        await websocket.accept()
        await websocket.send_text(user.username)
        await websocket.close()

    @app.websocket("/write")
    async def write(
        websocket: WebSocket, user: Annotated[User, Security(auth, scopes=["articles:write"])]
    ) -> None:
        raise NotImplementedError

    @app.websocket("/maybe")
    async def maybe(
        websocket: WebSocket, user: Annotated[User | None, Depends(auth.optional)]
    ) -> None:
        await websocket.accept()
        await websocket.send_text("nobody" if user is None else user.username)
        await websocket.close()

    @app.websocket("/late")
    async def late(websocket: WebSocket, user: Annotated[User, Security(auth)]) -> None:
        await websocket.accept()
        raise InvalidCredentials

    return app


@pytest.mark.parametrize(
    ("path", "headers", "said"),
    [("/me", ALICE, "alice"), ("/maybe", ALICE, "alice"), ("/maybe", {}, "nobody")],
)
def test_lets_in(chat: FastAPI, path: str, headers: dict[str, str], said: str) -> None:
    with TestClient(chat).websocket_connect(path, headers=headers) as websocket:
        assert websocket.receive_text() == said


REFUSED = [
    ("/me", {}, 401),
    ("/me", WRONG, 401),
    ("/maybe", WRONG, 401),
    ("/write", {}, 401),
    ("/write", ALICE, 403),
]


@pytest.mark.parametrize(("path", "headers", "status"), REFUSED)
def test_denies(chat: FastAPI, path: str, headers: dict[str, str], status: int) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        TestClient(chat).websocket_connect(path, headers=headers),
    ):
        pass
    assert denied.value.status_code == status
    assert list(denied.value.json()) == ["detail"]
    assert denied.value.headers["cache-control"] == "no-store"
    challenges = denied.value.headers.get_list("www-authenticate")
    assert len(challenges) == (2 if status == 401 else 0)


@pytest.mark.parametrize(("path", "headers", "status"), REFUSED)
def test_closes_where_it_can_not_deny(
    chat: FastAPI, path: str, headers: dict[str, str], status: int
) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        TestClient(Without(chat)).websocket_connect(path, headers=headers),
    ):
        pass
    assert not isinstance(closed.value, WebSocketDenialResponse)
    assert closed.value.code == 1008


def test_closes_one_that_was_accepted(chat: FastAPI) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as closed,
        TestClient(chat).websocket_connect("/late", headers=ALICE) as websocket,
    ):
        websocket.receive_text()
    assert closed.value.code == 1008


@pytest.mark.parametrize("installed", [False, True])
def test_says_when_to_try_again(installed: bool) -> None:
    class Busy(AuthBackend[Any]):
        async def authenticate(self, conn: Any) -> Any:
            raise TooManyAttempts(retry_after=7)

    auth = Authenticated(Busy())
    app = FastAPI()
    if installed:
        auth.install(app)

    @app.websocket("/")
    async def home(websocket: WebSocket, user: Annotated[Any, Security(auth)]) -> None:
        raise NotImplementedError

    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        TestClient(app).websocket_connect("/"),
    ):
        pass
    assert (denied.value.status_code, denied.value.headers["retry-after"]) == (429, "7")
