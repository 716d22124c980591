from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sqlalchemy-2",
        action="store_true",
        help="Run what needs SQLAlchemy 2, and nothing else.",
    )


# encode/orm does not run on SQLAlchemy 2.
WITH_ORM = {"test_plaintext_tokens.py", "test_programs.py"}
WITH_SQLALCHEMY_2 = {"test_sqlalchemy_users.py"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    others = WITH_ORM if config.getoption("--sqlalchemy-2") else WITH_SQLALCHEMY_2
    return True if collection_path.name in others else None
