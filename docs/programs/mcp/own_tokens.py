from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from anyio import Path
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.routing import Mount

from starlette_auth_core import AuthenticationMiddleware, BearerAuth, RequiresMiddleware
from starlette_auth_core.tokens import MemoryTokenStore, Tokens

server = MCPServer("orders")
tokens = Tokens(MemoryTokenStore(), prefix="orders")


@server.tool()
def add(a: int, b: int) -> int:
    return a + b


mcp_app = server.streamable_http_app()


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    token, _ = await tokens.issue(
        SimpleUser("alice"), scopes=["mcp"], expires_in=timedelta(days=30)
    )
    await Path("token.txt").write_text(token)
    async with server.session_manager.run():
        yield


app = Starlette(
    routes=[Mount("/", RequiresMiddleware(mcp_app, "mcp"))],
    middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuth(tokens))],
    lifespan=lifespan,
)
