"""The face of the package."""

import starlette_auth_jwt


def test_public_names() -> None:
    assert starlette_auth_jwt.__all__ == [
        "JWKS",
        "BaseJWTAuth",
        "JWTAuth",
        "JWTUser",
        "StaticKeys",
        "protected_resource",
    ]
    for name in starlette_auth_jwt.__all__:
        assert hasattr(starlette_auth_jwt, name)
