import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware, get_access_token
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from starlette_auth_core import AuthenticationMiddleware, RequiresMiddleware
from starlette_auth_jwt import JWKS, BaseJWTAuth, protected_resource

ISSUER = os.environ.get("ISSUER", "https://issuer.example")
RESOURCE = os.environ.get("RESOURCE", "http://localhost:8000/mcp")

server = MCPServer("orders")
metadata = protected_resource(RESOURCE, authorization_servers=[ISSUER], scopes=["orders:read"])


@server.tool()
def whoami() -> str:
    token = get_access_token()
    return token.subject or "" if token is not None else ""


class IssuerAuth(BaseJWTAuth[AuthenticatedUser]):
    keys = JWKS.discover(ISSUER)
    issuer = ISSUER
    audience = RESOURCE
    algorithms = ("RS256", "ES256")
    resource_metadata = metadata.url

    async def find_user(self, claims: Mapping[str, Any]) -> AuthenticatedUser | None:
        token = AccessToken(
            token="",  # No tool has to know it.
            client_id=claims.get("client_id", ""),
            scopes=list(self.get_claimed_scopes(claims)),
            expires_at=int(claims["exp"]),
            resource=RESOURCE,
            subject=claims["sub"],
            claims=dict(claims),
        )
        return AuthenticatedUser(token)


mcp_app = AuthContextMiddleware(server.streamable_http_app())


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with server.session_manager.run():
        yield


app = Starlette(
    routes=[metadata, Mount("/", RequiresMiddleware(mcp_app, "orders:read"))],
    middleware=[Middleware(AuthenticationMiddleware, backend=IssuerAuth())],
    lifespan=lifespan,
)
