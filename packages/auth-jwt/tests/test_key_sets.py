"""An issuer's keys: when they are fetched, by whom, and who is answered meanwhile."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import anyio
import httpx2
import pytest
from anyio import to_thread
from jwt_issuer import Clock, Issuer
from jwt_tokens import AUDIENCE, ISSUER, MARK, good_claims, key_for, make_token, public_jwk
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from starlette_auth_core import AuthenticationMiddleware, AuthenticationUnavailable, requires
from starlette_auth_jwt import JWKS, JWTAuth

pytestmark = pytest.mark.anyio

Ask: TypeAlias = Callable[..., Any]


def backend(keys: JWKS, *algorithms: str) -> JWTAuth:
    return JWTAuth(keys=keys, issuer=ISSUER, audience=AUDIENCE, algorithms=algorithms or ["ES256"])


async def answer(auth: JWTAuth, kid: str | None = "one", **changes: Any) -> int:
    """Return the status that a token gets."""
    user: object = None
    refusal: AuthenticationUnavailable | None = None
    try:
        user = await auth.verify(make_token(**{"kid": kid, **changes}))
    except AuthenticationUnavailable as error:
        refusal = error
    if refusal is None:
        return 401 if user is None else 200
    assert refusal.__cause__ is None
    assert refusal.__context__ is None
    assert refusal.retry_after >= 1
    return refusal.status_code


class Statuses(list[int]):
    """The statuses of those who ask a backend, in the order of their answers."""

    def __init__(self, auth: JWTAuth) -> None:
        super().__init__()
        self._auth = auth

    async def ask(self, kid: str = "one") -> None:
        self.append(await answer(self._auth, kid))


class TestConstruction:
    def test_fetches_nothing(self, issuer: Issuer) -> None:
        keys = JWKS(issuer.keys_url)
        backend(keys)
        assert issuer.asked == []
        assert MARK not in repr(JWKS(f"{issuer.keys_url}?code={MARK}"))
        assert issuer.keys_url in repr(keys)

    @pytest.mark.parametrize(
        "url",
        [
            "https://issuer.example/keys",
            "https://issuer.example:8443/keys?tenant=1",
            "HTTPS://issuer.example",
            "http://localhost:8080/keys",
            "http://127.0.0.1/keys",
            "http://127.255.1.2:1/keys",
            "http://[::1]:8080/keys",
        ],
    )
    def test_takes_a_safe_url(self, url: str) -> None:
        JWKS(url)

    @pytest.mark.parametrize(
        "url",
        [
            "http://issuer.example/keys",
            "http://localhost.example/keys",
            "http://127.0.0.1.example/keys",
            "http://128.0.0.1/keys",
            "http://127.1/keys",
            "http://0.0.0.0/keys",
            "http://[::2]/keys",
            "http://10.0.0.1/keys",
            "ftp://issuer.example/keys",
            "file:///etc/keys",
            "//issuer.example/keys",
            "/keys",
            "issuer.example/keys",
            "https:///keys",
            "https://:443/keys",
            "https://issuer.example:99999/keys",
            "https://issuer.example:x/keys",
            "https://[::1/keys",
            "",
            "https://user:pass@issuer.example/keys",
            "https://@issuer.example/keys",
            "https://issuer.example/keys#one",
            "https://issuer.example/keys#",
            "https://issuer.example/ke ys",
            "https://issuer.example/keys\n",
            "https://issuer.example\\@other.example/keys",
            "https://iss\u00fcer.example/keys",
        ],
    )
    def test_takes_no_other_url(self, url: str) -> None:
        with pytest.raises(ValueError, match=r"^url "):
            JWKS(url)
        with pytest.raises(ValueError, match=r"^issuer "):
            JWKS.discover(url)

    def test_shows_no_password_of_a_url(self) -> None:
        with pytest.raises(ValueError, match="user information") as raised:
            JWKS(f"https://user:{MARK}@issuer.example/keys")
        assert MARK not in str(raised.value)

    @pytest.mark.parametrize(
        ("settings", "error", "message"),
        [
            ({"max_age": timedelta(0)}, ValueError, "max_age"),
            ({"max_age": timedelta(seconds=-1)}, ValueError, "max_age"),
            ({"max_age": 600}, TypeError, "max_age"),
            ({"max_age": timedelta(hours=25)}, ValueError, "max_stale"),
            ({"max_stale": timedelta(minutes=9)}, ValueError, "max_stale"),
            ({"max_stale": None}, TypeError, "max_stale"),
            ({"cooldown": timedelta(seconds=-1)}, ValueError, "cooldown"),
            ({"cooldown": 30}, TypeError, "cooldown"),
            ({"timeout": 0}, ValueError, "timeout"),
            ({"timeout": -1.0}, ValueError, "timeout"),
            ({"timeout": 10**400}, ValueError, "timeout"),
            ({"timeout": float("inf")}, ValueError, "timeout"),
            ({"timeout": float("nan")}, ValueError, "timeout"),
            ({"timeout": None}, TypeError, "timeout"),
            ({"timeout": True}, TypeError, "timeout"),
            ({"timeout": timedelta(seconds=5)}, TypeError, "timeout"),
            ({"client": httpx2.Client}, TypeError, "client"),
            ({"client": "client"}, TypeError, "client"),
        ],
    )
    def test_checks_its_settings(
        self, settings: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            JWKS("https://issuer.example/keys", **settings)
        with pytest.raises(error, match=message):
            JWKS.discover("https://issuer.example", **settings)

    @pytest.mark.parametrize("url", [None, 5, b"https://issuer.example/keys"])
    def test_wants_text(self, url: Any) -> None:
        with pytest.raises(TypeError, match=r"^url must be a URL"):
            JWKS(url)
        with pytest.raises(TypeError, match=r"^issuer must be a URL"):
            JWKS.discover(url)

    def test_takes_what_is_barely_possible(self) -> None:
        second = timedelta(seconds=1)
        JWKS(
            "https://issuer.example/keys",
            max_age=second,
            max_stale=second,
            cooldown=timedelta(0),
            timeout=1,
        )


class TestOneFetch:
    async def test_serves_200_simultaneous_first_requests(self, issuer: Issuer) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.is_open.clear()
        statuses = Statuses(auth)

        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(statuses.ask, "one" if number % 2 else f"unknown-{number}")
            await issuer.was_asked()
            await anyio.wait_all_tasks_blocked()
            issuer.is_open.set()
        assert sorted(statuses) == [200] * 100 + [401] * 100
        assert issuer.fetches == 1

    async def test_fails_for_all(self, issuer: Issuer) -> None:
        keys = JWKS(issuer.keys_url, cooldown=timedelta(0))
        auth = backend(keys)
        issuer.fail()
        issuer.is_open.clear()
        statuses = Statuses(auth)

        async def refresh() -> None:
            with pytest.raises(AuthenticationUnavailable):
                await keys.refresh()
            statuses.append(503)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(statuses.ask)
                group.start_soon(refresh)
            await issuer.was_asked()
            await anyio.wait_all_tasks_blocked()
            issuer.is_open.set()
        assert statuses == [503] * 40
        assert issuer.fetches == 1

    async def test_is_taken_over_where_it_is_cancelled(self, issuer: Issuer) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.is_open.clear()
        statuses: list[int] = []
        first = anyio.CancelScope()

        async def ask(scope: anyio.CancelScope) -> None:
            with scope:
                statuses.append(await answer(auth))

        async with anyio.create_task_group() as group:
            group.start_soon(ask, first)
            await issuer.was_asked()
            for _ in range(10):
                group.start_soon(ask, anyio.CancelScope())
            await anyio.wait_all_tasks_blocked()
            first.cancel()
            await issuer.was_asked()
            issuer.is_open.set()
        assert statuses == [200] * 10
        assert issuer.fetches == 2

    async def test_is_taken_over_within_the_cooldown(self, issuer: Issuer) -> None:
        keys = JWKS(issuer.keys_url)
        statuses = Statuses(backend(keys))
        await keys.refresh()
        issuer.keys.append(public_jwk(key_for("ES256"), kid="two"))
        issuer.is_open.clear()
        assert issuer.has_asked.acquire(timeout=1)
        async with anyio.create_task_group() as group:
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(keys.refresh)
                await issuer.was_asked()
                group.start_soon(statuses.ask, "two")
                await anyio.wait_all_tasks_blocked()
                leaving.cancel_scope.cancel()
            await issuer.was_asked()
            issuer.is_open.set()
        assert statuses == [200]

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_is_taken_over_after_task_cancel(self, issuer: Issuer) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.is_open.clear()
        others = asyncio.all_tasks()
        tasks = [asyncio.create_task(answer(auth)) for _ in range(10)]
        await issuer.was_asked()
        await anyio.wait_all_tasks_blocked()
        tasks[0].cancel()
        tasks[5].cancel()
        await issuer.was_asked()
        issuer.is_open.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in found].count(True) == 2
        assert found.count(200) == 8
        assert issuer.fetches == 2
        assert asyncio.all_tasks() == others

    async def test_is_made_again_after_a_lonely_cancellation(self, issuer: Issuer) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.is_open.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(answer, auth)
            await issuer.was_asked()
            group.cancel_scope.cancel()
        issuer.is_open.set()
        assert await answer(auth) == 200

    async def test_waits_without_being_cancelled_by_those_who_leave(self, issuer: Issuer) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.is_open.clear()
        statuses = Statuses(auth)

        async with anyio.create_task_group() as group:
            group.start_soon(statuses.ask)
            await issuer.was_asked()
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(statuses.ask)
                await anyio.wait_all_tasks_blocked()
                leaving.cancel_scope.cancel()
            issuer.is_open.set()
        assert statuses == [200]
        assert issuer.fetches == 1

    async def test_leaves_the_loop_free(self, issuer: Issuer) -> None:
        keys = JWKS(issuer.keys_url)
        issuer.is_open.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(keys.refresh)
            await issuer.was_asked()
            for _ in range(100):
                await anyio.lowlevel.checkpoint()
            issuer.is_open.set()
        assert issuer.fetches == 1


class TestEventLoops:
    @pytest.mark.parametrize("loops", [["asyncio"] * 3, ["trio"] * 3, ["asyncio", "trio"] * 2])
    def test_come_one_after_another(self, issuer: Issuer, loops: list[str], clock: Clock) -> None:
        auth = backend(JWKS(issuer.keys_url))
        for name in loops:
            assert anyio.run(answer, auth, backend=name) == 200
            clock.advance(700)
        assert issuer.fetches == len(loops)

    def test_come_with_each_request_of_a_test_client(self, issuer: Issuer, clock: Clock) -> None:
        @requires("authenticated")
        async def show(request: Request) -> Response:
            return PlainTextResponse(request.user.username)

        app = Starlette(
            routes=[Route("/", show)],
            middleware=[
                Middleware(AuthenticationMiddleware, backend=backend(JWKS(issuer.keys_url)))
            ],
        )
        client = TestClient(app)
        for _ in range(3):
            response = client.get("/", headers={"Authorization": f"Bearer {make_token(kid='one')}"})
            assert response.text == "alice"
            clock.advance(700)
        assert issuer.fetches == 3

    @pytest.mark.parametrize("others", ["asyncio", "trio"])
    def test_share_a_fetch_from_their_threads(self, issuer: Issuer, others: str) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.is_open.clear()
        statuses: list[int] = []
        waiting = threading.Semaphore(0)

        def ask_first() -> None:
            statuses.append(anyio.run(answer, auth))

        async def ask() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(count)
                await anyio.wait_all_tasks_blocked()
                waiting.release()

        async def count() -> None:
            statuses.append(await answer(auth))

        threads = [threading.Thread(target=ask_first)]
        threads[0].start()
        assert issuer.has_asked.acquire(timeout=10)
        for _ in range(3):
            threads.append(
                threading.Thread(target=anyio.run, args=(ask,), kwargs={"backend": others})
            )
            threads[-1].start()
            assert waiting.acquire(timeout=10)
        issuer.is_open.set()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 4
        assert issuer.fetches == 1

    def test_stop_in_the_middle_of_a_fetch(self, issuer: Issuer, clock: Clock) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.is_open.clear()
        stopped = asyncio.new_event_loop()
        task = stopped.create_task(answer(auth))
        stopped.run_until_complete(issuer.was_asked())
        issuer.is_open.set()
        clock.advance(7)
        assert anyio.run(answer, auth) == 200
        assert issuer.fetches == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            stopped.run_until_complete(task)
        stopped.run_until_complete(stopped.shutdown_default_executor())
        stopped.close()
        assert anyio.run(answer, auth) == 200

    @pytest.mark.parametrize("name", ["asyncio", "trio"])
    def test_close_before_they_are_woken(self, issuer: Issuer, name: str) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.is_open.clear()
        loop = asyncio.new_event_loop()
        first = loop.create_task(answer(auth))
        loop.run_until_complete(issuer.was_asked())

        async def leave() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(answer, auth)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()

        anyio.run(leave, backend=name)
        issuer.is_open.set()
        assert loop.run_until_complete(first) == 200
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


class TestOldKeys:
    async def test_answer_while_one_request_fetches_new_ones(
        self, issuer: Issuer, clock: Clock
    ) -> None:
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth) == 200
        clock.advance(601)
        issuer.keys = [public_jwk(key_for("ES256", "other"), kid="one")]
        issuer.is_open.clear()
        statuses = Statuses(auth)

        async with anyio.create_task_group() as group:
            assert issuer.has_asked.acquire(timeout=1)
            group.start_soon(statuses.ask)
            await issuer.was_asked()
            for _ in range(10):
                await statuses.ask()
            assert statuses == [200] * 10
            issuer.is_open.set()
        # The one that waited is answered by the new keys.
        assert statuses[10:] == [401]
        assert issuer.fetches == 2

    async def test_answer_while_the_issuer_is_down(self, issuer: Issuer, clock: Clock) -> None:
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth) == 200
        issuer.fail()
        clock.advance(599)
        assert await answer(auth) == 200
        assert issuer.fetches == 1
        clock.advance(2)
        assert await answer(auth) == 200
        assert issuer.fetches == 2
        # Not within the cooldown.
        for _ in range(10):
            assert await answer(auth) == 200
        assert issuer.fetches == 2
        clock.advance(31)
        assert await answer(auth) == 200
        assert issuer.fetches == 3
        clock.advance(24 * 3600 - 700)
        assert await answer(auth) == 200
        clock.advance(100)
        assert await answer(auth) == 503
        fetches = issuer.fetches
        assert await answer(auth) == 503
        assert issuer.fetches == fetches
        issuer.recover()
        assert await answer(auth) == 503
        clock.advance(31)
        assert await answer(auth) == 200

    @pytest.mark.parametrize("name", ["monotonic", "time"])
    async def test_grow_old_by_either_clock(self, issuer: Issuer, clock: Clock, name: str) -> None:
        # The one that is never set stands still while a machine sleeps.
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth) == 200
        clock.advance(601, name)
        assert await answer(auth) == 200
        assert issuer.fetches == 2
        issuer.fail()
        clock.advance(25 * 3600, name)
        assert await answer(auth) == 503
        assert await answer(auth) == 503
        assert issuer.fetches == 3
        clock.advance(31, name)
        assert await answer(auth) == 503
        assert issuer.fetches == 4

    async def test_do_not_grow_young_where_the_clock_is_set_back(
        self, issuer: Issuer, clock: Clock
    ) -> None:
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth) == 200
        clock.advance(-3600, "time")
        clock.advance(601, "monotonic")
        assert await answer(auth, claims=good_claims(iat=None)) == 200
        assert issuer.fetches == 2

    async def test_can_be_too_old_when_the_fetch_has_failed(
        self, issuer: Issuer, clock: Clock
    ) -> None:
        span = timedelta(minutes=10)
        auth = backend(JWKS(issuer.keys_url, max_age=span, max_stale=timedelta(minutes=11)))
        assert await answer(auth) == 200

        async def fail(request: Request) -> Response:
            clock.advance(120)
            return Response(status_code=500)

        issuer.answer = fail
        clock.advance(601)
        assert await answer(auth) == 503


class TestAnOutage:
    async def test_is_503_and_not_401(self, issuer: Issuer, clock: Clock) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.fail()
        assert await answer(auth) == 503
        with pytest.raises(AuthenticationUnavailable) as raised:
            await auth.verify(make_token(kid="one"))
        assert 1 <= raised.value.retry_after <= 30
        issuer.recover()
        clock.advance(29)
        assert await answer(auth) == 503
        assert issuer.fetches == 1
        clock.advance(1)
        assert await answer(auth) == 200
        assert issuer.fetches == 2

    @pytest.mark.parametrize(
        ("cooldown", "retry_after"), [(0, 1), (0.5, 1), (10.5, 11), (3600, 3600)]
    )
    async def test_says_when_to_try_again(
        self, issuer: Issuer, cooldown: float, retry_after: int
    ) -> None:
        issuer.fail()
        keys = JWKS(issuer.keys_url, cooldown=timedelta(seconds=cooldown))
        with pytest.raises(AuthenticationUnavailable) as raised:
            await keys.refresh()
        assert raised.value.retry_after == retry_after

    async def test_does_not_reach_tokens_that_are_wrong_before_the_key(
        self, issuer: Issuer
    ) -> None:
        auth = backend(JWKS(issuer.keys_url))
        issuer.fail()
        for claims in (good_claims(aud="x"), good_claims(exp=1), good_claims(sub=None)):
            assert await auth.verify(make_token(kid="x", claims=claims)) is None
        assert await auth.verify(make_token("ES384", kid="x")) is None
        assert await auth.verify("x") is None
        assert issuer.asked == []

    async def test_is_logged_once_for_each_attempt(
        self, issuer: Issuer, caplog: pytest.LogCaptureFixture
    ) -> None:
        auth = backend(JWKS(f"{issuer.keys_url}?code={MARK}"))
        issuer.fail(502)
        for _ in range(5):
            assert await answer(auth) == 503
        assert [record.getMessage() for record in caplog.records] == [
            f"The keys of {issuer.keys_url} could not be fetched: status 502"
        ]

    async def test_is_a_server_that_is_not_there(self, caplog: pytest.LogCaptureFixture) -> None:
        assert await answer(backend(JWKS("http://127.0.0.1:1/keys"))) == 503
        assert "ConnectError" in caplog.text


class TestRefresh:
    async def test_fetches_always(self, issuer: Issuer) -> None:
        keys = JWKS(issuer.keys_url)
        for _ in range(3):
            await keys.refresh()
        assert issuer.fetches == 3
        assert await answer(backend(keys)) == 200
        assert issuer.fetches == 3

    async def test_keeps_the_old_keys_where_it_fails(self, issuer: Issuer, clock: Clock) -> None:
        keys = JWKS(issuer.keys_url)
        await keys.refresh()
        issuer.fail()
        with pytest.raises(AuthenticationUnavailable):
            await keys.refresh()
        assert await answer(backend(keys)) == 200
        # It counts as an attempt.
        clock.advance(29)
        issuer.recover()
        assert await answer(backend(keys), "two") == 401
        assert issuer.fetches == 2

    async def test_joins_a_fetch(self, issuer: Issuer) -> None:
        keys = JWKS(issuer.keys_url)
        issuer.is_open.clear()
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(keys.refresh)
            await issuer.was_asked()
            await anyio.wait_all_tasks_blocked()
            issuer.is_open.set()
        assert issuer.fetches == 1


class TestAnUnknownKid:
    async def test_has_the_keys_fetched_once(self, issuer: Issuer, clock: Clock) -> None:
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth) == 200
        clock.advance(31)
        other = key_for("ES256", "other")
        issuer.keys.append(public_jwk(other, kid="two"))
        assert await answer(auth, "two", key=other) == 200
        assert issuer.fetches == 2
        for number in range(1000):
            assert await answer(auth, f"random-{number}", key=other) == 401
        assert issuer.fetches == 2
        clock.advance(31)
        for number in range(1000):
            assert await answer(auth, f"random-{number}", key=other) == 401
        assert issuer.fetches == 3

    async def test_is_not_fetched_for_right_after_the_first_fetch(self, issuer: Issuer) -> None:
        auth = backend(JWKS(issuer.keys_url, cooldown=timedelta(0)))
        assert await answer(auth, "two") == 401
        assert issuer.fetches == 1
        assert await answer(auth, "two") == 401
        assert issuer.fetches == 2

    async def test_shares_its_fetch(self, issuer: Issuer, clock: Clock) -> None:
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth) == 200
        clock.advance(31)
        issuer.keys.append(public_jwk(key_for("ES256"), kid="two"))
        issuer.is_open.clear()
        assert issuer.has_asked.acquire(timeout=1)
        statuses = Statuses(auth)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(statuses.ask, "two" if number % 2 else f"x{number}")
            await issuer.was_asked()
            # A known kid never waits for it.
            for _ in range(5):
                assert await answer(auth) == 200
            assert statuses == []
            issuer.is_open.set()
        assert sorted(statuses) == [200] * 10 + [401] * 10
        assert issuer.fetches == 2

    async def test_is_401_while_the_issuer_is_down_and_the_keys_are_young(
        self, issuer: Issuer, clock: Clock
    ) -> None:
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth) == 200
        issuer.fail()
        clock.advance(31)
        assert await answer(auth, "two") == 401
        assert await answer(auth, "three") == 401
        assert issuer.fetches == 2
        # Later a new key may have been made.
        clock.advance(570)
        assert await answer(auth, "two") == 503
        assert issuer.fetches == 3
        assert await answer(auth, "two") == 503
        assert await answer(auth, "one") == 200
        assert issuer.fetches == 3
        issuer.recover()
        clock.advance(31)
        assert await answer(auth, "two") == 401

    async def test_waits_for_the_fetch_of_old_keys(self, issuer: Issuer, clock: Clock) -> None:
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth) == 200
        clock.advance(601)
        issuer.keys.append(public_jwk(key_for("ES256"), kid="two"))
        issuer.is_open.clear()
        assert issuer.has_asked.acquire(timeout=1)
        statuses = Statuses(auth)

        async with anyio.create_task_group() as group:
            group.start_soon(statuses.ask, "one")
            await issuer.was_asked()
            group.start_soon(statuses.ask, "two")
            await anyio.wait_all_tasks_blocked()
            assert statuses == []
            issuer.is_open.set()
        assert statuses == [200, 200]
        assert issuer.fetches == 2

    async def test_with_another_algorithm_is_no_reason_to_fetch(
        self, issuer: Issuer, clock: Clock
    ) -> None:
        issuer.keys.append(public_jwk(key_for("ES384"), kid="named", alg="ES256"))
        auth = backend(JWKS(issuer.keys_url), "ES256", "ES384")
        assert await answer(auth) == 200
        clock.advance(31)
        assert await answer(auth, "one", algorithm="ES384") == 401
        assert await answer(auth, "named", algorithm="ES384") == 401
        assert issuer.fetches == 1


class TestRotation:
    async def test_ends_keys_that_are_gone(self, issuer: Issuer, clock: Clock) -> None:
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth) == 200
        issuer.keys = []
        clock.advance(601)
        assert await answer(auth) == 401
        issuer.keys = [public_jwk(key_for("ES256", "other"), kid="one")]
        clock.advance(31)
        assert await answer(auth, key=key_for("ES256", "other")) == 200
        assert await answer(auth) == 401

    async def test_may_give_a_kid_to_another_kind_of_key(
        self, issuer: Issuer, clock: Clock
    ) -> None:
        auth = backend(JWKS(issuer.keys_url), "ES256", "EdDSA")
        assert await answer(auth) == 200
        issuer.keys = [public_jwk(key_for("EdDSA"), kid="one")]
        clock.advance(601)
        assert await answer(auth, algorithm="EdDSA") == 200
        assert await answer(auth) == 401

    async def test_may_have_two_keys_of_one_name(self, issuer: Issuer) -> None:
        issuer.keys.append(public_jwk(key_for("ES256", "other"), kid="one"))
        issuer.keys.append(public_jwk(key_for("EdDSA"), kid="one"))
        auth = backend(JWKS(issuer.keys_url), "ES256", "EdDSA")
        assert await answer(auth) == 200
        assert await answer(auth, key=key_for("ES256", "other")) == 200
        assert await answer(auth, algorithm="EdDSA") == 200


class TestNoKid:
    async def test_is_enough_where_one_key_fits(self, issuer: Issuer, clock: Clock) -> None:
        issuer.keys.append(public_jwk(key_for("EdDSA")))
        auth = backend(JWKS(issuer.keys_url), "ES256", "EdDSA", "RS256")
        assert await answer(auth, None) == 200
        assert await answer(auth, None, algorithm="EdDSA") == 200
        clock.advance(31)
        assert await answer(auth, None, algorithm="RS256") == 401
        assert issuer.fetches == 1

    async def test_is_ambiguous_where_several_fit(self, issuer: Issuer, clock: Clock) -> None:
        issuer.keys.append(public_jwk(key_for("ES256", "other"), kid="two"))
        auth = backend(JWKS(issuer.keys_url))
        assert await answer(auth, None) == 401
        clock.advance(31)
        assert await answer(auth, None) == 401
        assert issuer.fetches == 1

    async def test_of_a_key_does_not_fit_any_kid(self, issuer: Issuer) -> None:
        issuer.keys = [public_jwk(key_for("ES256"))]
        assert await answer(backend(JWKS(issuer.keys_url)), "one") == 401


class TestTheClient:
    async def test_is_used_and_not_closed(self, issuer: Issuer) -> None:
        seen: list[str] = []

        async def note(request: httpx2.Request) -> None:
            seen.append(str(request.url))

        async with httpx2.AsyncClient(event_hooks={"request": [note]}) as client:
            keys = JWKS(issuer.keys_url, client=client)
            await keys.refresh()
            await keys.refresh()
            assert not client.is_closed
        assert seen == [issuer.keys_url] * 2
        with pytest.raises(AuthenticationUnavailable):
            await keys.refresh()

    async def test_may_raise_anything(self, caplog: pytest.LogCaptureFixture) -> None:
        def fail(request: httpx2.Request) -> httpx2.Response:
            raise LookupError(MARK)

        transport = httpx2.MockTransport(fail)
        async with httpx2.AsyncClient(transport=transport) as client:
            keys = JWKS("https://issuer.example/keys", client=client)
            with pytest.raises(AuthenticationUnavailable):
                await keys.refresh()
        assert "LookupError" in caplog.text
        assert MARK not in caplog.text

    async def test_makes_one_tls_context(
        self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[object] = []
        create = httpx2.create_ssl_context

        def counting() -> Any:
            made.append(None)
            return create()

        monkeypatch.setattr(httpx2, "create_ssl_context", counting)
        keys = JWKS("https://127.0.0.1:1/keys")
        assert len(made) == 1
        for _ in range(3):
            with pytest.raises(AuthenticationUnavailable):
                await keys.refresh()
        assert len(made) == 1
        await JWKS(issuer.keys_url).refresh()
        assert len(made) == 1


async def test_the_issuer_of_these_tests_is_quiet(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "starlette_auth_jwt")
    assert await answer(backend(JWKS(issuer.keys_url))) == 200
    assert await to_thread.run_sync(lambda: issuer.fetches) == 1
    assert [r for r in caplog.records if r.name == "starlette_auth_jwt"] == []
