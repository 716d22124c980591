from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import databases
import orm
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BearerAuth, TokenCredentials, requires
from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_multi import MultiAuth
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore, token_fields

database = databases.Database("sqlite:///tokens.db")
models = orm.ModelRegistry(database=database)
hasher = Argon2Hasher()


class User(orm.Model):
    tablename = "users"
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "username": orm.String(max_length=150, unique=True),
        "password": orm.Text(),
    }


class Token(orm.Model):
    tablename = "tokens"
    registry = models
    fields = token_fields(User)


class PasswordAuth(ModelBasicAuth[User]):
    # Only who has just sent the password may make tokens: a stolen token makes no more of them.
    scopes = ("authenticated", "tokens")


tokens = Tokens(ModelTokenStore(Token), prefix="shop")
backend = MultiAuth([BearerAuth(tokens), PasswordAuth(User, hasher=hasher)])


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


@requires("tokens")
async def list_tokens(request: Request) -> JSONResponse:
    rows = await tokens.list(request.user)
    return JSONResponse([{"id": row.id, "name": row.name} for row in rows])


@requires("tokens")
async def issue(request: Request) -> JSONResponse:
    name = request.query_params.get("name", "unnamed")[:100]
    token, row = await tokens.issue(request.user, name=name, expires_in=timedelta(days=90))
    # The one time that the token is seen. What is stored can't be turned back into it.
    return JSONResponse({"id": row.id, "token": token}, 201, {"Cache-Control": "no-store"})


@requires("tokens")
async def rotate(request: Request) -> JSONResponse:
    row = await find_own(request)
    try:
        token, new = await tokens.rotate(row, overlap=timedelta(hours=1))
    except ValueError as error:  # it was revoked or rotated meanwhile
        raise HTTPException(409, "That token can't be rotated") from error
    return JSONResponse({"id": new.id, "token": token}, 201, {"Cache-Control": "no-store"})


@requires("tokens")
async def revoke(request: Request) -> Response:
    await tokens.revoke(await find_own(request))
    return Response(status_code=204)


@requires("tokens")
async def revoke_all(request: Request) -> Response:
    await tokens.revoke_all(request.user)
    return Response(status_code=204)


@requires("authenticated")
async def log_out(request: Request) -> Response:
    if not isinstance(request.auth, TokenCredentials):
        raise HTTPException(400, "Send the token to revoke")
    # The row of the token that this request came with.
    await tokens.revoke(request.auth.token)
    return Response(status_code=204)


async def find_own(request: Request) -> Any:
    """Return the token that the URL names, if it is one of this user's."""
    for row in await tokens.list(request.user):
        if row.id == request.path_params["id"]:
            return row
    raise HTTPException(404)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    await models.create_all()
    async with database:
        password = await hasher.make("alicepwd")
        await User.objects.get_or_create({"password": password}, username="alice")
        yield


app = Starlette(
    routes=[
        Route("/protected", protected),
        Route("/tokens", list_tokens, methods=["GET"]),
        Route("/tokens", issue, methods=["POST"]),
        Route("/tokens", revoke_all, methods=["DELETE"]),
        Route("/logout", log_out, methods=["POST"]),
        Route("/tokens/{id:int}", revoke, methods=["DELETE"]),
        Route("/tokens/{id:int}/rotate", rotate, methods=["POST"]),
    ],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    lifespan=lifespan,
)
