from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, SimpleUser
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    InvalidCredentials,
    TokenCredentials,
    requires,
)
from starlette_auth_core.credentials import read_basic
from starlette_auth_core.tokens import MemoryTokenStore, Tokens


class TokenAsUsername(AuthBackend[SimpleUser]):
    """Reads a token from the user name of HTTP Basic: `curl -u <token>:` sends it there."""

    scheme = "Basic"

    def __init__(self, tokens: Tokens[SimpleUser]) -> None:
        self.tokens = tokens

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        credentials = read_basic(conn)
        if credentials is None:
            return None  # No header, or another scheme: not for this backend.
        row = None if credentials.password else await self.tokens.find(credentials.username)
        if row is None:
            raise InvalidCredentials
        user: SimpleUser = row.user
        scopes = self.get_scopes(user) if row.scopes is None else row.scopes.split()
        return TokenCredentials(scopes, self.scheme, row), user


tokens = Tokens[SimpleUser](MemoryTokenStore(), prefix="shop")


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    token, _ = await tokens.issue(SimpleUser("alice"))
    Path("token.txt").write_text(token)  # noqa: ASYNC240 - nothing else runs yet
    yield


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=TokenAsUsername(tokens))],
    lifespan=lifespan,
)
