"""Our Basic and Bearer backends, beneath our middleware."""

from headers_cases import TOKENS, USERS
from serving import serve_asgi
from starlette.applications import Starlette
from starlette.authentication import SimpleUser
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    BaseBasicAuth,
    BaseBearerAuth,
    requires,
)


class BasicAuth(BaseBasicAuth[SimpleUser]):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        return SimpleUser(username) if USERS.get(username) == password else None


class BearerAuth(BaseBearerAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        user = TOKENS.get(token)
        return None if user is None else SimpleUser(user)


@requires("authenticated")
async def protected(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.user.username)


def route(path: str, backend: AuthBackend) -> Route:
    return Route(
        path, protected, middleware=[Middleware(AuthenticationMiddleware, backend=backend)]
    )


app = Starlette(routes=[route("/basic", BasicAuth()), route("/bearer", BearerAuth())])

if __name__ == "__main__":
    serve_asgi(app)
