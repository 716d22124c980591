"""An app with sessions, its clock, its store that notes each call, and a browser of sorts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from starlette_auth_core import AuthBackend, AuthenticationMiddleware
from starlette_auth_core.tokens import MemoryTokenStore
from starlette_auth_sessions import SessionAuth, Sessions

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY = timedelta(days=1)

METHODS = ("find", "insert", "expire", "touch", "delete", "delete_all", "list", "purge")
NAME = "__Host-session"
ORIGIN = "https://app.example.org"


@dataclass
class User:
    name: str
    active: bool = True
    scopes: Sequence[str] = ("authenticated",)
    is_authenticated: ClassVar[bool] = True


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


class Store(MemoryTokenStore[User]):
    """Notes its calls, and does before or in the place of one what a test asks for."""

    def __init__(self) -> None:
        super().__init__(active_field="active")
        self.calls: list[str] = []
        self.before: dict[str, Callable[[], Awaitable[Any]]] = {}
        self.instead: dict[str, Callable[..., Any]] = {}
        # What a method that is not async returns.
        self.plain: dict[str, Any] = {}

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name not in METHODS:
            return value

        if name in self.plain:
            return lambda *args, **options: self.plain[name]

        async def call(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            if name in self.before:
                await self.before.pop(name)()
            method: Any = self.instead.get(name, value)
            return await method(*args, **options)

        return call

    def taken(self) -> list[str]:
        """Return the calls since the last time."""
        calls, self.calls = self.calls, []
        return calls

    @property
    def rows(self) -> list[Any]:
        return list(self._rows.values())


class Auth(SessionAuth[User]):
    def get_scopes(self, user: User) -> Sequence[str]:
        return user.scopes


@dataclass
class World:
    """The parts. `options` are those of `Sessions`."""

    options: Mapping[str, Any] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    store: Store = field(default_factory=Store)
    alice: User = field(default_factory=lambda: User("alice"))
    bob: User = field(default_factory=lambda: User("bob"))
    middleware: Mapping[str, Any] = field(default_factory=dict)
    backend: AuthBackend[Any] | None = None
    base_url: str = ORIGIN

    def __post_init__(self) -> None:
        self.sessions: Sessions[User, Any] = Sessions(self.store, now=self.clock, **self.options)
        self.users = {"alice": self.alice, "bob": self.bob}

    @property
    def app(self) -> Starlette:
        backend = self.backend or Auth(self.sessions)
        return Starlette(
            routes=[
                Route("/", self.who, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
                Route("/login/{name}", self.login, methods=["GET", "POST"]),
                Route("/logout", self.logout, methods=["GET", "POST"]),
                Route("/end/{name}", self.end_all, methods=["POST"]),
                Route("/private", private),
            ],
            middleware=[Middleware(AuthenticationMiddleware, backend=backend, **self.middleware)],
        )

    async def who(self, request: Request) -> JSONResponse:
        name = request.user.name if request.user.is_authenticated else None
        return JSONResponse({"name": name, "scopes": request.auth.scopes})

    async def login(self, request: Request) -> Response:
        response = Response(status_code=204)
        user = self.users[request.path_params["name"]]
        await self.sessions.login(request, response, user)
        return response

    async def logout(self, request: Request) -> Response:
        response = Response(status_code=204)
        await self.sessions.logout(request, response)
        return response

    async def end_all(self, request: Request) -> JSONResponse:
        user = self.users[request.path_params["name"]]
        return JSONResponse(await self.sessions.end_all(user, keep=request))

    async def send(
        self, method: str, path: str = "/", *lines: tuple[str, str], cookie: str | None = None
    ) -> httpx.Response:
        """Send one request with these header lines; *cookie* is the id of a session."""
        headers = [*lines, *([("Cookie", f"{NAME}={cookie}")] if cookie is not None else [])]
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=self.base_url) as client:
            return await client.request(method, path, headers=headers)

    async def log_in(self, name: str = "alice", *, cookie: str | None = None) -> str:
        """Log in, and return the id of the new session."""
        response = await self.send("POST", f"/login/{name}", cookie=cookie)
        assert response.status_code == 204, response.text
        self.store.taken()
        return cookie_of(response)

    async def name(self, cookie: str | None) -> str | None:
        """Return whom a GET with this session is from."""
        response = await self.send("GET", "/", cookie=cookie)
        assert response.status_code == 200, response.text
        name: str | None = response.json()["name"]
        return name


def request(
    cookie: str | None = None,
    *lines: tuple[str, str],
    method: str = "GET",
    scheme: str = "https",
) -> Request:
    """Make a request without an app, with the session of this id."""
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in lines]
    if cookie is not None:
        headers.append((b"cookie", f"{NAME}={cookie}".encode("latin-1")))
    return Request({"type": "http", "method": method, "scheme": scheme, "headers": headers})


def cookie_of(response: httpx.Response) -> str:
    """Return the value of the one cookie that a response sets."""
    (line,) = response.headers.get_list("set-cookie")
    value: str = line.partition(";")[0].partition("=")[2]
    return value


async def private(request: Request) -> Response:
    return Response(status_code=401)
