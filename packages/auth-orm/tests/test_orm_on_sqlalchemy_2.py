"""orm on either SQLAlchemy: what is mended, and what is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orm
import pytest
import sqlalchemy
from orm.models import QuerySet
from sqlalchemy.exc import ArgumentError

from starlette_auth_orm._orm_on_sqlalchemy_2 import mend

if TYPE_CHECKING:
    from conftest import Server, Store

pytestmark = pytest.mark.anyio

ON_SQLALCHEMY_2 = not sqlalchemy.__version__.startswith("1.")


class Failing:
    """orm's class, as far as it matters."""

    def __init__(self, model_cls: Any) -> None:
        self.table = model_cls.table

    def _build_select_expression(self) -> Any:
        raise ArgumentError


class Mended(Failing):
    def _build_select_expression(self) -> Any:
        return sqlalchemy.select(self.table)


class TestWhatIsMended:
    def test_orm_is_mended_on_sqlalchemy_2_alone(self) -> None:
        module = QuerySet._build_select_expression.__module__

        mended = module == "starlette_auth_orm._orm_on_sqlalchemy_2"
        assert mended is ON_SQLALCHEMY_2

    def test_method_that_fails_is_replaced_on_sqlalchemy_2(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sqlalchemy, "__version__", "2.1.9")
        own = Failing._build_select_expression
        monkeypatch.setattr(Failing, "_build_select_expression", own)

        mend(Failing)

        assert Failing._build_select_expression is not own

    def test_sqlalchemy_1_4_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlalchemy, "__version__", "1.4.54")
        own = Failing._build_select_expression

        mend(Failing)

        assert Failing._build_select_expression is own

    def test_mended_orm_is_left_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlalchemy, "__version__", "2.1.9")
        own = Mended._build_select_expression

        mend(Mended)

        assert Mended._build_select_expression is own


class TestQueriesOfTheApp:
    """What `Model.objects` does has to work as before."""

    async def test_users_are_read(self, store: Store) -> None:
        for name in ("alice", "bob", "carol", "dave"):
            await store.add(name, None, email=f"{name}@example.org", active=name != "bob")

        assert (await store.User.objects.get(username="alice")).email == "alice@example.org"
        assert await store.User.objects.filter(active=True).count() == 3
        assert await store.User.objects.filter(username="bob", active=True).exists() is False
        assert [
            user.username for user in await store.User.objects.order_by("-username").limit(2).all()
        ] == [
            "dave",
            "carol",
        ]
        second = await store.User.objects.order_by("username").limit(1).offset(1).all()
        assert [user.username for user in second] == ["bob"]
        assert [user.username for user in await store.User.objects.exclude(active=True).all()] == [
            "bob"
        ]
        with pytest.raises(orm.NoMatch):
            await store.User.objects.get(username="nobody")

    async def test_users_are_read_along_with_a_token(self, store: Store) -> None:
        alice = await store.add("alice", None)

        class Item(orm.Model):
            registry = store.User.registry
            tablename = "items"
            fields = {
                "id": orm.Integer(primary_key=True),
                "name": orm.Text(),
                "owner": orm.ForeignKey(store.User),
            }

        async with store.tables(Item):
            await Item.objects.create(name="pen", owner=alice)

            item = await Item.objects.select_related("owner").get(owner__username="alice")

            assert item.owner == alice


def test_login_makes_sqlalchemy_warn_of_nothing(sqlite: Server) -> None:
    # The warning of SQLAlchemy 1.4 comes once in a process, so a process of its own.
    program = """
import asyncio, sys
from conftest import Hasher, models_of, open_store
from conftest import Server
from starlette_auth_core.tokens import Tokens
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore

async def main():
    async with open_store(Server("sqlite", sys.argv[1])) as store:
        hasher = Hasher()
        alice = await store.add("alice", hasher.make("pwd", "old"))
        assert await ModelBasicAuth(store.User, hasher=hasher).verify("alice", "pwd")
        tokens = Tokens(ModelTokenStore(store.Token), prefix="shop")
        token, row = await tokens.issue(alice)
        assert await tokens.find(token)
        await tokens.rotate(row, overlap=row.created_at - row.created_at)

asyncio.run(main())
"""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, sqlite.url],
        env=os.environ | {"PYTHONPATH": paths, "SQLALCHEMY_WARN_20": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stderr == ""
    assert process.returncode == 0
