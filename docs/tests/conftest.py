from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sqlalchemy-2",
        action="store_true",
        help="Run what needs SQLAlchemy 2, and nothing else.",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    other = "test_programs.py" if config.getoption("--sqlalchemy-2") else "test_sqlalchemy_users.py"
    return True if collection_path.name == other else None
