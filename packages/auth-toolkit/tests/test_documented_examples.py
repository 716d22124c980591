"""Runs the examples of `release-0.5.0.txt` as they are printed there."""

import asyncio
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import databases
import httpx
import orm
import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from starlette_auth_toolkit.backends import MultiAuth
from starlette_auth_toolkit.base.backends import BaseBasicAuth
from starlette_auth_toolkit.cryptography import (
    Argon2Hasher,
    BaseHasher,
    MultiHasher,
    PBKDF2Hasher,
)

PAGE = Path(__file__).with_name("release-0.5.0.txt").read_text(encoding="utf-8")
_EXAMPLE = re.compile(r"^## (.+?)\n\n```python\n(.+?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES: dict[str, str] = dict(_EXAMPLE.findall(PAGE))


def run(title: str, edit: Callable[[str], str] = str, **names: Any) -> dict[str, Any]:
    """Run an example, edited and with *names* defined, and return what it defines."""
    namespace = {"__name__": "example", **names}
    exec(compile(edit(EXAMPLES[title]), title, "exec"), namespace)
    return namespace


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Provide the package `myproject`, whose modules the page leaves to its reader."""
    package: Any = ModuleType("myproject")
    package.__path__ = []
    package.auth = ModuleType("myproject.auth")
    package.models = ModuleType("myproject.models")
    for module in (package, package.auth, package.models):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return package


def test_all_examples_are_found() -> None:
    assert len(EXAMPLES) == PAGE.count("```python") == 11


@pytest.fixture(scope="module", params=["as printed", "with add_route"])
def quickstart(request: pytest.FixtureRequest) -> TestClient:
    if request.param == "as printed":
        if not hasattr(Starlette, "route"):
            pytest.skip("Starlette has no @app.route since 1.0")
        with pytest.warns(DeprecationWarning, match="The `route` decorator is deprecated"):
            return TestClient(run("Quickstart")["app"])
    example = run("Quickstart", lambda source: source.replace('@app.route("/protected")\n', ""))
    example["app"].add_route("/protected", example["protected"])
    return TestClient(example["app"])


class TestQuickstart:
    """The three answers that the page shows, and that of its `on_error`."""

    def test_anonymous(self, quickstart: TestClient) -> None:
        response = quickstart.get("/protected")
        assert (response.status_code, response.text) == (403, "Forbidden")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"

    @pytest.mark.parametrize("name", ["alice", "bob"])
    def test_right_password(self, quickstart: TestClient, name: str) -> None:
        response = quickstart.get("/protected", auth=(name, f"{name}pwd"))
        assert (response.status_code, response.text) == (200, f'{{"message":"Hello, {name}!"}}')

    @pytest.mark.parametrize("credentials", [("alice", "wrong"), ("eve", "evepwd")])
    def test_wrong_password(self, quickstart: TestClient, credentials: tuple[str, str]) -> None:
        response = quickstart.get("/protected", auth=credentials)
        assert (response.status_code, response.text) == (401, "Invalid credentials")


def test_quickstart_with_a_hasher_answers_the_same() -> None:
    class User:
        def __init__(self, username: str, password: str) -> None:
            self.username = username
            self.password = password

    password_hasher = PBKDF2Hasher(rounds=1000)

    class BasicAuth(BaseBasicAuth):
        hasher = password_hasher

        async def find_user(self, username: str) -> User | None:
            return users.get(username)

    @requires("authenticated")
    async def protected(request: Request) -> JSONResponse:
        return JSONResponse({"message": f"Hello, {request.user.username}!"})

    def on_error(conn: HTTPConnection, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(str(error), status_code=401)

    users = {"alice": User("alice", password_hasher.make_sync("alicepwd"))}
    middleware = Middleware(AuthenticationMiddleware, backend=BasicAuth(), on_error=on_error)
    client = TestClient(Starlette(routes=[Route("/protected", protected)], middleware=[middleware]))

    assert client.get("/protected").status_code == 403
    assert client.get("/protected", auth=("alice", "alicepwd")).status_code == 200
    assert client.get("/protected", auth=("alice", "wrong")).text == "Invalid credentials"
    assert client.get("/protected", auth=("eve", "x")).text == "Invalid credentials"


class TestBaseBackends:
    def test_basic(self) -> None:
        auth = run("BaseBasicAuth")["BasicAuth"]()
        assert asyncio.run(auth.verify("bob", "s3kr3t")).username == "bob"
        assert asyncio.run(auth.verify("bob", "wrong")) is None

    def test_token(self) -> None:
        auth = run("BaseTokenAuth")["TokenAuth"]()
        assert asyncio.run(auth.verify("abcd")).username == "bob"
        assert asyncio.run(auth.verify("wrong")) is None

    @pytest.mark.parametrize("title", ["BaseBasicAuth", "BaseTokenAuth"])
    def test_grants_authenticated(self, title: str) -> None:
        headers = {
            "BaseBasicAuth": b"Basic Ym9iOnMza3IzdA==",
            "BaseTokenAuth": b"Token abcd",
        }
        backend = run(title)[title.removeprefix("Base")]()
        scope = {"type": "http", "headers": [(b"authorization", headers[title])]}
        credentials, user = asyncio.run(backend.authenticate(HTTPConnection(scope)))
        assert credentials.scopes == ["authenticated"]
        assert user.username == "bob"


class TestMultiAuth:
    @pytest.fixture
    def backend(self, project: Any) -> MultiAuth:
        project.auth.TokenAuth = run("BaseTokenAuth")["TokenAuth"]
        project.auth.BasicAuth = run("BaseBasicAuth")["BasicAuth"]
        backend: MultiAuth = run("MultiAuth")["backend"]
        return backend

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 403),
            ({"Authorization": "Token abcd"}, 200),
            ({"Authorization": "Basic Ym9iOnMza3IzdA=="}, 200),
            ({"Authorization": "Token wrong"}, 400),
            ({"Authorization": "Basic Ym9iOndyb25n"}, 400),
        ],
    )
    def test_either_way(self, backend: MultiAuth, headers: dict[str, str], status: int) -> None:
        @requires("authenticated")
        async def protected(request: Request) -> JSONResponse:
            return JSONResponse(request.user.username)

        # Without `on_error`, Starlette's middleware answers an error with 400.
        client = TestClient(
            Starlette(
                routes=[Route("/", protected)],
                middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
            )
        )
        assert client.get("/", headers=headers).status_code == status


async def request(app: Any, **options: Any) -> httpx.Response:
    """Make a request on the running event loop, which is that of the database too."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.get("/", **options)


def test_model_basic_auth(project: Any, tmp_path: Path) -> None:
    database = databases.Database(f"sqlite:///{tmp_path}/users.db")
    models = orm.ModelRegistry(database=database)

    class User(orm.Model):
        tablename = "users"
        registry = models
        fields = {
            "id": orm.Integer(primary_key=True),
            "username": orm.String(max_length=100, unique=True),
            "password": orm.String(max_length=255),
        }

    project.models.User = User
    example = run("ModelBasicAuth")

    @requires("authenticated")
    async def home(request: Request) -> JSONResponse:
        return JSONResponse({"message": f"Hello, {request.user.username}!"})

    example["app"].add_route("/", home)

    async def scenario() -> None:
        await models.create_all()
        async with database:
            password = await example["hasher"].make("alicepwd")
            await User.objects.create(username="alice", password=password)
            anonymous = await request(example["app"])
            assert anonymous.status_code == 403
            right = await request(example["app"], auth=("alice", "alicepwd"))
            assert right.text == '{"message":"Hello, alice!"}'
            wrong = await request(example["app"], auth=("alice", "wrong"))
            assert (wrong.status_code, wrong.text) == (400, "Invalid credentials")

    asyncio.run(scenario())


def as_coroutine(source: str) -> str:
    """Wrap an example that is meant to stand in an `async def`."""
    body = source.replace("\n", "\n    ")
    return f"async def example():\n    {body}\n    return locals()"


class TestHashers:
    @pytest.mark.parametrize("title", ["Hashing, asynchronous", "Hashing, blocking"])
    def test_hashing(self, title: str) -> None:
        run(title)

    def test_multi_hasher_hashes_with_the_first_and_verifies_either(self) -> None:
        hasher = run("MultiHasher")["hasher"]
        assert isinstance(hasher, MultiHasher)
        assert hasher.make_sync("hello").startswith("$argon2id$")
        for old in (Argon2Hasher(), PBKDF2Hasher()):
            assert hasher.verify_sync("hello", old.make_sync("hello"))

    @pytest.mark.parametrize(("old", "updated"), [(PBKDF2Hasher(), True), (Argon2Hasher(), False)])
    def test_needs_update(self, old: BaseHasher, updated: bool) -> None:
        hasher = run("MultiHasher")["hasher"]
        hashed = old.make_sync("hello")
        example = run("needs_update", as_coroutine, hasher=hasher, pwd="hello", pwd_hash=hashed)
        result = asyncio.run(example["example"]())
        assert result["valid"]
        assert ("new_hash" in result) is updated
        if updated:
            assert hasher.verify_sync("hello", result["new_hash"])

    def test_needs_update_at_any_other_time_is_an_error(self) -> None:
        hasher = run("MultiHasher")["hasher"]
        with pytest.raises(RuntimeError):
            hasher.needs_update(PBKDF2Hasher().make_sync("hello"))

    def test_hasher_takes_an_algorithm(self) -> None:
        hasher = run("Hasher")["hasher"]
        hashed = hasher.make_sync("hello")
        assert hashed.startswith("$pbkdf2-sha512$")
        assert hasher.verify_sync("hello", hashed)


def test_authenticating_in_views() -> None:
    found = []

    class MyBasicAuth(run("BaseBasicAuth")["BasicAuth"]):  # type: ignore[misc]  # from the page
        async def verify(self, username: str, password: str) -> Any:
            found.append(await super().verify(username, password))
            return found[-1]

    view = run("Authenticating in views", MyBasicAuth=MyBasicAuth)["logs_user_in"]

    async def logs_user_in(request: Request) -> JSONResponse:
        await view(request)
        return JSONResponse(found[-1] is not None)

    client = TestClient(Starlette(routes=[Route("/", logs_user_in, methods=["POST"])]))
    right, wrong = ({"username": "bob", "password": text} for text in ("s3kr3t", "wrong"))
    assert client.post("/", json=right).json() is True
    assert client.post("/", json=wrong).json() is False
