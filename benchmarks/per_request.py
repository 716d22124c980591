"""What authentication adds to a request, as ratios measured in turns.

Run it with the package installed: `python benchmarks/per_request.py`; `--rounds N` for longer.

The requests are direct ASGI calls into a whole Starlette app with one route. Each round runs every
contestant once, in an order of its own, and what is shown is the median of the rounds' ratios: what
slows the machine for a while slows all of them.
"""

import argparse
import base64
import gc
import platform
import random
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import starlette
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import (
    AuthenticationMiddleware as StarletteAuthenticationMiddleware,
)
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from starlette_auth_core import AuthenticationMiddleware, BaseBearerAuth
from starlette_auth_core.authorization import read_basic

TOKEN = "shop_5GzK1WmUO3sRjkYbqvXnTnBrMZ9cLhPwFyVdQa7HtEoJi8xN2S0uC"
USERS = {TOKEN: SimpleUser("alice")}
CREDENTIALS = base64.b64encode(b"alice:correct horse battery staple")


class HandWritten(AuthenticationBackend):
    """What one writes after reading Starlette's page. It checks nothing."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        header = conn.headers.get("Authorization")
        if header is None:
            return None
        scheme, token = header.split()
        if scheme.lower() != "bearer":
            return None
        user = USERS.get(token)
        if user is None:
            raise AuthenticationError("Invalid credentials")
        return AuthCredentials(["authenticated"]), user


class Ours(BaseBearerAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return USERS.get(token)


def app_with(*middleware: Middleware) -> Starlette:
    async def hello(request: Request) -> Response:
        return JSONResponse({"message": f"Hello, {request.path_params['name']}!"})

    return Starlette(routes=[Route("/hello/{name}", hello)], middleware=list(middleware))


def scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """Return what a server makes of a browser's request, the credentials in the middle."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/hello/alice",
        "raw_path": b"/hello/alice",
        "query_string": b"",
        "root_path": "",
        "client": ("203.0.113.7", 50000),
        "server": ("203.0.113.1", 443),
        "headers": [
            (b"host", b"api.example.com"),
            (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"),
            (b"accept", b"application/json"),
            *headers,
            (b"accept-language", b"en-GB,en;q=0.5"),
            (b"accept-encoding", b"gzip, deflate, br"),
            (b"connection", b"keep-alive"),
        ],
    }


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits for anything: there is no event loop in the figures."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("It waited for something")


def requests_to(app: Starlette) -> Callable[[], None]:
    authorization = (b"authorization", b"Bearer " + TOKEN.encode())
    status = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)

    def run() -> None:
        drive(app(scope(authorization), receive, send))

    run()
    assert status == 200
    return run


def parse_with(function: Callable[[], Any]) -> Callable[[], None]:
    assert function() is not None
    return function


def microseconds(run: Callable[[], None], calls: int) -> float:
    gc.collect()
    gc.disable()
    started = time.perf_counter()
    for _ in range(calls):
        run()
    elapsed = time.perf_counter() - started
    gc.enable()
    return elapsed / calls * 1e6


def measure(
    contestants: dict[str, Callable[[], None]], rounds: int, calls: int
) -> dict[str, list[float]]:
    """Return the microseconds of each contestant in each round."""
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        microseconds(run, calls)
    for _ in range(rounds):
        for name in random.sample(list(contestants), len(contestants)):
            figures[name].append(microseconds(contestants[name], calls))
    return figures


def spread(values: list[float]) -> str:
    low, _, high = statistics.quantiles(values, n=4)
    return f"{statistics.median(values):.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calls", type=int, default=500, help="per round")
    arguments = parser.parse_args()

    print(f"Python {platform.python_version()}, Starlette {starlette.__version__}")

    figures = measure(
        {
            "bare": requests_to(app_with()),
            "hand-written": requests_to(
                app_with(Middleware(StarletteAuthenticationMiddleware, backend=HandWritten()))
            ),
            "ours": requests_to(app_with(Middleware(AuthenticationMiddleware, backend=Ours()))),
        },
        arguments.rounds,
        arguments.calls,
    )
    print("\nA request with a valid token, in microseconds: median (quartiles)")
    for name, values in figures.items():
        print(f"  {name:<24}{spread(values)}")
    for name, goal in (("hand-written", 1.1), ("bare", 1.25)):
        ratios = [ours / other for ours, other in zip(figures["ours"], figures[name], strict=True)]
        print(f"  ours to {name:<16}{spread(ratios)}  goal: at most {goal}")

    conn = HTTPConnection(scope((b"authorization", b"Basic " + CREDENTIALS)))
    figures = measure(
        {
            "base64 and split": parse_with(
                lambda: base64.b64decode(CREDENTIALS).decode().split(":")
            ),
            "ours": parse_with(lambda: read_basic(conn)),
        },
        arguments.rounds,
        arguments.calls * 10,
    )
    print("\nParsing Basic, in microseconds: median (quartiles)")
    for name, values in figures.items():
        print(f"  {name:<24}{spread(values)}")
    more = [a - b for a, b in zip(figures["ours"], figures["base64 and split"], strict=True)]
    print(f"  {'more':<24}{spread(more)}  goal: at most 5")


if __name__ == "__main__":
    main()
