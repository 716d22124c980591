"""What the tests share: requests without a server, and how long hypothesis looks for trouble.

`pytest --hypothesis-profile=slow` tries a million headers.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import httpx
import pytest
from hypothesis import HealthCheck, settings
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

settings.register_profile("quick", deadline=None, max_examples=200)
settings.register_profile(
    "slow", deadline=None, max_examples=1_000_000, suppress_health_check=list(HealthCheck)
)
settings.load_profile("quick")

Connect: TypeAlias = Callable[..., HTTPConnection]
Fetch: TypeAlias = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture(scope="session")
def connect() -> Connect:
    """Make a connection with these raw headers; a single value is that of `Authorization`."""

    def make(*headers: bytes | tuple[bytes, bytes], kind: str = "http") -> HTTPConnection:
        raw = [(b"authorization", h) if isinstance(h, bytes) else h for h in headers]
        return HTTPConnection({"type": kind, "headers": raw})

    return make


@pytest.fixture(scope="session")
def fetch() -> Fetch:
    """Send one request straight into an app, and let what it raises come through."""

    async def send(
        app: ASGIApp,
        path: str = "/",
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        bearer: str | None = None,
    ) -> httpx.Response:
        headers = dict(headers or {})
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.request(
                method, path, headers=headers, auth=auth or httpx.USE_CLIENT_DEFAULT
            )

    return send
