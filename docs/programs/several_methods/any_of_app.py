import os
import secrets

from app import BearerAuth, protected
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBearerAuth
from starlette_auth_multi import AnyOf

SERVICE_TOKEN = os.environ.get("SERVICE_TOKEN", "a-token-of-the-monitoring")


class ServiceAuth(BaseBearerAuth[SimpleUser]):
    scopes = ("authenticated", "via:service")

    async def verify(self, token: str) -> SimpleUser | None:
        if secrets.compare_digest(token, SERVICE_TOKEN):
            return SimpleUser("monitoring")
        return None


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=AnyOf([ServiceAuth(), BearerAuth()]))],
)
