import json
import logging
from dataclasses import dataclass, field

from opentelemetry import metrics
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationError
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, requires
from starlette_auth_hashers import Argon2Hasher

audit = logging.getLogger("audit")
audit.addHandler(logging.FileHandler("audit.log"))
audit.setLevel(logging.INFO)
audit.propagate = False  # so that the lines are in this file alone

attempts = metrics.get_meter("shop").create_counter(
    "authentication.attempts", description="Requests that carried credentials"
)

password_hasher = Argon2Hasher()


@dataclass(frozen=True)
class User:
    id: int
    username: str
    password: str = field(repr=False)  # a hash of it, never the password


USERS = {"alice": User(1, "alice", password_hasher.make_sync("alicepwd"))}


class BasicAuth(BaseBasicAuth[User]):
    hasher = password_hasher

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


def observe(conn: HTTPConnection, outcome: AuthCredentials | AuthenticationError) -> None:
    failed = isinstance(outcome, AuthenticationError)
    result = type(outcome).__name__ if failed else "Granted"
    attempts.add(1, {"result": result})
    record = {
        "result": result,
        # Of a failure there is no user. The user-id that was typed may be a password.
        "user": None if failed else conn.user.id,
        "address": conn.client.host if conn.client else None,
        "path": conn.url.path,
    }
    audit.info(json.dumps(record))


@requires("authenticated")
async def protected(request: Request) -> JSONResponse:
    return JSONResponse({"message": f"Hello, {request.user.username}!"})


app = Starlette(
    routes=[Route("/protected", protected)],
    middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth(), observer=observe)],
)
