"""A real issuer: an app under uvicorn that counts, waits and fails as a test wants it to."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import uvicorn
from anyio import to_thread
from jwt_tokens import key_for, public_jwk
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Answer: TypeAlias = Callable[[Request], Awaitable[Response]]


class Clock:
    """The clocks by which keys grow old, in the place of the module `time`."""

    def __init__(self) -> None:
        self._ahead = {"monotonic": 0.0, "time": 0.0}

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead["monotonic"]

    def time(self) -> float:
        return time.time() + self._ahead["time"]

    def advance(self, seconds: float, *only: str) -> None:
        for name in only or self._ahead:
            self._ahead[name] += seconds


class Issuer:
    """What the issuer's endpoints answer, and what was asked of them.

    Attributes:
        url: The issuer.
        keys: The keys that it publishes.
        answer: Answers in the place of the keys.
        metadata: By path, what the metadata endpoints answer: JSON, or a status.
        asked: The paths that were asked for, in order.
        has_asked: Is released by each request for keys.
        is_open: Requests for keys wait until it is set.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: list[Any] = [public_jwk(key_for("ES256"), kid="one")]
        self.answer: Answer | None = None
        self.metadata: dict[str, Any] = {}
        self.asked: list[str] = []
        self.has_asked = threading.Semaphore(0)
        self.is_open = threading.Event()
        self.is_open.set()

    @property
    def fetches(self) -> int:
        return self.asked.count("/keys")

    @property
    def keys_url(self) -> str:
        return f"{self.url}/keys"

    async def was_asked(self) -> None:
        """Wait until keys are asked for, once more."""
        assert await to_thread.run_sync(self.has_asked.acquire, True, 10)

    def fail(self, status: int = 500) -> None:
        self.answer_with(Response(status_code=status))

    def answer_with(self, response: Response | bytes) -> None:
        async def answer(request: Request) -> Response:
            return response if isinstance(response, Response) else Response(response)

        self.answer = answer

    def recover(self) -> None:
        self.answer = None

    async def handle(self, request: Request) -> Response:
        return await (self._keys(request) if request.url.path == "/keys" else self._show(request))

    async def _keys(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        self.has_asked.release()
        await to_thread.run_sync(self.is_open.wait, 10)
        if self.answer is not None:
            return await self.answer(request)
        return Response(json.dumps({"keys": self.keys}), media_type="application/json")

    async def _show(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        found = self.metadata.get(request.url.path, 404)
        return Response(status_code=found) if isinstance(found, int) else JSONResponse(found)


class Server:
    """The server of one issuer after another: each test has its own.

    Attributes:
        url: The URL of all of them.
        issuer: The one that answers now.
    """

    issuer: Issuer

    def __init__(self, url: str) -> None:
        self.url = url

    async def _handle(self, request: Request) -> Response:
        return await self.issuer.handle(request)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._handle)])


@contextmanager
def running_server() -> Iterator[Server]:
    listener = socket.create_server(("127.0.0.1", 0))
    running = Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        running.app(),
        lifespan="off",
        log_config=None,
        # A connection that a test leaves open must not hold the server up.
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield running
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
