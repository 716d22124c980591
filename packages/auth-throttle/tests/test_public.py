"""The face of the package."""

import starlette_auth_throttle


def test_public_names() -> None:
    assert starlette_auth_throttle.__all__ == []
