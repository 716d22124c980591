"""What users of starlette-auth-jwt write."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, assert_type

import httpx2
from starlette.routing import Route

from starlette_auth_core import AuthBackend
from starlette_auth_jwt import (
    JWKS,
    BaseJWTAuth,
    JWTAuth,
    JWTUser,
    StaticKeys,
    protected_resource,
)

ISSUER = "https://issuer.example"


class User:
    def __init__(self, subject: str) -> None:
        self.subject = subject


keys = JWKS.discover(ISSUER, client=httpx2.AsyncClient(), cooldown=timedelta(minutes=1))
assert_type(keys, JWKS)
fixed = StaticKeys("-----BEGIN PUBLIC KEY-----", b"secret", {"kty": "EC"})

auth = JWTAuth(keys=keys, issuer=ISSUER, audience=["api", "other"], algorithms=("RS256",))
backend: AuthBackend[JWTUser] = auth


class Own(BaseJWTAuth[User]):
    keys = fixed
    issuer = ISSUER
    audience = "api"
    algorithms = ("ES256",)
    token_types = None
    leeway = timedelta(0)
    resource_metadata = "https://api.example/.well-known/oauth-protected-resource"

    async def find_user(self, claims: Mapping[str, Any]) -> User | None:
        return User(claims["sub"]) if claims.get("active") else None

    def get_claimed_scopes(self, claims: Mapping[str, Any]) -> Sequence[str]:
        return [*super().get_claimed_scopes(claims), *claims.get("roles", ())]


class Members(JWTAuth):
    async def find_user(self, claims: Mapping[str, Any]) -> JWTUser | None:
        user = await super().find_user(claims)
        assert_type(user, JWTUser | None)
        return user if user is not None and "members" in claims["groups"] else None


async def use() -> None:
    user = await auth.verify("token")
    assert_type(user, JWTUser | None)
    if user is not None:
        assert_type(user.username, str)
        assert_type(user.issuer, str)
        assert_type(user.claims, Mapping[str, Any])
    assert_type(await Own().verify("token"), User | None)
    assert_type(await Own().resolve("token"), tuple[User, Sequence[str]] | None)
    await keys.refresh()


route = protected_resource("https://api.example", authorization_servers=[ISSUER])
assert_type(route.url, str)
plain: Route = route
