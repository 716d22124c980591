"""The backends that are ready to use, from starlette-auth-multi."""

from starlette_auth_multi import MultiAuth

__all__ = ["MultiAuth"]
