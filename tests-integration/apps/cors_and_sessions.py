"""An app for pages of another origin: CORS outside, so that a 401 has its headers too."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from store import HASHER, Store, whoami

from starlette_auth_core import AuthenticationMiddleware, requires
from starlette_auth_orm import ModelBasicAuth

store = Store(os.environ["DATABASE_URL"])


@requires("authenticated")
async def who(request: Request) -> JSONResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse(whoami(request) | {"visits": request.session["visits"]})


app = Starlette(
    routes=[Route("/who", who)],
    middleware=[
        Middleware(
            CORSMiddleware,
            allow_origins=["https://page.example"],
            allow_credentials=True,
            allow_headers=["Authorization"],
        ),
        Middleware(SessionMiddleware, secret_key="of the tests alone"),
        Middleware(AuthenticationMiddleware, backend=ModelBasicAuth(store.User, hasher=HASHER)),
    ],
    lifespan=store.lifespan(),
)
