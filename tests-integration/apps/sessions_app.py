"""Logins by name alone, for the tests of sessions: what they prove is not about passwords."""

import os

from session_storages import STORAGES, Storage
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, requires
from starlette_auth_sessions import SessionAuth, Sessions


def create_app(storage: Storage) -> Starlette:
    sessions = Sessions(storage.store, insecure=True)

    async def login(request: Request) -> Response:
        response = Response(status_code=204)
        user = await storage.find_user(request.path_params["name"])
        await sessions.login(request, response, user, name="a browser")
        return response

    async def logout(request: Request) -> Response:
        response = Response(status_code=204)
        await sessions.logout(request, response)
        return response

    async def who(request: Request) -> Response:
        name = request.user.username if "authenticated" in request.auth.scopes else None
        return JSONResponse({"user": name, "process": os.getpid()})

    @requires("authenticated")
    async def devices(request: Request) -> Response:
        current = request.auth.token.digest
        rows = await sessions.list(request.user)
        return JSONResponse([[row.name, row.digest == current] for row in rows])

    @requires("authenticated")
    async def end_others(request: Request) -> Response:
        return JSONResponse(await sessions.end_all(request.user, keep=request))

    return Starlette(
        routes=[
            Route("/login/{name}", login, methods=["POST"]),
            Route("/logout", logout, methods=["POST"]),
            Route("/who", who, methods=["GET", "POST"]),
            Route("/devices", devices),
            Route("/end-others", end_others, methods=["POST"]),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=SessionAuth(sessions))],
        lifespan=storage.connected,
    )


if "STORAGE" in os.environ:
    app = create_app(STORAGES[os.environ["STORAGE"]](os.environ["DATABASE_URL"]))
