"""The face of the package."""

import starlette_auth_throttle


def test_public_names() -> None:
    assert starlette_auth_throttle.__all__ == [
        "Attempt",
        "Key",
        "Limit",
        "MemoryStore",
        "RedisStore",
        "Throttled",
        "by_address",
        "by_username",
    ]
