"""The life of a session: begun, used, and ended by time, by logout, or by another login."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from sessions_world import DAY, HOUR, MINUTE, NOON, SECOND, User, World, request
from starlette.authentication import BaseUser, UnauthenticatedUser
from starlette.requests import HTTPConnection
from starlette.responses import Response

from starlette_auth_core import InvalidCredentials
from starlette_auth_core.tokens import Tokens

pytestmark = pytest.mark.anyio


class TestLogin:
    async def test_row_is_returned_and_stored(self, world: World) -> None:
        world.clock.time = NOON + timedelta(microseconds=1)
        row = await world.sessions.login(request(), Response(), world.alice, name="laptop")
        (stored,) = world.store.rows
        assert row == stored
        assert (stored.user, stored.scopes, stored.name) == (world.alice, None, "laptop")
        assert (stored.created_at, stored.expires_at) == (NOON, NOON + 30 * DAY)

    async def test_login_costs_one_insert(self, world: World) -> None:
        await world.send("POST", "/login/alice")
        assert world.store.taken() == ["insert"]

    async def test_session_that_came_with_it_ends(self, world: World) -> None:
        for brought, name in (("alice", "alice"), ("alice", "bob")):
            old = await world.log_in(brought)
            other = await world.log_in(brought)
            response = await world.send("POST", f"/login/{name}", cookie=old)
            assert response.status_code == 204
            # The first two are those of the middleware.
            assert world.store.taken() == ["find", "touch", "insert", "delete"]
            assert await world.name(old) is None
            assert await world.name(other) == brought

    async def test_ended_session_that_came_with_it_is_deleted_too(self, world: World) -> None:
        old = await world.log_in()
        world.clock.time += 13 * HOUR
        new = await world.log_in(cookie=old)
        assert len(world.store.rows) == 1
        assert await world.name(new) == "alice"

    async def test_all_sessions_that_came_with_it_end(self, world: World) -> None:
        ids = [await world.log_in(), await world.log_in("bob")]
        lines = [("Cookie", f"__Host-session={each}") for each in (*ids, *ids)]
        await world.send("POST", "/login/alice", *lines)
        assert world.store.taken() == ["find", "find", "insert", "delete", "delete"]
        assert [await world.name(each) for each in ids] == [None, None]

    async def test_get_may_log_in(self, world: World) -> None:
        # The callback of OAuth comes from another site.
        response = await world.send("GET", "/login/alice", ("Sec-Fetch-Site", "cross-site"))
        assert response.status_code == 204

    @pytest.mark.parametrize("user", [None, False, "", 0, {}, OrderedDict()], ids=repr)
    async def test_nobody_gets_no_session(self, world: World, user: Any) -> None:
        response = Response()
        with pytest.raises(TypeError, match="user must be a user"):
            await world.sessions.login(request(), response, user)
        assert world.store.calls == []
        assert "set-cookie" not in response.headers

    async def test_anonymous_user_gets_no_session(self, world: World) -> None:
        # Such as `request.user` of a request that nobody has authenticated.
        class Guest:
            is_authenticated = False

        for user in UnauthenticatedUser(), Guest():
            with pytest.raises(TypeError, match="user must have logged in"):
                await world.sessions.login(request(), Response(), user)  # type: ignore[arg-type]  # on purpose
        assert world.store.calls == []

    async def test_user_without_the_property_gets_a_session(self, world: World) -> None:
        # Starlette's `BaseUser` raises `NotImplementedError` where it is not overridden.
        class Plain(BaseUser):
            active = True

        for user in Plain(), SimpleNamespace(active=True):
            await world.sessions.login(request(), Response(), user)  # type: ignore[arg-type]  # on purpose
        assert world.store.calls == ["insert", "insert"]

    async def test_arguments_in_the_wrong_place_are_named(self, world: World) -> None:
        row: Any = await world.sessions.login(request(), Response(), world.alice)
        world.store.taken()
        conn: Any = request()
        response: Any = Response()
        for call, name in (
            (lambda: world.sessions.login(response, conn, world.alice), "conn"),
            (lambda: world.sessions.login(conn, conn, world.alice), "response"),
            (lambda: world.sessions.logout(response, conn), "conn"),
            (lambda: world.sessions.logout(conn, row), "response"),
            (lambda: world.sessions.end_all(world.alice, keep=row), "keep"),
        ):
            with pytest.raises(TypeError, match=f"{name} must be a"):
                await call()
        assert world.store.calls == []

    async def test_forgotten_await_gets_no_session(self, world: World) -> None:
        async def find() -> User:
            return world.alice  # pragma: no cover

        with pytest.raises(TypeError, match="awaited"):
            await world.sessions.login(request(), Response(), find())  # type: ignore[arg-type]  # on purpose
        for unfinished in _Future(), (each for each in [world.alice]):
            with pytest.raises(TypeError, match="awaited"):
                await world.sessions.login(request(), Response(), unfinished)  # type: ignore[arg-type]  # on purpose
        assert world.store.calls == []

    @pytest.mark.parametrize(
        "name", ["digest", "scopes", "created_at", "expires_at", "last_used_at"]
    )
    async def test_extra_is_for_fields_of_the_app(self, world: World, name: str) -> None:
        with pytest.raises(TypeError, match=name):
            await world.sessions.login(request(), Response(), world.alice, **{name: None})
        assert world.store.calls == []

    async def test_user_who_may_not_log_in_is_refused(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        world.alice.active = False
        response = Response()
        with pytest.raises(InvalidCredentials) as caught:
            await world.sessions.login(request(), response, world.alice)
        assert caught.value.__context__ is None
        assert "set-cookie" not in response.headers
        assert world.store.rows == []
        assert (await world.send("POST", "/login/alice")).status_code == 401
        assert "alice" not in caplog.text


class TestTime:
    async def test_idle_counts_from_the_login(self, world: World) -> None:
        cookie = await world.log_in()
        world.clock.time = NOON + 12 * HOUR
        assert await world.name(cookie) is None
        world.clock.time -= SECOND
        assert await world.name(cookie) == "alice"

    async def test_idle_counts_from_the_last_use(self, world: World) -> None:
        cookie = await world.log_in()
        world.clock.time += 11 * HOUR
        assert await world.name(cookie) == "alice"
        world.clock.time += 12 * HOUR
        assert await world.name(cookie) is None
        world.clock.time -= SECOND
        assert await world.name(cookie) == "alice"

    async def test_absolute_end_is_never_moved(self, world: World) -> None:
        cookie = await world.log_in()
        while world.clock.time < NOON + 30 * DAY - 6 * HOUR:
            world.clock.time += 6 * HOUR
            assert await world.name(cookie) == "alice"
        world.clock.time = NOON + 30 * DAY - SECOND
        assert await world.name(cookie) == "alice"
        (row,) = world.store.rows
        assert row.expires_at == NOON + 30 * DAY
        world.clock.time += SECOND
        assert await world.name(cookie) is None
        assert "expire" not in world.store.calls

    async def test_part_of_a_second_does_not_count(self, world: World) -> None:
        world.clock.time = NOON + timedelta(microseconds=999_999)
        cookie = await world.log_in()
        world.clock.time = NOON + 12 * HOUR
        assert await world.name(cookie) is None

    async def test_times_of_a_store_may_be_naive(self, world: World) -> None:
        cookie = await world.log_in()
        await world.name(cookie)
        row: Any = world.store.rows[0]
        for name in "created_at", "expires_at", "last_used_at":
            setattr(row, name, getattr(row, name).replace(tzinfo=None))
        world.clock.time = NOON + 12 * HOUR - SECOND
        assert await world.name(cookie) == "alice"

    async def test_row_without_last_use_ends_idle_after_login(self, world: World) -> None:
        cookie = await world.log_in()
        (row,) = world.store.rows
        bare = SimpleNamespace(
            **{k: v for k, v in vars(row).items() if k != "last_used_at"},
        )

        async def find(digest: str) -> Any:
            return bare

        async def touch(*args: Any, **options: Any) -> bool:
            return False

        world.store.instead |= {"find": find, "touch": touch}
        world.clock.time = NOON + 12 * HOUR - SECOND
        assert await world.name(cookie) == "alice"
        world.clock.time += SECOND
        assert await world.name(cookie) is None

    async def test_clock_must_be_aware(self, world: World) -> None:
        world.clock.time = NOON.replace(tzinfo=None)
        with pytest.raises(ValueError, match="aware"):
            await world.sessions.purge()


class TestUse:
    async def test_request_is_one_find_and_a_touch_a_minute(self, world: World) -> None:
        cookie = await world.log_in()
        calls = []
        for seconds in 0, 1, 60, 61, 62, 200:
            world.clock.time = NOON + seconds * SECOND
            await world.name(cookie)
            calls.append(world.store.taken())
        once, both = ["find"], ["find", "touch"]
        assert calls == [both, once, once, both, once, both]

    async def test_request_without_a_cookie_costs_nothing(self, world: World) -> None:
        assert await world.name(None) is None
        assert world.store.taken() == []

    async def test_ended_session_is_not_touched(self, world: World) -> None:
        cookie = await world.log_in()
        world.clock.time += 12 * HOUR
        await world.name(cookie)
        assert world.store.taken() == ["find"]

    async def test_touch_is_conditional(self, world: World) -> None:
        cookie = await world.log_in()
        seen: list[Any] = []

        async def touch(row: Any, at: Any, *, unless_since: Any) -> bool:
            seen.append((at, unless_since))
            return True

        world.store.instead["touch"] = touch
        world.clock.time += timedelta(hours=1, microseconds=5)
        await world.name(cookie)
        assert seen == [(NOON + HOUR, NOON + HOUR - MINUTE)]

    async def test_session_that_ends_meanwhile_stays_ended(self, world: World) -> None:
        cookie = await world.log_in()
        (row,) = world.store.rows

        async def delete() -> None:
            await world.store.delete(row)

        world.store.before["touch"] = delete
        assert await world.name(cookie) == "alice"
        assert await world.name(cookie) is None
        assert world.store.rows == []

    async def test_row_shows_the_use(self, world: World) -> None:
        cookie = await world.log_in()
        conn = request(cookie)
        row = await world.sessions._authenticate(conn)
        assert row is not None
        assert row.last_used_at == NOON

    async def test_row_that_the_store_has_updated_is_left_alone(self, world: World) -> None:
        # An ORM would mark it as changed.
        class Row(SimpleNamespace):
            def __setattr__(self, name: str, value: Any) -> None:
                raise AssertionError  # pragma: no cover

        cookie = await world.log_in()
        row = Row(**vars(world.store.rows[0]))

        async def find(digest: str) -> Any:
            return row

        async def touch(*args: Any, **options: Any) -> bool:
            vars(row)["last_used_at"] = NOON.replace(tzinfo=None)
            return True

        world.store.instead |= {"find": find, "touch": touch}
        assert await world.name(cookie) == "alice"

    async def test_frozen_row_stays_as_it_is(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        cookie = await world.log_in()
        (row,) = world.store.rows
        frozen = Frozen(world.alice, row.digest, NOON, NOON + DAY)

        async def find(digest: str) -> Any:
            return frozen

        world.store.instead["find"] = find
        assert await world.name(cookie) == "alice"
        assert frozen.last_used_at is None
        assert caplog.messages == []

    async def test_user_who_may_not_log_in_is_anonymous_at_once(self, world: World) -> None:
        cookie = await world.log_in()
        world.alice.active = False
        assert await world.name(cookie) is None
        # Nothing was ended, so a session that nobody ends works again.
        world.alice.active = True
        assert await world.name(cookie) == "alice"
        world.alice.active = False
        assert await world.sessions.end_all(world.alice) == 1

    @pytest.mark.parametrize("user", [None, {}, False], ids=repr)
    async def test_row_whose_user_is_gone_is_anonymous(self, world: World, user: Any) -> None:
        cookie = await world.log_in()
        (row,) = world.store.rows
        row.user = user
        world.store._active_field = None
        assert await world.name(cookie) is None

    async def test_touches_at_once_are_all_answered(self, world: World) -> None:
        cookie = await world.log_in()
        names: list[Any] = []

        async def ask() -> None:
            names.append(await world.name(cookie))

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(ask)
        assert names == ["alice"] * 50
        assert world.store.taken().count("find") == 50


class TestLogout:
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_session_ends_on_the_server(self, world: World, method: str) -> None:
        cookie, other = await world.log_in(), await world.log_in()
        response = await world.send(method, "/logout", cookie=cookie)
        assert response.status_code == 204
        assert world.store.taken() == ["find", "touch", "delete"]
        assert [await world.name(each) for each in (cookie, other)] == [None, "alice"]
        assert len(world.store.rows) == 1

    @pytest.mark.parametrize("cookie", [None, "", "x", "A" * 43, '"x"'])
    async def test_any_cookie_or_none_is_expired(self, world: World, cookie: str | None) -> None:
        response = await world.send("POST", "/logout", cookie=cookie)
        assert response.status_code == 204
        assert "Max-Age=0" in response.headers["set-cookie"]

    async def test_sessions_of_all_cookies_end(self, world: World) -> None:
        ids = [await world.log_in(), await world.log_in("bob"), await world.log_in()]
        lines = [("Cookie", f"__Host-session={ids[0]}; __Host-session=x")]
        lines.append(("Cookie", f"__Host-session={ids[1]}; __Host-session={ids[1]}"))
        await world.send("POST", "/logout", *lines)
        assert [await world.name(each) for each in ids] == [None, None, "alice"]

    @pytest.mark.parametrize("path", ["/login/bob", "/logout"])
    async def test_no_more_cookies_cost_a_query_than_browsers_keep(
        self, world: World, path: str
    ) -> None:
        # Chromium keeps 180 of a site. Others come from a client that makes the database work.
        last = await world.log_in()
        ids = [f"{number:043}" for number in range(1000)]
        ids[179] = last
        lines = [("Cookie", "; ".join(f"__Host-session={each}" for each in ids))]
        assert (await world.send("POST", path, *lines)).status_code == 204
        assert world.store.taken().count("find") == 180
        assert await world.name(last) is None

    async def test_token_in_the_same_store_stays(self, world: World) -> None:
        tokens = Tokens(world.store, prefix="shop", now=world.clock)
        token, _ = await tokens.issue(world.alice)
        await world.send("POST", "/logout", cookie=token)
        assert await tokens.find(token) is not None


class TestEndAll:
    async def test_all_of_a_user_end(self, world: World) -> None:
        mine = [await world.log_in() for _ in range(3)]
        other = await world.log_in("bob")
        assert await world.sessions.end_all(world.alice) == 3
        assert [await world.name(each) for each in mine] == [None] * 3
        assert await world.name(other) == "bob"
        assert await world.sessions.end_all(world.alice) == 0

    async def test_that_of_the_request_is_kept(self, world: World) -> None:
        kept, *others = [await world.log_in() for _ in range(3)]
        response = await world.send("POST", "/end/alice", cookie=kept)
        assert response.json() == 2
        assert "set-cookie" not in response.headers
        assert [await world.name(each) for each in (kept, *others)] == ["alice", None, None]

    async def test_request_without_a_valid_session_keeps_none(self, world: World) -> None:
        for cookie in None, "x", "A" * 43:
            mine = await world.log_in()
            response = await world.send("POST", "/end/alice", cookie=cookie)
            assert response.json() == 1
            assert await world.name(mine) is None

    async def test_request_whose_session_has_ended_keeps_none(self, world: World) -> None:
        old = await world.log_in()
        world.clock.time += 12 * HOUR
        new = await world.log_in()
        assert (await world.send("POST", "/end/alice", cookie=old)).json() == 2
        assert [await world.name(each) for each in (old, new)] == [None, None]

    async def test_request_of_another_user_keeps_none(self, world: World) -> None:
        mine, other = await world.log_in(), await world.log_in("bob")
        assert (await world.send("POST", "/end/alice", cookie=other)).json() == 1
        assert [await world.name(each) for each in (mine, other)] == [None, "bob"]

    async def test_that_of_a_websocket_is_looked_up_again(self, world: World) -> None:
        cookie = await world.log_in()
        scope = {**request(cookie).scope, "type": "websocket", "scheme": "wss"}
        websocket = HTTPConnection(scope)
        assert await world.sessions._authenticate(websocket) is not None
        # Meanwhile its session is used by other requests.
        world.clock.time += 11 * HOUR
        assert await world.name(cookie) == "alice"
        world.clock.time += 11 * HOUR
        assert await world.sessions.end_all(world.alice, keep=websocket) == 0

    async def test_request_with_two_cookies_keeps_none(self, world: World) -> None:
        ids = [await world.log_in(), await world.log_in()]
        lines = [("Cookie", f"__Host-session={each}") for each in ids]
        assert (await world.send("POST", "/end/alice", *lines)).json() == 2

    async def test_session_that_the_request_came_with_is_meant(self, world: World) -> None:
        conn = request(await world.log_in())
        new = await world.sessions.login(conn, Response(), world.alice)
        assert await world.sessions.end_all(world.alice, keep=conn) == 1
        assert new not in world.store.rows

    @pytest.mark.parametrize("method", ["end_all", "list"])
    async def test_nobody_has_no_sessions(self, world: World, method: str) -> None:
        with pytest.raises(TypeError, match="user must be a user"):
            await getattr(world.sessions, method)(None)


class TestList:
    async def test_valid_ones_newest_first(self, world: World) -> None:
        rows = []
        for hours in 0, 1, 13, 14:
            world.clock.time = NOON + hours * HOUR
            rows.append(await world.sessions.login(request(), Response(), world.alice))
        await world.sessions.login(request(), Response(), world.bob)
        listed = await world.sessions.list(world.alice)
        assert [row.digest for row in listed] == [rows[3].digest, rows[2].digest]

    async def test_current_one_can_be_marked(self, world: World) -> None:
        cookie, _ = await world.log_in(), await world.log_in()
        row = await world.sessions._authenticate(request(cookie))
        assert row is not None
        marks = [each.digest == row.digest for each in await world.sessions.list(world.alice)]
        assert sorted(marks) == [False, True]

    async def test_shared_store_lists_and_ends_tokens_too(self, world: World) -> None:
        tokens = Tokens(world.store, prefix="shop", now=world.clock)
        await tokens.issue(world.alice)
        await world.log_in()
        assert len(await world.sessions.list(world.alice)) == 2
        assert len(await tokens.list(world.alice)) == 2
        assert await world.sessions.end_all(world.alice) == 2
        await world.log_in()
        assert await tokens.revoke_all(world.alice) == 1


async def test_purge_deletes_what_is_past_its_absolute_end(world: World) -> None:
    await world.log_in()
    world.clock.time += 13 * HOUR
    await world.log_in()
    assert await world.sessions.purge() == 0
    world.clock.time = NOON + 30 * DAY + SECOND
    assert await world.sessions.purge() == 1
    assert len(world.store.rows) == 1


@dataclass(frozen=True)
class Frozen:
    user: User
    digest: str
    created_at: Any
    expires_at: Any
    scopes: None = None
    last_used_at: None = None


class _Future:
    def __await__(self) -> Any:
        yield  # pragma: no cover
