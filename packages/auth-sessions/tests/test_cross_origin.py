"""Requests that another site makes a browser send."""

from __future__ import annotations

from typing import Any

import pytest
from sessions_world import ORIGIN, Auth, World, request
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from starlette_auth_core import AuthenticationMiddleware
from starlette_auth_sessions import CrossOriginRequest, Sessions

pytestmark = pytest.mark.anyio

TRUSTED = "https://front.example.org"

SAFE = ["GET", "HEAD", "OPTIONS", "TRACE"]
UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "get", "PROPFIND"]

Lines = list[tuple[str, str]]


def origin(*values: str) -> Lines:
    return [("Origin", value) for value in values]


def site(*values: str) -> Lines:
    return [("Sec-Fetch-Site", value) for value in values]


# Whether it passes, and the header lines. The order is that of the rules.
CASES: list[tuple[bool, Lines]] = [
    # 1. more than one line
    (False, origin(ORIGIN, ORIGIN)),
    (False, origin(TRUSTED, TRUSTED)),
    (False, origin(ORIGIN, TRUSTED) + site("same-origin")),
    (False, site("same-origin", "same-origin")),
    (False, site("none", "")),
    (False, origin(TRUSTED) + site("same-origin", "none")),
    # 2. a trusted origin
    (True, origin(TRUSTED)),
    (True, origin(TRUSTED) + site("cross-site")),
    (True, origin(TRUSTED) + site("same-site")),
    (True, origin(f"{TRUSTED}:443")),
    (True, origin("HTTPS://Front.Example.ORG")),
    (True, origin("http://localhost:3000") + site("cross-site")),
    (True, origin("capacitor://localhost") + site("cross-site")),
    (False, origin("http://localhost") + site("cross-site")),
    (False, origin("http://localhost:30000") + site("cross-site")),
    (False, origin("http://front.example.org") + site("cross-site")),
    (False, origin(f"{TRUSTED}/") + site("cross-site")),
    (False, origin(f"{TRUSTED}.evil.example") + site("cross-site")),
    # 3. Sec-Fetch-Site
    (True, site("same-origin")),
    (True, site("none")),
    (True, origin("https://evil.example") + site("same-origin")),
    (True, origin("null") + site("none")),
    (False, site("cross-site")),
    (False, site("same-site")),
    (False, site("Same-Origin")),
    (False, site("same-origin, none")),
    (False, site("anything")),
    (False, origin(ORIGIN) + site("cross-site")),
    (False, origin(ORIGIN) + site("same-site")),
    # 4. no Origin
    (True, []),
    (True, site("")),
    # 5. the origin of the request
    (True, origin(ORIGIN)),
    (True, origin(ORIGIN) + site("")),
    (True, origin("https://APP.example.ORG")),
    (True, origin(f"{ORIGIN}:443")),
    # 6. all else
    (False, origin("null")),
    (False, origin("")),
    (False, origin("http://app.example.org")),
    (False, origin(f"{ORIGIN}:8443")),
    (False, origin("https://example.org")),
    (False, origin("https://sub.app.example.org")),
    (False, origin("https://app.example.org.evil.example")),
    (False, origin(f"{ORIGIN}/")),
    (False, origin(f"{ORIGIN} {ORIGIN}")),
    (False, origin("https://user@app.example.org")),
    (False, origin(f"{ORIGIN}:99999")),
    (False, origin(f"{ORIGIN}:")),
    (False, origin("app.example.org")),
]


def settings() -> dict[str, Any]:
    return {"trusted_origins": [TRUSTED, "http://localhost:3000", "capacitor://localhost"]}


def show(lines: Any) -> str:
    return ", ".join(f"{name}={value}" for name, value in lines) if lines else "nothing"


@pytest.fixture
def world() -> World:
    return World(settings())


@pytest.mark.parametrize(("passes", "lines"), CASES, ids=lambda value: None)
class TestRules:
    async def test_request_with_a_session(
        self, world: World, *, passes: bool, lines: Lines
    ) -> None:
        cookie = await world.log_in()
        response = await world.send("POST", "/", *lines, cookie=cookie)
        assert response.status_code == (200 if passes else 403), show(lines)
        assert world.store.taken() == (["find", "touch"] if passes else ["find"])
        if not passes:
            assert response.text == "Cross-origin request refused"
            assert response.headers["cache-control"] == "no-store"
            assert "www-authenticate" not in response.headers
            assert "set-cookie" not in response.headers
        # A page may be linked to, and it costs nothing to ask for it.
        assert (await world.send("GET", "/", *lines, cookie=cookie)).status_code == 200

    async def test_login_and_logout(self, world: World, *, passes: bool, lines: Lines) -> None:
        # A cross-site post comes without the cookie, and its answer would set one.
        for path in "/login/alice", "/logout":
            for cookie in None, await world.log_in():
                response = await world.send("POST", path, *lines, cookie=cookie)
                assert response.status_code == (204 if passes else 403), show(lines)
                assert ("set-cookie" in response.headers) is passes
                if not passes:
                    assert world.store.taken() == ([] if cookie is None else ["find"])
                world.store.taken()

    async def test_websocket(self, world: World, *, passes: bool, lines: Lines) -> None:
        cookie = await world.log_in()
        answer = await connect(world, lines, cookie)
        assert (answer["type"] == "websocket.accept") is passes, show(lines)
        if not passes:
            assert answer == {"type": "websocket.close", "code": 1008, "reason": ""}


class TestWhere:
    @pytest.mark.parametrize("method", UNSAFE)
    async def test_unsafe_methods(self, world: World, method: str) -> None:
        cookie = await world.log_in()
        conn = request(cookie, *site("cross-site"), method=method)
        with pytest.raises(CrossOriginRequest):
            await Auth(world.sessions).authenticate(conn)
        for call in world.sessions.logout, world.sessions.login:
            with pytest.raises(CrossOriginRequest):
                await call(conn, Response(), *([world.alice] if call.__name__ == "login" else []))

    @pytest.mark.parametrize("method", SAFE)
    async def test_safe_methods(self, world: World, method: str) -> None:
        # RFC 9110 section 9.2.1
        cookie = await world.log_in()
        conn = request(cookie, *site("cross-site"), method=method)
        assert await Auth(world.sessions).authenticate(conn) is not None
        await world.sessions.login(conn, Response(), world.alice)
        await world.sessions.logout(conn, Response())

    async def test_request_without_a_valid_session_is_not_asked(self, world: World) -> None:
        ended = await world.log_in()
        await world.send("POST", "/logout", cookie=ended)
        for cookie in None, "x", ended:
            response = await world.send("POST", "/", *site("cross-site"), cookie=cookie)
            assert (response.status_code, response.json()["name"]) == (200, None)

    async def test_websocket_without_a_session_is_not_asked(self, world: World) -> None:
        answer = await connect(world, site("cross-site"), None)
        assert answer["type"] == "websocket.accept"

    async def test_websocket_is_denied_by_a_response_where_the_server_can(
        self, world: World
    ) -> None:
        cookie = await world.log_in()
        answer = await connect(world, site("cross-site"), cookie, "websocket.http.response")
        assert answer["type"] == "websocket.http.response.start"
        assert answer["status"] == 403
        names = {name for name, _ in answer["headers"]}
        assert (b"cache-control", b"no-store") in answer["headers"]
        assert names.isdisjoint({b"set-cookie", b"www-authenticate"})

    async def test_websocket_may_log_in_from_here_only(self, world: World) -> None:
        for lines, refused in (site("same-origin"), False), (site("cross-site"), True):
            websocket = WebSocket(
                {**request(None, *lines).scope, "type": "websocket", "scheme": "wss"},
                nothing,
                nothing,
            )
            if refused:
                with pytest.raises(CrossOriginRequest):
                    await world.sessions.login(websocket, Response(), world.alice)
            else:
                await world.sessions.login(websocket, Response(), world.alice)

    @pytest.mark.parametrize("method", ["POST", "GET"])
    async def test_public_pages_stay_403(self, method: str) -> None:
        # `on_invalid="anonymous"` is for 401 alone.
        world = World(middleware={"on_invalid": "anonymous"})
        cookie = await world.log_in()
        response = await world.send(method, "/", *site("cross-site"), cookie=cookie)
        assert response.status_code == (403 if method == "POST" else 200)


class TestOwnOrigin:
    @pytest.mark.parametrize(
        ("passes", "scheme", "host", "value"),
        [
            (True, "https", "app.example.org", "https://app.example.org"),
            (True, "https", "APP.example.org", "https://app.example.org:443"),
            (True, "https", "app.example.org:443", "https://app.example.org"),
            (True, "https", "app.example.org:8443", "https://app.example.org:8443"),
            (False, "https", "app.example.org:8443", "https://app.example.org"),
            (False, "https", "app.example.org", "https://app.example.org:8443"),
            (False, "https", "app.example.org:80", "https://app.example.org"),
            (True, "http", "localhost:80", "http://localhost"),
            (True, "http", "127.0.0.1:8000", "http://127.0.0.1:8000"),
            (True, "https", "[::1]:8443", "https://[::1]:8443"),
            (True, "https", "[::1]", "https://[::1]:443"),
            (False, "https", "[::1]", "https://[::2]"),
            (False, "https", "user@app.example.org", "https://app.example.org"),
            (False, "https", "", "https://app.example.org"),
            (False, "https", None, "https://app.example.org"),
        ],
    )
    async def test_host_and_port(
        self, *, passes: bool, scheme: str, host: str | None, value: str
    ) -> None:
        sessions: Sessions[Any, Any] = Sessions(World().store)
        lines = [("Host", host)] if host is not None else []
        conn = request(None, *lines, *origin(value), method="POST", scheme=scheme)
        if passes:
            await sessions.logout(conn, Response())
        else:
            with pytest.raises(CrossOriginRequest):
                await sessions.logout(conn, Response())

    async def test_host_must_be_clear(self, world: World) -> None:
        host = ("Host", "app.example.org")
        with pytest.raises(CrossOriginRequest):
            await world.sessions.logout(
                request(None, host, host, *origin(ORIGIN), method="POST"), Response()
            )

    @pytest.mark.parametrize(("scheme", "own"), [("wss", "https"), ("ws", "http")])
    async def test_websocket_has_the_origin_of_its_page(
        self, world: World, scheme: str, own: str
    ) -> None:
        for value, passes in (own, True), ("https" if own == "http" else "http", False):
            cookie = await world.log_in()
            lines = origin(f"{value}://app.example.org")
            answer = await connect(world, lines, cookie, scheme=scheme)
            assert (answer["type"] == "websocket.accept") is passes

    async def test_scheme_may_be_missing(self, world: World) -> None:
        # ASGI: it is `http` then.
        conn = request(
            None, ("Host", "app.example.org"), *origin("http://app.example.org"), method="POST"
        )
        del conn.scope["scheme"]
        await world.sessions.logout(conn, Response())


async def nothing(*args: Any) -> Any:
    raise AssertionError  # pragma: no cover


async def connect(
    world: World, lines: Lines, cookie: str | None, *extensions: str, scheme: str = "wss"
) -> Any:
    """Open a WebSocket, and return the first thing that is sent on it."""
    sent: list[Any] = []

    async def accept(scope: Any, receive: Any, send: Any) -> None:
        assert HTTPConnection(scope).auth is not None
        await send({"type": "websocket.accept"})

    async def send(message: Any) -> None:
        sent.append(message)

    conn = request(cookie, ("Host", "app.example.org"), *lines, scheme=scheme)
    scope = {**conn.scope, "type": "websocket", "extensions": {key: {} for key in extensions}}
    del scope["method"]
    await AuthenticationMiddleware(accept, Auth(world.sessions))(scope, nothing, send)
    return sent[0]
