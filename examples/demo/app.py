"""All of the app but its storage: passwords and tokens, and hashes that get stronger.

`on_sqlalchemy` and `on_orm` make it whole. Beside this demo they run by themselves too:
`uvicorn on_sqlalchemy:app`.
"""

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Lifespan

from starlette_auth_core import AuthBackend, AuthenticationMiddleware, TokenAuth, requires
from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import Argon2Hasher, MultiHasher, PBKDF2Hasher
from starlette_auth_multi import MultiAuth

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
    tokens: Tokens[Any, Any], passwords: AuthBackend[Any], lifespan: Lifespan[Starlette]
) -> Starlette:
    # The request's own scheme decides which of the two is asked: `Authorization: Token demo_…`, or
    # `Authorization: Basic …`.
    backend = MultiAuth([TokenAuth(tokens), passwords])
    return Starlette(
        routes=[Route("/", home), Route("/protected", protected)],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
        lifespan=lifespan,
    )
