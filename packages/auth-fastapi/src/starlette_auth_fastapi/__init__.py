"""Typed users, OpenAPI and a login for FastAPI, over the backends of starlette-auth-core."""

from ._authenticated import Authenticated
from ._login import login_router

__all__ = ["Authenticated", "login_router"]
