"""Authentication of Starlette-based apps by a request's headers."""

from ._backend import AuthBackend, AuthResult, UserT
from ._basic import BaseBasicAuth, PasswordHasher
from ._challenges import Challenge
from ._exceptions import AuthenticationUnavailable, InvalidCredentials, TooManyAttempts
from ._middleware import AuthenticationMiddleware
from ._permissions import RequiresMiddleware, authenticate, authorize, requires
from ._refusals import refusal
from ._token_auth import (
    APIKeyAuth,
    BaseAPIKeyAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    BearerAuth,
    TokenAuth,
    TokenCredentials,
)

__all__ = [
    "APIKeyAuth",
    "AuthBackend",
    "AuthResult",
    "AuthenticationMiddleware",
    "AuthenticationUnavailable",
    "BaseAPIKeyAuth",
    "BaseBasicAuth",
    "BaseBearerAuth",
    "BaseTokenAuth",
    "BearerAuth",
    "Challenge",
    "InvalidCredentials",
    "PasswordHasher",
    "RequiresMiddleware",
    "TokenAuth",
    "TokenCredentials",
    "TooManyAttempts",
    "UserT",
    "authenticate",
    "authorize",
    "refusal",
    "requires",
]
