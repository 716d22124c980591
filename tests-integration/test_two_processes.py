"""One app in two processes, which share a database and nothing else."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
import store
from servers import Server, client_of_each_process, serving
from store import BOB, Store


@pytest.fixture(scope="module")
def filled(postgresql_url: str) -> tuple[Store, str]:
    return store.fill(postgresql_url)


@pytest.fixture(scope="module")
def server(filled: tuple[Store, str], postgresql_url: str) -> Iterator[Server]:
    env = {"DATABASE_URL": postgresql_url}
    with serving("tokens_and_passwords:app", "--workers=2", env=env) as server:
        for _ in range(2):
            server.wait_for("Application startup complete")
        yield server


@pytest.fixture
def each(server: Server) -> Iterator[list[httpx.Client]]:
    """Provide two clients, each with a connection that is kept to one of the processes."""
    with client_of_each_process(server, "/state") as clients:
        yield clients


def test_revoked_token_stops_everywhere_at_once(
    each: list[httpx.Client], filled: tuple[Store, str]
) -> None:
    headers = {"Authorization": f"Token {filled[1]}"}
    one, other = each
    assert [client.get("/who", headers=headers).status_code for client in each] == [200, 200]
    assert one.post("/revoke", headers=headers).json() == "revoked"
    assert other.get("/who", headers=headers).status_code == 401
    assert one.get("/who", headers=headers).status_code == 401


def test_upgraded_hash_is_seen_by_both(each: list[httpx.Client], filled: tuple[Store, str]) -> None:
    one, other = each
    assert asyncio.run(filled[0].stored("bob")).startswith("$pbkdf2-sha256$29000$")
    assert one.get("/who", auth=BOB).status_code == 200
    upgraded = asyncio.run(filled[0].stored("bob"))
    assert upgraded.startswith("$argon2id$")
    assert other.get("/who", auth=BOB).status_code == 200
    assert asyncio.run(filled[0].stored("bob")) == upgraded
