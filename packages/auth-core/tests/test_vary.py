"""No shared cache may hand out what somebody else's key read: `Vary`, RFC 9111 section 4.1."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationError, SimpleUser
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    BaseAPIKeyAuth,
    BaseBearerAuth,
    requires,
)

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[httpx.Response]]


class KeyAuth(BaseAPIKeyAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser("alice") if token == "good" else None


class OtherKeyAuth(KeyAuth):
    header = "X-Other"


class CookieAuth(AuthBackend[SimpleUser]):
    vary = ("Cookie", "x-api-key")

    async def authenticate(self, conn: HTTPConnection) -> Any:
        return None


class BearerAuth(BaseBearerAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return None


class Wrapper(AuthBackend[Any]):
    """A wrapper that knows nothing of `vary`."""

    def __init__(self, *, backend: Any = None, backends: Sequence[Any] = ()) -> None:
        self.backend = backend
        self.backends = backends

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        for each in (self.backend, *self.backends):
            if each is not None and (result := await each.authenticate(conn)) is not None:
                return result  # type: ignore[no-any-return]  # it holds any backend
        return None


async def hello(request: Request) -> Response:
    return PlainTextResponse("Hello")


async def varied(request: Request) -> Response:
    response = PlainTextResponse("Hello")
    for value in request.query_params.getlist("vary"):
        response.headers.append("Vary", value)
    return response


async def raises(request: Request) -> Response:
    raise HTTPException(418)


def app_with(backend: Any, **options: Any) -> Starlette:
    return Starlette(
        routes=[
            Route("/", hello),
            Route("/protected", requires("authenticated")(hello)),
            Route("/admin", requires("admin")(hello)),
            Route("/raises", raises),
            Route("/varied", varied),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend, **options)],
    )


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("/", None, 200),
        ("/", "good", 200),
        ("/", "wrong", 401),
        ("/protected", None, 401),
        ("/admin", "good", 403),
        ("/nowhere", None, 404),
        ("/nowhere", "good", 404),
        ("/raises", "good", 418),
    ],
)
async def test_every_response_names_the_header_of_the_key(
    path: str, key: str | None, status: int, fetch: Fetch
) -> None:
    response = await fetch(app_with(KeyAuth()), path, headers={"X-API-Key": key} if key else {})
    assert response.status_code == status
    assert response.headers.get_list("vary") == ["X-API-Key"]


async def test_so_does_the_one_of_on_error(fetch: Fetch) -> None:
    def on_error(conn: HTTPConnection, error: AuthenticationError) -> Response:
        return PlainTextResponse("Oh", 400)

    app = app_with(KeyAuth(), on_error=on_error)
    response = await fetch(app, headers={"X-API-Key": "wrong"})
    assert (response.status_code, response.headers.get_list("vary")) == (400, ["X-API-Key"])


class KeyAndCookieAuth(KeyAuth):
    vary = ("Cookie",)


class KeyTwiceAuth(KeyAuth):
    vary = ("x-api-key",)


class KeyAndOriginAuth(KeyAuth):
    def __init__(self) -> None:
        self.vary = ("Origin",)


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (KeyAndCookieAuth(), ["Cookie, X-API-Key"]),
        (KeyAndOriginAuth(), ["Origin, X-API-Key"]),
        (KeyTwiceAuth(), ["x-api-key"]),
        (BearerAuth(), []),
        (OtherKeyAuth(), ["X-Other"]),
        (CookieAuth(), ["Cookie, x-api-key"]),
        (Wrapper(backend=KeyAuth()), ["X-API-Key"]),
        (Wrapper(backends=[KeyAuth(), OtherKeyAuth(), BearerAuth()]), ["X-API-Key, X-Other"]),
        (Wrapper(backend=Wrapper(backends=(CookieAuth(), KeyAuth()))), ["Cookie, x-api-key"]),
    ],
)
async def test_the_names_of_wrapped_backends_are_merged(
    backend: Any, expected: list[str], fetch: Fetch
) -> None:
    assert (await fetch(app_with(backend))).headers.get_list("vary") == expected


def test_a_string_that_a_wrapped_backend_has_is_a_mistake() -> None:
    class Foreign:
        vary = "Cookie"

        async def authenticate(self, conn: HTTPConnection) -> None:
            return None

    with pytest.raises(TypeError, match="vary must be a sequence"):
        AuthenticationMiddleware(PlainTextResponse("Hello"), Wrapper(backends=[Foreign()]))


def test_a_backend_that_holds_itself_is_no_endless_loop() -> None:
    backend = Wrapper()
    backend.backend = backend
    backend.backends = [backend]
    AuthenticationMiddleware(PlainTextResponse("Hello"), backend)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (["x-api-key"], ["x-api-key"]),
        (["Accept, X-Api-KEY"], ["Accept, X-Api-KEY"]),
        (["Accept", "Origin"], ["Accept", "Origin", "X-API-Key"]),
        (["*"], ["*"]),
        (["Accept, *"], ["Accept, *"]),
        ([""], ["", "X-API-Key"]),
    ],
)
async def test_what_an_app_says_is_kept(
    present: list[str], expected: list[str], fetch: Fetch
) -> None:
    query = "&".join(f"vary={value}" for value in present)
    response = await fetch(app_with(KeyAuth()), f"/varied?{query}")
    assert response.headers.get_list("vary") == expected


@pytest.mark.parametrize("headers", [None, {"Vary": "Accept"}])
async def test_an_error_that_a_part_of_an_app_raises_is_a_copy_with_it(
    headers: dict[str, str] | None, fetch: Fetch
) -> None:
    raised = HTTPException(403, headers=headers)

    async def part(scope: Scope, receive: Receive, send: Send) -> None:
        raise raised

    guarded = AuthenticationMiddleware(part, KeyAuth())
    response = await fetch(Starlette(routes=[Mount("/part", app=guarded)]), "/part/")
    assert response.status_code == 403
    assert response.headers["vary"] == ("Accept, X-API-Key" if headers else "X-API-Key")
    assert raised.headers == headers
