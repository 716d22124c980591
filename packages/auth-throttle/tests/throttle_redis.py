"""The Redis of the tests: the shared one, and one that a test stops, starts and has hang."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


def skip_or_fail(reason: str) -> None:
    """Skip the test; fail it where `CI` is set, where all of them have to run."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class OwnRedis:
    """A server on a free port, which keeps nothing."""

    def __init__(self, folder: Path) -> None:
        command = shutil.which("redis-server") or shutil.which("valkey-server")
        if command is None:
            skip_or_fail("Neither redis-server nor valkey-server is installed")
        self._command = str(command)
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = [
            "--port",
            str(self.port),
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ]
        self._process = subprocess.Popen(
            [self._command, *options],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(500):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                time.sleep(0.01)
        pytest.fail("redis-server did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
