"""The backends to build on, from starlette-auth-core."""

from starlette_auth_core import AuthBackend, BaseBasicAuth, BaseTokenAuth

__all__ = ["AuthBackend", "BaseBasicAuth", "BaseTokenAuth"]
