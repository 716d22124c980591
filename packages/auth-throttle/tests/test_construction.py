"""Wrong settings are errors that say what to do, when an object is made."""

import dataclasses
import inspect
from datetime import timedelta
from functools import cache, partial, wraps
from typing import Any

import pytest
import redis
import redis.asyncio
from starlette.authentication import AuthenticationBackend
from throttle_backends import Passwords, connection, guess

from starlette_auth_throttle import (
    Limit,
    MemoryStore,
    RedisStore,
    Throttled,
    by_address,
    by_username,
)

MINUTE = timedelta(minutes=1)
LIMIT = Limit(by_username, 5, per=MINUTE)
SECRET = b"x" * 16


async def later(conn: object, username: object) -> str:
    return "key"


@pytest.mark.parametrize(
    ("key", "failures", "per", "error", "text"),
    [
        (by_username, 0, MINUTE, ValueError, "failures must be at least 1"),
        (by_username, -1, MINUTE, ValueError, "failures must be at least 1"),
        (by_username, 1.5, MINUTE, TypeError, "failures must be an int"),
        (by_username, True, MINUTE, TypeError, "failures must be an int"),
        (by_username, "5", MINUTE, TypeError, "failures must be an int"),
        (by_username, 5, timedelta(), ValueError, "per must be positive"),
        (by_username, 5, -MINUTE, ValueError, "per must be positive"),
        (by_username, 5, 60, TypeError, "per must be a timedelta"),
        ("username", 5, MINUTE, TypeError, "key must be a function"),
        (None, 5, MINUTE, TypeError, "key must be a function"),
        (str, 5, MINUTE, TypeError, "key must be a function"),
        (later, 5, MINUTE, TypeError, "not async"),
    ],
    ids=map(str, range(12)),
)
def test_limit(key: Any, failures: Any, per: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Limit(key, failures, per)


def test_a_limit_is_frozen_and_equal_to_its_like() -> None:
    assert Limit(by_username, 5, per=timedelta(seconds=60)) == LIMIT
    assert hash(LIMIT) == hash(Limit(by_username, 5, per=MINUTE))
    with pytest.raises(dataclasses.FrozenInstanceError):
        LIMIT.failures = 6  # type: ignore[misc]  # on purpose


@pytest.mark.parametrize(
    ("backend", "limits", "options", "error", "text"),
    [
        (Passwords(), (), {}, ValueError, "at least one limit"),
        (Passwords, (LIMIT,), {}, TypeError, "got the class Passwords"),
        (None, (LIMIT,), {}, TypeError, "got a NoneType"),
        (Passwords(), (5,), {}, TypeError, "must be a Limit; got a int"),
        (Passwords(), (LIMIT, [LIMIT]), {}, TypeError, "must be a Limit; got a list"),
        (Passwords(), (LIMIT,), {"trust": timedelta()}, ValueError, "trust must be positive"),
        (Passwords(), (LIMIT,), {"trust": -MINUTE}, ValueError, "trust must be positive"),
        (Passwords(), (LIMIT,), {"trust": 30}, TypeError, "trust must be a timedelta"),
        (Passwords(), (LIMIT,), {"store": MemoryStore}, TypeError, "got the class MemoryStore"),
        (Passwords(), (LIMIT,), {"store": {}}, TypeError, "store must be"),
    ],
    ids=map(str, range(10)),
)
def test_throttled(
    backend: Any, limits: Any, options: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        Throttled(backend, *limits, **options)


@pytest.mark.parametrize(
    ("max_keys", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_memory_store(max_keys: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="max_keys must be"):
        MemoryStore(max_keys=max_keys)


CLIENT = redis.asyncio.Redis()


@pytest.mark.parametrize(
    ("client", "options", "error", "text"),
    [
        (CLIENT, {"secret": b"x" * 15}, ValueError, "at least 16 bytes"),
        (CLIENT, {"secret": "x" * 16}, TypeError, "secret must be bytes"),
        (CLIENT, {"secret": None}, TypeError, "secret must be bytes"),
        (CLIENT, {"secret": bytearray(16)}, TypeError, "secret must be bytes"),
        (CLIENT, {"prefix": b"auth:"}, TypeError, "prefix must be a str"),
        (CLIENT, {"prefix": ""}, ValueError, "prefix must not be empty"),
        (CLIENT, {"prefix": "a}b"}, ValueError, "prefix must not"),
        (CLIENT, {"timeout": 0}, ValueError, "timeout must be a positive"),
        (CLIENT, {"timeout": float("nan")}, ValueError, "timeout must be a positive"),
        (CLIENT, {"timeout": None}, TypeError, "timeout must be seconds"),
        (redis.Redis(), {}, TypeError, "client must be a client of redis.asyncio"),
        (redis.asyncio.Redis, {}, TypeError, "got the class"),
        ("redis://", {}, TypeError, "client must be a client of redis.asyncio"),
    ],
    ids=map(str, range(13)),
)
def test_redis_store(client: Any, options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        RedisStore(client, **{"secret": SECRET, **options})
    assert "xxxx" not in str(caught.value)


def test_any_text_is_a_prefix() -> None:
    RedisStore(CLIENT, secret=SECRET, prefix="\ud800")


def test_the_signature_is_that_of_the_class_itself() -> None:
    names = list(inspect.signature(Throttled).parameters)
    assert names == ["backend", "limits", "store", "trust"]


@pytest.mark.anyio
@pytest.mark.parametrize("key", [lambda conn, username: 5, lambda conn, username: later(0, 0)])
async def test_a_key_that_returns_no_text_is_an_error(key: Any) -> None:
    backend = Throttled(Passwords(), Limit(key, 5, per=MINUTE))
    with pytest.raises(TypeError, match="must return a str or None"):
        await guess(backend)


@dataclasses.dataclass
class Unhashable:
    number: int

    def __call__(self, conn: object, username: str | None) -> str | None:
        return username and username[self.number]


class Key:
    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, conn: object, username: str | None) -> str | None:
        return username and username[self.number]

    def method(self, conn: object, username: str | None) -> str | None:
        return username and username[self.number]


def letter(number: int, conn: object, username: str | None, *, case: bool = True) -> str | None:
    return username and username[number]


def closing_over_nothing_yet() -> Any:
    def key(conn: object, username: str | None) -> str | None:
        return username and username[number]

    limit = Limit(key, 1, per=MINUTE)
    backend = Throttled(Passwords(), limit)
    number = 1
    return limit, backend


@pytest.mark.anyio
@pytest.mark.parametrize(
    "keys",
    [
        (Key(0), Key(1)),
        (Unhashable(0), Unhashable(1)),
        (Key(0).method, Key(1).method),
        (partial(letter, 0), partial(letter, 1)),
        (partial(letter, 0, case=False), partial(letter, 1, case=False)),
        (lambda conn, username: username and username[0], Key(1)),
    ],
    ids=map(str, range(6)),
)
async def test_any_two_functions_count_apart(keys: tuple[Any, Any]) -> None:
    limits = [Limit(key, 1, per=MINUTE) for key in keys]
    backend = Throttled(Passwords(), *limits)
    assert await guess(backend, "ab") == 401
    assert await guess(backend, "ba") == 401
    assert await guess(backend, "ac") == 429
    assert await guess(backend, "xa") == 429


def first(conn: object, username: str | None) -> str | None:
    return username and username[0]


def second(conn: object, username: str | None) -> str | None:
    return username and username[1]


def swapped(key: Any) -> Any:
    @wraps(key)
    def decorated(conn: object, username: str | None) -> Any:
        return key(conn, username and username[::-1])

    return decorated


@pytest.mark.anyio
@pytest.mark.parametrize(
    "keys",
    [
        (first, swapped(first)),
        (swapped(first), swapped(second)),
        (cache(first), cache(second)),
        (first, cache(first)),
    ],
    ids=map(str, range(4)),
)
async def test_functions_of_two_throttled_count_apart(keys: tuple[Any, Any]) -> None:
    store = MemoryStore()
    for key in keys:
        backend = Throttled(Passwords(), Limit(key, 1, per=MINUTE), store=store)
        assert await guess(backend, "aa") == 401


@pytest.mark.anyio
async def test_a_function_that_closes_over_something_to_come() -> None:
    _, backend = closing_over_nothing_yet()
    assert await guess(backend, "ab") == 401
    assert await guess(backend, "xb") == 429


@pytest.mark.anyio
async def test_a_limit_that_is_given_twice_counts_once(passwords: Passwords) -> None:
    backend = Throttled(passwords, LIMIT, Limit(by_username, 5, per=MINUTE))
    assert [await guess(backend) for _ in range(6)] == [401] * 5 + [429]


@pytest.mark.anyio
async def test_longest_times_are_no_overflow(redis_store: RedisStore) -> None:
    for store in (redis_store, MemoryStore()):
        limit = Limit(by_address, 1, per=timedelta.max)
        backend = Throttled(Passwords(), limit, LIMIT, store=store, trust=timedelta.max)
        assert await guess(backend, password="alicepwd") == 200
        assert [await guess(backend) for _ in range(2)] == [401, 429]


def test_a_store_of_its_own_by_default() -> None:
    first, second = (Throttled(Passwords(), LIMIT) for _ in range(2))
    assert isinstance(first, AuthenticationBackend)
    assert first.backend is not second.backend
    assert connection().client is not None
