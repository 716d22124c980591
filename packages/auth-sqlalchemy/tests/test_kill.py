"""A server that is killed while it upgrades hashes leaves every user able to log in."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy_databases import User

from starlette_auth_sqlalchemy import SQLAlchemyBasicAuth

if TYPE_CHECKING:
    from sqlalchemy_databases import Database

    from starlette_auth_core.testing import ContractHasher

pytestmark = pytest.mark.anyio

USERS = [f"user{number}" for number in range(20)]
# Each takes a second or two. Before a release: TEST_KILLS=20.
KILLS = int(os.environ.get("TEST_KILLS", "1"))


@pytest.mark.parametrize("case", ["sqlite+aiosqlite", "sqlite+pysqlite"], indirect=True)
@pytest.mark.parametrize("answers", [1 + len(USERS) * kill // KILLS for kill in range(KILLS)])
async def test_server_is_killed_in_a_burst_of_upgrading_logins(
    database: Database, hasher: ContractHasher, answers: int
) -> None:
    for username in USERS:
        database.user(username, hasher.make(f"password of {username}", "old"))
    address, process = serve(database)
    answered = asyncio.Semaphore(0)

    async def log_in(username: str) -> int:
        response = await client.get("/", auth=(username, f"password of {username}"))
        answered.release()
        return response.status_code

    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        burst = [asyncio.create_task(log_in(username)) for username in USERS]
        for _ in range(answers):
            await answered.acquire()
        process.kill()
        results = await asyncio.gather(*burst, return_exceptions=True)
    process.wait()

    # Some were let in, the others lost their connection.
    assert results.count(200) >= answers
    assert all(result == 200 or isinstance(result, httpx.TransportError) for result in results)
    backend = SQLAlchemyBasicAuth(User, database.sessions, hasher=hasher)
    for username in USERS:
        user = await backend.verify(username, f"password of {username}")
        assert user is not None
        assert user.password is not None
        assert user.password.startswith("new:")
        assert user.password == database.stored(user)


def serve(database: Database) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a server; who connects before it is ready, waits."""
    url = database.server.url.render_as_string(hide_password=False)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-m", "uvicorn", "sqlalchemy_killed_server:app"]
        process = subprocess.Popen(
            [*command, "--fd", str(listening.fileno()), "--log-level", "error"],
            cwd=Path(__file__).parent,
            env=os.environ | {"DATABASE_URL": url, "DATABASE_DRIVER": database.driver},
            pass_fds=[listening.fileno()],
        )
        return f"http://127.0.0.1:{listening.getsockname()[1]}", process
