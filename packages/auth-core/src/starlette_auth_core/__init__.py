"""Authentication of Starlette-based apps by a request's header."""

from ._backends import (
    AuthBackend,
    AuthResult,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    PasswordHasher,
    UserT,
)
from ._challenges import Challenge
from ._exceptions import AuthenticationUnavailable, InvalidCredentials
from ._middleware import AuthenticationMiddleware
from ._permissions import requires

__all__ = [
    "AuthBackend",
    "AuthResult",
    "AuthenticationMiddleware",
    "AuthenticationUnavailable",
    "BaseAPIKeyAuth",
    "BaseBasicAuth",
    "BaseBearerAuth",
    "BaseTokenAuth",
    "Challenge",
    "InvalidCredentials",
    "PasswordHasher",
    "UserT",
    "requires",
]
