"""Runs the demo: `python examples/demo --port 8000`, or `--check` to have it try itself."""

import argparse
import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import seed
import tour
import uvicorn

HOST = "127.0.0.1"


def main() -> None:
    parser = argparse.ArgumentParser(prog="demo", description="A server to try with curl.")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen on [8000]")
    parser.add_argument(
        "--check",
        action="store_true",
        help="listen on a free port, make all of the requests, and check the answers",
    )
    parser.add_argument("--orm", action="store_true", help="use encode/orm, not SQLAlchemy")
    arguments = parser.parse_args()
    with listen(0 if arguments.check else arguments.port) as listener, a_database() as database:
        storage = load_storage(orm=arguments.orm)
        try:
            token = asyncio.run(seed.create_users(storage))
        except OSError as error:
            sys.exit(f"demo: no database at DATABASE_URL: {error}")
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        log_level = "warning" if arguments.check else "info"
        server = uvicorn.Server(uvicorn.Config(storage.app, log_level=log_level))
        if arguments.check:
            with serving(server, listener):
                wrong = check_answers(url, token)
            wrong += check_upgrade(asyncio.run(seed.stored_hash(storage, "bob")))
            sys.exit("demo: not all was right" if wrong else None)
        print_tour(url, token, database)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def listen(port: int) -> socket.socket:
    """Open the port, which may fail, before anything else is made."""
    listener = socket.socket()
    # A port that was in use a moment ago can be taken again at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        sys.exit(f"demo: can't listen on port {port}, try another --port: {error}")
    listener.listen()
    return listener


@contextlib.contextmanager
def a_database() -> Iterator[str]:
    """Name the database: that of DATABASE_URL, or a new file that is gone afterwards."""
    if "DATABASE_URL" in os.environ:
        yield "the database of DATABASE_URL"
        return
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        file = Path(folder, "demo.db")
        os.environ["DATABASE_URL"] = f"sqlite:///{file}"
        yield str(file)


def load_storage(*, orm: bool) -> seed.Storage:
    """Import the chosen module, which reads DATABASE_URL."""
    if orm:
        import on_orm  # noqa: PLC0415

        return on_orm
    import on_sqlalchemy  # noqa: PLC0415

    return on_sqlalchemy


@contextlib.contextmanager
def serving(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    """Run *server* in a thread. Requests wait in the socket until it has started."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def print_tour(url: str, token: str, database: str) -> None:
    print(f"The users alice and bob are in {database}.")
    print(f"Open {url}/login in a browser, and log in: alice's password is alicepwd.")
    print("Or try these in another terminal; Ctrl-C ends the server.\n")
    for step in tour.steps(token):
        print(f"# {step.title}\n{step.command(url)}\n    {step.answer()}\n")
    sys.stdout.flush()


def check_answers(url: str, token: str) -> int:
    """Make all requests, and return how many were not answered as they should be."""
    wrong = 0
    for step in tour.steps(token):
        complaints = tour.ask(url, step)
        print(f"{step.command(url)}\n    {'; '.join(complaints) or step.answer()}")
        wrong += bool(complaints)
    complaints = tour.log_in(url)
    print(f"A browser at {url}/login\n    {'; '.join(complaints) or 'in and out'}")
    return wrong + bool(complaints)


def check_upgrade(hashed: str) -> int:
    """Return 1 unless the old hash was replaced."""
    algorithm = hashed.split("$")[1]
    print(f"bob's stored hash is of {algorithm} now")
    return algorithm != "argon2id"


if __name__ == "__main__":
    main()
