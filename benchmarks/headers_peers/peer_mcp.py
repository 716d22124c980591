"""The bearer middleware of the MCP SDK, put together as its own server does."""

from headers_cases import TOKENS
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken
from serving import serve_asgi
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route


class Verifier:
    async def verify_token(self, token: str) -> AccessToken | None:
        user = TOKENS.get(token)
        return None if user is None else AccessToken(token=token, client_id=user, scopes=[])


app = Starlette(
    routes=[Route("/bearer", RequireAuthMiddleware(PlainTextResponse("in"), []))],
    middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuthBackend(Verifier()))],
)

if __name__ == "__main__":
    serve_asgi(app)
