"""The face of the package."""

import starlette_auth_sessions


def test_public_names() -> None:
    assert starlette_auth_sessions.__all__ == []
