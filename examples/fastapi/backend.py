"""The users and the backend. In practice both are on a database."""

from starlette.authentication import SimpleUser
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    Challenge,
)
from starlette_auth_core.tokens import digest_token, generate_token
from starlette_auth_hashers import Argon2Hasher
from starlette_auth_multi import MultiAuth


class User(SimpleUser):
    def __init__(self, username: str, password: str) -> None:
        super().__init__(username)
        self.password = password  # a hash of it


password_hasher = Argon2Hasher()
USERS = {
    "alice": User("alice", password_hasher.make_sync("alicepwd")),
    "zoë": User("zoë", password_hasher.make_sync("123£")),
}

# Shown once, here.
token = generate_token("demo")
print("Your token:", token)
OWNERS = {digest_token(token): USERS["alice"]}


class Passwords(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        """Ask scripts, those of the documentation too, in a scheme that browsers do not know.

        Asked for `Basic`, the browser opens its own password dialogue, and the script waits.
        """
        if conn.headers.get("Sec-Fetch-Mode", "navigate") == "navigate":
            return super().challenges(conn)
        return (Challenge("XBasic", realm=self.realm),)


class _Tokens(BaseTokenAuth[User]):
    prefix = "demo"
    scopes = ("authenticated", "via:token")

    async def verify(self, token: str) -> User | None:
        return OWNERS.get(digest_token(token))


class Tokens(_Tokens):
    """`Authorization: Token …`."""


class BearerTokens(_Tokens, BaseBearerAuth[User]):
    """`Authorization: Bearer …`."""


class APIKeys(_Tokens, BaseAPIKeyAuth[User]):
    """`X-API-Key: …`."""


backend = MultiAuth([BearerTokens(), Tokens(), APIKeys(), Passwords()])
