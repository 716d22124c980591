"""Types, from starlette-auth-core."""

from starlette_auth_core import AuthResult

__all__ = ["AuthResult"]
