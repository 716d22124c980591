"""The demo, as a newcomer starts and ends it."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from servers import PATIENCE, Server

ROOT = Path(__file__).parent.parent
DEMO = [sys.executable, "examples/demo"]
STORAGES = [pytest.param((), id="sqlalchemy"), pytest.param(("--orm",), id="orm")]


def run_demo(*arguments: str, database: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    if database is not None:
        env["DATABASE_URL"] = database
    return subprocess.run(
        [*DEMO, *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> Sequence[str]:
    """Provide the options of the demo that choose its storage."""
    options: Sequence[str] = request.param
    return options


@pytest.fixture
def demo(storage: Sequence[str]) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server([*DEMO, *storage, f"--port={port}"], folder=ROOT)
    try:
        server.wait_for("Application startup complete")
        yield server
    finally:
        server.kill()


def test_printed_requests_get_the_printed_answers(demo: Server) -> None:
    tour = re.findall(r"^(curl .+)\n    (\d+) (.+)$", demo.output, re.MULTILINE)
    assert len(tour) == 9
    for command, status, body in tour:
        result = subprocess.run(
            ["bash", "-c", command.replace("curl", "curl --silent --noproxy '*'", 1)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        head, _, answer = result.stdout.partition("\n\n")
        assert (head.split()[1], answer) == (status, body), command
        assert ("www-authenticate" in head) is (status == "401")
    assert "Traceback" not in demo.output


def test_ctrl_c_ends_it_cleanly(demo: Server) -> None:
    file = demo.wait_for(r"The users alice and bob are in (.+)\.$")[1]
    assert Path(file).exists()
    assert demo.stop() == 0
    assert "Traceback" not in demo.output
    assert not Path(file).exists()


def test_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run_demo("--port", str(port))
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert f"can't listen on port {port}" in result.stderr


def test_missing_database_is_one_line(storage: Sequence[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        port = closed.getsockname()[1]
        result = run_demo(
            *("--check", *storage), database=f"postgresql://nobody@127.0.0.1:{port}/x"
        )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "no database at DATABASE_URL" in result.stderr


def test_check_on_another_database(postgresql_url: str, storage: Sequence[str]) -> None:
    for _ in range(2):  # The second time, its tables are there already.
        result = run_demo("--check", *storage, database=postgresql_url)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "bob's stored hash is of argon2id now" in result.stdout
        assert re.search(r"^A browser at .+/login\n    in and out$", result.stdout, re.MULTILINE)
