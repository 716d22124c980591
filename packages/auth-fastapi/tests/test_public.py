"""The face of the package, and what it needs."""

import starlette_auth_fastapi


def test_public_names() -> None:
    assert starlette_auth_fastapi.__all__ == ["Authenticated", "login_router"]
