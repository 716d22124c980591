"""Sessions in real databases, through both storages; and one app in two processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from servers import PATIENCE, Server, client_of_each_process, serving
from session_storages import STORAGES, Storage
from sessions_app import create_app
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BearerAuth, requires
from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_multi import MultiAuth
from starlette_auth_sessions import SessionAuth, Sessions

NAME = "insecure-session"
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class Clock:
    time: datetime = NOON

    def __call__(self) -> datetime:
        return self.time


@dataclass
class Case:
    """The sessions of two users in a database."""

    storage: Storage
    alice: Any
    bob: Any
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.sessions: Sessions[Any, Any] = Sessions(
            self.storage.store, insecure=True, now=self.clock
        )
        self.auth: SessionAuth[Any] = SessionAuth(self.sessions)

    async def log_in(self, user: Any, cookie: str | None = None) -> str:
        response = Response()
        await self.sessions.login(request(cookie, "POST"), response, user, name="laptop")
        return response.headers["set-cookie"].partition(";")[0].partition("=")[2]

    async def name(self, cookie: str) -> str | None:
        result = await self.auth.authenticate(request(cookie))
        return None if result is None else result[1].username


def request(cookie: str | None, method: str = "GET") -> Request:
    headers = [] if cookie is None else [(b"cookie", f"{NAME}={cookie}".encode())]
    return Request({"type": "http", "method": method, "scheme": "http", "headers": headers})


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def any_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=list(STORAGES))
async def case(request: pytest.FixtureRequest, any_url: str) -> AsyncIterator[Case]:
    storage = STORAGES[request.param](any_url)
    await storage.create()
    async with storage.connected():
        yield Case(storage, await storage.add_user("alice"), await storage.add_user("bob"))


@pytest.mark.anyio
class TestStorages:
    async def test_login_and_logout(self, case: Case) -> None:
        cookie, other = await case.log_in(case.alice), await case.log_in(case.bob)
        assert [await case.name(each) for each in (cookie, other)] == ["alice", "bob"]
        await case.sessions.logout(request(cookie, "POST"), Response())
        assert [await case.name(each) for each in (cookie, other)] == [None, "bob"]

    async def test_times(self, case: Case) -> None:
        cookie = await case.log_in(case.alice)
        case.clock.time += 12 * HOUR - SECOND
        assert await case.name(cookie) == "alice"
        case.clock.time += 12 * HOUR
        assert await case.name(cookie) is None
        case.clock.time -= SECOND
        while case.clock.time < NOON + 30 * DAY - 7 * HOUR:
            assert await case.name(cookie) == "alice"
            case.clock.time += 7 * HOUR
        case.clock.time = NOON + 30 * DAY - SECOND
        assert await case.name(cookie) == "alice"
        case.clock.time += SECOND
        assert await case.name(cookie) is None
        case.clock.time += SECOND
        assert await case.sessions.purge() == 1

    async def test_use_is_stored_once_a_minute(self, case: Case) -> None:
        cookie = await case.log_in(case.alice)
        seen = []
        for seconds in 5, 30, 65, 66, 200:
            case.clock.time = NOON + seconds * SECOND
            assert await case.name(cookie) == "alice"
            (row,) = await case.sessions.list(case.alice)
            last = row.last_used_at.replace(tzinfo=UTC)
            seen.append((last - NOON) // SECOND)
        assert seen == [5, 5, 5, 66, 200]

    async def test_login_ends_the_session_that_came_with_it(self, case: Case) -> None:
        old = await case.log_in(case.bob)
        new = await case.log_in(case.alice, old)
        assert [await case.name(each) for each in (old, new)] == [None, "alice"]
        assert await case.sessions.list(case.bob) == []

    async def test_devices(self, case: Case) -> None:
        cookies = []
        for _ in range(3):
            case.clock.time += MINUTE
            cookies.append(await case.log_in(case.alice))
        other = await case.log_in(case.bob)
        listed = await case.sessions.list(case.alice)
        assert [row.name for row in listed] == ["laptop"] * 3
        assert listed == sorted(listed, key=lambda row: row.created_at, reverse=True)
        result = await case.auth.authenticate(request(cookies[1]))
        assert result is not None
        current: Any = result[0]
        assert [row.digest == current.token.digest for row in listed] == [False, True, False]
        # Of another user: none is kept.
        kept = request(cookies[1], "POST")
        assert await case.sessions.end_all(case.bob, keep=kept) == 1
        assert await case.name(other) is None
        assert await case.sessions.end_all(case.alice, keep=kept) == 2
        assert [await case.name(each) for each in cookies] == [None, "alice", None]
        assert await case.sessions.end_all(case.alice) == 1

    async def test_id_is_not_a_token_and_a_token_not_an_id(self, case: Case) -> None:
        tokens: Tokens[Any, Any] = Tokens(case.storage.store, prefix="shop", now=case.clock)
        token, _ = await tokens.issue(case.alice)
        cookie = await case.log_in(case.alice)
        anything = Tokens(case.storage.store, prefix=None, now=case.clock)
        assert await case.name(token) is None
        assert await anything.find(cookie) is None
        assert await case.name(cookie) == "alice"
        assert await tokens.find(token) is not None

    async def test_logout_amid_50_requests_that_touch(self, case: Case) -> None:
        cookie = await case.log_in(case.alice)
        case.clock.time += HOUR

        async def log_out() -> None:
            await case.sessions.logout(request(cookie, "POST"), Response())

        asked = [case.name(cookie) for _ in range(50)]
        *names, _ = await asyncio.gather(*asked[:25], *asked[25:], log_out())
        assert set(names) <= {"alice", None}
        # No touch has brought it back.
        assert await case.name(cookie) is None
        assert await case.sessions.list(case.alice) == []


@pytest.mark.anyio
class TestUnavailable:
    @pytest.mark.parametrize("name", STORAGES)
    async def test_database_that_is_down_logs_nobody_out(self, name: str) -> None:
        # Nobody listens on port 1.
        storage = STORAGES[name]("postgresql://postgres@127.0.0.1:1/test")
        transport = httpx.ASGITransport(create_app(storage))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            cookies = {"Cookie": f"{NAME}={'A' * 43}"}
            for method, path in (("GET", "/who"), ("POST", "/logout"), ("POST", "/end-others")):
                response = await client.request(method, path, headers=cookies)
                assert response.status_code == 503
                assert "set-cookie" not in response.headers
            assert (await client.get("/who")).json()["user"] is None


@pytest.mark.anyio
class TestBesideTokens:
    """`MultiAuth([BearerAuth(tokens), SessionAuth(sessions)])`: the schemes of headers first."""

    @pytest.fixture
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        alice, bob = SimpleUser("alice"), SimpleUser("bob")
        tokens: Tokens[SimpleUser] = Tokens(MemoryTokenStore(), prefix="shop")
        sessions: Sessions[SimpleUser] = Sessions(MemoryTokenStore())

        async def login(request: Request) -> Response:
            response = Response()
            await sessions.login(request, response, bob)
            return response

        async def who(request: Request) -> Response:
            return PlainTextResponse(request.user.display_name)

        backend = MultiAuth([BearerAuth(tokens), SessionAuth(sessions)])
        app = Starlette(
            routes=[
                Route("/login", login, methods=["POST"]),
                Route("/who", who, methods=["GET", "POST"]),
                Route("/private", requires("authenticated")(who)),
            ],
            middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
        )
        self.token, _ = await tokens.issue(alice)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
            yield client

    async def test_request_with_both_is_the_tokens(self, client: httpx.AsyncClient) -> None:
        assert (await client.post("/login")).status_code == 200
        assert (await client.get("/who")).text == "bob"
        bearer = {"Authorization": f"Bearer {self.token}"}
        assert (await client.get("/who", headers=bearer)).text == "alice"
        # No other site can make a browser send a token.
        cross_site = {"Sec-Fetch-Site": "cross-site"}
        assert (await client.post("/who", headers=bearer | cross_site)).text == "alice"
        assert (await client.post("/who", headers=cross_site)).status_code == 403

    async def test_wrong_token_is_not_made_up_for(self, client: httpx.AsyncClient) -> None:
        assert (await client.post("/login")).status_code == 200
        response = await client.get("/who", headers={"Authorization": "Bearer wrong"})
        assert response.status_code == 401
        assert "set-cookie" not in response.headers

    async def test_answers_name_both(self, client: httpx.AsyncClient) -> None:
        response = await client.get("/private")
        assert response.headers["vary"] == "Cookie"
        assert response.headers.get_list("www-authenticate") == [
            'Bearer realm="Restricted"',
            'Session realm="Restricted"',
        ]


@pytest.fixture(scope="module", params=list(STORAGES))
def server(request: pytest.FixtureRequest, postgresql_url: str) -> Iterator[Server]:
    storage = STORAGES[request.param](postgresql_url)

    async def fill() -> None:
        await storage.create()
        async with storage.connected():
            await storage.add_user("alice")

    asyncio.run(fill())
    env = {"DATABASE_URL": postgresql_url, "STORAGE": request.param}
    with serving("sessions_app:app", "--workers=2", env=env) as server:
        for _ in range(2):
            server.wait_for("Application startup complete")
        yield server


@pytest.fixture
def each(server: Server) -> Iterator[list[httpx.Client]]:
    """Provide two clients, each with a connection that is kept to one of the processes."""
    with client_of_each_process(server, "/who") as clients:
        yield clients


def log_in(client: httpx.Client) -> dict[str, str]:
    response = client.post("/login/alice")
    assert response.status_code == 204
    client.cookies.clear()
    return {"Cookie": response.headers["set-cookie"].partition(";")[0]}


def user(client: httpx.Client, cookie: dict[str, str]) -> str | None:
    name: str | None = client.get("/who", headers=cookie).json()["user"]
    return name


class TestTwoProcesses:
    def test_logged_out_on_one_is_out_on_the_other(self, each: list[httpx.Client]) -> None:
        one, other = each
        cookie = log_in(one)
        assert [user(client, cookie) for client in each] == ["alice", "alice"]
        assert one.post("/logout", headers=cookie).status_code == 204
        assert [user(client, cookie) for client in each] == [None, None]
        assert other.post("/logout", headers=cookie).status_code == 204

    def test_others_that_are_ended_on_one_are_out_on_the_other(
        self, each: list[httpx.Client]
    ) -> None:
        one, other = each
        kept, ended = log_in(one), log_in(other)
        assert one.post("/end-others", headers=kept).json() >= 1
        assert [user(client, ended) for client in each] == [None, None]
        assert [user(client, kept) for client in each] == ["alice", "alice"]
        assert other.get("/devices", headers=kept).json() == [["a browser", True]]

    def test_logout_amid_50_requests_that_touch(
        self, server: Server, each: list[httpx.Client]
    ) -> None:
        # Each is the first use of its session, so each request touches until one has.
        async def storm(cookie: dict[str, str]) -> list[str | None]:
            limits = httpx.Limits(max_connections=51)
            async with httpx.AsyncClient(
                base_url=server.url, trust_env=False, timeout=PATIENCE, limits=limits
            ) as client:

                async def ask() -> str | None:
                    response = await client.get("/who", headers=cookie)
                    assert response.status_code == 200
                    name: str | None = response.json()["user"]
                    return name

                async def leave() -> None:
                    response = await client.post("/logout", headers=cookie)
                    assert response.status_code == 204

                *names, _ = await asyncio.gather(*(ask() for _ in range(50)), leave())
                return list(names)

        for _ in range(5):
            cookie = log_in(each[0])
            names = asyncio.run(storm(cookie))
            assert len(names) == 50
            assert set(names) <= {"alice", None}
            assert [user(client, cookie) for client in each] == [None, None]
