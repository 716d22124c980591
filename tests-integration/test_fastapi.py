"""The FastAPI example, on each database, with real requests."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import PATIENCE, Server, serving

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "fastapi"

ALICE = ("alice", "alicepwd")
LOGIN = {"grant_type": "password", "username": "alice", "password": "alicepwd"}
CHALLENGES = ['Bearer realm="Restricted"', 'Basic realm="Restricted", charset="UTF-8"']


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    url = f"sqlite:///{tmp_path_factory.mktemp('fastapi')}/users.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url").replace(":", "+psycopg:", 1)
    # Once more: it makes its tables and its user where they are missing.
    with serving("app:app", folder=FOLDER, env={"DATABASE_URL": url}):
        pass
    with serving("app:app", folder=FOLDER, env={"DATABASE_URL": url}) as server:
        yield server


def request(server: Server, method: str, path: str, **options: Any) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        return client.request(method, f"{server.url}{path}", **options)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_what_it_does(server: Server) -> None:
    for headers, auth in (({}, None), (bearer("wrong"), None), ({}, ("alice", "wrong"))):
        response = request(server, "GET", "/me", headers=headers, auth=auth)
        assert response.status_code == 401
        assert list(response.json()) == ["detail"]
        assert len(response.headers.get_list("WWW-Authenticate")) == 2
    assert response.headers.get_list("WWW-Authenticate") == CHALLENGES
    assert request(server, "GET", "/me", auth=ALICE).json() == {"username": "alice"}

    login = request(server, "POST", "/token", data=LOGIN).json()
    assert (login["token_type"], login["expires_in"]) == ("Bearer", 12 * 60 * 60)
    assert request(server, "GET", "/me", headers=bearer(login["access_token"])).is_success
    wrong = request(server, "POST", "/token", data={**LOGIN, "password": "wrong"})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")

    token = request(server, "POST", "/tokens?name=laptop", auth=ALICE).json()
    assert request(server, "GET", "/tokens", headers=bearer(token)).json() == ["laptop"]
    assert request(server, "DELETE", "/tokens/other", auth=ALICE).json() == []
    assert request(server, "GET", "/me", headers=bearer(token)).is_success
    assert request(server, "DELETE", "/tokens/laptop", auth=ALICE).json() == [True]
    assert request(server, "GET", "/me", headers=bearer(token)).status_code == 401
    assert request(server, "GET", "/me", headers=bearer(login["access_token"])).is_success


@pytest.mark.parametrize("name", ["%00", "a/b", "", "%ED%A0%80"])
def test_names_of_tokens(server: Server, name: str) -> None:
    # PostgreSQL stores no NUL, and a path of DELETE holds no slash.
    assert request(server, "POST", f"/tokens?name={name}", auth=ALICE).status_code == 422
    assert request(server, "DELETE", "/tokens/%00", auth=ALICE).json() == []


def test_its_documentation(server: Server) -> None:
    document = request(server, "GET", "/openapi.json").json()
    assert document["components"]["securitySchemes"] == {
        "OAuth2-Password": {
            "type": "oauth2",
            "flows": {"password": {"tokenUrl": "/token", "scopes": {}}},
        },
        "Basic": {"type": "http", "scheme": "basic"},
    }
    paths = document["paths"]
    assert paths["/me"]["get"]["security"] == [{"OAuth2-Password": []}, {"Basic": []}]
    assert list(paths["/me"]["get"]["responses"]) == ["200", "401", "429", "503"]
    assert "parameters" not in paths["/me"]["get"]
    assert "security" not in paths["/token"]["post"]
    assert request(server, "GET", "/docs").status_code == 200


def test_it_has_fifty_lines() -> None:
    lines = [line for path in FOLDER.glob("*.py") for line in path.read_text().splitlines()]
    assert len([line for line in lines if line.strip()]) <= 50
    assert len((FOLDER / "app.py").read_text().splitlines()) <= 50


def test_the_readme_shows_it() -> None:
    shown = re.findall(r"^```python\n# (\w+\.py)\n(.+?)^```$", README, re.MULTILINE | re.DOTALL)
    for path in FOLDER.glob("*.py"):
        assert (path.name, path.read_text()) in shown


README = (ROOT / "README.md").read_text("utf-8")
