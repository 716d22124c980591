"""Storms of logins, clients that leave, and a shutdown in the middle of it."""

import asyncio
import random
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from servers import PATIENCE, Server, serving
from store import ALICE, OLD_HASHER, Store

pytestmark = [pytest.mark.anyio, pytest.mark.load]

MANY = 200
# So slow that a queue of MANY would take far longer than any test waits.
SLOW = {"ARGON2_TIME_COST": "100"}


@asynccontextmanager
async def crowd(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Provide a client that opens as many connections as it is asked for."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=server.url, limits=limits, timeout=None, trust_env=False
    ) as client:
        yield client


async def until_hashing(client: httpx.AsyncClient, least: int = 1) -> None:
    """Wait until so many hashes wait for a worker, which means that others are computed."""
    async with asyncio.timeout(PATIENCE):
        while (await client.get("/state")).json()["waiting"] < least:
            pass


async def until_idle(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await client.get("/state")).json()["waiting"]:
            pass


async def fill(url: str) -> Store:
    """Create MANY users with old hashes of one password."""
    where = Store(url)
    await where.create()
    hashed = await OLD_HASHER.make("pwd")
    async with where.database:
        await where.database.execute_many(
            where.User.table.insert(),
            [{"username": f"user{number}", "password": hashed} for number in range(MANY)],
        )
    return where


async def hashes(where: Store) -> list[str]:
    async with where.database:
        return [user.password for user in await where.User.objects.all()]


async def test_many_logins_at_once_are_all_right_and_all_upgraded(database_url: str) -> None:
    where = await fill(database_url)
    with serving("tokens_and_passwords:app", env={"DATABASE_URL": database_url}) as server:
        async with crowd(server) as client:
            responses = await asyncio.gather(
                *(client.get("/who", auth=(f"user{number}", "pwd")) for number in range(MANY))
            )
            users = [response.json()["user"] for response in responses]
            assert users == [f"user{number}" for number in range(MANY)]
            upgraded = await hashes(where)
            assert all(hashed.startswith("$argon2id$") for hashed in upgraded)
            assert len(set(upgraded)) == MANY
            # And they are the right ones.
            assert (await client.get("/who", auth=("user7", "pwd"))).status_code == 200
            assert (await client.get("/who", auth=("user7", "x"))).status_code == 401


async def test_many_logins_of_one_user_leave_one_good_hash(database_url: str) -> None:
    where = await fill(database_url)
    with serving("tokens_and_passwords:app", env={"DATABASE_URL": database_url}) as server:
        async with crowd(server) as client:
            responses = await asyncio.gather(
                *(client.get("/who", auth=("user0", "pwd")) for _ in range(50))
            )
            assert {response.status_code for response in responses} == {200}
            assert (await where.stored("user0")).startswith("$argon2id$")
            assert (await client.get("/who", auth=("user0", "pwd"))).status_code == 200


async def test_more_than_can_wait_is_unavailable_and_others_are_served(sqlite_url: str) -> None:
    await fill(sqlite_url)
    with serving("tokens_and_passwords:app", env={"DATABASE_URL": sqlite_url}) as server:
        async with crowd(server) as client:
            logins = [
                asyncio.create_task(client.get("/who", auth=("user0", "pwd"))) for _ in range(600)
            ]
            await until_hashing(client)
            # The event loop is free meanwhile.
            assert (await client.get("/")).text == "welcome"
            responses = await asyncio.gather(*logins)
            statuses = Counter(response.status_code for response in responses)
            assert statuses.keys() == {200, 503}
            refused = [response for response in responses if response.status_code == 503]
            assert {response.headers["Retry-After"] for response in refused} == {"1"}
            assert (await client.get("/who", auth=("user0", "pwd"))).status_code == 200


async def test_clients_that_leave_amid_a_hash_harm_nobody(sqlite_url: str) -> None:
    where = await fill(sqlite_url)
    with serving("tokens_and_passwords:app", env={"DATABASE_URL": sqlite_url}) as server:
        async with crowd(server) as client:
            for _ in range(5):
                leaving = [
                    asyncio.create_task(client.get("/who", auth=(f"user{number}", "pwd")))
                    for number in range(20)
                ]
                await until_hashing(client)
                for task in leaving:
                    task.cancel()
                await asyncio.gather(*leaving, return_exceptions=True)
            await until_idle(client)
            for number in range(20):
                response = await client.get("/who", auth=(f"user{number}", "pwd"))
                assert response.json()["user"] == f"user{number}"
        assert len(await hashes(where)) == MANY


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_shutdown_amid_a_storm_ends(database_url: str, number: signal.Signals) -> None:
    where = await fill(database_url)
    with serving(
        "tokens_and_passwords:app",
        "--timeout-graceful-shutdown=1",
        env={"DATABASE_URL": database_url, **SLOW},
        quiet=False,
    ) as server:
        async with crowd(server) as client:
            logins = [
                asyncio.create_task(client.get("/who", auth=(f"user{n}", "pwd")))
                for n in range(MANY)
            ]
            await until_hashing(client, MANY // 2)
            # It would hang here, and fail, if it worked its queue off.
            code = await asyncio.to_thread(server.stop, number)
            assert code in {0, -number}
            results = await asyncio.gather(*logins, return_exceptions=True)
    for result in results:
        # An answer, and if so a whole one, where uvicorn answers what it cuts off with 500; or the
        # connection was closed.
        if isinstance(result, httpx.Response):
            assert result.status_code in {200, 500, 503}
        else:
            assert isinstance(result, httpx.TransportError)
    # No login half done: each stored hash is a whole one, of the password.
    stored = await hashes(where)
    assert len(stored) == MANY
    for hashed in set(stored):
        assert await OLD_HASHER.verify("pwd", hashed) or hashed.startswith("$argon2id$")


def headers(count: int) -> list[bytes]:
    """Return values of headers, from noise to what is nearly right."""
    chance = random.Random(617)
    found = []
    schemes = [b"Basic", b"Bearer", b"Token", b"basic", b"Digest", b"", b"\xff"]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-._~ \t,"
    for _ in range(count):
        size = chance.choice([0, 1, 2, 8, 40, 400, 9000])
        noise = chance.choice(
            [
                bytes(chance.randrange(32, 256) for _ in range(size)),
                bytes(chance.choice(alphabet) for _ in range(size)),
            ]
        )
        found.append(chance.choice(schemes) + chance.choice([b" ", b"  ", b"\t", b""]) + noise)
    return found


async def ask(url: str, values: list[bytes]) -> Counter[int]:
    """Send each value as a header over one connection, which is opened anew where it is closed."""
    target = urlsplit(url)
    assert target.port is not None
    statuses: Counter[int] = Counter()
    reader = writer = None
    for value in values:
        if writer is None or writer.is_closing():
            reader, writer = await asyncio.open_connection(target.hostname, target.port)
        assert reader is not None
        writer.write(b"GET /who HTTP/1.1\r\nHost: x\r\nAuthorization: " + value + b"\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        statuses[int(head.split(b" ", 2)[1])] += 1
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if length:
            await reader.readexactly(int(length[1]))
        if b"connection: close" in head.lower():
            writer.close()
            await writer.wait_closed()
    if writer is not None:
        writer.close()
        await writer.wait_closed()
    return statuses


def memory(server: Server) -> int:
    """Return what the server's process has in memory, in KiB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])


async def test_ten_thousand_random_headers(sqlite_url: str) -> None:
    await Store(sqlite_url).fill()
    values = headers(10_000)
    with serving(
        "tokens_and_passwords:app", "--no-access-log", env={"DATABASE_URL": sqlite_url}
    ) as server:
        statuses = await ask(server.url, values[:2_000])
        before = memory(server)
        statuses += await ask(server.url, values[2_000:])
        growth = memory(server) - before
        assert statuses.keys() <= {400, 401, 431}
        assert statuses[401] > 5_000
        assert sum(statuses.values()) == 10_000
        assert growth < 8 * 1024, growth
        response = await asyncio.to_thread(
            httpx.get, f"{server.url}/who", auth=ALICE, trust_env=False, timeout=PATIENCE
        )
        assert response.status_code == 200
