"""Tells FastAPI's documentation about the schemes of a backend.

The authentication itself happens in the middleware, as in every Starlette app. What is here says
which endpoints ask for it, to FastAPI and so to `/openapi.json`.

FastAPI's own `HTTPBasic` is not used: it reads credentials as ASCII, and refuses `test:123£`.
"""

from backend import User
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBase
from fastapi.openapi.models import SecurityBase as Model
from fastapi.requests import HTTPConnection
from fastapi.security.base import SecurityBase

from starlette_auth_core import InvalidCredentials


class Scheme(SecurityBase):
    """A dependency that asks for a user, and documents one way to be one.

    Its argument is an `HTTPConnection`, so that it serves WebSocket routes too.
    """

    def __init__(self, scheme_name: str, model: Model) -> None:
        self.scheme_name = scheme_name
        self.model = model

    async def __call__(self, conn: HTTPConnection) -> User:
        if "authenticated" not in conn.auth.scopes:
            # The middleware answers it with 401 and the challenges of its backend, also where
            # the connection is to become a WebSocket.
            raise InvalidCredentials("Not authenticated")
        user: User = conn.user
        return user


BASIC = Scheme("Password", HTTPBase(scheme="basic"))
BEARER = Scheme("Bearer token", HTTPBase(scheme="bearer"))
# OpenAPI knows only the registered schemes of the header, so the word `Token` is typed in, too.
TOKEN = Scheme(
    "Token",
    APIKey.model_validate(
        {"in": APIKeyIn.header, "name": "Authorization", "description": "`Token <token>`"}
    ),
)
API_KEY = Scheme("API key", APIKey.model_validate({"in": APIKeyIn.header, "name": "X-API-Key"}))
