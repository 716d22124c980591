import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import databases
import orm
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, TokenAuth, requires
from starlette_auth_core.tokens import Tokens
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_multi import MultiAuth
from starlette_auth_orm import ModelBasicAuth, ModelTokenStore, token_fields

database = databases.Database("sqlite:///users.db")
models = orm.ModelRegistry(database=database)
hasher = Argon2Hasher()

# The start of a list. The NIST asks for one of passwords that are common or have leaked.
TOO_COMMON = {"correct horse battery staple", "password1234567"}


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


password_auth = ModelBasicAuth(User, hasher=hasher)
tokens = Tokens(ModelTokenStore(Token), prefix="shop")
backend = MultiAuth([TokenAuth(tokens), password_auth])


async def read_text(request: Request, *names: str) -> list[str]:
    """Return these fields of the body, or answer 400."""
    try:
        body: Any = json.loads(await request.body())
        values = [body[name] for name in names]
    except (ValueError, KeyError, TypeError, RecursionError):
        values = []
    if not values or not all(isinstance(value, str) for value in values):
        raise HTTPException(400, f"Send an object of JSON with {' and '.join(names)}")
    return values


@requires("authenticated")
async def change_password(request: Request) -> Response:
    current, new = await read_text(request, "current", "new")
    # The current password again, whatever the request came in with: not who found the session
    # open, or a token, but who knows it.
    user = await password_auth.verify(request.user.username, current)
    if user is None:
        return PlainTextResponse("The current password is wrong", 403)
    if len(new) < 15 or new in TOO_COMMON:
        return PlainTextResponse("Choose one of 15 characters or more, and a rarer one", 400)
    try:
        hashed = await hasher.make(new)
    except ValueError as error:  # it can't be hashed faithfully; the message names the limit
        return PlainTextResponse(str(error), 400)
    await User.objects.filter(id=user.pk).update(password=hashed)
    # Whoever had got hold of one is out.
    await tokens.revoke_all(user)
    return Response(status_code=204)


@requires("authenticated")
async def protected(request: Request) -> Response:
    return PlainTextResponse(f"Hello, {request.user.username}!")


@requires("authenticated")
async def make_token(request: Request) -> Response:
    token, _ = await tokens.issue(request.user)
    return PlainTextResponse(token, 201, {"Cache-Control": "no-store"})


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
        Route("/password", change_password, methods=["POST"]),
        Route("/tokens", make_token, methods=["POST"]),
    ],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    lifespan=lifespan,
)
