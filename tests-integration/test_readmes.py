"""Executes the code in the README files, and the curl lines beneath it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from servers import PATIENCE, serving

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", *sorted(ROOT.glob("packages/*/README.md"))]

# The first line of a block names its file, where there are several.
_NAME = re.compile(r"^# (\w+\.py)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(python|console)\n(.+?)^```$", re.MULTILINE | re.DOTALL)


def blocks(readme: Path) -> list[tuple[str, str]]:
    return _BLOCK.findall(readme.read_text(encoding="utf-8"))


def programs() -> list[Any]:
    """Return each program, file by file, and the blocks of console that follow it."""
    found: list[tuple[str, dict[str, str], list[str]]] = []
    for readme in READMES:
        files: dict[str, str] = {}
        for kind, text in blocks(readme):
            if kind == "console":
                found[-1][2].append(text)
                continue
            name = _NAME.match(text)
            files[name[1] if name else "app.py"] = text
            if "app.py" in files:
                found.append((f"{readme.relative_to(ROOT)}, {len(found)}", files, []))
                files = {}
    return [pytest.param(files, consoles, id=name) for name, files, consoles in found]


def shell(command: str, folder: Path) -> str:
    result = subprocess.run(
        ["bash", "-ec", command],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=folder,
    )
    return result.stdout


def conversation(console: str) -> list[tuple[str, list[str]]]:
    """Take a console apart: each command, and the lines that are shown of what it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in filter(None, console.splitlines()):
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def test_every_readme_has_a_program() -> None:
    for readme in READMES:
        assert any(kind == "python" for kind, _ in blocks(readme)), readme


def test_no_readme_leads_to_the_old_release() -> None:
    for readme in READMES:
        for line in readme.read_text(encoding="utf-8").splitlines():
            if "pip install" in line and "starlette-auth-toolkit" in line:
                assert re.search(r'"starlette-auth-toolkit(\[[a-z,]+\])?>=1"', line), (readme, line)


@pytest.mark.parametrize(("program", "consoles"), programs())
def test_program_does_what_its_readme_says(
    program: dict[str, str], consoles: list[str], tmp_path: Path
) -> None:
    for name, text in program.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    if not consoles:
        run = [sys.executable, "app.py"]
        subprocess.run(run, check=True, timeout=PATIENCE, cwd=tmp_path)
        return

    with serving("app:app", folder=tmp_path) as server:
        server.wait_for("Application startup complete")
        token = re.search(r"^Your token: (\S+)$", server.output, re.MULTILINE)
        setup = f"TOKEN={shlex.quote(token[1])}\n" if token else ""
        for command, expected in (turn for text in consoles for turn in conversation(text)):
            quiet = command.replace("http://localhost:8000", server.url)
            quiet = quiet.replace("curl ", "curl --silent --show-error --noproxy '*' ")
            printed = shell(setup + quiet, tmp_path).splitlines()
            shown = [line for line in printed if line in expected]
            assert shown == expected, (command, printed)
