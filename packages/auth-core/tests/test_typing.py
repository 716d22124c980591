"""What users write, for mypy and pyright: `assert_type` fails there, and runs here.

A `type: ignore` stands where a checker has to complain; one that it does not need is an error.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, assert_type

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, SimpleUser
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.websockets import WebSocket

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    AuthResult,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    PasswordHasher,
    requires,
)

pytestmark = pytest.mark.anyio


class User(NamedTuple):
    username: str
    password: str


class Hasher:
    """Fits the protocol by its shape, with an argument more and names of its own."""

    async def verify(self, password: str, stored: str | None) -> bool:
        return password == stored

    async def verify_and_update(self, password: str, stored: str | None) -> tuple[bool, str | None]:
        return password == stored, None

    async def dummy_verify(self, password: str, username: str = "", rounds: int = 1) -> None:
        return None


class ByUserType(BaseBasicAuth[User]):
    hasher = Hasher()

    async def find_user(self, username: str) -> User | None:
        return User(username, "secret")


class ByHasherInInit(BaseBasicAuth[User]):
    def __init__(self, hasher: PasswordHasher) -> None:
        self.hasher = hasher

    async def find_user(self, username: str) -> User | None:
        return User(username, "secret")


class Documented(BaseBasicAuth):
    """As the page of release 0.5.0 shows it, without a type argument."""

    async def find_user(self, username: str) -> User | None:
        return User(username, "secret")

    async def verify_password(self, user: User, password: str) -> bool:
        return user.password == password


class WithResolve(BaseBearerAuth[User]):
    async def verify(self, token: str) -> User | None:
        return User(token, "")

    async def resolve(self, token: str) -> tuple[User, Sequence[str]] | None:
        user = await self.verify(token)
        return None if user is None else (user, self.get_scopes(user))


class OwnBackend(AuthBackend[SimpleUser]):
    async def authenticate(self, conn: HTTPConnection) -> AuthResult:
        return AuthCredentials(["authenticated"]), SimpleUser("alice")


@requires("authenticated")
async def endpoint(request: Request) -> Response:
    assert_type(request.user, Any)
    return PlainTextResponse("Hello")


@requires(["authenticated"], redirect="login", any_of=["a", "b"])
async def websocket_endpoint(websocket: WebSocket) -> None:
    return None


async def test_verify_is_typed_by_the_user() -> None:
    assert_type(await ByUserType().verify("alice", "secret"), User | None)
    assert_type(await ByUserType().find_user("alice"), User | None)
    assert_type(await ByHasherInInit(Hasher()).verify("alice", "secret"), User | None)
    assert_type(await WithResolve().resolve("a"), tuple[User, Sequence[str]] | None)
    assert_type(await Documented().verify("alice", "secret"), Any | None)
    assert_type(ByUserType(), ByUserType)


def test_an_app_is_typed() -> None:
    Starlette(
        middleware=[
            Middleware(AuthenticationMiddleware, backend=ByUserType()),
            Middleware(
                AuthenticationMiddleware,
                backend=OwnBackend(),
                on_error=lambda _, exc: PlainTextResponse(str(exc), status_code=401),
                on_invalid="anonymous",
            ),
        ]
    )


async def test_mistakes_are_found() -> None:
    with pytest.raises(TypeError):
        BaseTokenAuth()
    with pytest.raises(TypeError):
        WithResolve("shop")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        ByHasherInInit(object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="on_invalid"):
        AuthenticationMiddleware(
            Starlette(),
            OwnBackend(),
            on_invalid="ignore",  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        )

    class WrongUser(BaseBasicAuth[User]):
        async def verify(  # type: ignore[override]
            self, username: str, password: str
        ) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
            return username

    assert await WrongUser().verify("alice", "") == "alice"
