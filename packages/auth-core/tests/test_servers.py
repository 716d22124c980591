"""Real servers on real sockets, asked by curl, httpx and a WebSocket client.

A server gets a socket that listens already: who asks before it has started waits in the queue of
the socket, so nobody has to guess when that is.
"""

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
import uvicorn
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.endpoints import WebSocketEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    BaseBasicAuth,
    BaseBearerAuth,
    requires,
)


class BasicAuth(BaseBasicAuth[SimpleUser]):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        return SimpleUser(username) if password == "päss:wörd" else None


class BearerAuth(BaseBearerAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser("bob") if token == "good" else None


@requires("authenticated")
async def whoami(request: Request) -> Response:
    return PlainTextResponse(request.user.username)


@requires("authenticated")
async def websocket_whoami(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.user.username)
    await websocket.close()


class Chat(WebSocketEndpoint):
    """Lets everybody connect, and nobody say anything."""

    encoding = "text"

    @requires("admin")
    async def on_receive(self, websocket: WebSocket, data: str) -> None:
        raise NotImplementedError

    @requires("admin")
    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        raise NotImplementedError


def app_with(backend: AuthBackend) -> Starlette:
    return Starlette(
        routes=[
            Route("/", whoami),
            WebSocketRoute("/", websocket_whoami),
            WebSocketRoute("/chat", Chat),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    )


@contextmanager
def run_in_thread(serve_forever: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=serve_forever)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()


@contextmanager
def uvicorn_with(
    app: ASGIApp, listener: socket.socket, http: str, websockets: str
) -> Iterator[None]:
    config = uvicorn.Config(app, http=http, ws=websockets, lifespan="off", log_config=None)
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    with run_in_thread(lambda: server.run(sockets=[listener]), stop):
        yield


@contextmanager
def hypercorn_with(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    config = Config()
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    config.errorlog = None
    stopping = threading.Event()

    def serve_forever() -> None:
        async def stopped() -> None:
            await asyncio.to_thread(stopping.wait)

        asyncio.run(serve(app, config, shutdown_trigger=stopped))  # type: ignore[arg-type]  # their own types of ASGI

    with run_in_thread(serve_forever, stopping.set):
        yield


SERVERS = {
    "uvicorn": lambda app, listener: uvicorn_with(app, listener, "h11", "websockets-sansio"),
    "uvicorn-standard": lambda app, listener: uvicorn_with(app, listener, "httptools", "wsproto"),
    "hypercorn": hypercorn_with,
}


@pytest.fixture(scope="module", params=SERVERS)
def start(request: pytest.FixtureRequest) -> Iterator[Callable[[AuthBackend], str]]:
    """Start servers, each on a free port, and return their `host:port`."""
    with ExitStack() as stack:

        def serve_with(backend: AuthBackend) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.enter_context(SERVERS[request.param](app_with(backend), listener))
            return f"127.0.0.1:{listener.getsockname()[1]}"

        yield serve_with


@pytest.fixture(scope="module")
def basic(start: Callable[[AuthBackend], str]) -> str:
    return start(BasicAuth())


@pytest.fixture(scope="module")
def bearer(start: Callable[[AuthBackend], str]) -> str:
    return start(BearerAuth())


@pytest.fixture
def curl() -> Callable[..., str]:
    path = shutil.which("curl")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("curl is not installed")
        pytest.skip("curl is not installed")

    def run(*arguments: str) -> str:
        command = [path, "--silent", "--show-error", "--include", "--noproxy", "*", *arguments]
        return subprocess.run(
            command, check=True, capture_output=True, encoding="utf-8", timeout=30
        ).stdout

    return run


class TestCurl:
    def test_basic(self, basic: str, curl: Callable[..., str]) -> None:
        answer = curl("--user", "jürgen:päss:wörd", f"http://{basic}/")
        assert answer.startswith("HTTP/1.1 200")
        assert answer.endswith("jürgen")

    def test_basic_only_when_asked_for(self, basic: str, curl: Callable[..., str]) -> None:
        answer = curl("--anyauth", "--user", "jürgen:päss:wörd", f"http://{basic}/")
        assert answer.startswith("HTTP/1.1 401")
        assert 'www-authenticate: Basic realm="Restricted", charset="UTF-8"\n' in answer.replace(
            "\r", ""
        )
        assert answer.endswith("jürgen")

    def test_bearer(self, bearer: str, curl: Callable[..., str]) -> None:
        assert curl("--oauth2-bearer", "good", f"http://{bearer}/").endswith("bob")
        answer = curl("--oauth2-bearer", "wrong", f"http://{bearer}/")
        assert answer.startswith("HTTP/1.1 401")
        assert 'error="invalid_token"' in answer

    def test_space_around_a_value_is_none_of_it(
        self, bearer: str, curl: Callable[..., str]
    ) -> None:
        # RFC 9110 section 5.5. h11 cuts it off, and httptools leaves it at the end.
        answer = curl("--header", "Authorization: \t Bearer good \t ", f"http://{bearer}/")
        assert answer.endswith("bob")


class TestHttpx:
    def test_basic(self, basic: str) -> None:
        with httpx.Client(base_url=f"http://{basic}", trust_env=False) as client:
            assert client.get("/", auth=("jürgen", "päss:wörd")).text == "jürgen"
            response = client.get("/", auth=("jürgen", "wrong"))
            assert (response.status_code, response.text) == (401, "Invalid credentials")
            assert response.headers["cache-control"] == "no-store"

    def test_several_lines(self, basic: str) -> None:
        headers = [("Authorization", "Basic dTpw"), ("Authorization", "Bearer a")]
        with httpx.Client(base_url=f"http://{basic}", trust_env=False) as client:
            assert client.get("/", headers=headers).status_code == 401


def speak(websocket: ClientConnection, frames: int) -> None:
    for _ in range(frames):
        websocket.send("hello")
    websocket.recv()


class TestWebSockets:
    def test_a_valid_token(self, bearer: str) -> None:
        headers = {"Authorization": "Bearer good"}
        with connect(f"ws://{bearer}/", additional_headers=headers, proxy=None) as websocket:
            assert websocket.recv() == "bob"

    @pytest.mark.parametrize(
        ("token", "challenge"),
        [
            (None, 'Bearer realm="Restricted"'),
            ("wrong", 'Bearer realm="Restricted", error="invalid_token"'),
        ],
    )
    def test_a_refusal_is_a_response(self, bearer: str, token: str | None, challenge: str) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with (
            pytest.raises(InvalidStatus) as caught,
            connect(f"ws://{bearer}/", additional_headers=headers, proxy=None),
        ):
            pass
        response = caught.value.response
        assert response.status_code == 401
        assert response.headers.get_all("WWW-Authenticate") == [challenge]

    @pytest.mark.parametrize("frames", [0, 1, 2])
    def test_who_may_not_speak_is_closed_once_and_no_error_reaches_the_server(
        self, bearer: str, frames: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        # uvicorn logs an error about a denial response, which may belong to an earlier test.
        assert httpx.get(f"http://{bearer}/", trust_env=False).status_code == 401
        caplog.clear()
        headers = {"Authorization": "Bearer good"}
        with connect(f"ws://{bearer}/chat", additional_headers=headers, proxy=None) as websocket:
            if frames:
                with pytest.raises(ConnectionClosed) as caught:
                    speak(websocket, frames)
                assert caught.value.rcvd is not None
                assert caught.value.rcvd.code == 1008
        # Another request comes after all that the server had to do for this one.
        assert httpx.get(f"http://{bearer}/", trust_env=False).status_code == 401
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
