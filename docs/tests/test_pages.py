"""Each page with commands is followed from top to bottom, in a folder and on a port of its own."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PAGES, PROGRAMS, Block, blocks, commands, is_answered_by

# Its programs need SQLAlchemy 2, which encode/orm does not run on.
ON_SQLALCHEMY_2 = {"architecture.md"}

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


class Reader:
    """Does what the page says: saves files, starts the server, and types the commands."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "NO_PROXY": "*",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }
        self.module: str | None = None
        self.server: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.shell = subprocess.Popen(
            ["/bin/bash"],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def save(self, block: Block) -> None:
        assert block.title is not None
        assert block.included is not None
        text = block.included.read_text()
        (self.folder / block.title).write_text(text)
        if re.search(r"^app = ", text, re.MULTILINE):
            self.stop_server()
            self.module = block.title.removesuffix(".py")

    def type(self, command: str) -> str:
        if "localhost:8000" in command and self.server is None:
            self.start_server()
        command = command.replace("localhost:8000", f"localhost:{self.port}")
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"{command}\necho; echo '<<< the end >>>'\n")
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            if line == "<<< the end >>>\n":
                break
            lines.append(line)
        return re.sub(rf"(localhost(?::|%3A)){self.port}", r"\g<1>8000", "".join(lines))

    def start_server(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.server = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", f"{self.module}:app"),
                *("--port", str(self.port), "--log-level", "error"),
            ],
            cwd=self.folder,
            env=self.environment,
        )
        until = time.monotonic() + 30
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", self.port)) != 0:
                assert self.server.poll() is None, "the server has ended"
                assert time.monotonic() < until, "the server does not start"
                time.sleep(0.05)

    def stop_server(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait(10)
            self.server = None

    def leave(self) -> None:
        self.stop_server()
        self.shell.communicate()


def follow(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        if block.title is not None:
            reader.save(block)
        elif block.language == "console":
            for command in commands(block):
                output = reader.type(command.text)
                assert is_answered_by(command, output), f"$ {command.text}\n{output}"


@pytest.fixture
def environment() -> dict[str, str]:
    return {}


@pytest.fixture
def reader(tmp_path: Path, environment: dict[str, str]) -> Iterator[Reader]:
    reader = Reader(tmp_path, environment)
    try:
        yield reader
    finally:
        reader.leave()


def test_page_does_what_it_says(page: str, reader: Reader) -> None:
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
