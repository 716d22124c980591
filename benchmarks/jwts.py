"""What a JWT costs: its check alone, and in a request, next to what else one would use.

Each contestant checks the same token: its signature, and `iss`, `aud`, `exp`, `sub`. The keys are
there already. The requests are ASGI calls: to FastAPI in an event loop, since authx has work for
threads. (This file is not `jwt.py`, since that is the name of PyJWT.)
"""

import asyncio
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import jwt
from authx import AuthX, AuthXConfig
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from fastapi_users import BaseUserManager, FastAPIUsers, IntegerIDMixin
from fastapi_users.authentication import AuthenticationBackend as FastAPIUsersBackend
from fastapi_users.authentication import BearerTransport, JWTStrategy
from fastapi_users.db import BaseUserDatabase
from joserfc import jwt as joserfc_jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from mcp.server.auth.provider import AccessToken
from measure import (
    Result,
    Spread,
    Steps,
    Table,
    drive,
    hand_over,
    in_turns,
    options,
    processor_time,
)
from per_request import ALICE, app_with, asgi_calls, fastapi_app, ours, requests_to
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
)
from starlette.middleware import Middleware
from starlette.middleware.authentication import (
    AuthenticationMiddleware as StarletteAuthenticationMiddleware,
)
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

from starlette_auth_jwt import JWTAuth, StaticKeys

ISSUER, AUDIENCE = "https://issuer.example", "https://api.example"
KEYS: dict[str, Any] = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
PEMS = {
    name: key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, key in KEYS.items()
}
SIZES = {"": {}, ", 5 KB of claims": {"groups": [f"{number:036}" for number in range(128)]}}

#: By contestant, what makes so many checks.
Checks = Mapping[str, Callable[[int], object]]


def make_token(algorithm: str, more: Mapping[str, Any]) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "1", "scope": "read write", "iat": now}
    headers = {"typ": "at+jwt"}
    return jwt.encode({**claims, "exp": now + 86_400, **more}, KEYS[algorithm], algorithm, headers)


def by_ours(algorithm: str) -> JWTAuth:
    return JWTAuth(
        keys=StaticKeys(PEMS[algorithm]), issuer=ISSUER, audience=AUDIENCE, algorithms=[algorithm]
    )


def resolve(auth: JWTAuth, token: str) -> object:
    return drive(auth.resolve(token))


def by_pyjwt(algorithm: str) -> Callable[[str], Mapping[str, Any]]:
    key = KEYS[algorithm].public_key()
    required: Any = {"require": ["iss", "aud", "exp", "sub"]}

    def check(token: str) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(
            token, key, [algorithm], audience=AUDIENCE, issuer=ISSUER, options=required
        )
        return claims

    return check


def by_joserfc(algorithm: str) -> Callable[[str], Mapping[str, Any]]:
    kinds: dict[str, Any] = {"RS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}
    key = kinds[algorithm].import_key(PEMS[algorithm])
    claims: Any = {
        "iss": {"essential": True, "value": ISSUER},
        "aud": {"essential": True, "value": AUDIENCE},
        "exp": {"essential": True},
        "sub": {"essential": True},
    }
    registry = joserfc_jwt.JWTClaimsRegistry(**claims)

    def check(token: str) -> Mapping[str, Any]:
        decoded = joserfc_jwt.decode(token, key, [algorithm])
        registry.validate(decoded.claims)
        return decoded.claims

    return check


class HandWritten(AuthenticationBackend):
    """What one writes around a library."""

    def __init__(self, check: Callable[[str], Mapping[str, Any]]) -> None:
        self.check = check

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        scheme, _, token = conn.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            claims = self.check(token)
        except ValueError as error:
            raise AuthenticationError("Invalid credentials") from error
        return AuthCredentials(claims["scope"].split()), SimpleUser(claims["sub"])


class Verifier:
    """What one writes for the SDK of MCP."""

    def __init__(self, check: Callable[[str], Mapping[str, Any]]) -> None:
        self.check = check

    async def verify_token(self, token: str) -> AccessToken | None:
        claims = self.check(token)
        return AccessToken(
            token=token,
            client_id=claims["sub"],
            scopes=claims["scope"].split(),
            expires_at=claims["exp"],
        )


def in_starlette(backend: AuthenticationBackend) -> Middleware:
    return Middleware(StarletteAuthenticationMiddleware, backend=backend)


def fastapi_users(algorithm: str) -> Any:
    """Return the dependency of its documentation, with a user in memory."""

    class Users(BaseUserDatabase[Any, int]):
        async def get(self, id: int) -> Any:  # noqa: A002 - its name there
            return ALICE if id == ALICE.id else None

    class Manager(IntegerIDMixin, BaseUserManager[Any, int]):
        pass

    async def manager() -> Any:
        return Manager(Users())

    async def strategy() -> Any:
        return JWTStrategy(
            "",
            lifetime_seconds=None,
            token_audience=[AUDIENCE],
            algorithm=algorithm,
            public_key=PEMS[algorithm].decode(),
        )

    backend: Any = FastAPIUsersBackend(
        name="jwt", transport=BearerTransport(tokenUrl="login"), get_strategy=strategy
    )
    return FastAPIUsers[Any, int](manager, [backend]).current_user(active=True)


def authx(algorithm: Any, more: Mapping[str, Any]) -> tuple[Any, str]:
    private = KEYS[algorithm].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    config = AuthXConfig(
        JWT_ALGORITHM=algorithm,
        JWT_DECODE_ALGORITHMS=[algorithm],
        JWT_PRIVATE_KEY=private.decode(),
        JWT_PUBLIC_KEY=PEMS[algorithm].decode(),
        JWT_ENCODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_AUDIENCE=AUDIENCE,
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(days=1),
    )
    auth: Any = AuthX(config=config)
    token: str = auth.create_access_token("1", data={"scope": "read write", **more})
    return auth.access_token_required, token


def repeated(check: Callable[[], object]) -> Callable[[int], object]:
    def run(calls: int) -> None:
        for _ in range(calls):
            check()

    return run


def in_loop(runner: asyncio.Runner, app: ASGIApp, token: str) -> Callable[[int], object]:
    request = asgi_calls(app, f"Bearer {token}")

    async def make_requests(calls: int) -> None:
        for _ in range(calls):
            await request()

    return lambda calls: runner.run(make_requests(calls))


def contestants(runner: asyncio.Runner) -> dict[str, dict[str, Checks]]:
    """Return what is measured, by table and by what the token is like."""
    found: dict[str, dict[str, Checks]] = {
        "The check alone": {},
        "A request to a Starlette app": {},
        "A request to a FastAPI app": {},
    }
    for algorithm in KEYS:
        for size, more in SIZES.items():
            token = make_token(algorithm, more)
            auth, with_pyjwt, with_joserfc = (
                by_ours(algorithm),
                by_pyjwt(algorithm),
                by_joserfc(algorithm),
            )
            kind = f"{algorithm}{size}"
            found["The check alone"][kind] = {
                "ours": repeated(partial(resolve, auth, token)),
                "PyJWT": repeated(partial(with_pyjwt, token)),
                "joserfc": repeated(partial(with_joserfc, token)),
            }
            backends: dict[str, Middleware] = {
                "ours": ours(auth),
                "PyJWT, by hand": in_starlette(HandWritten(with_pyjwt)),
                "joserfc, by hand": in_starlette(HandWritten(with_joserfc)),
                "the SDK of MCP, with PyJWT": in_starlette(BearerAuthBackend(Verifier(with_pyjwt))),
            }
            found["A request to a Starlette app"][kind] = {
                name: repeated(requests_to(app_with(backend), f"Bearer {token}"))
                for name, backend in backends.items()
            }
            in_fastapi = {
                "ours": in_loop(runner, fastapi_app(None, ours(auth)), token),
                "fastapi-users": in_loop(runner, fastapi_app(fastapi_users(algorithm)), token),
            }
            # authx does not know EdDSA.
            if algorithm != "EdDSA":
                required, their_token = authx(algorithm, more)
                in_fastapi["authx"] = in_loop(runner, fastapi_app(required), their_token)
            found["A request to a FastAPI app"][kind] = in_fastapi
    return found


def main() -> None:
    # About the name EdDSA, which RFC 9864 deprecates, and issuers use.
    warnings.simplefilter("ignore", SecurityWarning)
    rounds, calls = (60, 300) if options(__doc__).full else (8, 100)
    with asyncio.Runner() as runner:
        hand_over(measure(contestants(runner), rounds, calls))


def measure(tables: dict[str, dict[str, Checks]], rounds: int, calls: int) -> Result:
    steps = Steps(rounds * sum(len(kinds) for kinds in tables.values()))
    result = Result()
    result.used("starlette-auth-jwt", "PyJWT", "cryptography", "joserfc", "mcp")
    result.used("fastapi", "fastapi-users", "authx")
    ratios: dict[str, Spread] = {}
    for title, kinds in tables.items():
        table = Table(
            f"JWT: {title[0].lower()}{title[1:]}",
            ["Token", "Contestant", "Processor time", "ours / theirs"],
            note=f"{rounds} rounds of {calls} checks: medians, and quartiles.",
        )
        for kind, checks in kinds.items():
            figures = in_turns(
                {name: processor_time(partial(run, calls)) for name, run in checks.items()},
                *(rounds, steps, kind),
            )
            for name, values in figures.items():
                ratio = Spread.of_ratios(figures["ours"], values)
                ratios[f"{title}, {kind}, {name}"] = ratio
                time_of_one = f"{Spread.of(values).median / calls * 1e6:,.1f} µs"
                compared = "" if name == "ours" else ratio.text()
                table.rows.append([kind, name, time_of_one, compared])
        result.tables.append(table)
    least = [ratio for name, ratio in ratios.items() if "alone" in name and "PyJWT" in name]
    result.aim(
        "the check of a JWT costs no more than that of PyJWT",
        ", ".join(f"{ratio.median:.2f}" for ratio in least),
        met=all(ratio.median <= 1 for ratio in least),
        why_not="Most of it is the signature, which is the same in both.",
    )
    return result


if __name__ == "__main__":
    main()
