"""Real clients: good, wrong and no credentials, with text beyond ASCII and colons."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import store
import websockets.asyncio.client
import websockets.exceptions
from servers import PATIENCE, Server, serving, unavailable
from store import ALICE, ZOE

FETCH = Path(__file__).with_name("fetch.mjs")

BASIC = 'Basic realm="Restricted", charset="UTF-8"'
TOKEN = 'Token realm="Restricted"'
BEARER = 'Bearer realm="Restricted"'

# None: no credentials.
PEOPLE = pytest.mark.parametrize(
    ("credentials", "status"),
    [(None, 401), (ALICE, 200), (ZOE, 200), (("alice", "wrong"), 401), (("alice", ""), 401)],
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    url = f"sqlite:///{tmp_path_factory.mktemp('database')}/test.db"
    _, token = store.fill(url)
    return {"DATABASE_URL": url}, token


@pytest.fixture(scope="module")
def server(environment: tuple[dict[str, str], str]) -> Iterator[Server]:
    with serving("tokens_and_passwords:app", env=environment[0]) as server:
        yield server


@pytest.fixture(scope="module")
def latin1_server(environment: tuple[dict[str, str], str]) -> Iterator[Server]:
    with serving("tokens_and_passwords:latin1", env=environment[0]) as server:
        yield server


@pytest.fixture
def token(environment: tuple[dict[str, str], str]) -> str:
    return environment[1]


def check(status: int, body: str, credentials: tuple[str, str] | None) -> None:
    """Check what was answered, so that a 200 is one for the right person."""
    if status == 200:
        assert credentials is not None
        assert json.loads(body)["user"] == credentials[0]
    elif credentials is not None:
        assert body == "Invalid credentials"


class TestCurl:
    def curl(self, server: Server, *options: str, path: str = "/who") -> tuple[int, str, str]:
        """Return the last status, the body, and all headers that were received."""
        result = subprocess.run(
            ["curl", "-sS", "--noproxy", "*", "-D", "-", *options, f"{server.url}{path}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        *heads, body = result.stdout.replace("\r", "").split("\n\n")
        return int(heads[-1].split()[1]), body, "\n".join(heads)

    @PEOPLE
    @pytest.mark.parametrize("how", ["--basic", "--anyauth"])
    def test_password(
        self, server: Server, credentials: tuple[str, str] | None, status: int, how: str
    ) -> None:
        options = [how, "--user", ":".join(credentials)] if credentials else []
        answered, body, headers = self.curl(server, *options)
        assert answered == status
        check(answered, body, credentials)
        if credentials and how == "--anyauth":
            # It asked without credentials, and chose from our three challenges.
            assert headers.startswith("HTTP/1.1 401")
            assert headers.count("HTTP/1.1") == 2
        if status == 401:
            assert f"www-authenticate: {BASIC}" in headers

    def test_bearer(self, server: Server, token: str) -> None:
        status, body, _ = self.curl(server, "--oauth2-bearer", token)
        assert (status, json.loads(body)["user"]) == (200, "alice")

    def test_wrong_bearer(self, server: Server, token: str) -> None:
        status, _, headers = self.curl(server, "--oauth2-bearer", token[:-1] + "_")
        assert status == 401
        assert f'www-authenticate: {BEARER}, error="invalid_token"' in headers

    def test_token(self, server: Server, token: str) -> None:
        status, body, _ = self.curl(server, "-H", f"Authorization: Token {token}")
        assert (status, json.loads(body)["user"]) == (200, "alice")

    def test_two_authorization_headers_are_refused(self, server: Server, token: str) -> None:
        header = f"Authorization: Token {token}"
        assert self.curl(server, "-H", header, "-H", header)[0] == 401


@pytest.mark.anyio
class TestHttpx:
    @PEOPLE
    def test_password(
        self, server: Server, credentials: tuple[str, str] | None, status: int
    ) -> None:
        with httpx.Client(trust_env=False) as client:
            response = client.get(f"{server.url}/who", auth=credentials)
        assert response.status_code == status
        check(status, response.text, credentials)

    @PEOPLE
    async def test_password_on_asyncio(
        self, server: Server, credentials: tuple[str, str] | None, status: int
    ) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.get(f"{server.url}/who", auth=credentials)
        assert response.status_code == status
        check(status, response.text, credentials)

    def test_credentials_in_the_address(self, server: Server) -> None:
        url = server.url.replace("//", "//alice:alicepwd@")
        assert httpx.get(f"{url}/who", trust_env=False).json()["user"] == "alice"


class TestRequests:
    def get(self, server: Server, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.get(f"{server.url}/who", timeout=PATIENCE, **options)

    @PEOPLE
    def test_password_as_utf_8(
        self, server: Server, credentials: tuple[str, str] | None, status: int
    ) -> None:
        # What it is given as bytes it sends as they are.
        auth = credentials and tuple(part.encode() for part in credentials)
        response = self.get(server, auth=auth)
        assert response.status_code == status
        check(status, response.text, credentials)

    def test_text_is_sent_as_latin_1_and_refused(self, server: Server) -> None:
        assert self.get(server, auth=ALICE).status_code == 200
        assert self.get(server, auth=ZOE).status_code == 401

    @PEOPLE
    def test_fallback_charset_takes_it(
        self, latin1_server: Server, credentials: tuple[str, str] | None, status: int
    ) -> None:
        response = self.get(latin1_server, auth=credentials)
        assert response.status_code == status
        check(status, response.text, credentials)

    def test_fallback_charset_is_no_hindrance_to_others(self, latin1_server: Server) -> None:
        response = httpx.get(f"{latin1_server.url}/who", auth=ZOE, trust_env=False)
        assert response.json()["user"] == "zoë"


@pytest.mark.anyio
class TestAiohttp:
    @PEOPLE
    async def test_password(
        self, server: Server, credentials: tuple[str, str] | None, status: int
    ) -> None:
        headers = {}
        if credentials:
            headers["Authorization"] = aiohttp.encode_basic_auth(*credentials)
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.get(f"{server.url}/who", headers=headers) as response,
        ):
            assert response.status == status
            check(status, await response.text(), credentials)

    async def test_latin_1_of_its_older_releases_needs_the_fallback(
        self, server: Server, latin1_server: Server
    ) -> None:
        headers = {"Authorization": aiohttp.encode_basic_auth(*ZOE, encoding="latin1")}
        async with aiohttp.ClientSession(trust_env=False) as session:
            for where, status in ((server, 401), (latin1_server, 200)):
                async with session.get(f"{where.url}/who", headers=headers) as response:
                    assert response.status == status


class TestNode:
    @PEOPLE
    def test_fetch(self, server: Server, credentials: tuple[str, str] | None, status: int) -> None:
        node = shutil.which("node")
        if node is None:
            unavailable("Node is not installed")
        result = subprocess.run(
            [str(node), FETCH, f"{server.url}/who", *(credentials or ())],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        answer = json.loads(result.stdout)
        assert answer["status"] == status
        check(status, answer["body"], credentials)
        if status == 401:
            # `fetch` joins the lines.
            assert answer["challenges"] == f"{BEARER}, {TOKEN}, {BASIC}"


@pytest.mark.anyio
class TestWebsockets:
    def live(self, server: Server, headers: dict[str, str]) -> Any:
        url = server.url.replace("http:", "ws:")
        return websockets.asyncio.client.connect(
            f"{url}/live", additional_headers=headers, proxy=None
        )

    async def test_good_credentials(self, server: Server, token: str) -> None:
        async with self.live(server, {"Authorization": f"Bearer {token}"}) as connection:
            assert json.loads(await connection.recv())["user"] == "alice"

    async def test_password_in_the_address(self, server: Server) -> None:
        url = server.url.replace("http://", "ws://alice:alicepwd@")
        connect = websockets.asyncio.client.connect(f"{url}/live", proxy=None)
        async with connect as connection:
            assert json.loads(await connection.recv())["user"] == "alice"

    @pytest.mark.parametrize(
        ("headers", "bearer"),
        [
            ({}, BEARER),
            ({"Authorization": "Bearer test_wrong"}, f'{BEARER}, error="invalid_token"'),
            ({"Authorization": "Basic YWxpY2U6d3Jvbmc="}, BEARER),
        ],
    )
    async def test_refusal_is_a_401_with_its_challenges(
        self, server: Server, headers: dict[str, str], bearer: str
    ) -> None:
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
            async with self.live(server, headers):
                pass
        response = caught.value.response
        assert response.status_code == 401
        assert response.headers.get_all("WWW-Authenticate") == [bearer, TOKEN, BASIC]
