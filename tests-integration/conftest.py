"""Databases of the tests' own, and a browser."""

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import databases
import pytest
from playwright.async_api import Browser, async_playwright
from servers import unavailable

POSTGRESQL_URL = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/test")

MYSQL_URL = os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    # Databases and clients that know asyncio only are among the parts.
    return "asyncio"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    """Provide a database of the module's own on the server that TEST_POSTGRESQL_URL names."""
    name = f"starlette_auth_{uuid.uuid4().hex}"

    async def execute(statement: str) -> None:
        async with databases.Database(POSTGRESQL_URL, min_size=1) as database:
            await database.execute(statement)

    try:
        asyncio.run(execute(f"CREATE DATABASE {name}"))
    except Exception as error:  # noqa: BLE001 - drivers raise errors of their own
        unavailable(f"PostgreSQL can't be reached at TEST_POSTGRESQL_URL: {error}")
    yield f"{POSTGRESQL_URL.rpartition('/')[0]}/{name}"
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
def mysql_url() -> Iterator[str]:
    """Provide a database of the module's own on the server that TEST_MYSQL_URL names."""
    name = f"starlette_auth_{uuid.uuid4().hex}"

    async def execute(statement: str) -> None:
        async with databases.Database(MYSQL_URL, min_size=1) as database:
            await database.execute(statement)

    try:
        asyncio.run(execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
    except Exception as error:  # noqa: BLE001 - drivers raise errors of their own
        unavailable(f"MariaDB can't be reached at TEST_MYSQL_URL: {error}")
    yield f"{MYSQL_URL.rpartition('/')[0]}/{name}"
    asyncio.run(execute(f"DROP DATABASE {name}"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        unavailable("Chromium is not installed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium)
        yield browser
        await browser.close()
