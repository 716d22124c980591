"""Authentication of Starlette-based apps by a request's header."""

from .backends import (
    AuthBackend,
    AuthResult,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    PasswordHasher,
    UserT,
)
from .challenges import Challenge
from .exceptions import AuthenticationUnavailable, InvalidCredentials
from .middleware import AuthenticationMiddleware
from .permissions import requires

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
