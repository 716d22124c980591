"""Everybody who could log in before the move can do so afterwards, and nobody else can."""

import asyncio
import importlib.util
import os
import re
import runpy
import sys
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest
from fastapi_users.password import PasswordHelper
from pages import PAGES, PROGRAMS, ROOT
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import NullPool, make_url, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.testclient import TestClient

PROGRAM = PROGRAMS / "from_fastapi_users"
PAGE = PAGES / "coming-from" / "fastapi-users.md"

ARGON2 = PasswordHelper()
BCRYPT = PasswordHelper(PasswordHash([BcryptHasher(rounds=4)]))
# The address as it is stored, what is special about the user, and who hashed the password.
Users: TypeAlias = list[tuple[str, dict[str, bool], PasswordHelper]]

USERS: Users = [
    ("lower@example.org", {}, ARGON2),
    ("Mixed.Case@example.org", {}, ARGON2),
    ("UPPER@example.org", {}, BCRYPT),
    ("Zoë@example.org", {}, ARGON2),
    ("unverified@example.org", {"is_verified": False}, ARGON2),
    ("Inactive@example.org", {"is_active": False}, ARGON2),
    ("old.inactive@example.org", {"is_active": False}, BCRYPT),
]
PASSWORD = "pass word: é"


POSTGRESQL_URL = os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/test")


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    url = make_url(POSTGRESQL_URL).set(drivername="postgresql+asyncpg")
    name = f"docs_{uuid.uuid4().hex}"

    async def execute(statement: str) -> None:
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()

    try:
        asyncio.run(execute(f"CREATE DATABASE {name}"))
    except OSError as error:
        reason = f"There is no server at TEST_POSTGRESQL_URL: {error}"
        # In CI a skipped test would look like one that passed.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    yield url.set(database=name).render_as_string(hide_password=False)
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(params=["sqlite", "postgresql"])
def modules(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, ModuleType]:
    monkeypatch.chdir(tmp_path)
    if request.param == "postgresql":
        monkeypatch.setenv("DATABASE_URL", request.getfixturevalue("postgresql_url"))
    # A pooled connection would outlive the event loop that it belongs to: each client has its own.
    unpooled = partial(create_async_engine, poolclass=NullPool)
    monkeypatch.setattr("sqlalchemy.ext.asyncio.create_async_engine", unpooled)
    loaded = {}
    for name in ("old_app", "app"):
        spec = importlib.util.spec_from_file_location(name, PROGRAM / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        loaded[name] = module
    return loaded


async def store_users(old: Any, users: Users) -> None:
    async with old.engine.begin() as connection:
        await connection.run_sync(old.Base.metadata.create_all)
    async with old.sessions.begin() as session:
        for email, changes, helper in users:
            row = {"is_active": True, "is_superuser": False, "is_verified": True, **changes}
            session.add(old.User(email=email, hashed_password=helper.hash(PASSWORD), **row))


def attempts() -> list[tuple[str, str]]:
    """Return what is tried: each address in every case, with the right and a wrong password."""
    found = []
    for email, _, _ in USERS:
        # SQLite changes the case of ASCII only: so does the old app there.
        spellings = {email, email.lower(), email.upper()} if email.isascii() else {email}
        found += [(each, PASSWORD) for each in sorted(spellings)]
        found += [(email, "wrong"), (email, PASSWORD.upper())]
    return [*found, ("nobody@example.org", PASSWORD), ("", ""), ("%@example.org", PASSWORD)]


def logins(app: Any, *, basic: bool = False) -> dict[tuple[str, str], bool]:
    answers = {}
    with TestClient(app, raise_server_exceptions=False) as client:
        for username, password in attempts():
            if basic:
                auth = (username.encode(), password.encode())
                answers[username, password] = client.get("/protected", auth=auth).is_success
                continue
            form = {"grant_type": "password", "username": username, "password": password}
            response = client.post("/login", data=form)
            answers[username, password] = response.is_success
            if response.is_success:
                headers = {"Authorization": f"Bearer {response.json()['access_token']}"}
                assert client.get("/protected", headers=headers).is_success
    return answers


def test_the_same_users_can_log_in(modules: dict[str, ModuleType]) -> None:
    old, new = modules["old_app"], modules["app"]
    asyncio.run(store_users(old, USERS))
    before = logins(old.app)
    for email, changes, _ in USERS:
        assert before[email, PASSWORD] == changes.get("is_active", True)
        assert before[email, "wrong"] is False
    assert before["MIXED.CASE@EXAMPLE.ORG", PASSWORD]
    runpy.run_path(str(PROGRAM / "fold_addresses.py"))
    assert logins(new.app) == before
    assert logins(new.app, basic=True) == before


def test_users_who_share_an_address_are_named(modules: dict[str, ModuleType]) -> None:
    old, new = modules["old_app"], modules["app"]
    twins: Users = [("Twin@example.org", {}, ARGON2), ("twin@example.org", {}, ARGON2)]
    asyncio.run(store_users(old, [*USERS, *twins]))
    with pytest.raises(SystemExit, match=r"Twin@example\.org', 'twin@example\.org"):
        runpy.run_path(str(PROGRAM / "fold_addresses.py"))

    async def addresses() -> list[str]:
        async with new.sessions() as session:
            return [user.email for user in await session.scalars(select(new.User))]

    assert "Mixed.Case@example.org" in asyncio.run(addresses())


def test_count_of_lines() -> None:
    def lines(*paths: Path) -> list[str]:
        code = "\n".join(path.read_text() for path in paths)
        return [line for line in code.splitlines() if line.strip()]

    registration = re.compile(r"class User(Read|Create)|get_register_router")
    theirs = [line for line in lines(PROGRAM / "old_app.py") if not registration.search(line)]
    ours = lines(*ROOT.glob("examples/fastapi/*.py"))
    # Its three endpoints for named tokens have three lines each.
    assert sum('"/tokens' in line for line in ours) == 3
    row = f"| {len(theirs)} | {len(ours) - 9} |"
    assert len(theirs) > len(ours) - 9
    assert row in PAGE.read_text()
