"""Follows a page from top to bottom, in a folder and on a port of its own."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pages import Block, blocks, commands, is_answered_by


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


@contextlib.contextmanager
def reading(folder: Path, **environment: str) -> Iterator[Reader]:
    reader = Reader(folder, environment)
    try:
        yield reader
    finally:
        reader.leave()
