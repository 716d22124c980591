from starlette.applications import Starlette
from starlette.authentication import AuthenticationError, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from starlette_auth_core import AuthenticationUnavailable, BaseTokenAuth, requires


class TokenAuth(BaseTokenAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        if token == "slow":
            raise TimeoutError  # as of a database that does not answer
        return SimpleUser("alice") if token == "a-token" else None


backend = TokenAuth()


def on_error(conn: HTTPConnection, error: AuthenticationError) -> Response:
    if isinstance(error, AuthenticationUnavailable):
        return PlainTextResponse(str(error), 503, {"Retry-After": str(error.retry_after)})
    response = PlainTextResponse(str(error), 401, {"Cache-Control": "no-store"})
    for challenge in backend.challenges(conn):
        response.headers.append("WWW-Authenticate", challenge.to_header())
    return response


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend, on_error=on_error)],
)
