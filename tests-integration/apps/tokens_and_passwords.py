"""Tokens, bearer tokens and passwords beside each other, on HTTP and WebSockets."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from store import HASHER, Store, whoami

from starlette_auth_core import AuthenticationMiddleware, BearerAuth, TokenAuth, requires
from starlette_auth_hashers import waiting
from starlette_auth_multi import MultiAuth
from starlette_auth_orm import ModelBasicAuth

store = Store(os.environ["DATABASE_URL"])
bearer = BearerAuth(store.tokens)
token = TokenAuth(store.tokens)
passwords = ModelBasicAuth(store.User, hasher=HASHER)


class Latin1(ModelBasicAuth):
    fallback_charset = "iso-8859-1"


async def state(request: Request) -> JSONResponse:
    return JSONResponse({"process": os.getpid(), "waiting": waiting()})


async def public(request: Request) -> PlainTextResponse:
    return PlainTextResponse("welcome")


@requires("authenticated")
async def who(request: Request) -> JSONResponse:
    return JSONResponse(whoami(request))


@requires("machines")
async def machines(request: Request) -> JSONResponse:
    return JSONResponse(whoami(request))


async def login(request: Request) -> JSONResponse:
    data = await request.json()
    user = await passwords.verify(data["username"], data["password"])
    return JSONResponse({"user": user and user.username})


@requires("machines")
async def revoke(request: Request) -> JSONResponse:
    await store.tokens.revoke_all(request.user)
    return JSONResponse("revoked")


@requires("authenticated")
async def live(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(whoami(websocket))
    await websocket.close()


def create(basic: ModelBasicAuth) -> Starlette:
    return Starlette(
        routes=[
            Route("/", public),
            Route("/state", state),
            Route("/who", who),
            Route("/machines", machines),
            Route("/login", login, methods=["POST"]),
            Route("/revoke", revoke, methods=["POST"]),
            WebSocketRoute("/live", live),
        ],
        middleware=[
            Middleware(AuthenticationMiddleware, backend=MultiAuth([bearer, token, basic]))
        ],
        lifespan=store.lifespan(),
    )


app = create(passwords)
latin1 = create(Latin1(store.User, hasher=HASHER))
