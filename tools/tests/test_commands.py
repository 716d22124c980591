"""The commands that the pages for developers name."""

import re
import shlex
import subprocess
import sys

import pytest
from trees import ROOT

BLOCK = re.compile(r"^```(?:shell|console|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "README.md"]


def commands() -> list[list[str]]:
    """Return the arguments of every call of nox in a page, without what follows `--`."""
    lines = {
        line.removeprefix("$ ").partition("  #")[0]
        for page in PAGES
        for block in BLOCK.findall(page.read_text("utf-8"))
        for line in block.splitlines()
    }
    parsed = [shlex.split(part) for line in sorted(lines) for part in line.split("&&")]
    calls = [words[1:] for words in parsed if words and words[0].endswith("bin/nox")]
    return [call[: call.index("--")] if "--" in call else call for call in calls]


def test_pages_name_commands() -> None:
    assert len(commands()) > 10


@pytest.fixture(scope="module")
def listed() -> tuple[set[str], set[str]]:
    """Return the names of all sessions, and their tags."""
    done = subprocess.run(
        [sys.executable, "-m", "nox", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = re.findall(r"^[*-] (\S+)(?: \[(\S+)\])? ->", done.stdout, re.MULTILINE)
    return {name for name, _ in lines}, {tag for _, tags in lines for tag in tags.split(",")}


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_sessions_exist(arguments: list[str], listed: tuple[set[str], set[str]]) -> None:
    names, tags = listed
    match arguments:
        case [] | ["-l"]:
            pass
        case ["-s", name]:
            assert name in names
        case ["-t", tag]:
            assert tag in tags
        case _:
            pytest.fail(f"nox {' '.join(arguments)}")


def test_ci_runs_the_line_that_the_page_names() -> None:
    (line,) = re.findall(
        r"^python3 -m venv .+$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
    )
    assert line in (ROOT / ".ci/run").read_text().splitlines()
