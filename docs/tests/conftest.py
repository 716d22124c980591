import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sqlalchemy-2",
        action="store_true",
        help="Follow the pages whose programs need SQLAlchemy 2, and no others.",
    )
