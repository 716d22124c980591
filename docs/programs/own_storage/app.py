import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, requires
from starlette_auth_hashers import Argon2Hasher, MultiHasher, PBKDF2Hasher

password_hasher = MultiHasher([Argon2Hasher(), PBKDF2Hasher()])


@dataclass(frozen=True)
class User:
    id: int
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


def query(statement: str, *values: object) -> list[User]:
    with closing(sqlite3.connect("users.db")) as connection, connection:
        return [User(*row) for row in connection.execute(statement, values)]


class BasicAuth(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        statement = "SELECT id, username, password FROM users WHERE username = ?"
        rows = await to_thread.run_sync(query, statement, username)
        return rows[0] if rows else None

    async def replace_password_hash(self, user: User, old: str, new: str) -> None:
        # Only if the old hash is still there: the password may have been changed meanwhile.
        statement = "UPDATE users SET password = ? WHERE id = ? AND password = ?"
        await to_thread.run_sync(query, statement, new, user.id, old)


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth())],
)
