"""A store that does not answer: 503, no cookie, and nobody is logged out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from sessions_world import World, request
from starlette.responses import Response

from starlette_auth_core import AuthenticationUnavailable
from starlette_auth_core.tokens import MemoryTokenStore

pytestmark = pytest.mark.anyio


async def time_out(*args: Any, **options: Any) -> Any:
    raise TimeoutError("digest of alice")


async def refuse(*args: Any, **options: Any) -> Any:
    raise AuthenticationUnavailable(retry_after=7)


async def hang(*args: Any, **options: Any) -> Any:
    await anyio.sleep_forever()


FAILURES: dict[str, Callable[..., Any]] = {
    "time_out": time_out,
    "refuse": refuse,
    "hang": hang,
}
# The calls of each request with a session.
REQUESTS = {
    "find": [("GET", "/"), ("POST", "/login/alice"), ("POST", "/logout"), ("POST", "/end/alice")],
    "insert": [("POST", "/login/alice")],
    "delete": [("POST", "/login/alice"), ("POST", "/logout")],
    "delete_all": [("POST", "/end/alice")],
}


@pytest.fixture
def world() -> World:
    world = World()
    world.sessions.query_timeout = 0.01
    return world


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    caplog.set_level(logging.DEBUG)
    digests: list[str] = []
    yield digests
    secrets = [*digests, *(row.digest for row in world.store.rows), "alice", "bob"]
    for record in caplog.records:
        if record.name.startswith("starlette_auth"):
            text = logging.Formatter().format(record).partition("Traceback")[0]
            assert [each for each in secrets if each in text] == []


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("name", REQUESTS)
async def test_failing_store_is_unavailable(world: World, name: str, failure: str) -> None:
    cookie = await world.log_in()
    for method, path in REQUESTS[name]:
        world.store.instead[name] = FAILURES[failure]
        response = await world.send(method, path, cookie=cookie)
        assert response.status_code == 503, path
        assert response.headers["retry-after"] == ("7" if failure == "refuse" else "1")
        assert "set-cookie" not in response.headers
        assert "alice" not in response.text
        assert cookie not in response.text
        world.store.instead.clear()
        assert await world.name(cookie) == "alice"
        assert len(world.store.rows) == 1 + (name == "delete" and "login" in path)
        # What a login left behind could not be deleted either.
        for row in world.store.rows[1:]:
            await world.store.delete(row)


@pytest.mark.parametrize("failure", FAILURES)
async def test_list_and_purge_end_in_time(world: World, failure: str) -> None:
    world.store.instead |= {"list": FAILURES[failure], "purge": FAILURES[failure]}
    with pytest.raises(AuthenticationUnavailable):
        await world.sessions.list(world.alice)
    with pytest.raises(AuthenticationUnavailable):
        await world.sessions.purge()


@pytest.mark.parametrize("failure", [*FAILURES, "error"])
async def test_failing_touch_changes_nothing(
    world: World, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*args: Any, **options: Any) -> Any:
        raise ArithmeticError("alice")

    cookie = await world.log_in()
    world.store.instead["touch"] = FAILURES.get(failure, fail)
    assert await world.name(cookie) == "alice"
    messages = [each.message for each in caplog.records if "auth_sessions" in each.name]
    assert len(messages) == 1
    assert messages[0].startswith("The last use of a session was not stored: ")


async def test_login_whose_old_session_stays_leaves_no_new_one(world: World) -> None:
    cookie = await world.log_in()
    failed = []

    async def fail_once() -> None:
        failed.append(True)
        raise TimeoutError

    world.store.before["delete"] = fail_once
    response = await world.send("POST", "/login/bob", cookie=cookie)
    assert response.status_code == 503
    assert failed == [True]
    assert [row.user for row in world.store.rows] == [world.alice]


async def test_cancelled_login_leaves_no_new_session(world: World) -> None:
    world.sessions.query_timeout = None
    cookie = await world.log_in()
    response = Response()
    with anyio.CancelScope() as scope:

        async def cancel() -> None:
            scope.cancel()
            await checkpoint()

        world.store.before["delete"] = cancel
        await world.sessions.login(request(cookie), response, world.bob)
    assert scope.cancelled_caught
    assert [row.user for row in world.store.rows] == [world.alice]
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("broken", ["timed_out", "cancelled"])
async def test_broken_off_insert_that_was_stored_leaves_no_session(
    world: World, broken: str
) -> None:
    async def store_and_hang(*args: Any, **options: Any) -> Any:
        await MemoryTokenStore.insert(world.store, *args, **options)
        stored.set()
        await anyio.sleep_forever()

    stored = anyio.Event()
    world.store.instead["insert"] = store_and_hang
    response = Response()
    if broken == "timed_out":
        with pytest.raises(AuthenticationUnavailable):
            await world.sessions.login(request(), response, world.alice)
    else:
        world.sessions.query_timeout = None
        async with anyio.create_task_group() as group:
            group.start_soon(world.sessions.login, request(), response, world.alice)
            await stored.wait()
            group.cancel_scope.cancel()
    assert world.store.rows == []
    assert world.store.calls == ["insert", "find", "delete"]
    assert "set-cookie" not in response.headers


async def test_no_limit(world: World) -> None:
    world.sessions.query_timeout = None
    assert await world.name(await world.log_in()) == "alice"


async def test_other_errors_pass(world: World) -> None:
    async def fail(*args: Any, **options: Any) -> Any:
        raise ArithmeticError

    cookie = await world.log_in()
    world.store.instead["find"] = fail
    with pytest.raises(ArithmeticError):
        await world.send("GET", "/", cookie=cookie)


@pytest.mark.parametrize("returned", [object(), "row", True, {}])
async def test_what_is_not_a_row_is_a_mistake_of_the_program(world: World, returned: Any) -> None:
    async def give(*args: Any, **options: Any) -> Any:
        return returned

    cookie = await world.log_in()
    world.store.instead |= {"find": give, "insert": give}
    with pytest.raises(TypeError, match=r"find of the store returned .* not the row"):
        await world.send("GET", "/", cookie=cookie)
    with pytest.raises(TypeError, match=r"insert of the store returned .* not the row"):
        await world.sessions.login(request(), Response(), world.alice)


# What each call of a store is made by.
CALLS: dict[str, Callable[[World, str], Any]] = {
    "find": lambda world, cookie: world.sessions.logout(request(cookie), Response()),
    "insert": lambda world, cookie: world.sessions.login(request(), Response(), world.alice),
    "delete": lambda world, cookie: world.sessions.logout(request(cookie), Response()),
    "delete_all": lambda world, cookie: world.sessions.end_all(world.alice),
    "list": lambda world, cookie: world.sessions.list(world.alice),
    "purge": lambda world, cookie: world.sessions.purge(),
}


@pytest.mark.parametrize("name", CALLS)
async def test_forgotten_await_in_a_store_is_named(world: World, name: str) -> None:
    # A `delete` that is never awaited would leave the session behind.
    async def query() -> None:
        raise AssertionError  # pragma: no cover

    async def forget(*args: Any, **options: Any) -> Any:
        return query()

    async def iterate(*args: Any, **options: Any) -> Any:
        return iter(())

    cookie = await world.log_in()
    for unfinished in forget, iterate:
        world.store.instead[name] = unfinished
        with pytest.raises(TypeError, match=rf"^{name} of the store .*await"):
            await CALLS[name](world, cookie)


@pytest.mark.parametrize("name", CALLS)
async def test_store_that_is_not_async_is_named(world: World, name: str) -> None:
    cookie = await world.log_in()
    world.store.plain[name] = []
    with pytest.raises(TypeError, match=rf"^{name} of the store .*async def"):
        await CALLS[name](world, cookie)


async def test_forgotten_await_in_touch_changes_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def query() -> None:
        raise AssertionError  # pragma: no cover

    async def forget(*args: Any, **options: Any) -> Any:
        return query()

    cookie = await world.log_in()
    world.store.instead["touch"] = forget
    assert await world.name(cookie) == "alice"
    assert "The last use of a session was not stored: TypeError" in caplog.messages
