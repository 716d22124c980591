"""A throttle over Redis: three processes, and every way in which somebody logs in."""

import itertools
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
from redis import Redis
from redis.exceptions import RedisError
from servers import PATIENCE, Server, serving, unavailable

REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis.from_url(REDIS_URL) as client:
        try:
            client.ping()
        except RedisError as error:
            unavailable(f"Redis can't be reached at TEST_REDIS_URL: {type(error).__name__}")
        yield client


@pytest.fixture(scope="module")
def prefix(redis: Redis) -> Iterator[str]:
    prefix = f"test-{secrets.token_hex(8)}:"
    yield prefix
    for key in redis.scan_iter(match=f"{{{prefix}}}*", count=1000):
        redis.delete(key)


@pytest.fixture(scope="module")
def server(prefix: str) -> Iterator[Server]:
    env = {"REDIS_URL": REDIS_URL, "PREFIX": prefix, "SECRET": secrets.token_hex(16)}
    # On a busy machine a process that starts is not healthy at once.
    options = ("--workers=3", f"--timeout-worker-healthcheck={PATIENCE}")
    with serving("throttled:app", *options, env=env) as server:
        server.wait_for_all("Application startup complete", 3)
        yield server


ADDRESSES = itertools.count(2)


def client_of(server: Server) -> httpx.AsyncClient:
    """Make a client at an address of its own."""
    # As many connections that three processes share them; the pool would open one for each request.
    limits = httpx.Limits(max_connections=60, max_keepalive_connections=60)
    transport = httpx.AsyncHTTPTransport(local_address=f"127.0.0.{next(ADDRESSES)}", limits=limits)
    return httpx.AsyncClient(base_url=server.url, timeout=PATIENCE, transport=transport)


async def burst(
    client: httpx.AsyncClient,
    count: int,
    method: str = "GET",
    path: str = "/protected",
    **options: Any,
) -> Counter[int]:
    statuses: Counter[int] = Counter()

    async def send() -> None:
        response = await client.request(method, path, **options)
        statuses[response.status_code] += 1
        if response.status_code == 429:
            assert 1 <= int(response.headers["retry-after"]) <= 60
            assert "www-authenticate" not in response.headers
            assert response.headers["cache-control"] == "no-store"

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(send)
    return statuses


async def test_a_burst_over_three_processes_gets_as_many_wrong_answers_as_the_limit_says(
    server: Server, redis: Redis, prefix: str
) -> None:
    async with client_of(server) as client:
        statuses = await burst(client, 300, auth=("alice", "wrong"))
        # 200 are those of the limit of an address, which none of the refused has used up.
        assert statuses == {401: 5, 429: 295}
        assert redis.get(f"{{{prefix}}}hashes") == b"5"
        # Nor is the right password looked at.
        assert await burst(client, 3, auth=("alice", "alicepwd")) == {429: 3}
        assert redis.get(f"{{{prefix}}}hashes") == b"5"


async def test_right_logins_at_once_all_pass(server: Server) -> None:
    async with client_of(server) as client:
        assert await burst(client, 60, auth=("bob", "bobpwd")) == {200: 60}


async def test_the_login_endpoint_and_the_api_count_together(server: Server) -> None:
    wrong = {"grant_type": "password", "username": "dave", "password": "wrong"}
    async with client_of(server) as client:
        statuses = await burst(client, 40, "POST", "/token", data=wrong)
        assert statuses == {400: 5, 429: 35}
        assert await burst(client, 1, auth=("dave", "davepwd")) == {429: 1}
        right = {"grant_type": "password", "username": "erin", "password": "erinpwd"}
        assert (await client.post("/token", data=right)).json()["token_type"] == "Bearer"


async def test_each_login_of_a_batch_counts(server: Server) -> None:
    async with client_of(server) as client:
        logins = [{"username": "frank", "password": "wrong"}] * 20
        answers = (await client.post("/graphql", json=logins)).json()
        assert Counter(answers) == {"wrong": 5, "refused": 15}
        logins = [{"username": "erin", "password": "erinpwd"}] * 20
        assert Counter((await client.post("/graphql", json=logins)).json()) == {"right": 20}


async def test_several_throttles_around_one_header_count_it_once(server: Server) -> None:
    async with client_of(server) as client:
        # Found by the second of two backends: the first one's failure is taken back.
        for _ in range(8):
            assert (await client.get("/protected", auth=("carol", "carolpwd"))).json() == "carol"
        assert await burst(client, 20, auth=("nobody", "wrong")) == {401: 5, 429: 15}


async def test_a_stranger_does_not_lock_the_owner_out(server: Server) -> None:
    async with client_of(server) as owner, client_of(server) as stranger:
        assert await burst(owner, 1, auth=("grace", "gracepwd")) == {200: 1}
        assert await burst(stranger, 20, auth=("grace", "wrong")) == {401: 5, 429: 15}
        assert await burst(owner, 10, auth=("grace", "gracepwd")) == {200: 10}
        assert await burst(stranger, 1, auth=("grace", "gracepwd")) == {429: 1}


async def test_wrong_tokens_are_neither_counted_nor_refused(server: Server) -> None:
    async with client_of(server) as client:
        await burst(client, 20, auth=("zoe", "wrong"))
        headers = {"Authorization": "Bearer wrong"}
        assert await burst(client, 300, headers=headers) == {401: 300}
