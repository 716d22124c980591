"""The FastAPI example: what its documentation says, and that it is so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.asyncio.client
import websockets.exceptions
from servers import PATIENCE, Server, serving

FOLDER = Path(__file__).parent.parent / "examples" / "fastapi"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("app:app", folder=FOLDER) as server:
        yield server


@pytest.fixture(scope="module")
def private() -> Iterator[Server]:
    with serving("private:app", folder=FOLDER) as server:
        yield server


def token_of(server: Server) -> str:
    return server.wait_for(r"Your token: (\S+)")[1]


def get(server: Server, path: str, **options: Any) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", trust_env=False, timeout=PATIENCE, **options)


def test_documentation_names_every_scheme(server: Server) -> None:
    schemes = get(server, "/openapi.json").json()["components"]["securitySchemes"]
    assert schemes == {
        "Bearer token": {"type": "http", "scheme": "bearer"},
        "Token": {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token <token>`",
        },
        "API key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "Password": {"type": "http", "scheme": "basic"},
    }


def test_schemes_are_alternatives_where_a_user_is_asked_for(server: Server) -> None:
    paths = get(server, "/openapi.json").json()["paths"]
    alternatives: list[dict[str, list[str]]] = [
        {"Bearer token": []},
        {"Token": []},
        {"API key": []},
        {"Password": []},
    ]
    assert paths["/me"]["get"]["security"] == alternatives
    assert paths["/machines"]["get"]["security"] == alternatives
    assert "security" not in paths["/"]["get"]


@pytest.mark.parametrize("app", ["server", "private"])
def test_each_scheme_lets_in(app: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(app)
    token = token_of(server)
    for headers in (
        {"Authorization": f"Bearer {token}"},
        {"Authorization": f"Token {token}"},
        {"X-API-Key": token},
    ):
        assert get(server, "/me", headers=headers).json() == {"username": "alice"}
        assert get(server, "/machines", headers=headers).status_code == 200
    assert get(server, "/me", auth=("alice", "alicepwd")).json() == {"username": "alice"}
    # FastAPI's own HTTPBasic refuses this one.
    assert get(server, "/me", auth=("zoë", "123£")).json() == {"username": "zoë"}
    assert get(server, "/machines", auth=("zoë", "123£")).status_code == 403


def test_nobody_and_wrong_credentials_are_answered_with_all_challenges(server: Server) -> None:
    assert get(server, "/").json() == "welcome"
    for auth in (None, ("alice", "wrong")):
        response = get(server, "/me", auth=auth)
        assert response.status_code == 401
        assert response.headers.get_list("WWW-Authenticate") == [
            'Bearer realm="Restricted"',
            'Token realm="Restricted"',
            'ApiKey realm="Restricted"',
            'Basic realm="Restricted", charset="UTF-8"',
        ]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_documentation_can_be_protected(server: Server, private: Server, path: str) -> None:
    assert get(server, path).status_code == 200
    assert get(private, path).status_code == 401
    assert get(private, path, auth=("alice", "wrong")).status_code == 401
    assert get(private, path, auth=("alice", "alicepwd")).status_code == 200


def test_protected_documentation_says_the_same(server: Server, private: Server) -> None:
    public = get(server, "/openapi.json").json()
    protected = get(private, "/openapi.json", auth=("alice", "alicepwd")).json()
    assert protected["components"] == public["components"]
    assert protected["paths"]["/me"] == public["paths"]["/me"]


@pytest.mark.anyio
@pytest.mark.parametrize("app", ["server", "private"])
async def test_websocket_route(app: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(app)
    url = server.url.replace("http:", "ws:") + "/live"
    connect = websockets.asyncio.client.connect
    headers = {"Authorization": f"Bearer {token_of(server)}"}
    async with connect(url, additional_headers=headers, proxy=None) as connection:
        assert json.loads(await connection.recv()) == {"username": "alice"}
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
            async with connect(url, additional_headers=headers, proxy=None):
                pass
        assert caught.value.response.status_code == 401
        assert len(caught.value.response.headers.get_all("WWW-Authenticate")) == 4
