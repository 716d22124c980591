"""What the guides say of their programs, and no command on the page shows."""

import asyncio
import contextlib
import importlib.util
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import databases
import httpx2
import pytest
from pages import PAGES, PROGRAMS
from reader import follow, reading
from starlette.testclient import TestClient, WebSocketDenialResponse

from starlette_auth_hashers import PBKDF2Hasher

# Where servers for tests may be found: the variables are those of the packages' own tests.
SERVERS = {
    "TEST_POSTGRESQL_URL": "postgresql://postgres@127.0.0.1:5432/test",
    "TEST_MYSQL_URL": "mysql://root@127.0.0.1:3306/test",
}

Load = Callable[..., Any]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Import a module of a program, in a folder where it may leave its files."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)

    def load_module(program: str, name: str = "app") -> ModuleType:
        monkeypatch.syspath_prepend(str(PROGRAMS / program))
        spec = importlib.util.spec_from_file_location(name, PROGRAMS / program / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load_module
    for name in set(sys.modules) - before:
        if str(PROGRAMS) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


class TestFailedLogins:
    @pytest.fixture
    def program(self, load: Load) -> Any:
        program = load("failed_logins")
        cheap = PBKDF2Hasher(rounds=1)
        program.ThrottledAuth.hasher = cheap
        program.USERS["alice"] = program.User("alice", cheap.make_sync("alicepwd"))
        return program

    def test_of_guesses_at_once_no_more_are_answered(self, program: Any) -> None:
        answers: list[int] = []

        async def guess(client: httpx2.AsyncClient, password: str) -> None:
            response = await client.get("/protected", auth=("alice", password))
            answers.append(response.status_code)

        async def main() -> None:
            transport = httpx2.ASGITransport(program.app)
            async with (
                httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
                anyio.create_task_group() as group,
            ):
                for password in [*map(str, range(18)), "alicepwd"]:
                    group.start_soon(guess, client, password)

        anyio.run(main)
        assert answers.count(401) == 5
        assert answers.count(200) <= 1
        assert len(answers) == 19

    def test_an_unknown_name_is_throttled_alike(self, program: Any) -> None:
        client = TestClient(program.app)
        answers = [client.get("/protected", auth=("eve", "x")).status_code for _ in range(6)]
        assert answers == [401] * 5 + [429]

    def test_a_right_password_is_no_failure(self, program: Any) -> None:
        client = TestClient(program.app)
        answers = [client.get("/protected", auth=("alice", "alicepwd")) for _ in range(30)]
        assert {response.status_code for response in answers} == {200}

    def test_an_address_is_throttled_whatever_the_name(self, program: Any) -> None:
        client = TestClient(program.app)
        answers = [client.get("/protected", auth=(str(i), "x")).status_code for i in range(21)]
        assert answers == [401] * 20 + [429]
        # Who sends no credentials is anonymous, as ever.
        assert client.get("/protected").status_code == 401

    def test_it_ends_after_the_window(self, program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        now = 1000.0
        monkeypatch.setattr(program.time, "monotonic", lambda: now)
        failures = program.Failures(limit=1)
        failures.add("alice")
        with pytest.raises(program.TooManyFailures) as caught:
            failures.check("alice")
        assert caught.value.retry_after == 61
        now += 60
        failures.check("alice")

    def test_memory_is_bounded(self, program: Any) -> None:
        failures = program.Failures(limit=1, max_keys=3)
        for i in range(10):
            failures.add(str(i))
        assert list(failures.counts) == ["7", "8", "9"]

    def test_the_log_has_no_user_name(self, program: Any, caplog: pytest.LogCaptureFixture) -> None:
        TestClient(program.app).get("/protected", auth=("my-password", "x"))
        assert caplog.messages == ["A login from testclient failed"]


class TestWebSockets:
    @pytest.fixture
    def program(self, load: Load) -> Any:
        return load("websockets_app")

    def test_a_ticket_expires(self, program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        client = TestClient(program.app)
        headers = {"Authorization": f"Bearer {program.token}"}
        ticket = client.post("/tickets", headers=headers).json()["ticket"]
        later = program.time.monotonic() + 31
        monkeypatch.setattr(program.time, "monotonic", lambda: later)
        with (
            pytest.raises(WebSocketDenialResponse) as caught,
            client.websocket_connect(f"/chat?ticket={ticket}"),
        ):
            pass
        assert caught.value.status_code == 401

    def test_a_ticket_is_for_websockets_only(self, program: Any) -> None:
        client = TestClient(program.app)
        headers = {"Authorization": f"Bearer {program.token}"}
        ticket = client.post("/tickets", headers=headers).json()["ticket"]
        assert client.post(f"/tickets?ticket={ticket}").status_code == 401

    def test_tickets_that_were_not_used_are_forgotten(
        self, program: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = TestClient(program.app)
        headers = {"Authorization": f"Bearer {program.token}"}
        client.post("/tickets", headers=headers)
        later = program.time.monotonic() + 31
        monkeypatch.setattr(program.time, "monotonic", lambda: later)
        client.post("/tickets", headers=headers)
        assert len(program.tickets) == 1


class TestChangingPasswords:
    @pytest.fixture
    def client(self, load: Load) -> Iterator[TestClient]:
        with TestClient(load("changing_passwords").app) as client:
            client.auth = ("alice", "alicepwd")
            yield client

    @pytest.mark.parametrize(
        "body",
        [
            *("", "[]", '"text"', "{}", '{"current": "alicepwd"}', '{"current": 1, "new": 2}'),
            pytest.param("[" * 100_000, id="deep"),
        ],
    )
    def test_any_other_body_is_400(self, client: TestClient, body: str) -> None:
        assert client.post("/password", content=body).status_code == 400

    def test_a_lone_surrogate_is_a_wrong_password(self, client: TestClient) -> None:
        body = '{"current": "\\ud800", "new": "a rather long new one"}'
        assert client.post("/password", content=body).status_code == 403

    @pytest.mark.parametrize("character", ["\\u0000", "\\ud800"])
    def test_what_cannot_be_hashed_is_400(self, client: TestClient, character: str) -> None:
        body = f'{{"current": "alicepwd", "new": "{character} in a rather long one"}}'
        response = client.post("/password", content=body)
        assert (response.status_code, "rather" in response.text) == (400, False)


class TestTokens:
    @pytest.fixture
    def client(self, load: Load) -> Iterator[TestClient]:
        program = load("tokens")

        async def add_bob() -> None:
            password = await program.hasher.make("bobpwd")
            await program.User.objects.create(username="bob", password=password)

        with TestClient(program.app) as client:
            assert client.portal is not None
            client.portal.call(add_bob)
            yield client

    def test_of_others_are_not_there(self, client: TestClient) -> None:
        alice, bob = ("alice", "alicepwd"), ("bob", "bobpwd")
        issued = client.post("/tokens?name=laptop", auth=alice).json()
        assert client.get("/tokens", auth=bob).json() == []
        assert client.delete(f"/tokens/{issued['id']}", auth=bob).status_code == 404
        assert client.post(f"/tokens/{issued['id']}/rotate", auth=bob).status_code == 404
        assert client.delete("/tokens", auth=bob).status_code == 204
        headers = {"Authorization": f"Bearer {issued['token']}"}
        assert client.get("/protected", headers=headers).status_code == 200

    def test_an_answer_with_one_is_not_stored(self, client: TestClient) -> None:
        response = client.post("/tokens", auth=("alice", "alicepwd"))
        assert response.headers["Cache-Control"] == "no-store"


def test_fastapi_websocket_route(load: Load) -> None:
    program = load("fastapi_app")
    client = TestClient(program.app)
    headers = {"Authorization": f"Bearer {program.token}"}
    with client.websocket_connect("/chat", headers=headers) as websocket:
        assert websocket.receive_json() == {"message": "Hello, alice!"}
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/chat"):
        pass
    assert caught.value.status_code == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer ")


@contextlib.contextmanager
def a_database(variable: str) -> Iterator[str]:
    """Provide a new database on the server that an environment variable names."""
    url = os.environ.get(variable, SERVERS[variable])
    name = f"docs_{uuid.uuid4().hex}"

    async def execute(statement: str) -> None:
        async with databases.Database(url, min_size=1) as database:
            await database.execute(statement)

    try:
        asyncio.run(execute(f"CREATE DATABASE {name}"))
    except Exception as error:  # noqa: BLE001 - drivers raise errors of their own
        reason = f"There is no server at {variable}: {error}"
        # In CI a skipped test would look like one that passed.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    yield f"{url.rpartition('/')[0]}/{name}"
    asyncio.run(execute(f"DROP DATABASE {name}"))


@pytest.mark.parametrize("server", SERVERS)
def test_users_in_a_database_of_a_server(server: str, tmp_path: Path) -> None:
    with a_database(server) as url, reading(tmp_path, DATABASE_URL=url) as reader:
        follow(PAGES / "guides/database.md", reader)
