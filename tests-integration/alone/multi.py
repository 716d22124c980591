"""starlette-auth-multi alone, with what it depends on: backends of Starlette's and of core."""

import asyncio
import importlib.util
from typing import Any

from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.requests import HTTPConnection

from starlette_auth_core import BaseBearerAuth, InvalidCredentials
from starlette_auth_multi import AnyOf, MultiAuth

assert importlib.util.find_spec("passlib") is None
assert importlib.util.find_spec("orm") is None


class Certificate(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        name = conn.headers.get("x-client-certificate")
        return None if name is None else (AuthCredentials(["authenticated"]), SimpleUser(name))


class Key(BaseBearerAuth[SimpleUser]):
    def __init__(self, key: str) -> None:
        self.key = key

    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser(token) if token == self.key else None


backend = MultiAuth([Certificate(), AnyOf([Key("old"), Key("new")])])


def user(header: str, value: str) -> str:
    scope = {"type": "http", "headers": [(header.encode(), value.encode())]}
    result = asyncio.run(backend.authenticate(HTTPConnection(scope)))
    assert result is not None
    username: str = result[1].username
    return username


assert user("x-client-certificate", "alice") == "alice"
assert user("authorization", "Bearer old") == "old"
assert user("authorization", "Bearer new") == "new"
try:
    user("authorization", "Bearer other")
except InvalidCredentials:
    pass
else:
    raise AssertionError
