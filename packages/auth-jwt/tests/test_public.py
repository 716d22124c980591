"""The face of the package."""

import starlette_auth_jwt


def test_public_names() -> None:
    assert starlette_auth_jwt.__all__ == []
