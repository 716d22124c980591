import os
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.authentication import AuthenticationBackend
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, PasswordHasher, requires
from starlette_auth_hashers import Argon2Hasher


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


class BasicAuth(BaseBasicAuth[User]):
    def __init__(self, users: dict[str, User], hasher: PasswordHasher) -> None:
        self.users = users
        self.hasher = hasher

    async def find_user(self, username: str) -> User | None:
        return self.users.get(username)


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


def create_app(backend: AuthenticationBackend) -> Starlette:
    return Starlette(
        routes=[Route("/protected", protected)],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    )


def create_production_app() -> Any:
    users = {"alice": User("alice", os.environ["ALICE_HASH"])}
    return create_app(BasicAuth(users, Argon2Hasher()))
