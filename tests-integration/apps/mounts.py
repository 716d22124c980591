"""Parts of an app that are protected differently, and one that is not."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route
from store import HASHER, Store, whoami

from starlette_auth_core import AuthenticationMiddleware, BearerAuth, requires
from starlette_auth_orm import ModelBasicAuth

store = Store(os.environ["DATABASE_URL"])


class People(ModelBasicAuth):
    realm = "people"


class Machines(BearerAuth):
    realm = "machines"


async def health(request: Request) -> PlainTextResponse:
    return PlainTextResponse("up")


@requires("authenticated")
async def who(request: Request) -> JSONResponse:
    return JSONResponse(whoami(request))


people = Middleware(AuthenticationMiddleware, backend=People(store.User, hasher=HASHER))
machines = Middleware(AuthenticationMiddleware, backend=Machines(store.tokens))

app = Starlette(
    routes=[
        Route("/health", health),
        Mount("/people", app=Starlette(routes=[Route("/who", who)], middleware=[people])),
        Mount("/machines", routes=[Route("/who", who)], middleware=[machines]),
    ],
    lifespan=store.lifespan(),
)
