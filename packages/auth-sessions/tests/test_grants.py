"""What a session grants, and how requests with it are answered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sessions_world import HOUR, MINUTE, SECOND, Auth, World, request

from starlette_auth_core import TokenAuth, TokenCredentials
from starlette_auth_core.tokens import Tokens
from starlette_auth_sessions import SessionAuth

pytestmark = pytest.mark.anyio


async def scopes(world: World, cookie: str) -> Any:
    return (await world.send("GET", "/", cookie=cookie)).json()["scopes"]


class TestScopes:
    async def test_default_ones(self, world: World) -> None:
        world.backend = SessionAuth(world.sessions)
        cookie = await world.log_in()
        assert await scopes(world, cookie) == ["authenticated", "via:session", "fresh"]

    async def test_those_of_the_user_now(self, world: World) -> None:
        cookie = await world.log_in()
        world.alice.scopes = ["authenticated", "orders:write"]
        granted = ["authenticated", "orders:write", "via:session", "fresh"]
        assert await scopes(world, cookie) == granted
        world.alice.scopes = ()
        assert await scopes(world, cookie) == ["via:session", "fresh"]

    async def test_fresh_for_a_while_after_the_login(self, world: World) -> None:
        cookie = await world.log_in()
        world.clock.time += 10 * MINUTE - SECOND
        assert "fresh" in await scopes(world, cookie)
        world.clock.time += SECOND
        assert "fresh" not in await scopes(world, cookie)

    async def test_use_does_not_make_it_fresh(self) -> None:
        world = World({"fresh": HOUR})
        cookie = await world.log_in()
        world.clock.time += HOUR / 2
        assert "fresh" in await scopes(world, cookie)
        world.clock.time += HOUR / 2
        assert "fresh" not in await scopes(world, cookie)

    async def test_never_fresh(self) -> None:
        world = World({"fresh": timedelta()})
        assert await scopes(world, await world.log_in()) == ["authenticated", "via:session"]

    async def test_users_cannot_have_those_that_say_how_somebody_logged_in(
        self, world: World
    ) -> None:
        cookie = await world.log_in()
        world.clock.time += HOUR
        world.alice.scopes = ["fresh", "via:password", "read", "via:session"]
        assert await scopes(world, cookie) == ["read", "via:session"]

    async def test_scopes_must_not_be_a_string(self, world: World) -> None:
        cookie = await world.log_in()
        world.alice.scopes = "authenticated"
        with pytest.raises(TypeError, match="scopes must be a sequence of names"):
            await world.send("GET", "/", cookie=cookie)


class TestRow:
    async def test_it_is_in_the_credentials(self, world: World) -> None:
        cookie = await world.log_in()
        result = await Auth(world.sessions).authenticate(request(cookie))
        assert result is not None
        credentials, user = result
        assert isinstance(credentials, TokenCredentials)
        assert credentials.token.digest == world.store.rows[0].digest
        assert credentials.scheme == "Session"
        assert user is world.alice


class TestAnswers:
    async def test_challenge_is_one_that_browsers_do_not_know(self, world: World) -> None:
        response = await world.send("GET", "/private")
        assert response.headers.get_list("www-authenticate") == ['Session realm="Restricted"']

    async def test_every_response_varies_by_cookie(self, world: World) -> None:
        cookie = await world.log_in()
        for response in (
            await world.send("GET", "/", cookie=cookie),
            await world.send("GET", "/"),
            await world.send("GET", "/private"),
            await world.send("POST", "/", ("Sec-Fetch-Site", "cross-site"), cookie=cookie),
        ):
            assert response.headers["vary"] == "Cookie"

    @pytest.mark.parametrize("vary", [("X-Tenant",), (), ["cookie"]], ids=repr)
    async def test_cookie_stays_in_vary_where_a_subclass_names_others(
        self, world: World, vary: Any
    ) -> None:
        backend = type("Own", (Auth,), {"vary": vary})(world.sessions)
        assert [name.lower() for name in backend.vary].count("cookie") == 1
        assert set(vary) <= set(backend.vary)


class TestBesideTokens:
    async def test_request_with_both_is_the_tokens(self, world: World) -> None:
        # As in `MultiAuth([BearerAuth(tokens), SessionAuth(sessions)])`.
        tokens: Tokens[Any, Any] = Tokens(world.store, prefix="shop", now=world.clock)
        world.backend = Both(TokenAuth(tokens), Auth(world.sessions))
        token, _ = await tokens.issue(world.bob)
        cookie = await world.log_in()
        header = ("Authorization", f"Token {token}")
        cross = ("Sec-Fetch-Site", "cross-site")
        response = await world.send("POST", "/", header, cross, cookie=cookie)
        assert response.json()["name"] == "bob"
        assert (await world.send("POST", "/", cookie=cookie)).json()["name"] == "alice"
        assert (await world.send("POST", "/", cross, cookie=cookie)).status_code == 403


class Both(SessionAuth[Any]):
    def __init__(self, first: TokenAuth[Any], second: SessionAuth[Any]) -> None:
        super().__init__(second.sessions)
        self.first, self.second = first, second

    async def authenticate(self, conn: Any) -> Any:
        return await self.first.authenticate(conn) or await self.second.authenticate(conn)
