"""What the tests share: the stores, and a Redis."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from throttle_backends import Passwords
from throttle_redis import URL, OwnRedis, skip_or_fail

from starlette_auth_throttle import MemoryStore, RedisStore

SECRET = b"a secret of the tests' own"


@pytest.fixture
def passwords() -> Passwords:
    return Passwords()


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    client = Redis.from_url(URL)
    try:
        await client.ping()
    except RedisError as error:
        skip_or_fail(f"There is no Redis at TEST_REDIS_URL: {type(error).__name__}")
    yield client
    await client.aclose()


@pytest.fixture
async def prefix(redis: Redis) -> AsyncIterator[str]:
    prefix = f"test-{secrets.token_hex(8)}:"
    yield prefix
    async for key in redis.scan_iter(match=f"{{{prefix}}}*", count=1000):
        await redis.delete(key)


@pytest.fixture
def redis_store(redis: Redis, prefix: str) -> RedisStore:
    return RedisStore(redis, secret=SECRET, prefix=prefix, timeout=5)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> str:
    # Of those that anyio's plugin offers, each store runs on its own.
    return str(getattr(request, "param", "asyncio"))


_STORES = [
    pytest.param("asyncio", "memory", id="memory-asyncio"),
    pytest.param("trio", "memory", id="memory-trio"),
    pytest.param("asyncio", "redis", id="redis-asyncio"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store" in metafunc.fixturenames:
        metafunc.parametrize(("anyio_backend", "store"), _STORES, indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest, anyio_backend: str) -> MemoryStore | RedisStore:
    if request.param == "memory":
        return MemoryStore()
    store: RedisStore = request.getfixturevalue("redis_store")
    return store


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(tmp_path)
    yield server
    server.stop()
