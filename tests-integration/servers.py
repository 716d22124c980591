"""Real servers: uvicorn in a process of its own, and databases that others run."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

APPS = Path(__file__).parent / "apps"

# How long something may take before a test gives up. Nothing waits for it when all is well.
PATIENCE = 60
# How many connections may go to one process before the other one gets its first.
_MANY = 200


class Server:
    """A running program that listens somewhere, and everything that it has printed."""

    def __init__(
        self, command: Sequence[str], *, folder: Path = APPS, env: Mapping[str, str] | None = None
    ) -> None:
        self.lines: list[str] = []
        self._printed = threading.Condition()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Ctrl-C in the terminal is for the tests, which then stop it.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until a line has been printed in which *pattern* is found."""
        with self._printed:
            found = None

            def is_there() -> bool:
                nonlocal found
                found = next(filter(None, (re.search(pattern, line) for line in self.lines)), None)
                return found is not None or not self._reader.is_alive()

            self._printed.wait_for(is_there, PATIENCE)
        assert found is not None, f"{pattern!r} was not printed:\n{self.output}"
        return found

    def wait_for_all(self, pattern: str, count: int) -> None:
        """Wait until *pattern* has been found in *count* lines, those of several processes."""
        with self._printed:
            found = self._printed.wait_for(
                lambda: sum(bool(re.search(pattern, line)) for line in self.lines) >= count,
                PATIENCE,
            )
        assert found, f"{pattern!r} was not printed {count} times:\n{self.output}"

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it as Ctrl-C does, and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        """End it whatever state it is in, if it is still there."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                with self._printed:
                    self.lines.append(line)
                    self._printed.notify_all()
        with self._printed:
            self._printed.notify_all()


@contextmanager
def serving(
    app: str,
    *options: str,
    folder: Path = APPS,
    env: Mapping[str, str] | None = None,
    quiet: bool = True,
) -> Iterator[Server]:
    """Run *app* in uvicorn on a port that is free.

    Args:
        app: The app, as `module:name`.
        *options: Options of uvicorn.
        folder: Where the module is.
        env: More variables of the environment.
        quiet: At the end it must not have printed a traceback, and must have ended well.
    """
    command = [sys.executable, "-m", "uvicorn", app, "--host=127.0.0.1", "--port=0", *options]
    server = Server(command, folder=folder, env=env)
    try:
        server.url = server.wait_for(r"running on (https?://127\.0\.0\.1:\d+)")[1]
        yield server
        if server.process.poll() is None:
            code = server.stop()
            if quiet:
                assert code == 0, server.output
                assert "Traceback" not in server.output, server.output
    finally:
        server.kill()


def unavailable(reason: str) -> None:
    """Skip a test for *reason*; in CI, where a skipped one looks like one that passed, fail."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def client_of_each_process(server: Server, path: str) -> Iterator[list[httpx.Client]]:
    """Provide two clients, each with a connection that is kept to one of two processes.

    Args:
        server: A server of two processes.
        path: Answers with JSON that names the `process`.
    """
    found: dict[int, httpx.Client] = {}
    with ExitStack() as clients:
        # The kernel decides whose a connection is, and a kept one stays there.
        for _ in range(_MANY):
            client = clients.enter_context(
                httpx.Client(base_url=server.url, trust_env=False, timeout=PATIENCE)
            )
            found.setdefault(client.get(path).json()["process"], client)
            if len(found) == 2:
                break
        assert len(found) == 2, server.output
        yield list(found.values())
