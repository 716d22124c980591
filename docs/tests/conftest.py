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


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    left_out = config.getoption("--sqlalchemy-2") and collection_path.name in WITH_ORM
    return True if left_out else None
