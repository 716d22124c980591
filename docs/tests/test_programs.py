"""What the guides say of their programs, and no command on the page shows."""

import ast
import asyncio
import hashlib
import importlib.util
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import httpx2
import pytest
from databases_of_tests import SERVERS, a_database
from fastapi import FastAPI, Security
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from pages import PAGES, PROGRAMS, ROOT
from reader import follow, reading
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient, WebSocketDenialResponse

from starlette_auth_core import RequiresMiddleware, requires
from starlette_auth_core.credentials import MAX_CREDENTIALS_SIZE
from starlette_auth_core.tokens import generate_token
from starlette_auth_hashers import PBKDF2Hasher

Load = Callable[..., Any]

REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")


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
        program.BasicAuth.hasher = cheap
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

    def test_tokens_are_not_throttled(self, program: Any) -> None:
        client = TestClient(program.app)
        for i in range(25):
            client.get("/protected", auth=(str(i), "x"))
        headers = {"Authorization": "Bearer of-somebody"}
        assert client.get("/protected", headers=headers).status_code == 401

    def test_the_log_has_no_user_name(self, program: Any, caplog: pytest.LogCaptureFixture) -> None:
        TestClient(program.app).get("/protected", auth=("my-password", "x"))
        assert caplog.messages == ["A login from testclient failed"]

    def test_a_login_view_and_the_api_count_together_over_redis(
        self, load: Load, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # It stands in the digests, so this test counts apart.
        monkeypatch.setenv("THROTTLE_SECRET", secrets.token_hex(16))
        monkeypatch.setenv("REDIS_URL", REDIS_URL)
        program = load("failed_logins", "shared_app")
        login = {"username": "alice", "password": "wrong"}
        with TestClient(program.app) as client:
            answers = [client.post("/login", json=login).status_code for _ in range(3)]
            answers += [client.get("/protected", auth=("alice", "x")).status_code for _ in range(3)]
            assert answers == [401] * 5 + [429]
            right = {"username": "alice", "password": "alicepwd"}
            assert client.post("/login", json=right).status_code == 429
            assert client.post("/login", json={}).status_code == 401
            for body in (b"{", b"[]", b"\xff", b"[" * 100_000):
                assert client.post("/login", content=body).status_code == 400


class TestAuditLog:
    """One process has one meter provider, so one test looks at all outcomes."""

    def test_attempts_are_counted_and_logged_without_a_user_id(self, load: Load) -> None:
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        program = load("audit_log")
        cheap = PBKDF2Hasher(rounds=1)
        program.BasicAuth.hasher = cheap
        program.USERS["alice"] = program.User(1, "alice", cheap.make_sync("alicepwd"))
        client = TestClient(program.app)
        for auth in (("alice", "alicepwd"), ("alice", "wrong"), ("my-password", "x"), None):
            client.get("/protected", auth=auth)
        client.get("/protected", headers={"Authorization": "Bearer of-another-scheme"})

        data = reader.get_metrics_data()
        assert data is not None
        (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
        counted = {
            tuple((point.attributes or {}).items()): getattr(point, "value", None)
            for point in metric.data.data_points
        }
        assert counted == {(("result", "Granted"),): 1, (("result", "InvalidCredentials"),): 2}
        log = Path("audit.log").read_text()
        assert [json.loads(line)["user"] for line in log.splitlines()] == [1, None, None]
        assert "my-password" not in log


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


class TestOwnStorage:
    ALICE = "INSERT INTO users (username, password) VALUES (?, ?)"

    @pytest.fixture
    def program(self, load: Load) -> Any:
        program = load("own_storage")
        program.query("CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, password TEXT)")
        program.BasicAuth.hasher = PBKDF2Hasher(rounds=1)
        return program

    def test_a_password_changed_meanwhile_is_not_overwritten(self, program: Any) -> None:
        program.query(self.ALICE, "alice", "old")
        auth = program.BasicAuth()
        user = asyncio.run(auth.find_user("alice"))
        asyncio.run(auth.replace_password_hash(user, "old", "new"))
        asyncio.run(auth.replace_password_hash(user, "old", "newer"))
        assert asyncio.run(auth.find_user("alice")).password == "new"

    @pytest.mark.parametrize("username", ["jos\u00e9", "jose\u0301"])
    @pytest.mark.parametrize("password", ["\u00fc", "u\u0308"])
    def test_both_spellings_are_one(
        self, program: Any, load: Load, username: str, password: str
    ) -> None:
        stored = program.BasicAuth.hasher.make_sync("\u00fc")
        program.query(self.ALICE, "jos\u00e9", stored)
        auth = load("own_storage", "normalizing").NormalizingAuth()
        user = asyncio.run(auth.verify(username, password))
        assert user is not None
        assert asyncio.run(auth.verify(username, "u")) is None

    @pytest.mark.parametrize("hashed", [None, "", "!", "$", "a$", "$é", "a$b$c"])
    def test_whatever_is_stored_is_a_wrong_hash_of_scrypt(
        self, load: Load, monkeypatch: pytest.MonkeyPatch, hashed: str | None
    ) -> None:
        real = hashlib.scrypt

        def cheap(password: bytes, *, salt: bytes, n: int, r: int, p: int) -> bytes:
            return real(password, salt=salt, n=2, r=r, p=1)

        monkeypatch.setattr("hashlib.scrypt", cheap)
        program = load("own_storage", "scrypt_app")
        hasher = program.ScryptHasher()
        assert asyncio.run(hasher.verify("", hashed)) is False
        update = hasher.verify_and_update("secret", hasher.make("secret"))
        assert asyncio.run(update) == (True, None)
        auth = program.BasicAuth()
        assert asyncio.run(auth.verify("alice", "\ud800")) is None


class TestSinglePage:
    BASIC = 'Basic realm="Restricted", charset="UTF-8"'
    IGNORED = 'FormBased realm="Restricted"'

    @pytest.fixture
    def client(self, load: Load) -> TestClient:
        program = load("single_page")
        program.BasicAuth.hasher = PBKDF2Hasher(rounds=1)

        async def login(request: Request) -> PlainTextResponse:
            return PlainTextResponse("Wrong", 401)

        program.app.router.routes.append(Route("/login", login))
        return TestClient(program.app)

    @pytest.mark.parametrize("path", ["/protected", "/login"])
    @pytest.mark.parametrize("auth", [None, ("eve", "wrong")])
    @pytest.mark.parametrize("mode", ["cors", "same-origin", "no-cors", "websocket"])
    def test_scripts_are_asked_for_what_browsers_ignore(
        self, client: TestClient, mode: str, auth: tuple[str, str] | None, path: str
    ) -> None:
        response = client.get(path, auth=auth, headers={"Sec-Fetch-Mode": mode})
        assert response.status_code == 401
        assert response.headers.get_list("www-authenticate") == [self.IGNORED]

    @pytest.mark.parametrize("path", ["/protected", "/login"])
    @pytest.mark.parametrize("auth", [None, ("eve", "wrong")])
    @pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Mode": "navigate"}])
    def test_people_are_asked_for_basic(
        self, client: TestClient, headers: dict[str, str], auth: Any, path: str
    ) -> None:
        response = client.get(path, auth=auth, headers=headers)
        assert response.status_code == 401
        assert response.headers.get_list("www-authenticate") == [self.BASIC]


class TestLogRecords:
    """The table of the guide says what is in the code, and all of it."""

    @pytest.fixture
    def table(self) -> str:
        page = (PAGES / "guides/failed-logins.md").read_text()
        return page.partition("| Logger |")[2].partition("\n\n")[0]

    @pytest.fixture
    def nodes(self) -> list[ast.AST]:
        files = ROOT.glob("packages/*/src/**/*.py")
        return [node for file in files for node in ast.walk(ast.parse(file.read_text()))]

    def test_each_text_is_logged(self, table: str, nodes: list[ast.AST]) -> None:
        strings = [node.value for node in nodes if isinstance(node, ast.Constant)]
        code = "\n".join(text for text in strings if isinstance(text, str)).replace("%d", "…")
        texts = [text for text in re.findall("`([^`]+)`", table) if not text.startswith("starl")]
        assert len(texts) > 12
        for text in texts:
            for part in text.split("…"):
                assert part.strip(" ().") in code, text

    def test_each_record_is_in_the_table(self, table: str, nodes: list[ast.AST]) -> None:
        logged = set()
        for node in nodes:
            match node:
                case ast.Call(
                    ast.Attribute(ast.Name("logger" | "_logger"), "info" | "warning" | "error"),
                    [ast.Constant(str(text)), *_],
                ):
                    logged.add(text.partition("%")[0].strip())
        assert len(logged) > 12
        assert {text for text in logged if text not in table} == set()


def test_the_limit_is_the_documented_one() -> None:
    assert MAX_CREDENTIALS_SIZE == 8 * 1024
    page = (PAGES / "security.md").read_text()
    assert "more than 8 KiB of credentials (`MAX_CREDENTIALS_SIZE`" in page


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

    def test_the_pattern_finds_them_in_a_text(self) -> None:
        page = (PAGES / "guides/tokens.md").read_text()
        (pattern,) = re.findall(r"the pattern is `(.*?)`", page)
        token = generate_token("shop")
        assert re.findall(pattern, f'{{"key": "{token}"}} and {token}.') == [token, token]
        assert not re.search(pattern, f"work{token} {token}a")

    def test_log_out_needs_a_token_and_keeps_the_others(self, client: TestClient) -> None:
        alice = ("alice", "alicepwd")
        first, second = (
            {"Authorization": f"Bearer {client.post('/tokens', auth=alice).json()['token']}"}
            for _ in range(2)
        )
        assert client.post("/logout", auth=alice).status_code == 400
        assert client.post("/logout", headers=first).status_code == 204
        assert client.get("/protected", headers=first).status_code == 401
        assert client.get("/protected", headers=second).status_code == 200

    def test_an_answer_with_one_is_not_stored(self, client: TestClient) -> None:
        response = client.post("/tokens", auth=("alice", "alicepwd"))
        assert response.headers["Cache-Control"] == "no-store"


class TestFastAPI:
    @pytest.fixture
    def program(self, load: Load) -> Any:
        return load("fastapi_app")

    def test_websocket_route(self, program: Any) -> None:
        client = TestClient(program.app)
        login = {"username": "alice", "password": "alicepwd"}
        token = client.post("/token", json=login).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        with client.websocket_connect("/chat", headers=headers) as websocket:
            assert websocket.receive_json() == {"message": "Hello, alice!"}
        with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/chat"):
            pass
        assert caught.value.status_code == 401
        assert caught.value.headers["WWW-Authenticate"].startswith("Bearer ")

    def test_override(self, program: Any) -> None:
        program.app.dependency_overrides[program.auth] = lambda: program.User("alice", "")
        answer = TestClient(program.app).get("/protected").json()
        assert answer == {"message": "Hello, alice!"}

    def test_right_order_of_requires_and_get(self, program: Any) -> None:
        assert TestClient(program.app).get("/scopes").status_code == 401
        answer = TestClient(program.app).get("/scopes", auth=("bob", "bobpwd"))
        assert answer.json() == ["authenticated"]

    def test_wrong_order_is_open(self, program: Any) -> None:
        app: FastAPI = program.app

        @requires("authenticated")
        @app.get("/wrong")
        async def wrong(request: Request) -> str:
            return "open"

        assert TestClient(app).get("/wrong").json() == "open"

    def test_dependencies_of_the_app_do_not_reach_its_documentation(self, program: Any) -> None:
        app = FastAPI(dependencies=[Security(program.auth)])
        app.mount("/files", PlainTextResponse("open"))
        app.mount("/private", RequiresMiddleware(PlainTextResponse(""), "authenticated"))
        program.auth.install(app)
        client = TestClient(app)
        for path, status in (("/docs", 200), ("/openapi.json", 200), ("/files", 200)):
            assert client.get(path).status_code == status
        assert client.get("/private").status_code == 401


def test_coming_from_fastapi_security_counts_lines() -> None:
    folder = PROGRAMS / "from_fastapi_security"
    old, new = (
        sum(bool(line.strip()) for line in (folder / name).read_text().splitlines())
        for name in ("old_app.py", "app.py")
    )
    page = (PAGES / "coming-from/fastapi-security.md").read_text()
    assert f"| {old} | {new} |" in page
    assert new < old


@pytest.mark.parametrize("server", SERVERS)
def test_users_in_a_database_of_a_server(server: str, tmp_path: Path) -> None:
    with a_database(server) as url, reading(tmp_path, DATABASE_URL=url) as reader:
        follow(PAGES / "guides/database.md", reader)
