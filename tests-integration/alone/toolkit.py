"""starlette-auth-toolkit, which brings everything, from the paths of release 0.5.0."""

import asyncio
import base64

from starlette.authentication import SimpleUser
from starlette.requests import HTTPConnection

from starlette_auth_toolkit.backends import MultiAuth
from starlette_auth_toolkit.base.backends import AuthBackend, BaseBasicAuth, BaseTokenAuth
from starlette_auth_toolkit.contrib.orm import ModelBasicAuth
from starlette_auth_toolkit.cryptography import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    CryptHasher,
    Hasher,
    MultiHasher,
    PBKDF2Hasher,
    generate_random_string,
)
from starlette_auth_toolkit.datatypes import AuthResult
from starlette_auth_toolkit.exceptions import InvalidCredentials

hashers: list[BaseHasher] = [
    Argon2Hasher(),
    BCryptHasher(),
    CryptHasher(),
    PBKDF2Hasher(),
    Hasher(algorithm="pbkdf2_sha512"),
]
password = generate_random_string()
hasher = MultiHasher(hashers)
for each in hashers:
    assert hasher.verify_sync(password, each.make_sync(password))


class Passwords(BaseBasicAuth):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        return SimpleUser(username) if password == "right" else None


class Tokens(BaseTokenAuth):
    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser("owner") if token == "right" else None


backend: AuthBackend = MultiAuth([Tokens(), Passwords()])
assert issubclass(ModelBasicAuth, BaseBasicAuth)


def authenticate(header: str) -> AuthResult:
    scope = {"type": "http", "headers": [(b"authorization", header.encode())]}
    return asyncio.run(backend.authenticate(HTTPConnection(scope)))


result = authenticate("Basic " + base64.b64encode(b"alice:right").decode())
assert result is not None
assert result[1].display_name == "alice"
try:
    authenticate("Token wrong")
except InvalidCredentials:
    pass
else:
    raise AssertionError
