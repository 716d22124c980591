from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, requires
from starlette_auth_jwt import JWKS, JWTAuth

ISSUER = "https://issuer.example"

auth = JWTAuth(
    keys=JWKS.discover(ISSUER),
    issuer=ISSUER,
    audience="https://api.example",
    algorithms=["RS256"],
)


@requires(["authenticated", "orders:read"])
async def orders(request: Request) -> JSONResponse:
    return JSONResponse({"orders of": request.user.username})


app = Starlette(
    routes=[Route("/orders", orders)],
    middleware=[Middleware(AuthenticationMiddleware, backend=auth)],
)
