from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sqlalchemy-2",
        action="store_true",
        help="Run the pages that need SQLAlchemy 2, and nothing else.",
    )


# The pages that need SQLAlchemy 2 are followed in an environment without encode/orm.
WITH_ORM = {"test_plaintext_tokens.py", "test_programs.py"}
# And so is the one about fastapi-users, which needs SQLAlchemy 2.0.
ON_SQLALCHEMY_2 = {"test_coming_from_fastapi_users.py"}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    left_out = WITH_ORM if config.getoption("--sqlalchemy-2") else ON_SQLALCHEMY_2
    return True if collection_path.name in left_out else None
