"""The server of the login storm, one variant of how to hash: `storm.py` starts it."""

import asyncio
import base64
import functools
import hashlib
import hmac
import multiprocessing
import socket
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp


class User(NamedTuple):
    email: str
    hashed_password: str
    id: int = 1
    is_active: bool = True
    is_superuser: bool = False
    is_verified: bool = True


async def ping(request: Request) -> PlainTextResponse:
    return PlainTextResponse("pong")


def job(request: Request) -> PlainTextResponse:
    time.sleep(0.005)  # as for a database
    return PlainTextResponse("done")


@requires("authenticated")
async def login(request: Request) -> PlainTextResponse:
    return PlainTextResponse("welcome")


def app_of(middleware: Middleware) -> ASGIApp:
    routes = [Route("/ping", ping), Route("/job", job), Route("/login", login, methods=["POST"])]
    return Starlette(routes=routes, middleware=[middleware])


@functools.cache
def hasher_of(algorithm: str) -> Any:
    from starlette_auth_hashers import Argon2Hasher, PBKDF2Hasher  # noqa: PLC0415 - not in all

    return {
        "argon2": Argon2Hasher(),
        "pbkdf2": PBKDF2Hasher(),
        "keycloak": Argon2Hasher(memory_cost=7_168, time_cost=5, parallelism=1),
    }[algorithm]


def ours(algorithm: str, user: User) -> ASGIApp:
    """Return an app that does it as our documentation says."""
    from starlette_auth_core import (  # noqa: PLC0415 - not in all environments
        AuthenticationMiddleware,
        BaseBasicAuth,
    )

    class Basic(BaseBasicAuth[User]):
        hasher = hasher_of(algorithm)
        password_field = "hashed_password"

        async def find_user(self, username: str) -> User | None:
            return user if username == user.email else None

    return app_of(Middleware(AuthenticationMiddleware, backend=Basic()))


def with_anyio(algorithm: str, user: User) -> ASGIApp:
    """Return an app that hashes in the threads that run its sync endpoints."""
    import anyio.to_thread  # noqa: PLC0415 - not in all environments

    hasher = hasher_of(algorithm)

    async def check(password: str) -> bool:
        valid: bool = await anyio.to_thread.run_sync(
            hasher.verify_sync, password, user.hashed_password
        )
        return valid

    return app_that(check, user)


def with_processes(algorithm: str, user: User) -> ASGIApp:
    """Return an app that hashes in processes, as many as cores."""
    pool = ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn"))

    async def check(password: str) -> bool:
        return await asyncio.get_running_loop().run_in_executor(
            pool, verify_in_process, algorithm, password, user.hashed_password
        )

    return app_that(check, user)


def verify_in_process(algorithm: str, password: str, hashed: str) -> bool:
    valid: bool = hasher_of(algorithm).verify_sync(password, hashed)
    return valid


def app_that(check: Any, user: User) -> ASGIApp:
    from starlette_auth_core import (  # noqa: PLC0415 - not in all environments
        AuthenticationMiddleware,
        BaseBasicAuth,
    )

    class Basic(BaseBasicAuth[User]):
        async def find_user(self, username: str) -> User | None:
            return user if username == user.email else None

        async def verify_password(self, user: User, password: str) -> bool:
            valid: bool = await check(password)
            return valid

    return app_of(Middleware(AuthenticationMiddleware, backend=Basic()))


def release_0_5_0(algorithm: str, user: User) -> ASGIApp:
    """Return the app of that release's README."""
    from starlette.middleware.authentication import (  # noqa: PLC0415 - not in all environments
        AuthenticationMiddleware,
    )

    from starlette_auth_toolkit.base import backends  # noqa: PLC0415 - not in all environments
    from starlette_auth_toolkit.cryptography import (  # noqa: PLC0415 - not in all environments
        Argon2Hasher,
        PBKDF2Hasher,
    )

    hasher = PBKDF2Hasher() if algorithm == "pbkdf2" else Argon2Hasher()

    class Basic(backends.BaseBasicAuth):
        async def find_user(self, username: str) -> Any:
            return user if username == user.email else None

        async def verify_password(self, user: Any, password: str) -> bool:
            return await hasher.verify(password, user.hashed_password)

    return app_of(Middleware(AuthenticationMiddleware, backend=Basic()))


class PBKDF2:
    """PBKDF2 for pwdlib, which has none: what fastapi-users takes."""

    @classmethod
    def identify(cls, hashed: str | bytes) -> bool:
        return True

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        raise NotImplementedError

    def verify(self, password: str | bytes, hashed: str | bytes) -> bool:
        _, _, rounds, salt, digest = str(hashed).split("$")
        salted, expected = (
            base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))
            for text in (salt, digest)
        )
        secret = str(password).encode()
        computed = hashlib.pbkdf2_hmac("sha256", secret, salted, int(rounds))
        return hmac.compare_digest(computed, expected)

    def check_needs_rehash(self, hashed: str | bytes) -> bool:
        return False


def fastapi_users(algorithm: str, user: User) -> ASGIApp:
    """Return the app of its documentation, with users in memory."""
    from fastapi import FastAPI  # noqa: PLC0415 - not in all environments
    from fastapi_users import (  # noqa: PLC0415 - not in all environments
        BaseUserManager,
        FastAPIUsers,
        IntegerIDMixin,
    )
    from fastapi_users.authentication import (  # noqa: PLC0415 - not in all environments
        AuthenticationBackend,
        BearerTransport,
        JWTStrategy,
    )
    from fastapi_users.db import BaseUserDatabase  # noqa: PLC0415 - not in all environments
    from fastapi_users.password import PasswordHelper  # noqa: PLC0415 - not in all environments
    from pwdlib import PasswordHash  # noqa: PLC0415 - not in all environments
    from pwdlib.hashers.argon2 import Argon2Hasher  # noqa: PLC0415 - not in all environments

    hashers: dict[str, Any] = {
        "argon2": Argon2Hasher(),
        "pbkdf2": PBKDF2(),
        "keycloak": Argon2Hasher(memory_cost=7_168, time_cost=5, parallelism=1),
    }

    class Users(BaseUserDatabase[Any, int]):
        async def get_by_email(self, email: str) -> Any:
            return user if email == user.email else None

    class Manager(IntegerIDMixin, BaseUserManager[Any, int]):
        pass

    helper = PasswordHelper(PasswordHash((hashers[algorithm],)))
    backend: Any = AuthenticationBackend(
        name="jwt",
        transport=BearerTransport(tokenUrl="login"),
        get_strategy=lambda: JWTStrategy("s" * 32, lifetime_seconds=3600),
    )

    async def manager() -> Any:
        return Manager(Users(), helper)

    app = FastAPI()
    app.include_router(FastAPIUsers[Any, int](manager, [backend]).get_auth_router(backend))

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    @app.get("/job")
    def job() -> str:
        time.sleep(0.005)
        return "done"

    return app


VARIANTS = {
    "ours": ours,
    "anyio": with_anyio,
    "release-0.5.0": release_0_5_0,
    "fastapi-users": fastapi_users,
    "processes": with_processes,
}


def main() -> None:
    variant, algorithm, email, hashed = sys.argv[1:]
    app = VARIANTS[variant](algorithm, User(email, hashed))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        print(listener.getsockname()[1], flush=True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
