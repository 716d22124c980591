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


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_sessions_exist(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nox", *arguments, "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^\* ", done.stdout, re.MULTILINE) or "--list" in arguments


def test_ci_runs_the_line_that_the_page_names() -> None:
    (line,) = re.findall(
        r"^python3 -m venv .+$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE
    )
    assert line in (ROOT / ".ci/run").read_text().splitlines()
