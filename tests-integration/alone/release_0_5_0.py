"""An app as users of release 0.5.0 have it: the same file runs on that release and on this one.

`python release_0_5_0.py create FILE` fills a database with it, `… check FILE` logs everybody in.
"""

import asyncio
import base64
import sys

import databases
import orm
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from starlette_auth_toolkit.contrib.orm import ModelBasicAuth
from starlette_auth_toolkit.cryptography import (
    Argon2Hasher,
    BCryptHasher,
    CryptHasher,
    MultiHasher,
    PBKDF2Hasher,
)

command, file = sys.argv[1:]
database = databases.Database(f"sqlite:///{file}")
models = orm.ModelRegistry(database=database)


class User(orm.Model):
    tablename = "users"
    registry = models
    fields = {
        "id": orm.Integer(primary_key=True),
        "username": orm.String(max_length=100),
        "password": orm.String(max_length=255),
    }


HASHERS = {
    "pbkdf2": PBKDF2Hasher(),
    "crypt": CryptHasher(),
    "bcrypt": BCryptHasher(),
    "argon2": Argon2Hasher(),
}
# Each algorithm by its own hasher, and all of them by one that moves to Argon2.
BACKENDS = {name: ModelBasicAuth(User, hasher=hasher) for name, hasher in HASHERS.items()}
MOVING = MultiHasher([HASHERS["argon2"], *HASHERS.values()])


@requires("authenticated")
async def home(request):  # type: ignore[no-untyped-def]  # as it was in 2019
    return PlainTextResponse(request.user.username)


def on_error(conn, exc):  # type: ignore[no-untyped-def]  # as it was in 2019
    return PlainTextResponse(str(exc), status_code=401)


def part(backend: ModelBasicAuth) -> Starlette:
    middleware = Middleware(AuthenticationMiddleware, backend=backend, on_error=on_error)
    return Starlette(routes=[Route("/", home)], middleware=[middleware])


app = Starlette(
    routes=[
        *(Mount(f"/{name}", part(backend)) for name, backend in BACKENDS.items()),
        Mount("/moving", part(ModelBasicAuth(lambda: User, hasher=MOVING))),
    ]
)


async def get(path: str, username: str, password: str) -> int:
    credentials = base64.b64encode(f"{username}:{password}".encode())
    headers = [(b"authorization", b"Basic " + credentials)]
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message) -> None:  # type: ignore[no-untyped-def]  # any of ASGI's
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app({**scope, "root_path": "", "query_string": b""}, receive, send)
    return statuses[0]


async def create() -> None:
    await models.create_all()
    async with database:
        for name, hasher in HASHERS.items():
            await User.objects.create(username=name, password=await hasher.make(f"{name}pwd"))


async def check() -> None:
    async with database:
        for prefix in ("", "moving"):
            for name in HASHERS:
                path = f"/{prefix or name}/"
                assert await get(path, name, f"{name}pwd") == 200, (path, name)
                assert await get(path, name, "wrong") == 401, (path, name)
                assert await get(path, "nobody", "x") == 401, (path, name)
        hashes = {user.username: user.password for user in await User.objects.all()}
        assert all(hashed.startswith("$argon2") for hashed in hashes.values()), hashes


asyncio.run(create() if command == "create" else check())
