"""Databases on the servers that tests may find."""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Iterator

import databases
import pytest

# Where servers for tests may be found: the variables are those of the packages' own tests.
SERVERS = {
    "TEST_POSTGRESQL_URL": "postgresql://postgres@127.0.0.1:5432/test",
    "TEST_MYSQL_URL": "mysql://root@127.0.0.1:3306/test",
}


@contextlib.contextmanager
def a_database(variable: str) -> Iterator[str]:
    """Provide a new database on the server that an environment variable names."""
    url = os.environ.get(variable, SERVERS[variable])
    name = f"docs_{uuid.uuid4().hex}"

    async def execute(statement: str) -> None:
        async with databases.Database(url, min_size=1) as database:
            await database.execute(statement)

    try:
        asyncio.run(execute(f"CREATE DATABASE {name}"))
    except Exception as error:  # noqa: BLE001 - drivers raise errors of their own
        reason = f"There is no server at {variable}: {error}"
        # In CI a skipped test would look like one that passed.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    yield f"{url.rpartition('/')[0]}/{name}"
    asyncio.run(execute(f"DROP DATABASE {name}"))
