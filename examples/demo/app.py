"""All of the app but its storage: passwords, tokens, sessions, and hashes that get stronger.

`on_sqlalchemy` and `on_orm` make it whole. Beside this demo they run by themselves too:
`uvicorn on_sqlalchemy:app`.
"""

from typing import Any

import pages
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Lifespan

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, TokenAuth, requires
from starlette_auth_core.tokens import Tokens, TokenStore
from starlette_auth_hashers import Argon2Hasher, MultiHasher, PBKDF2Hasher
from starlette_auth_multi import MultiAuth
from starlette_auth_sessions import SessionAuth, Sessions

# The first one makes new hashes. The others are for hashes that are stored already: each of those
# is replaced when its user logs in.
hasher = MultiHasher([Argon2Hasher(), PBKDF2Hasher()])


async def home(request: Request) -> JSONResponse:
    """Greet everybody."""
    name = request.user.username if "authenticated" in request.auth.scopes else "stranger"
    return JSONResponse({"message": f"Hello, {name}!"})


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    """Greet those who said who they are; all others are answered with 401."""
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


def create_app(
    tokens: Tokens[Any, Any],
    session_store: TokenStore[Any, Any],
    passwords: BaseBasicAuth[Any],
    lifespan: Lifespan[Starlette],
) -> Starlette:
    # The demo has no https. An app on the internet leaves `insecure` out.
    sessions = Sessions(session_store, insecure=True)
    # The request's own scheme decides which is asked: `Authorization: Token demo_…`,
    # `Authorization: Basic …`, or the cookie of a session.
    backend = MultiAuth([TokenAuth(tokens), passwords, SessionAuth(sessions)])
    return Starlette(
        routes=[
            Route("/", home),
            Route("/protected", protected),
            *pages.make_routes(passwords, sessions),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
        lifespan=lifespan,
    )
