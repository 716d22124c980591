from pathlib import Path

from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBearerAuth, requires
from starlette_auth_core.tokens import digest_token, generate_token

token = generate_token("shop")
Path("token.txt").write_text(token)
TOKENS = {digest_token(token): "alice"}


class BearerAuth(BaseBearerAuth[SimpleUser]):
    prefix = "shop"

    async def verify(self, token: str) -> SimpleUser | None:
        username = TOKENS.get(digest_token(token))
        return None if username is None else SimpleUser(username)


async def home(request: Request) -> JSONResponse:
    name = request.user.username if request.user.is_authenticated else "stranger"
    return JSONResponse({"message": f"Hello, {name}!"})


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


app = Starlette(
    routes=[Route("/", home), Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuth(), on_invalid="anonymous")],
)
