"""The statements that turn a table of plaintext tokens into one of digests."""

import asyncio
import re
import runpy
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import databases
import orm
import pytest
from databases_of_tests import a_database
from pages import PAGES, PROGRAMS
from starlette.requests import HTTPConnection

from starlette_auth_core import AuthBackend, InvalidCredentials
from starlette_auth_core.tokens import Tokens, digest_token
from starlette_auth_orm import ModelTokenStore, token_fields

LEGACY = PROGRAMS / "plaintext_tokens/legacy_tokens.py"
HEADINGS = {"postgresql": "PostgreSQL:", "mysql": "MariaDB:"}
KEYS = {"postgresql": "SERIAL", "mysql": "INTEGER AUTO_INCREMENT", "sqlite": "INTEGER"}
# Two of them differ in nothing but case.
TOKENS = ["0123456789abcdef0123456789abcdef", "AB$\\x'~", "ab$\\x'~"]


@pytest.fixture(params=KEYS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/app.db"
    else:
        with a_database(f"TEST_{request.param.upper()}_URL") as url:
            yield url


def statements(kind: str) -> list[str]:
    text = (PAGES / "guides/tokens.md").read_text().partition(f"\n{HEADINGS[kind]}")[2]
    found = re.search(r"```sql\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return [statement for statement in found[1].split(";") if statement.strip()]


async def old_table(database: databases.Database, kind: str, user: int) -> None:
    quote = "`" if kind == "mysql" else '"'
    await database.execute(
        f"CREATE TABLE tokens (id {KEYS[kind]} PRIMARY KEY, token VARCHAR(40) NOT NULL, "
        f"{quote}user{quote} INTEGER NOT NULL)"
    )
    insert = f"INSERT INTO tokens (token, {quote}user{quote}) VALUES (:token, :user)"
    for token in TOKENS:
        await database.execute(insert, {"token": token, "user": user})


async def migrate(database: databases.Database, kind: str) -> None:
    if kind == "sqlite":
        exec((PROGRAMS / "plaintext_tokens/digest_tokens.py").read_text(), {})
        return
    async with database.connection() as connection:
        for statement in statements(kind):
            await connection.execute(statement)


async def user_of(token: str, backend: AuthBackend[Any]) -> Any:
    """Return the user whom *token* stands for as a header, or None."""
    header = f"Token {token}".encode("latin-1")
    try:
        found = await backend.authenticate(
            HTTPConnection({"type": "http", "headers": [(b"authorization", header)]})
        )
    except InvalidCredentials:
        return None
    assert found is not None
    return found[1]


def test_they_are_digested_in_place(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kind = url.partition(":")[0]
    database = databases.Database(url)
    models = orm.ModelRegistry(database=database)

    class User(orm.Model):
        tablename = "users"
        registry = models
        fields = {"id": orm.Integer(primary_key=True), "username": orm.String(max_length=150)}

    class Token(orm.Model):
        tablename = "tokens"
        registry = models
        fields = token_fields(User)

    async def main() -> None:
        await models.create_all()
        async with database:
            await database.execute("DROP TABLE tokens")
            alice = await User.objects.create(username="alice")
            await old_table(database, kind, alice.pk)
            await migrate(database, kind)

            store = ModelTokenStore(Token)
            backend = runpy.run_path(str(LEGACY))["backend_for"](store)
            for token in TOKENS:
                assert await user_of(token, backend) == alice
                assert await user_of(token + "x", backend) is None
            rows: list[Any] = await Token.objects.all()
            assert [row.digest for row in rows] == [digest_token(token) for token in TOKENS]

            # New ones go into the same table.
            tokens = Tokens(store, prefix="shop")
            issued, row = await tokens.issue(alice)
            assert await user_of(issued, backend) == alice
            again = {"digest": digest_token(issued)}
            with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
                await database.execute("UPDATE tokens SET digest = :digest", again)

            # What `Tokens` refuses, the other backend does not let in.
            await tokens.rotate(row, overlap=timedelta())
            elsewhere, _ = await Tokens(store, prefix="other").issue(alice, scopes=["read"])
            # A rotated old one ends at once.
            _, new = await tokens.rotate(rows[0], overlap=timedelta(hours=1))
            assert new.user == alice
            for ended in (issued, elsewhere, TOKENS[0]):
                assert await user_of(ended, backend) is None

    asyncio.run(main())
