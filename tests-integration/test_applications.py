"""Apps of each kind, in a uvicorn process of their own, with a real database."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import store
from servers import Server, serving
from store import ALICE, BOB, ZOE, Store

ROOT = Path(__file__).parent.parent

# What release 0.5.0 documented; the tests of auth-toolkit say how it was restored.
PAGE = (ROOT / "packages/auth-toolkit/tests/release-0.5.0.txt").read_text(encoding="utf-8")
EXAMPLES: dict[str, str] = dict(
    re.findall(r"^## (.+?)\n\n```python\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)

BASIC = 'Basic realm="Restricted", charset="UTF-8"'
TOKEN = 'Token realm="Restricted"'
BEARER = 'Bearer realm="Restricted"'


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Store, str]:
    """Provide a database with users, and a token."""
    url = f"sqlite:///{tmp_path_factory.mktemp('database')}/test.db"
    return url, *store.fill(url)


@pytest.fixture(scope="module")
def token(filled: tuple[str, Store, str]) -> str:
    return filled[2]


def running(app: str, filled: tuple[str, Store, str]) -> Iterator[Server]:
    with serving(app, env={"DATABASE_URL": filled[0]}) as server:
        yield server


def get(server: Server, path: str, **options: Any) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", trust_env=False, timeout=60, **options)


class TestDocumentedQuickstart:
    @pytest.fixture(scope="module")
    @staticmethod
    def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
        folder = tmp_path_factory.mktemp("quickstart")
        source = EXAMPLES["Quickstart"].replace('@app.route("/protected")\n', "")
        source += '\napp.add_route("/protected", protected)\n'
        (folder / "app.py").write_text(source, encoding="utf-8")
        with serving("app:app", folder=folder) as server:
            yield server

    def test_the_documented_answers(self, server: Server) -> None:
        anonymous = get(server, "/protected")
        assert (anonymous.status_code, anonymous.text) == (403, "Forbidden")
        right = get(server, "/protected", auth=("alice", "alicepwd"))
        assert (right.status_code, right.text) == (200, '{"message":"Hello, alice!"}')
        wrong = get(server, "/protected", auth=("alice", "bobpwd"))
        assert (wrong.status_code, wrong.text) == (401, "Invalid credentials")


class TestDocumentedModelBasicAuth:
    MODELS = """
import databases, orm

database = databases.Database({url!r})
models = orm.ModelRegistry(database=database)

class User(orm.Model):
    tablename = "users"
    registry = models
    fields = {{
        "id": orm.Integer(primary_key=True),
        "username": orm.String(max_length=150, unique=True),
        "password": orm.String(max_length=255),
    }}
"""
    # What the page leaves to its reader: a view, and the connection.
    REST = """
import contextlib
from starlette.authentication import requires
from starlette.responses import JSONResponse
from myproject.models import database

@requires("authenticated")
async def protected(request):
    return JSONResponse(request.user.username)

@contextlib.asynccontextmanager
async def lifespan(app):
    async with database:
        yield

app.add_route("/", protected)
app.router.lifespan_context = lifespan
"""

    def test_works_on_a_real_server(self, tmp_path: Path, filled: tuple[str, Store, str]) -> None:
        project = tmp_path / "myproject"
        project.mkdir()
        models = self.MODELS.format(url=filled[0])
        (project / "models.py").write_text(models, encoding="utf-8")
        source = EXAMPLES["ModelBasicAuth"] + self.REST
        (tmp_path / "app.py").write_text(source, encoding="utf-8")
        with serving("app:app", folder=tmp_path) as server:
            assert get(server, "/").status_code == 403
            assert get(server, "/", auth=BOB).json() == "bob"
            # Without `on_error`, that is what Starlette's middleware answers.
            assert get(server, "/", auth=("bob", "wrong")).status_code == 400


class TestTokensAndPasswords:
    @pytest.fixture(scope="module")
    @staticmethod
    def server(filled: tuple[str, Store, str]) -> Iterator[Server]:
        yield from running("tokens_and_passwords:app", filled)

    def test_anonymous_is_offered_everything(self, server: Server) -> None:
        assert get(server, "/").text == "welcome"
        response = get(server, "/who")
        assert response.status_code == 401
        assert response.headers.get_list("WWW-Authenticate") == [BEARER, TOKEN, BASIC]

    @pytest.mark.parametrize("credentials", [ALICE, ZOE, BOB])
    def test_password(self, server: Server, credentials: tuple[str, str]) -> None:
        response = get(server, "/who", auth=credentials)
        assert response.json() == {"user": credentials[0], "scopes": ["authenticated"]}
        assert get(server, "/machines", auth=credentials).status_code == 403

    @pytest.mark.parametrize("scheme", ["Token", "Bearer", "bearer"])
    def test_token(self, server: Server, token: str, scheme: str) -> None:
        headers = {"Authorization": f"{scheme} {token}"}
        expected = {"user": "alice", "scopes": ["authenticated", "machines"]}
        assert get(server, "/who", headers=headers).json() == expected
        assert get(server, "/machines", headers=headers).json() == expected

    def test_scope_that_a_bearer_token_lacks_is_named(
        self, server: Server, filled: tuple[str, Store, str]
    ) -> None:
        _, where, _ = filled

        async def issue() -> str:
            async with where.database:
                alice = await where.User.objects.get(username="alice")
                token, _ = await where.tokens.issue(alice)
            return token

        headers = {"Authorization": f"Bearer {asyncio.run(issue())}"}
        assert get(server, "/who", headers=headers).status_code == 200
        response = get(server, "/machines", headers=headers)
        assert response.status_code == 403
        assert response.headers["WWW-Authenticate"] == (
            'Bearer realm="Restricted", error="insufficient_scope", scope="machines"'
        )

    @pytest.mark.parametrize(
        ("header", "challenges"),
        [
            ("Basic YWxpY2U6d3Jvbmc=", [BEARER, TOKEN, BASIC]),
            ("Basic !", [BEARER, TOKEN, BASIC]),
            ("Token test_wrong", [BEARER, TOKEN, BASIC]),
            ("Bearer test_wrong", [f'{BEARER}, error="invalid_token"', TOKEN, BASIC]),
            ("Bearer", [f'{BEARER}, error="invalid_token"', TOKEN, BASIC]),
        ],
    )
    @pytest.mark.parametrize("path", ["/", "/who", "/nowhere"])
    def test_failure_is_answered_wherever_it_happens(
        self, server: Server, header: str, challenges: list[str], path: str
    ) -> None:
        response = get(server, path, headers={"Authorization": header})
        assert (response.status_code, response.text) == (401, "Invalid credentials")
        assert response.headers.get_list("WWW-Authenticate") == challenges
        assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        ("username", "password", "found"),
        [(*ALICE, "alice"), (*ZOE, "zoë"), ("alice", "wrong", None), ("eve", "x", None)],
    )
    def test_login_in_a_view(
        self, server: Server, username: str, password: str, found: str | None
    ) -> None:
        body = {"username": username, "password": password}
        response = httpx.post(f"{server.url}/login", json=body, trust_env=False)
        assert response.json() == {"user": found}

    @pytest.mark.parametrize("name", ["\\u0000", "\\ud800", "\\u007f"])
    def test_what_no_database_takes_is_an_unknown_user(self, server: Server, name: str) -> None:
        body = f'{{"username": "{name}", "password": "{name}"}}'
        response = httpx.post(f"{server.url}/login", content=body, trust_env=False)
        assert response.json() == {"user": None}

    def test_old_hash_was_replaced(self, server: Server, filled: tuple[str, Store, str]) -> None:
        assert get(server, "/who", auth=BOB).status_code == 200
        assert asyncio.run(filled[1].stored("bob")).startswith("$argon2id$")
        assert get(server, "/who", auth=BOB).status_code == 200


class TestMounts:
    @pytest.fixture(scope="module")
    @staticmethod
    def server(filled: tuple[str, Store, str]) -> Iterator[Server]:
        yield from running("mounts:app", filled)

    def test_what_is_not_protected_asks_nobody(self, server: Server) -> None:
        assert get(server, "/health", headers={"Authorization": "Basic !"}).text == "up"

    def test_each_part_asks_in_its_own_way(self, server: Server) -> None:
        people = get(server, "/people/who").headers["WWW-Authenticate"]
        assert people == 'Basic realm="people", charset="UTF-8"'
        machines = get(server, "/machines/who").headers["WWW-Authenticate"]
        assert machines == 'Bearer realm="machines"'

    def test_each_part_takes_its_own_credentials_only(self, server: Server, token: str) -> None:
        bearer = {"Authorization": f"Bearer {token}"}
        assert get(server, "/people/who", auth=ALICE).json()["user"] == "alice"
        assert get(server, "/machines/who", headers=bearer).json()["user"] == "alice"
        assert get(server, "/people/who", headers=bearer).status_code == 401
        assert get(server, "/machines/who", auth=ALICE).status_code == 401


class TestCorsAndSessions:
    ORIGIN = {"Origin": "https://page.example"}

    @pytest.fixture(scope="module")
    @staticmethod
    def server(filled: tuple[str, Store, str]) -> Iterator[Server]:
        yield from running("cors_and_sessions:app", filled)

    def test_preflight_needs_no_credentials(self, server: Server) -> None:
        headers = self.ORIGIN | {
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "Authorization",
        }
        response = httpx.options(f"{server.url}/who", headers=headers, trust_env=False)
        assert response.status_code == 200
        assert response.headers["Access-Control-Allow-Origin"] == "https://page.example"
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]

    @pytest.mark.parametrize("auth", [None, ("alice", "wrong"), ALICE])
    def test_every_answer_may_be_read_by_the_page(
        self, server: Server, auth: tuple[str, str] | None
    ) -> None:
        response = get(server, "/who", headers=self.ORIGIN, auth=auth)
        assert response.status_code == (200 if auth == ALICE else 401)
        assert response.headers["Access-Control-Allow-Origin"] == "https://page.example"
        assert ("WWW-Authenticate" in response.headers) is (auth != ALICE)

    def test_sessions_work_beneath(self, server: Server) -> None:
        with httpx.Client(base_url=server.url, auth=ALICE, trust_env=False) as client:
            assert [client.get("/who").json()["visits"] for _ in range(3)] == [1, 2, 3]


class TestLifespan:
    def test_start_and_end_reach_the_app(self, filled: tuple[str, Store, str]) -> None:
        # Each of these apps connects to its database in one, so that nothing works without.
        with serving("mounts:app", env={"DATABASE_URL": filled[0]}) as server:
            server.wait_for("Application startup complete")
            assert server.stop() == 0
        assert "Application shutdown complete" in server.output

    def test_database_that_is_not_there_is_unavailable(self) -> None:
        # SQLite opens its file at the first query.
        with serving("mounts:app", env={"DATABASE_URL": "sqlite:////nowhere/at/all.db"}) as server:
            assert get(server, "/health").text == "up"
            response = get(server, "/people/who", auth=ALICE)
            assert response.status_code == 503
            assert response.headers["Retry-After"] == "1"
