"""Sends the table of headers to real servers, and writes headers.md.

`nox -s bench -- --headers` makes the environment and calls it. Where nginx or Apache is not
installed, headers.md says so.
"""

import argparse
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from headers_cases import CASES, Case
from measure import Table
from report import rows

HERE = Path(__file__).parent
#: How long a server may take, in seconds. Nothing waits for it when all is well.
PATIENCE = 30
#: The statuses of a refusal. 431 is for a header that is too long (RFC 6585 section 5).
REFUSALS = (400, 401, 431)


@dataclass(frozen=True)
class Program:
    """A program in headers_peers/, and what it runs.

    Attributes:
        name: The name of the file.
        distributions: The distributions whose versions are given, the measured one first.
        executable: The installed server that it runs, if it runs one.
        parser: The parser that uvicorn uses.
    """

    name: str
    distributions: tuple[str, ...] = ()
    executable: str | None = None
    parser: str = "h11"

    def missing(self) -> bool:
        return self.executable is not None and self.path() is None

    def path(self) -> str | None:
        # Debian's servers are in a folder that only root has on its path.
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
        return shutil.which(self.executable or "", path=path)

    def versions(self) -> dict[str, str]:
        path = self.path()
        if self.executable is None or path is None:
            return {name: metadata.version(name) for name in self.distributions}
        ran = subprocess.run([path, "-v"], capture_output=True, text=True, check=True)  # noqa: S603
        return {self.executable: (ran.stdout + ran.stderr).partition("/")[2].split()[0]}


@dataclass(frozen=True)
class Peer:
    """A way to protect a resource: its title, the program that serves it, and where."""

    title: str
    program: Program
    path: str

    @property
    def scheme(self) -> str:
        return "basic" if self.path == "/basic" else "bearer"


OURS = Program("peer_ours", ("starlette-auth-core", "starlette", "uvicorn", "h11"))
_HTTPTOOLS = Program("peer_ours", ("uvicorn", "httptools"), parser="httptools")
_FASTAPI = Program("peer_fastapi", ("fastapi", "starlette", "uvicorn", "h11"))
_USERS = Program("peer_fastapi_users", ("fastapi-users", "fastapi", "uvicorn", "h11"))
_DJANGO = Program("peer_rest_framework", ("djangorestframework", "Django", "gunicorn"))
_FLASK = Program("peer_flask", ("Flask-HTTPAuth", "Flask", "Werkzeug", "gunicorn"))
_LITESTAR = Program("peer_litestar", ("litestar", "uvicorn", "h11"))
_AIOHTTP = Program("peer_aiohttp", ("aiohttp",))
_MCP = Program("peer_mcp", ("mcp", "starlette", "uvicorn", "h11"))
_NGINX = Program("peer_nginx", executable="nginx")
_APACHE = Program("peer_apache", executable="apache2")

PEERS = [
    Peer("ours, `BaseBasicAuth`", OURS, "/basic"),
    Peer("ours, `BaseBearerAuth`", OURS, "/bearer"),
    Peer("ours, `BaseBasicAuth`, on httptools", _HTTPTOOLS, "/basic"),
    Peer("ours, `BaseBearerAuth`, on httptools", _HTTPTOOLS, "/bearer"),
    Peer("FastAPI, `HTTPBasic`", _FASTAPI, "/basic"),
    Peer("FastAPI, `HTTPBearer`", _FASTAPI, "/bearer"),
    Peer("FastAPI, `OAuth2PasswordBearer`", _FASTAPI, "/oauth2"),
    Peer("fastapi-users, `BearerTransport`", _USERS, "/bearer"),
    Peer("Django REST framework, `BasicAuthentication`", _DJANGO, "/basic"),
    Peer("Django REST framework, `TokenAuthentication`", _DJANGO, "/bearer"),
    Peer("Flask-HTTPAuth, `HTTPBasicAuth`", _FLASK, "/basic"),
    Peer("Flask-HTTPAuth, `HTTPTokenAuth`", _FLASK, "/bearer"),
    Peer("Litestar, `JWTAuth`", _LITESTAR, "/bearer"),
    Peer("aiohttp, `BasicAuth.decode`", _AIOHTTP, "/basic"),
    Peer("MCP SDK, `BearerAuthBackend`", _MCP, "/bearer"),
    Peer("nginx, `auth_basic`", _NGINX, "/basic"),
    Peer("Apache httpd, `AuthType Basic`", _APACHE, "/basic"),
]


@dataclass(frozen=True)
class Answer:
    """What a server answered: the status, or None where it hung up without one."""

    status: int | None
    challenged: bool

    @property
    def let_in(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def failed(self) -> bool:
        return self.status is None or self.status >= 500

    def is_right(self, case: Case) -> bool:
        if self.let_in:
            return case.right != "refused"
        return self.status in REFUSALS and case.right != "in"


def request(path: str, lines: bytes) -> bytes:
    """Return the bytes of a request that has *lines* among its header lines."""
    start = f"GET {path} HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nAccept: */*\r\n"
    return start.encode() + lines + b"\r\n\r\n"


def ask(port: int, path: str, lines: bytes) -> Answer:
    """Send a request on a connection of its own, and read the head of the answer."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        try:
            connection.sendall(request(path, lines))
            while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
                received += piece
        except ConnectionError:
            pass  # The server hung up. An answer that came before counts.
    head = received.partition(b"\r\n\r\n")[0]
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        return Answer(None, challenged=False)
    return Answer(int(words[1]), challenged=b"\r\nwww-authenticate:" in head.lower())


@contextmanager
def running(program: Program) -> Iterator[int]:
    """Run a program until the end of the block, and give the port that it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # Apache serves as another user.
        command = [sys.executable, str(HERE / "headers_peers" / f"{program.name}.py"), str(port)]
        process = subprocess.Popen(  # noqa: S603 - a program of ours
            [*command, *filter(None, [program.executable and program.path()])],
            env=os.environ
            | {"PEER_FOLDER": folder, "PEER_PARSER": program.parser, "PYTHONPATH": _path()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(process, port)
            yield port
            if process.poll() is not None:
                raise SystemExit(f"{program.name} has ended: a header ended it")
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _path() -> str:
    # What the caller has on its path comes first.
    return os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(HERE)]))


def _wait(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{process.args!r} does not listen")


def answers_of(port: int, peer: Peer) -> dict[str, Answer]:
    """Send to one peer what its scheme is about, and return its answers by the cases' ids."""
    asked = [case for case in CASES if case.scheme == peer.scheme]
    answers = {case.id: ask(port, peer.path, case.lines) for case in asked}
    good, wrong = answers[f"{peer.scheme}-good"], answers[f"{peer.scheme}-wrong"]
    if not good.let_in or wrong.let_in:
        raise SystemExit(f"{peer.title} is not set up: {good}, {wrong}")
    return answers


def ask_all(peers: Sequence[Peer]) -> dict[str, dict[str, Answer]]:
    """Start each program once, and return the answers of the peers by their titles."""
    answers: dict[str, dict[str, Answer]] = {}
    for program in dict.fromkeys(peer.program for peer in peers):
        if program.missing():
            print(f"{program.executable} is not installed: left out", flush=True)
            continue
        with running(program) as port:
            for peer in peers:
                if peer.program == program:
                    print(peer.title, flush=True)
                    answers[peer.title] = answers_of(port, peer)
    return answers


def summary(scheme: str, all_: Mapping[str, Mapping[str, Answer]]) -> Table:
    """Count the answers of the peers of a scheme."""
    cases = [case for case in CASES if case.scheme == scheme]
    counts = Counter(case.right for case in cases)
    table = Table(
        f"{scheme.capitalize()}: {len(cases)} headers",
        [
            "Server",
            "Answered rightly",
            "Let in wrongly",
            "Refused wrongly",
            "500, or hung up",
            "401 without a challenge",
        ],
        note=(
            f"{counts['in']} of the headers are good, {counts['refused']} must be refused, and "
            f"the RFCs leave {counts['either']} open."
        ),
    )
    for peer in PEERS:
        if peer.scheme == scheme and peer.title in all_:
            answers = all_[peer.title]
            table.rows.append([peer.title, *map(str, figures(cases, answers))])
    return table


def figures(cases: Iterable[Case], answers: Mapping[str, Answer]) -> list[int]:
    """Return how many answers are right, let in and refuse wrongly, fail, and lack a challenge."""
    pairs = [(case, answers[case.id]) for case in cases]
    wrong = [answer for case, answer in pairs if not answer.is_right(case)]
    failed = sum(answer.failed for answer in wrong)
    let_in = sum(answer.let_in for answer in wrong)
    bare = sum(answer.status == 401 and not answer.challenged for _, answer in pairs)
    return [len(pairs) - len(wrong), let_in, len(wrong) - let_in - failed, failed, bare]


def differences(all_: Mapping[str, Mapping[str, Answer]]) -> Table:
    """Return each header that a peer answers wrongly, and which peers do."""
    table = Table("The wrong answers", ["Header", "Right", "Decided by", "Answered wrongly by"])
    for case in CASES:
        wrong = [
            title if answer.status in (200, 401) else f"{title} ({answer.status or 'hung up'})"
            for title, answers in all_.items()
            if (answer := answers.get(case.id)) is not None and not answer.is_right(case)
        ]
        if wrong:
            table.rows.append([f"`{case.id}`", case.right, case.section, "; ".join(wrong)])
    return table


def versions(programs: Iterable[Program]) -> Table:
    found: dict[str, str] = {}
    for program in programs:
        found |= program.versions()
    return Table(
        "Versions of the servers",
        ["Distribution", "Version"],
        [[name, found[name]] for name in sorted(found, key=str.lower)],
    )


def page(all_: Mapping[str, Mapping[str, Answer]]) -> str:
    present = dict.fromkeys(peer.program for peer in PEERS if peer.title in all_)
    absent = dict.fromkeys(peer.program.executable for peer in PEERS if peer.title not in all_)
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    lines = [
        "<!-- `nox -s bench -- --headers` wrote this. -->",
        "",
        f"Measured on {date} with Python {platform.python_version()}.",
        f"Each of the {len(CASES)} headers was sent in a request of its own on a real socket.",
        *(f"{name} was not installed." for name in absent),
    ]
    tables = [summary(scheme, all_) for scheme in ("basic", "bearer")]
    for table in [*tables, differences(all_), versions(present)]:
        lines += ["", f"### {table.title}", "", *rows(asdict(table))]
        lines += ["", table.note] if table.note else []
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--outdir", type=Path, default=HERE)
    path = parser.parse_args().outdir / "headers.md"
    path.write_text(page(ask_all(PEERS)), "utf-8")
    print(f"Written: {path}")


if __name__ == "__main__":
    main()
