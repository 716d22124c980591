import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.routing import Mount

from starlette_auth_core import AuthenticationMiddleware, BaseBearerAuth, RequiresMiddleware

TOKEN = Path("agent-token.txt").read_text().strip()

server = MCPServer("orders")


@server.tool()
def add(a: int, b: int) -> int:
    return a + b


class FixedTokenAuth(BaseBearerAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser("agent") if secrets.compare_digest(token, TOKEN) else None


mcp_app = server.streamable_http_app()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with server.session_manager.run():
        yield


app = Starlette(
    routes=[Mount("/", RequiresMiddleware(mcp_app, "authenticated"))],
    middleware=[Middleware(AuthenticationMiddleware, backend=FixedTokenAuth())],
    lifespan=lifespan,
)
