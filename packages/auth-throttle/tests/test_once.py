"""One header on one connection counts once, however many throttled backends are asked."""

from datetime import timedelta
from typing import Any

import anyio
import pytest
from starlette.authentication import AuthenticationError
from starlette.requests import HTTPConnection
from throttle_backends import (
    Answering,
    FirstRight,
    Passwords,
    answer,
    at_once,
    basic,
    connection,
    guess,
    guesses,
)

from starlette_auth_core import AuthenticationUnavailable, InvalidCredentials, TooManyAttempts
from starlette_auth_throttle import (
    Limit,
    MemoryStore,
    RedisStore,
    Throttled,
    by_address,
    by_username,
)

pytestmark = pytest.mark.anyio

Store = MemoryStore | RedisStore

MINUTE = timedelta(minutes=1)
NAME = Limit(by_username, 4, per=MINUTE)
ADDRESS = Limit(by_address, 6, per=MINUTE)


def unavailable() -> None:
    raise AuthenticationUnavailable


async def test_nested(store: Store, passwords: Passwords) -> None:
    inner = Throttled(passwords, NAME, ADDRESS, store=store)
    backend = Throttled(inner, NAME, store=store)
    assert await guesses(backend, 6) == [401] * 4 + [429] * 2
    assert await guesses(backend, 3, "bob") == [401] * 2 + [429]


async def test_side_by_side(store: Store, passwords: Passwords) -> None:
    others = Passwords()
    backend = FirstRight(
        Throttled(passwords, NAME, store=store), Throttled(others, NAME, store=store)
    )
    assert await guesses(backend, 6) == [401] * 4 + [429] * 2
    assert (passwords.hashed, others.hashed) == (4, 4)


async def test_where_the_second_succeeds_the_failure_of_the_first_is_taken_back(
    store: Store, passwords: Passwords
) -> None:
    passwords.passwords = {}
    limits = (Limit(by_username, 1, per=MINUTE), Limit(by_address, 1, per=MINUTE))
    backend = FirstRight(
        Throttled(passwords, *limits, store=store, trust=None),
        Throttled(Passwords(), limits[1], store=store),
    )
    assert await guesses(backend, 3, password="alicepwd") == [200] * 3


async def test_the_failure_of_an_address_is_taken_back_beside_others(
    store: Store, passwords: Passwords
) -> None:
    passwords.passwords = {}
    address = Limit(by_address, 3, per=MINUTE)
    backend = FirstRight(
        Throttled(passwords, address, store=store), Throttled(Passwords(), NAME, store=store)
    )
    other = Throttled(Passwords(), address, store=store)
    async with other.attempt(connection(), "bob"):
        assert await guesses(backend, 5, password="alicepwd") == [200] * 5
    assert await guesses(other, 3) == [401, 401, 429]


@pytest.mark.parametrize("same", [True, False])
async def test_a_failure_that_does_not_count_any_more_needs_not_be_taken_back(
    store: Store, passwords: Passwords, same: bool
) -> None:
    class Slow(Passwords):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            await anyio.sleep(0.05)
            raise InvalidCredentials

    passwords.passwords = {}
    short = Limit(by_address, 1, per=timedelta(milliseconds=20))
    second = Throttled(Passwords(), short if same else NAME, store=store)
    backend = FirstRight(Throttled(passwords, short, store=store), Slow(), second)
    for _ in range(2):
        assert await guess(backend, password="alicepwd") == 200
        await anyio.sleep(0.03)


async def test_of_two_failures_the_one_that_counts_stays(
    store: Store, passwords: Passwords
) -> None:
    other = Throttled(Passwords(), Limit(by_address, 2, per=timedelta(seconds=1)), store=store)

    class Between(Passwords):
        # Until the first failure does not count any more, and another one does.
        async def authenticate(self, conn: HTTPConnection) -> Any:
            await anyio.sleep(0.6)
            assert await guess(other, "bob") == 401
            await anyio.sleep(0.6)
            raise InvalidCredentials

    passwords.passwords = {}
    limit = Limit(by_address, 2, per=timedelta(seconds=1))
    backend = FirstRight(
        Throttled(passwords, limit, store=store),
        Between(),
        Throttled(Passwords(), NAME, store=store),
    )
    assert await guess(backend, password="alicepwd") == 200
    assert await guesses(other, 2, "bob") == [401, 429]


async def test_a_failure_that_does_not_count_any_more_is_refused_beside_others(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=timedelta(seconds=1)), store=store)
    conn = connection(basic("alice", "wrong"))
    assert await answer(backend, conn) == 401
    await anyio.sleep(1.01)
    assert await guess(backend) == 401
    with pytest.raises(TooManyAttempts) as caught:
        await backend.authenticate(conn)
    assert caught.value.retry_after == 1


async def test_right_logins_at_once_side_by_side(store: Store, passwords: Passwords) -> None:
    passwords.passwords = {}
    backend = FirstRight(
        Throttled(passwords, NAME, store=store), Throttled(Passwords(), NAME, store=store)
    )
    statuses = await at_once([lambda: guess(backend, password="alicepwd")] * 4)
    assert statuses == [200] * 4


async def test_a_failure_stays_where_the_second_can_not_check(
    store: Store, passwords: Passwords
) -> None:
    second = Answering(unavailable)
    backend = FirstRight(
        Throttled(passwords, NAME, store=store), Throttled(second, NAME, store=store)
    )
    assert await guesses(backend, 5) == [503] * 4 + [429]


async def test_the_outer_one_decides_for_what_both_hold(store: Store, passwords: Passwords) -> None:
    class Inactive(Answering):
        def __init__(self, backend: Throttled) -> None:
            self.backend = backend

        async def authenticate(self, conn: HTTPConnection) -> Any:
            await self.backend.authenticate(conn)
            raise AuthenticationError("inactive")

    inner = Throttled(passwords, NAME, store=store)
    backend = Throttled(Inactive(inner), NAME, store=store)
    assert await guesses(backend, 5, password="alicepwd") == [401] * 4 + [429]


async def test_each_store_counts_for_itself(store: Store, passwords: Passwords) -> None:
    inner = Throttled(passwords, NAME, store=MemoryStore())
    backend = Throttled(inner, Limit(by_username, 2, per=MINUTE), store=store)
    assert await guesses(backend, 3) == [401, 401, 429]
    assert await guesses(inner, 3) == [401, 401, 429]


async def test_another_header_on_the_connection_is_another_attempt(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, NAME, store=store)
    conn = connection(basic("alice", "wrong"))
    for number in range(4):
        conn.scope["headers"] = [(b"authorization", basic("alice", str(number)))]
        assert await answer(backend, conn) == 401
    assert await guess(backend) == 429


async def test_one_backend_asked_twice_counts_once(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, NAME, store=store)
    conn = connection(basic("alice", "wrong"))
    for _ in range(6):
        assert await answer(backend, conn) == 401
    assert await guesses(backend, 4) == [401] * 3 + [429]


async def test_asked_at_the_same_time_nothing_is_left_behind(
    store: Store, passwords: Passwords
) -> None:
    passwords.gate = anyio.Event()
    first, second = (Throttled(passwords, NAME, store=store) for _ in range(2))
    conn = connection(basic("alice", "wrong"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, first, conn)
        tasks.start_soon(answer, second, conn)
        while passwords.hashed < 2:  # noqa: ASYNC110 - it has no event
            await anyio.sleep(0.001)
        passwords.gate.set()
    assert (await guesses(first, 5))[-1] == 429
    assert await guess(first, "bob", "bobpwd") == 200


async def test_asked_at_the_same_time_both_may_succeed(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, Limit(by_username, 2, per=MINUTE), store=store, trust=None)
    conn = connection(basic("alice", "alicepwd"))
    passwords.gate = anyio.Event()
    statuses: list[int] = []

    async def keep() -> None:
        statuses.append(await answer(backend, conn))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(guess, backend, "alice", "alicepwd")
        tasks.start_soon(guess, backend, "alice", "alicepwd")
        while passwords.hashed < 2:  # noqa: ASYNC110 - it has no event
            await anyio.sleep(0.001)
        # Both wait for the places of other logins.
        tasks.start_soon(keep)
        tasks.start_soon(keep)
        await anyio.sleep(0.05)
        passwords.gate.set()
    assert statuses == [200, 200]
    assert await guesses(backend, 3) == [401, 401, 429]


async def test_backends_that_hold_each_other_are_found_once(passwords: Passwords) -> None:
    circle = FirstRight(passwords)
    circle.backends = (passwords, circle)
    assert await guess(Throttled(circle, NAME), password="alicepwd") == 200


async def test_no_credentials_are_kept_on_the_connection(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, NAME, ADDRESS, store=store)
    conn = connection(basic("alice", "geheim"))
    await answer(backend, conn)
    del conn.scope["headers"]
    assert "alice" not in repr(vars_of(conn.scope))
    assert "geheim" not in repr(vars_of(conn.scope))


def vars_of(value: object) -> object:
    if isinstance(value, dict):
        return {key: vars_of(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [vars_of(each) for each in value]
    if isinstance(value, (MemoryStore, RedisStore)):
        return ""
    return vars_of(vars(value)) if hasattr(value, "__dict__") else repr(value)
