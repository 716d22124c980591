"""FastAPI's dependencies and login beside a limit on guesses and sessions."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Request, Response, Security
from starlette.authentication import SimpleUser
from starlette.testclient import TestClient

from starlette_auth_core import BaseBasicAuth, BearerAuth
from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_fastapi import Authenticated, login_router
from starlette_auth_multi import MultiAuth
from starlette_auth_sessions import SessionAuth, Sessions
from starlette_auth_throttle import Limit, Throttled, by_username

LOGIN = {"grant_type": "password", "username": "alice", "password": "right"}
# What Swagger UI sends with each login.
SWAGGER = {"Authorization": "Basic Og=="}


class Passwords(BaseBasicAuth[SimpleUser]):
    def __init__(self) -> None:
        self.checks = 0

    async def verify(self, username: str, password: str) -> SimpleUser | None:
        self.checks += 1
        return SimpleUser(username) if (username, password) == ("alice", "right") else None


@pytest.fixture
def passwords() -> Passwords:
    return Passwords()


@pytest.fixture
def make_app(passwords: Passwords) -> Callable[..., FastAPI]:
    def make(*, installed: bool) -> FastAPI:
        store: MemoryTokenStore[SimpleUser] = MemoryTokenStore()
        tokens: Tokens[SimpleUser, Any] = Tokens(store, prefix="test")
        sessions = Sessions(MemoryTokenStore[SimpleUser](), insecure=True)
        limited = Throttled(passwords, Limit(by_username, 3, per=timedelta(hours=1)))
        auth = Authenticated[SimpleUser](
            MultiAuth([BearerAuth(tokens), SessionAuth(sessions), limited]), token_url="/token"
        )
        app = FastAPI(dependencies=[Security(auth)])
        if installed:
            auth.install(app)
        app.include_router(login_router(limited, tokens, expires_in=timedelta(hours=1)))

        @app.post("/session")
        async def log_in(
            request: Request,
            response: Response,
            user: Annotated[SimpleUser, Security(auth)],
        ) -> None:
            await sessions.login(request, response, user)

        return app

    return make


@pytest.mark.parametrize("installed", [False, True])
def test_login_is_limited_before_its_hash(
    make_app: Callable[..., FastAPI], passwords: Passwords, installed: bool
) -> None:
    client = TestClient(make_app(installed=installed))
    for _ in range(3):
        response = client.post("/token", data={**LOGIN, "password": "wrong"}, headers=SWAGGER)
        assert response.json()["error"] == "invalid_grant"
    response = client.post("/token", data=LOGIN, headers=SWAGGER)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0
    assert response.headers["cache-control"] == "no-store"
    assert passwords.checks == 3
    # It is the limit of Basic, too.
    assert client.post("/session", auth=("alice", "right")).status_code == 429
    assert passwords.checks == 3


@pytest.mark.parametrize("installed", [False, True])
def test_header_of_swagger_ui_uses_up_no_attempt(
    make_app: Callable[..., FastAPI], passwords: Passwords, installed: bool
) -> None:
    client = TestClient(make_app(installed=installed))
    for _ in range(10):
        assert client.post("/token", data=LOGIN, headers=SWAGGER).status_code == 200
    assert passwords.checks == 10


def test_sessions_are_documented_beside_the_others(make_app: Callable[..., FastAPI]) -> None:
    document = make_app(installed=True).openapi()
    schemes = document["components"]["securitySchemes"]
    assert [(each["type"], each.get("in")) for each in schemes.values()] == [
        ("oauth2", None),
        ("apiKey", "cookie"),
        ("http", None),
    ]
    names = [name for each in document["paths"]["/session"]["post"]["security"] for name in each]
    assert names == list(schemes)
    assert "security" not in document["paths"]["/token"]["post"]


@pytest.mark.parametrize("installed", [False, True])
def test_session_lets_in(make_app: Callable[..., FastAPI], installed: bool) -> None:
    app = make_app(installed=installed)
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/docs").status_code == 200
        assert client.post("/session", auth=("alice", "right")).status_code == 200
        assert client.post("/session").status_code == 200
        client.cookies.clear()
        assert client.post("/session").status_code == 401
