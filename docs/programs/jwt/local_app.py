import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, requires
from starlette_auth_jwt import BaseJWTAuth, StaticKeys

logging.basicConfig(filename="app.log", format="%(levelname)s %(name)s %(message)s")
logging.getLogger("starlette_auth_jwt").setLevel(logging.DEBUG)

# By the subjects of the issuer: names and addresses of people change, and are given to others.
USERS = {"7f3a": SimpleUser("alice")}


class Auth(BaseJWTAuth[SimpleUser]):
    keys = StaticKeys(Path("public.pem").read_text())
    issuer = "https://issuer.example"
    audience = "https://api.example"
    algorithms = ("ES256",)

    async def find_user(self, claims: Mapping[str, Any]) -> SimpleUser | None:
        return USERS.get(claims["sub"])


@requires(["authenticated", "orders:read"])
async def orders(request: Request) -> JSONResponse:
    return JSONResponse({"orders of": request.user.username})


app = Starlette(
    routes=[Route("/orders", orders)],
    middleware=[Middleware(AuthenticationMiddleware, backend=Auth())],
)
