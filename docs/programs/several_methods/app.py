from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import (
    AuthenticationMiddleware,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    requires,
)
from starlette_auth_core.tokens import digest_token, generate_token
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_multi import MultiAuth

password_hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


USERS = {"alice": User("alice", password_hasher.make_sync("alicepwd"))}

# Shown once, here. What is stored is the digest.
token = generate_token("shop")
Path("token.txt").write_text(token)
TOKENS = {digest_token(token): "alice"}


class BearerAuth(BaseBearerAuth[User]):
    prefix = "shop"
    scopes = ("authenticated", "via:token")

    async def verify(self, token: str) -> User | None:
        username = TOKENS.get(digest_token(token))
        return None if username is None else USERS[username]


class APIKeyAuth(BaseAPIKeyAuth[User]):
    prefix = "shop"
    scopes = ("authenticated", "via:token")

    async def verify(self, token: str) -> User | None:
        username = TOKENS.get(digest_token(token))
        return None if username is None else USERS[username]


class BasicAuth(BaseBasicAuth[User]):
    hasher = password_hasher
    scopes = ("authenticated", "via:password")

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"user": request.user.username, "scopes": request.auth.scopes})


@requires("via:password")
async def settings(request: Request) -> JSONResponse:
    return JSONResponse({"message": "Only for who has sent the password"})


app = Starlette(
    routes=[Route("/protected", protected), Route("/settings", settings)],
    middleware=[
        Middleware(
            AuthenticationMiddleware, backend=MultiAuth([BearerAuth(), APIKeyAuth(), BasicAuth()])
        )
    ],
)
