"""The README's code, run as it is printed, and what the text says about it."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBearerAuth
from starlette_auth_core.authorization import MAX_CREDENTIALS_SIZE
from starlette_auth_core.tokens import generate_token

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[httpx.Response]]

README = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")


def code_below(heading: str) -> str:
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return str(code)


def run(heading: str) -> Any:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code_below(heading), heading, "exec"), names)
    return type("Module", (), names)


def challenges(response: httpx.Response) -> list[str]:
    return response.headers.get_list("www-authenticate")


async def test_the_complete_example(fetch: Fetch, capsys: pytest.CaptureFixture[str]) -> None:
    module = run("A complete example")
    assert capsys.readouterr().out == f"Your token: {module.token}\n"

    printed = re.findall(r"^www-authenticate: (.*)$", README, re.MULTILINE)
    response = await fetch(module.app, "/protected")
    assert (response.status_code, challenges(response)) == (401, printed[:1])
    response = await fetch(module.app, "/protected", bearer="wrong")
    assert (response.status_code, challenges(response)) == (401, printed[1:])
    response = await fetch(module.app, "/protected", bearer=module.token)
    assert response.text == '{"message":"Hello, alice!"}'
    assert response.text in README


@pytest.fixture
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the README are as dear as they should be."""
    real = hashlib.scrypt

    def cheap(password: bytes, *, salt: bytes, n: int, r: int, p: int) -> bytes:
        return real(password, salt=salt, n=2, r=r, p=1)

    monkeypatch.setattr("hashlib.scrypt", cheap)


@pytest.mark.usefixtures("cheap_scrypt")
async def test_passwords() -> None:
    module = run("Passwords")
    auth = module.BasicAuth()
    assert await auth.verify("alice", "alicepwd") == module.USERS["alice"]
    assert await auth.verify("alice", "wrong") is None
    assert await auth.verify("bob", "alicepwd") is None
    assert await auth.verify("alice", "\ud800") is None
    user = module.USERS["alice"]
    await auth.replace_password_hash(user, user.password, "new")
    await auth.replace_password_hash(user, "old", "newer")
    assert user.password == "new"


@pytest.mark.usefixtures("cheap_scrypt")
async def test_whatever_is_stored_is_a_wrong_hash() -> None:
    hasher = run("Passwords").ScryptHasher()
    for hashed in None, "", "!", "$", "a$", "$é", "a$b$c":
        assert await hasher.verify("", hashed) is False
    assert await hasher.verify_and_update("secret", hasher.make("secret")) == (True, None)


@pytest.mark.parametrize(
    ("scopes", "status"),
    [("authenticated editor", 200), ("authenticated", 403), ("editor", 403)],
)
async def test_scopes(scopes: str, status: int, fetch: Fetch) -> None:
    class AnyAuth(BaseBearerAuth[SimpleUser]):
        async def verify(self, token: str) -> SimpleUser:
            return SimpleUser(token)

    AnyAuth.scopes = scopes.split()
    app = Starlette(
        routes=[Route("/", run("Scopes").edit)],
        middleware=[Middleware(AuthenticationMiddleware, backend=AnyAuth())],
    )
    response = await fetch(app, bearer="bob")
    assert response.status_code == status
    assert (await fetch(app)).status_code == 401


async def test_with_starlettes_own_middleware(fetch: Fetch) -> None:
    app = run("With Starlette's own middleware").app
    response = await fetch(app, headers={"Authorization": "Token wrong"})
    assert response.status_code == 401
    assert challenges(response) == ['Token realm="Restricted"']
    assert response.headers["cache-control"] == "no-store"


async def test_a_part_of_an_app_and_cors(fetch: Fetch) -> None:
    app = run("A part of an app, and CORS").app
    assert (await fetch(app, "/health")).text == "OK"
    origin = {"Origin": "https://app.example"}
    response = await fetch(app, "/api/orders", headers={**origin, "X-API-Key": "wrong"})
    assert (response.status_code, challenges(response)) == (401, ['ApiKey realm="Restricted"'])
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    preflight = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-api-key",
    }
    response = await fetch(app, "/api/orders", method="OPTIONS", headers={**origin, **preflight})
    assert response.status_code == 200


class TestWithoutThePopUp:
    BASIC = 'Basic realm="Restricted", charset="UTF-8"'
    IGNORED = 'XBasic realm="Restricted"'

    @pytest.fixture
    def app(self) -> Starlette:
        async def login(request: Request) -> PlainTextResponse:
            return PlainTextResponse("Wrong", 401)

        backend = run("Without the browser's password pop-up").QuietBasicAuth()
        return Starlette(
            routes=[Route("/login", login)],
            middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
        )

    @pytest.mark.parametrize("auth", [None, ("alice", "wrong")])
    @pytest.mark.parametrize("mode", ["cors", "same-origin", "no-cors", "websocket"])
    async def test_scripts_are_asked_for_what_browsers_ignore(
        self, mode: str, auth: tuple[str, str] | None, app: Starlette, fetch: Fetch
    ) -> None:
        response = await fetch(app, "/login", auth=auth, headers={"Sec-Fetch-Mode": mode})
        assert (response.status_code, challenges(response)) == (401, [self.IGNORED])

    @pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Mode": "navigate"}])
    @pytest.mark.parametrize("auth", [None, ("alice", "wrong")])
    async def test_people_are_asked_for_basic(
        self, headers: dict[str, str], auth: Any, app: Starlette, fetch: Fetch
    ) -> None:
        response = await fetch(app, "/login", auth=auth, headers=headers)
        assert (response.status_code, challenges(response)) == (401, [self.BASIC])


@pytest.mark.parametrize("spelling", ["jos\u00e9", "jose\u0301"])
async def test_normalisation(spelling: str) -> None:
    user = await run("What is refused").NormalizingAuth().find_user(spelling)
    assert user.display_name == "José"


def test_the_limit_is_the_documented_one() -> None:
    assert MAX_CREDENTIALS_SIZE == 8 * 1024
    assert "more than 8 KiB of credentials (`MAX_CREDENTIALS_SIZE`" in README


def test_the_pattern_finds_tokens_in_a_text() -> None:
    (pattern,) = re.findall(r"the pattern `(.*?)`", README)
    token = generate_token("shop")
    assert re.findall(pattern, f'{{"key": "{token}"}} and {token}.') == [token, token]
    assert not re.search(pattern, f"work{token} {token}a")


def test_every_block_is_tested() -> None:
    assert README.count("```python\n") == 7
