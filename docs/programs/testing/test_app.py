import pytest
from app import BasicAuth, User, create_app
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from starlette_auth_hashers import PBKDF2Hasher


class StubAuth(AuthenticationBackend):
    """Lets everybody in as alice: for tests of what comes after the login."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        return AuthCredentials(["authenticated"]), SimpleUser("alice")


# Any salted algorithm takes settings for tests, far below what is safe: this is one round.
cheap = PBKDF2Hasher(rounds=1)


@pytest.fixture
def client() -> TestClient:
    users = {"alice": User("alice", cheap.make_sync("alicepwd"))}
    return TestClient(create_app(BasicAuth(users, cheap)))


def test_page_greets_its_user() -> None:
    response = TestClient(create_app(StubAuth())).get("/protected")
    assert response.json() == {"message": "Hello, alice!"}


def test_right_password_is_let_in(client: TestClient) -> None:
    assert client.get("/protected", auth=("alice", "alicepwd")).status_code == 200


@pytest.mark.parametrize("username", ["alice", "eve"])
def test_wrong_password_is_refused(client: TestClient, username: str) -> None:
    response = client.get("/protected", auth=(username, "wrong"))
    assert (response.status_code, response.text) == (401, "Invalid credentials")


def test_the_anonymous_are_asked_for_a_password(client: TestClient) -> None:
    response = client.get("/protected")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
