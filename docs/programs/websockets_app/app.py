import secrets
import time
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, SimpleUser
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    BaseBearerAuth,
    InvalidCredentials,
    requires,
)
from starlette_auth_core.tokens import digest_token, generate_token
from starlette_auth_multi import MultiAuth

token = generate_token("shop")
Path("token.txt").write_text(token)
TOKENS = {digest_token(token): "alice"}

# Ticket -> the user, and until when it is good. Several servers would share this, in Redis say.
tickets: dict[str, tuple[str, float]] = {}


class BearerAuth(BaseBearerAuth[SimpleUser]):
    prefix = "shop"

    async def verify(self, token: str) -> SimpleUser | None:
        username = TOKENS.get(digest_token(token))
        return None if username is None else SimpleUser(username)


class TicketAuth(AuthBackend[SimpleUser]):
    """Lets a browser's WebSocket in by a ticket in its URL, which is good for one use."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        if conn.scope["type"] != "websocket" or "ticket" not in conn.query_params:
            return None
        username, expires = tickets.pop(conn.query_params["ticket"], ("", 0.0))
        if expires < time.monotonic():
            raise InvalidCredentials
        return AuthCredentials(self.scopes), SimpleUser(username)


@requires("authenticated")
async def make_ticket(request: Request) -> JSONResponse:
    now = time.monotonic()
    for ticket in [ticket for ticket, (_, expires) in tickets.items() if expires < now]:
        del tickets[ticket]
    ticket = secrets.token_urlsafe(32)
    tickets[ticket] = (request.user.username, now + 30)
    return JSONResponse({"ticket": ticket}, headers={"Cache-Control": "no-store"})


@requires("authenticated")
async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({"message": f"Hello, {websocket.user.username}!"})
    await websocket.close()


app = Starlette(
    routes=[
        Route("/tickets", make_ticket, methods=["POST"]),
        WebSocketRoute("/chat", chat),
    ],
    middleware=[
        Middleware(AuthenticationMiddleware, backend=MultiAuth([BearerAuth(), TicketAuth()]))
    ],
)
