"""Sessions in a cookie that the server can end, for Starlette-based apps."""

from ._auth import SessionAuth
from ._cross_origin import CrossOriginRequest
from ._sessions import Sessions

__all__ = ["CrossOriginRequest", "SessionAuth", "Sessions"]
