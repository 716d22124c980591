"""An MCP server of the official SDK behind our middleware, called by the SDK's own client.

The program is that of the guide; the issuer is a server of the tests'.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from servers import Server, serving

PROGRAMS = Path(__file__).parents[1] / "docs" / "programs" / "mcp"
RESOURCE = "http://localhost:8000/mcp"
METADATA = "http://localhost:8000/.well-known/oauth-protected-resource/mcp"

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def issuer() -> Iterator[Server]:
    with serving("jwt_authority:app", "--log-level=info") as issuer:
        yield issuer


@pytest.fixture(scope="module")
def server(issuer: Server) -> Iterator[Server]:
    env = {"ISSUER": issuer.url, "RESOURCE": RESOURCE}
    with serving("issuer:app", folder=PROGRAMS, env=env) as server:
        yield server


def token_for(issuer: Server, **changes: Any) -> str:
    claims = {"aud": RESOURCE, "scope": "orders:read", "client_id": "agent", **changes}
    return httpx2.post(f"{issuer.url}/token", json=claims).text


@asynccontextmanager
async def client_of(server: Server, token: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http_client,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http_client)) as client,
    ):
        yield client


async def call(server: Server, token: str, tool: str, **arguments: Any) -> Any:
    async with client_of(server, token) as client:
        result = await client.call_tool(tool, arguments)
        assert result.structured_content is not None
        return result.structured_content["result"]


async def refused_by(server: Server, token: str) -> bool:
    with pytest.RaisesGroup(MCPError, flatten_subgroups=True, allow_unwrapped=True):
        await call(server, token, "whoami")
    return True


async def test_a_tool_knows_who_calls_it(server: Server, issuer: Server) -> None:
    assert await call(server, token_for(issuer), "whoami") == "alice"
    assert await call(server, token_for(issuer, sub="bob"), "whoami") == "bob"
    assert sum('"GET /keys ' in line for line in issuer.lines) == 1


@pytest.mark.parametrize(
    "changes",
    [{"aud": "http://localhost:8000/other"}, {"exp": 1}, {"scope": "orders:write"}, {"sub": ""}],
    ids=lambda changes: str(next(iter(changes))),
)
async def test_the_client_is_refused(
    server: Server, issuer: Server, changes: dict[str, Any]
) -> None:
    assert await refused_by(server, token_for(issuer, **changes))


async def test_the_challenges_lead_to_the_metadata(server: Server, issuer: Server) -> None:
    challenge = f'Bearer realm="Restricted", resource_metadata="{METADATA}"'
    answers = {
        None: (401, challenge),
        "x": (401, f'{challenge}, error="invalid_token"'),
        token_for(issuer, scope="other"): (
            403,
            f'{challenge}, error="insufficient_scope", scope="orders:read"',
        ),
    }
    async with httpx2.AsyncClient(base_url=server.url) as client:
        for token, expected in answers.items():
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            for method in ("GET", "POST", "DELETE"):
                response = await client.request(method, "/mcp", headers=headers)
                assert (response.status_code, response.headers["www-authenticate"]) == expected
        metadata = await client.get("/.well-known/oauth-protected-resource/mcp")
    assert metadata.json() == {
        "resource": RESOURCE,
        "authorization_servers": [issuer.url],
        "scopes_supported": ["orders:read"],
        "bearer_methods_supported": ["header"],
    }


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The programs, in a folder where they may have files of their own."""
    for program in PROGRAMS.glob("*.py"):
        (tmp_path / program.name).write_text(program.read_text())
    return tmp_path


async def test_a_fixed_token(copied: Path) -> None:
    token = secrets.token_urlsafe(32)
    (copied / "agent-token.txt").write_text(token + "\n")
    with serving("fixed_token:app", folder=copied) as server:
        assert await call(server, token, "add", a=2, b=3) == 5
        assert await refused_by(server, token + "x")


async def test_own_tokens(copied: Path) -> None:
    with serving("own_tokens:app", folder=copied) as server:
        token = (copied / "token.txt").read_text()
        assert await call(server, token, "add", a=2, b=3) == 5
        assert await refused_by(server, token[:-1] + ("a" if token[-1] != "a" else "b"))
