"""Errors, from starlette-auth-core."""

from starlette_auth_core import InvalidCredentials

__all__ = ["InvalidCredentials"]
