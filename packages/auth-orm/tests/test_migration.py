"""The statements of the README that turn a table of plaintext tokens into one of digests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from starlette_auth_core.tokens import digest_token
from starlette_auth_orm import ModelTokenAuth

if TYPE_CHECKING:
    from conftest import Store

pytestmark = pytest.mark.anyio

README = Path(__file__).parent.parent / "README.md"
HEADINGS = {"postgresql": "PostgreSQL:", "mysql": "MariaDB:", "sqlite": "SQLite has no SHA-256"}
KEYS = {"postgresql": "SERIAL", "mysql": "INTEGER AUTO_INCREMENT", "sqlite": "INTEGER"}
# Two of them differ in nothing but case.
TOKENS = ["0123456789abcdef0123456789abcdef", "AB$\\x'é", "ab$\\x'é"]


def migration(kind: str) -> str:
    text = README.read_text(encoding="utf-8").partition(f"\n{HEADINGS[kind]}")[2]
    found = re.search(r"```(?:sql|py)\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


async def test_plaintext_tokens_are_digested_in_place(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, database = store.server.kind, store.database
    quote = "`" if kind == "mysql" else '"'
    alice = await store.add("alice", None)
    await database.execute("ALTER TABLE tokens RENAME TO made_by_orm")
    await database.execute(
        f"CREATE TABLE tokens (id {KEYS[kind]} PRIMARY KEY, token VARCHAR(40) NOT NULL, "
        f"{quote}user{quote} INTEGER NOT NULL)"
    )
    insert = f"INSERT INTO tokens (token, {quote}user{quote}) VALUES (:token, :user)"
    for token in TOKENS:
        await database.execute(insert, {"token": token, "user": alice.id})

    if kind == "sqlite":
        monkeypatch.chdir(tmp_path)
        exec(migration(kind).replace("app.db", database.url.database or ""), {})
    else:
        async with database.connection() as connection:
            for statement in filter(str.strip, migration(kind).split(";")):
                await connection.execute(statement)

    # The model of these tests has one more.
    await database.execute("ALTER TABLE tokens ADD name VARCHAR(100)")
    backend = ModelTokenAuth(store.Token, prefix=None)
    for token in TOKENS:
        assert await backend.resolve(token) == (alice, ("authenticated",))
        assert await backend.verify(token + "x") is None
    rows: list[Any] = await store.Token.objects.all()
    assert [row.digest for row in rows] == [digest_token(token) for token in TOKENS]

    # New ones go into the same table.
    issued, _ = await ModelTokenAuth(store.Token, prefix="shop").issue(alice)
    assert await backend.verify(issued) == alice
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await database.execute(store.Token.table.update().values(digest=digest_token(issued)))

    await database.execute("DROP TABLE tokens")
    await database.execute("ALTER TABLE made_by_orm RENAME TO tokens")
