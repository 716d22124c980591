"""The cookie: its attributes, when it is set, and how it is read."""

from __future__ import annotations

import base64
import hashlib

import pytest
from sessions_world import DAY, NAME, World, cookie_of, request
from starlette.responses import Response
from starlette.testclient import TestClient

from starlette_auth_core.tokens import Tokens, digest_token, is_well_formed
from starlette_auth_sessions import SessionAuth

pytestmark = pytest.mark.anyio


class TestSetCookie:
    async def test_attributes_of_a_login(self, world: World) -> None:
        response = await world.send("POST", "/login/alice")
        (line,) = response.headers.get_list("set-cookie")
        pair, *attributes = line.split("; ")
        assert pair == f"{NAME}={cookie_of(response)}"
        assert sorted(attributes) == [
            *("HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Lax", "Secure"),
        ]

    async def test_max_age_is_that_of_the_session(self) -> None:
        world = World({"absolute": 2 * DAY})
        response = await world.send("POST", "/login/alice")
        assert "Max-Age=172800" in response.headers["set-cookie"].split("; ")

    async def test_attributes_of_a_logout_are_the_same(self, world: World) -> None:
        # Browsers ignore it otherwise.
        cookie = await world.log_in()
        response = await world.send("POST", "/logout", cookie=cookie)
        (line,) = response.headers.get_list("set-cookie")
        pair, *attributes = line.split("; ")
        assert pair == f"{NAME}="
        assert sorted(attributes) == ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax", "Secure"]

    @pytest.mark.parametrize("path", ["/login/alice", "/logout"])
    async def test_response_is_not_stored(self, world: World, path: str) -> None:
        response = await world.send("POST", path)
        assert response.headers["cache-control"] == "no-store"

    async def test_cache_control_of_the_app_stays(self, world: World) -> None:
        response = Response(headers={"Cache-Control": "private"})
        await world.sessions.logout(request(), response)
        assert response.headers["cache-control"] == "private"

    async def test_other_cookies_of_the_response_stay(self, world: World) -> None:
        response = Response()
        response.set_cookie("theme", "dark")
        await world.sessions.logout(request(), response)
        await world.sessions.login(request(), response, world.alice)
        theme, session = response.headers.getlist("set-cookie")
        assert theme.startswith("theme=dark")
        assert "Max-Age=2592000" in session

    async def test_no_cookie_in_between(self, world: World) -> None:
        # Starlette #828 and #2019.
        cookie = await world.log_in()
        stale = await world.log_in()
        await world.send("POST", "/logout", cookie=stale)
        for value in (cookie, stale, None, "x", "", f'"{cookie}"'):
            for method in ("GET", "POST"):
                response = await world.send(method, "/", cookie=value)
                assert "set-cookie" not in response.headers
                assert response.status_code == 200


class TestInsecure:
    async def test_login_over_http_is_a_mistake_of_the_program(self, world: World) -> None:
        for scheme in "http", "ws":
            response = Response()
            with pytest.raises(RuntimeError, match=r"https.*insecure=True"):
                await world.sessions.login(request(scheme=scheme), response, world.alice)
            assert "set-cookie" not in response.headers
        assert world.store.calls == []

    async def test_cookie_over_http_has_another_name_and_is_not_secure(self) -> None:
        world = World({"insecure": True}, base_url="http://localhost:8000")
        response = await world.send("POST", "/login/alice")
        (line,) = response.headers.get_list("set-cookie")
        name = line.partition("=")[0]
        assert not name.startswith("__")
        # That of Starlette's SessionMiddleware, which would be in its way.
        assert name != "session"
        assert sorted(line.split("; ")[1:]) == [
            *("HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Lax"),
        ]
        cookie = ("Cookie", f"{name}={cookie_of(response)}")
        assert (await world.send("GET", "/", cookie)).json()["name"] == "alice"

    async def test_neither_mode_reads_the_cookie_of_the_other(self) -> None:
        world = World()
        insecure = World({"insecure": True}, store=world.store)
        secure_id = await world.log_in()
        response = await insecure.send("POST", "/login/alice")
        insecure_id = cookie_of(response)
        name = response.headers["set-cookie"].partition("=")[0]
        for value in secure_id, insecure_id:
            answer = await insecure.send("GET", "/", ("Cookie", f"{NAME}={value}"))
            assert answer.json()["name"] is None
            answer = await world.send("GET", "/", ("Cookie", f"{name}={value}"))
            assert answer.json()["name"] is None

    async def test_insecure_works_over_https_too(self) -> None:
        world = World({"insecure": True})
        response = await world.send("POST", "/login/alice")
        assert "Secure" not in response.headers["set-cookie"]


class TestClientOfStarlette:
    def test_keeps_the_cookie_over_https(self, world: World) -> None:
        # Its default is http, over which a login is an error.
        client = TestClient(world.app, base_url="https://testserver")
        assert client.get("/").json()["name"] is None
        assert client.post("/login/alice").status_code == 204
        assert client.get("/").json()["name"] == "alice"
        assert client.post("/logout").status_code == 204
        assert client.get("/").json()["name"] is None


class TestReading:
    @pytest.mark.parametrize(
        "value",
        [
            *("", "x", "{id}x", "{id}=", '"{id}"', '"{id}', "'{id}'", " {id}", "{id} ", "%20{id}"),
            *("{id}\t", "{id},x", "{short}", "{short}+", "{short}/", "{short}é", "{short}\x00"),
            "x" * 4096,
        ],
    )
    async def test_malformed_cookie_costs_no_query(self, world: World, value: str) -> None:
        # RFC 6265 section 4.1.1: quotes are a part of the value.
        session_id = await world.log_in()
        sent = value.format(id=session_id, short=session_id[:-1])
        conn = request(None, ("Cookie", f"{NAME}={sent}; theme=dark"))
        assert await SessionAuth(world.sessions).authenticate(conn) is None
        assert world.store.taken() == []

    async def test_unknown_cookie_is_one_query(self, world: World) -> None:
        session_id = await world.log_in()
        await world.send("POST", "/logout", cookie=session_id)
        world.store.taken()
        assert await world.name(session_id) is None
        assert world.store.taken() == ["find"]

    async def test_stale_cookie_is_anonymous_and_not_wrong(self, world: World) -> None:
        for value in ("x", "A" * 43):
            response = await world.send("GET", "/private", cookie=value)
            assert response.headers.get_list("www-authenticate") == ['Session realm="Restricted"']
            assert await world.name(value) is None

    @pytest.mark.parametrize(
        "line",
        [
            "{pair}",
            "{pair};",
            "theme=dark; {pair}",
            "{pair}; theme=dark",
            "theme=dark;{pair};lang=en",
            "theme; {pair}",
            'theme="a; b"; {pair}',
            "__host-session=x; {pair}",
            "=x; {pair}",
            "__Host-session; {pair}",
            " {pair}\t",
        ],
    )
    async def test_cookie_is_found_among_others(self, world: World, line: str) -> None:
        session_id = await world.log_in()
        conn = request(None, ("Cookie", line.format(pair=f"{NAME}={session_id}")))
        result = await SessionAuth(world.sessions).authenticate(conn)
        assert result is not None
        assert result[1] is world.alice

    async def test_all_lines_are_read(self, world: World) -> None:
        # RFC 9113 section 8.2.3 lets HTTP/2 split them.
        session_id = await world.log_in()
        pair = ("Cookie", f"{NAME}={session_id}")
        other = ("Cookie", "theme=dark")
        for lines in ([pair, other], [other, pair]):
            assert (await world.send("GET", "/", *lines)).json()["name"] == "alice"
        assert (await world.send("GET", "/", pair, pair)).json()["name"] is None

    @pytest.mark.parametrize("joined", [True, False])
    async def test_two_session_cookies_are_nobody(self, world: World, *, joined: bool) -> None:
        # A subdomain tossed one in.
        first, second = await world.log_in(), await world.log_in("bob")
        for values in ([first, second], [first, first], [first, "x"], ["", first]):
            pairs = [f"{NAME}={value}" for value in values]
            lines = ["; ".join(pairs)] if joined else pairs
            response = await world.send("GET", "/", *(("Cookie", line) for line in lines))
            assert response.json()["name"] is None
        assert world.store.taken() == []

    async def test_headers_may_be_an_iterator(self, world: World) -> None:
        session_id = await world.log_in()
        conn = request(session_id)
        conn.scope["headers"] = iter(conn.scope["headers"])
        for _ in range(2):
            result = await SessionAuth(world.sessions).authenticate(conn)
            assert result is not None


class TestIds:
    async def test_id_has_256_random_bits(self, world: World) -> None:
        ids = {await world.log_in() for _ in range(20)}
        assert len(ids) == 20
        assert {len(base64.urlsafe_b64decode(f"{each}=")) for each in ids} == {32}

    async def test_store_holds_a_digest(self, world: World) -> None:
        session_id = await world.log_in()
        (row,) = world.store.rows
        assert len(row.digest) == 64
        assert session_id not in str(vars(row))
        # It is not that of a token.
        assert row.digest != digest_token(session_id)
        assert row.digest != hashlib.sha256(session_id.encode()).hexdigest()

    async def test_id_is_not_a_token_and_a_token_not_an_id(self, world: World) -> None:
        tokens = Tokens(world.store, prefix=None, now=world.clock)
        shop = Tokens(world.store, prefix="shop", now=world.clock)
        session_id = await world.log_in()
        token, _ = await shop.issue(world.alice)
        assert await world.name(token) is None
        assert await tokens.find(session_id) is None
        # Whatever form ids had: their digests are of another kind.
        assert not is_well_formed(session_id, None)
        assert await world.store.find(digest_token(session_id)) is None
        assert await world.name(session_id) == "alice"
        assert await tokens.find(token) is not None

    async def test_id_of_a_client_is_not_adopted(self, world: World) -> None:
        for brought in ("A" * 43, await world.log_in(), "x"):
            session_id = await world.log_in("bob", cookie=brought)
            assert session_id != brought
            assert await world.name(brought) is None
            assert await world.name(session_id) == "bob"
