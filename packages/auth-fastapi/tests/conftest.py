"""What the tests share: a backend, and a client on asyncio and on trio."""

from typing import Any, Literal

import pytest
from fastapi import FastAPI
from fastapi_backends import Bearer, Client, Passwords, Several, User
from starlette.testclient import TestClient

from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_fastapi import Authenticated


@pytest.fixture
def alice() -> User:
    return User("alice", "alicepwd", ("authenticated", "articles:read"))


@pytest.fixture
def passwords(alice: User) -> Passwords:
    return Passwords(alice, User("bob", "bobpwd", ()), User("gone", "gonepwd", active=False))


@pytest.fixture
def tokens() -> Tokens[User, Any]:
    return Tokens(MemoryTokenStore(active_field="active"), prefix="test")


@pytest.fixture
def backend(passwords: Passwords, tokens: Tokens[User, Any]) -> Several:
    return Several(Bearer(tokens), passwords)


@pytest.fixture
def auth(backend: Several) -> Authenticated[Any]:
    return Authenticated(backend, token_url="/token")


@pytest.fixture(params=["alone", "installed"])
def app(request: pytest.FixtureRequest, auth: Authenticated[Any]) -> FastAPI:
    """Make an app on which *auth* is installed, or not: the answers are the same."""
    app = FastAPI()
    if request.param == "installed":
        auth.install(app)
    return app


@pytest.fixture(params=["asyncio", "trio"])
def client(request: pytest.FixtureRequest) -> Client:
    backend: Literal["asyncio", "trio"] = request.param

    def make(app: FastAPI) -> TestClient:
        return TestClient(app, backend=backend)

    return make
