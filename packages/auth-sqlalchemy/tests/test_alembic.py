"""Migrations that Alembic generates have nothing of ours in their code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy_databases import Base

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy_databases import Database

pytestmark = pytest.mark.anyio

ENVIRONMENT = """
from alembic import context
connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=context.config.attributes["metadata"],
    compare_type=True, version_table="alembic_of_tokens",
)
with context.begin_transaction():
    context.run_migrations()
"""


@pytest.mark.parametrize(
    "case", ["sqlite+pysqlite", "postgresql+psycopg", "mysql+pymysql"], indirect=True
)
def test_first_migration_has_nothing_of_ours_and_the_second_is_empty(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENVIRONMENT)
    (tmp_path / "script.py.mako").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n${imports or ''}\n"
        "revision = ${repr(up_revision)}\ndown_revision = ${repr(down_revision)}\n\n"
        "def upgrade():\n    ${upgrades or 'pass'}\n"
    )
    Base.metadata.drop_all(database.admin)
    try:
        with database.admin.begin() as connection:
            config = Config(
                attributes={"connection": connection, "metadata": Base.metadata},
            )
            config.set_main_option("script_location", str(tmp_path))
            config.set_main_option("path_separator", "os")
            first: Any = command.revision(config, autogenerate=True)
            code = (tmp_path / "versions" / f"{first.revision}_.py").read_text()
            assert "op.create_table('tokens'" in code
            assert "starlette_auth" not in code
            assert set(re.findall(r"\b\w+\.(\w+)\(.*?nullable", code)) == {"Column"}
            command.upgrade(config, "head")
            second: Any = command.revision(config, autogenerate=True)
            code = (tmp_path / "versions" / f"{second.revision}_.py").read_text()
            body = code.partition("def upgrade():")[2]
            assert "op." not in body
    finally:
        Base.metadata.drop_all(database.admin)
        database.execute("DROP TABLE IF EXISTS alembic_of_tokens")
        Base.metadata.create_all(database.admin)
