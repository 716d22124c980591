"""Clients that hang up while a real hasher has their password in its queue, on both event loops."""

import os
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import httpx
import hypercorn.trio
import pytest
import trio
import uvicorn
from hypercorn.config import Config
from servers import PATIENCE
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth
from starlette_auth_hashers import Argon2Hasher, waiting

MANY = 60
LOGIN = f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {b64encode(b'bob:x').decode()}\r\n\r\n"


class GatedHasher(Argon2Hasher):
    """Counts the hashes that begin, and goes on with them when it is told to."""

    def __init__(self) -> None:
        super().__init__(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self.changed = threading.Condition()
        self.began = 0
        self.open = False

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        with self.changed:
            self.began += 1
            self.changed.notify_all()
            self.wait_until(lambda: self.open)
        return super().verify_sync(secret, hashed)

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(is_reached, PATIENCE)

    def go_on(self) -> None:
        with self.changed:
            self.open = True
            self.changed.notify_all()


class User(SimpleUser):
    def __init__(self, username: str, password: str) -> None:
        super().__init__(username)
        self.password = password


class Users(BaseBasicAuth[User]):
    def __init__(self, hasher: GatedHasher) -> None:
        self.hasher = self.gated = hasher
        self.hashed = hasher.make_sync("pwd")
        self.logins = 0
        self.checked = 0

    async def find_user(self, username: str) -> User | None:
        with self.gated.changed:
            self.logins += 1
            self.gated.changed.notify_all()
        return User(username, self.hashed)

    async def verify_password(self, user: User, password: str) -> bool:
        try:
            return await super().verify_password(user, password)
        finally:
            with self.gated.changed:
                self.checked += 1
                self.gated.changed.notify_all()


@contextmanager
def on_asyncio(app: Starlette, listener: socket.socket) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def on_trio(app: Starlette, listener: socket.socket) -> Iterator[None]:
    config = Config()
    config.bind = [f"fd://{os.dup(listener.fileno())}"]
    config.errorlog = None
    stopping = threading.Event()
    wait = partial(trio.to_thread.run_sync, stopping.wait)
    serve = partial(hypercorn.trio.serve, app, config, shutdown_trigger=wait)  # type: ignore[arg-type]  # their own types of ASGI
    thread = threading.Thread(target=trio.run, args=[serve])
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@pytest.mark.parametrize("serving", [on_asyncio, on_trio])
def test_no_queued_hash_of_a_client_that_hung_up_begins(
    serving: Callable[[Starlette, socket.socket], AbstractContextManager[None]],
) -> None:
    served: list[str] = []

    async def whoami(request: Request) -> Response:
        served.append(request.user.username)
        return PlainTextResponse(request.user.username)

    hasher = GatedHasher()
    users = Users(hasher)
    app = Starlette(
        routes=[Route("/", whoami)],
        middleware=[Middleware(AuthenticationMiddleware, backend=users)],
    )
    with socket.create_server(("127.0.0.1", 0), backlog=MANY + 1) as listener:
        address = listener.getsockname()
        with serving(app, listener):
            clients = [socket.create_connection(address, timeout=PATIENCE) for _ in range(MANY)]
            for client in clients:
                client.sendall(LOGIN.encode())
            hasher.wait_until(lambda: users.logins == MANY)
            for client in clients:
                client.close()
            hasher.wait_until(lambda: users.checked == MANY)
            assert waiting() == 0
            workers = hasher.began
            assert workers < MANY
            hasher.go_on()
            answer = httpx.get(
                f"http://{address[0]}:{address[1]}/",
                auth=("alice", "pwd"),
                trust_env=False,
                timeout=PATIENCE,
            )
    assert answer.text == "alice"
    assert served == ["alice"]
    assert hasher.began == workers + 1
