"""Clients of real servers that hang up while their passwords wait to be hashed."""

import asyncio
import hashlib
import logging
import os
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest
import uvicorn
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth

MANY = 60
WORKERS = 2
MEBIBYTE = 1024 * 1024
# Nothing waits for it when all is well.
PATIENCE = 30


class User(SimpleUser):
    password = "a hash"


class Counter:
    """A number that threads change, and wait for."""

    def __init__(self) -> None:
        self.value = 0
        self._changed = threading.Condition()

    def add(self, amount: int = 1) -> None:
        with self._changed:
            self.value += amount
            self._changed.notify_all()

    def wait_until(self, is_reached: Callable[[int], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: is_reached(self.value), PATIENCE), self.value


class SlowHasher:
    """Finds every password right, in worker threads that wait until they are let go on."""

    def __init__(self, workers: ThreadPoolExecutor) -> None:
        self._workers = workers
        self.go_on = threading.Event()
        self.asked = Counter()
        self.pending = Counter()
        self.began = Counter()

    def _hash(self) -> None:
        self.began.add()
        assert self.go_on.wait(PATIENCE)

    async def verify(self, secret: str, hashed: str | None, /) -> bool:
        self.pending.add()
        self.asked.add()
        try:
            await asyncio.wrap_future(self._workers.submit(self._hash))
        finally:
            self.pending.add(-1)
        return True

    async def verify_and_update(
        self, secret: str, hashed: str | None, /
    ) -> tuple[bool, str | None]:
        raise NotImplementedError

    async def dummy_verify(self, secret: str, username: str, /) -> None:
        raise NotImplementedError


class Users(BaseBasicAuth[User]):
    def __init__(self, service: "Service") -> None:
        self.service = service
        self.hasher = service.hasher

    async def find_user(self, username: str) -> User | None:
        if username == "alice":
            self.service.logins.add()
        return User(username)


class Service:
    """An app behind slow logins: whom it served, and how much the server has handed out."""

    def __init__(self, hasher: SlowHasher) -> None:
        self.hasher = hasher
        self.served: list[str] = []
        self.logins = Counter()
        self.received = Counter()

    async def digest(self, request: Request) -> Response:
        self.served.append(request.user.username)
        return PlainTextResponse(hashlib.sha256(await request.body()).hexdigest())

    async def greet(self, websocket: WebSocket) -> None:
        self.served.append(websocket.user.username)
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    def app(self, outside: list[Middleware], inside: list[Middleware]) -> ASGIApp:
        backend = Users(self)
        app = Starlette(
            routes=[
                Route("/", self.digest, methods=["GET", "POST"]),
                WebSocketRoute("/", self.greet),
            ],
            middleware=[
                *outside,
                Middleware(AuthenticationMiddleware, backend=backend),
                *inside,
            ],
        )

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            async def counting() -> Message:
                message = await receive()
                self.received.add(len(message.get("body", b"")))
                return message

            await app(scope, counting, send)

        return counted


@pytest.fixture
def service() -> Iterator[Service]:
    with ThreadPoolExecutor(WORKERS) as workers:
        hasher = SlowHasher(workers)
        try:
            yield Service(hasher)
        finally:
            hasher.go_on.set()


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
def uvicorn_with(app: ASGIApp, listener: socket.socket, http: str, ws: str) -> Iterator[None]:
    config = uvicorn.Config(app, http=http, ws=ws, lifespan="off", log_config=None)
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    with run_in_thread(lambda: server.run(sockets=[listener]), stop):
        yield


@contextmanager
def hypercorn_with(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    config = Config()
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    stopping = threading.Event()

    def serve_forever() -> None:
        async def stopped() -> None:
            await asyncio.to_thread(stopping.wait)

        asyncio.run(serve(app, config, shutdown_trigger=stopped))  # type: ignore[arg-type]  # their own types of ASGI

    with run_in_thread(serve_forever, stopping.set):
        yield


SERVERS = {
    "uvicorn-h11": lambda app, listener: uvicorn_with(app, listener, "h11", "wsproto"),
    "uvicorn-httptools": lambda app, listener: uvicorn_with(
        app, listener, "httptools", "websockets-sansio"
    ),
    "hypercorn": hypercorn_with,
}


async def pass_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


NEIGHBOUR = [Middleware(BaseHTTPMiddleware, dispatch=pass_on)]
NEIGHBOURS = {"alone": ([], []), "outside": (NEIGHBOUR, []), "inside": ([], NEIGHBOUR)}


@pytest.fixture(params=NEIGHBOURS)
def app(request: pytest.FixtureRequest, service: Service) -> ASGIApp:
    """Provide the app, beside a BaseHTTPMiddleware or without one."""
    return service.app(*NEIGHBOURS[request.param])


@pytest.fixture(params=SERVERS)
def address(
    request: pytest.FixtureRequest, app: ASGIApp, service: Service
) -> Iterator[tuple[str, int]]:
    """Run the app on a server whose socket listens already, and provide the address."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=MANY + 1))
        stack.enter_context(SERVERS[request.param](app, listener))
        # A server that stops waits for its requests.
        stack.callback(service.hasher.go_on.set)
        yield listener.getsockname()


HTTP = {"Host": "test"}
WEBSOCKET = {
    **HTTP,
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def basic(username: str) -> str:
    return f"Basic {b64encode(f'{username}:pwd'.encode()).decode()}"


def send_login(address: tuple[str, int], headers: dict[str, str]) -> socket.socket:
    client = socket.create_connection(address, timeout=PATIENCE)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = ["GET / HTTP/1.1", *lines, f"Authorization: {basic('stranger')}", "", ""]
    client.sendall("\r\n".join(head).encode())
    return client


def fetch(address: tuple[str, int], body: bytes = b"") -> str:
    url = f"http://{address[0]}:{address[1]}/"
    response = httpx.post(
        url, content=body, auth=("alice", "pwd"), trust_env=False, timeout=PATIENCE
    )
    response.raise_for_status()
    return response.text


def talk(address: tuple[str, int]) -> str:
    url = f"ws://{address[0]}:{address[1]}/"
    headers = {"Authorization": basic("alice")}
    with connect(url, additional_headers=headers, proxy=None, open_timeout=PATIENCE) as websocket:
        websocket.send("hello")
        return str(websocket.recv(PATIENCE))


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]


class TestClientsThatHangUp:
    @pytest.mark.parametrize("headers", [HTTP, WEBSOCKET], ids=["http", "websocket"])
    def test_cost_as_many_hashes_as_there_are_workers(
        self,
        headers: dict[str, str],
        address: tuple[str, int],
        service: Service,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        hasher = service.hasher
        clients = [send_login(address, headers) for _ in range(MANY)]
        hasher.asked.wait_until(lambda asked: asked == MANY)
        for client in clients:
            client.close()
        hasher.pending.wait_until(lambda pending: pending == 0)
        hasher.go_on.set()
        if headers is HTTP:
            assert fetch(address, b"abc") == hashlib.sha256(b"abc").hexdigest()
        else:
            assert talk(address) == "hello"
        assert hasher.began.value == WORKERS + 1
        assert service.served == ["alice"]
        assert complaints(caplog) == []

    @pytest.mark.parametrize("app", ["alone"], indirect=True)
    def test_at_once_cost_few_hashes(self, address: tuple[str, int], service: Service) -> None:
        for _ in range(MANY):
            send_login(address, HTTP).close()
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(fetch, address)
            # Servers serve sockets in the order in which they were opened, or nearly so.
            service.logins.wait_until(lambda logins: logins == 1)
            service.hasher.pending.wait_until(lambda pending: pending == 1)
            service.hasher.go_on.set()
            answer.result(PATIENCE)
        assert service.hasher.began.value <= 2 * WORKERS + 1
        assert service.served == ["alice"]


class TestABody:
    @pytest.mark.parametrize(("size", "ahead"), [(1, 1), (3, 2)])
    def test_arrives_intact_after_a_slow_login(
        self, size: int, ahead: int, address: tuple[str, int], service: Service
    ) -> None:
        body = os.urandom(size * MEBIBYTE)
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(fetch, address, body)
            service.received.wait_until(lambda received: received >= ahead * MEBIBYTE)
            service.hasher.go_on.set()
            assert answer.result(PATIENCE) == hashlib.sha256(body).hexdigest()
        assert service.served == ["alice"]
