"""Each page with commands does what it says."""

from pathlib import Path

import pytest
from pages import PAGES, PROGRAMS, blocks
from reader import follow, reading

# Its programs are followed in an environment without encode/orm.
ON_SQLALCHEMY_2 = {
    "coming-from/fastapi-users.md",
    "guides/sessions.md",
    "guides/sqlalchemy.md",
}

WITH_PROGRAMS = {
    str(page.relative_to(PAGES)): page
    for page in sorted(PAGES.rglob("*.md"))
    if any(block.language == "console" for block in blocks(page))
}


def pages_of_this_run(config: pytest.Config) -> list[str]:
    wanted = config.getoption("--sqlalchemy-2")
    return [name for name in WITH_PROGRAMS if (name in ON_SQLALCHEMY_2) == wanted]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", pages_of_this_run(metafunc.config))


def test_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    # Where a page wants https, its program works over http too, by that.
    with reading(tmp_path, DEVELOPMENT="1") as reader:
        follow(WITH_PROGRAMS[page], reader)


def test_every_program_is_on_a_page() -> None:
    shown = {block.included for page in PAGES.rglob("*.md") for block in blocks(page)}
    assert set(PROGRAMS.rglob("*.py")) <= shown


def test_python_on_the_guides_comes_from_programs() -> None:
    """So that all of it was run."""
    for page in WITH_PROGRAMS.values():
        for block in blocks(page):
            if block.language == "python":
                assert block.included is not None, f"{page}: {block.body}"


def test_what_is_not_run_installs_or_starts_the_server() -> None:
    for page in WITH_PROGRAMS.values():
        for block in blocks(page):
            if block.language == "shell":
                for line in block.body.splitlines():
                    assert line.startswith(("pip install ", "uvicorn ")), f"{page}: {line}"
