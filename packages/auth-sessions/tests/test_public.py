"""The face of the package."""

import inspect

import pytest
from starlette.authentication import AuthenticationError

import starlette_auth_sessions
from starlette_auth_core import AuthBackend
from starlette_auth_core.tokens import MemoryTokenStore
from starlette_auth_sessions import CrossOriginRequest, SessionAuth, Sessions


def test_public_names() -> None:
    assert starlette_auth_sessions.__all__ == ["CrossOriginRequest", "SessionAuth", "Sessions"]
    assert all(hasattr(starlette_auth_sessions, name) for name in starlette_auth_sessions.__all__)


def test_signatures() -> None:
    assert list(inspect.signature(SessionAuth).parameters) == ["sessions"]
    assert list(inspect.signature(Sessions).parameters) == [
        *("store", "idle", "absolute", "fresh", "trusted_origins", "insecure", "now"),
    ]


def test_refusal_is_an_authentication_error_of_starlette() -> None:
    error = CrossOriginRequest()
    assert isinstance(error, AuthenticationError)
    assert error.status_code == 403
    assert str(error) == "Cross-origin request refused"
    assert str(CrossOriginRequest("No.")) == "No."


@pytest.mark.parametrize(
    ("insecure", "name"), [(False, "__Host-session"), (True, "insecure-session")]
)
def test_backend_is_shown_in_openapi(*, insecure: bool, name: str) -> None:
    backend = SessionAuth(Sessions(MemoryTokenStore(), insecure=insecure))
    assert isinstance(backend, AuthBackend)
    # OpenAPI Specification 3.1 section 4.8.27.
    assert backend.openapi_scheme() == {"type": "apiKey", "in": "cookie", "name": name}
