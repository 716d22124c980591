"""The answer to a refused attempt, through everything that asks a backend."""

import logging
from datetime import timedelta
from typing import Any, Literal

import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket
from throttle_backends import FirstRight, Passwords, User, basic, connection

from starlette_auth_core import AuthBackend, AuthenticationMiddleware, Challenge, authenticate
from starlette_auth_throttle import Limit, MemoryStore, Throttled, by_username

MINUTE = timedelta(minutes=1)

WRONG = {"Authorization": basic("alice", "wrong").decode()}
RIGHT = {"Authorization": basic("alice", "alicepwd").decode()}
UNKNOWN = {"Authorization": basic("nobody", "wrong").decode()}


@pytest.fixture
def backend(passwords: Passwords) -> Throttled:
    return Throttled(passwords, Limit(by_username, 1, per=MINUTE))


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("page")


async def login(request: Request) -> PlainTextResponse:
    body = await request.json()
    backend: Throttled = request.app.state.backend
    passwords: Any = backend.backend
    async with backend.attempt(request, body["username"]) as attempt:
        user = await passwords.verify(body["username"], body["password"])
        if user is not None:
            attempt.succeed()
    return PlainTextResponse("right" if user else "wrong", 200 if user else 403)


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


async def dependent(request: Request) -> PlainTextResponse:
    await authenticate(request, request.app.state.backend)
    return PlainTextResponse("page")


def client_of(
    backend: Throttled,
    on_invalid: Literal["reject", "anonymous"] = "reject",
    *,
    with_middleware: bool = True,
) -> TestClient:
    middleware = [
        Middleware(AuthenticationMiddleware, backend=backend, on_invalid=on_invalid)
    ] * with_middleware
    routes = [
        Route("/", page),
        Route("/dependent", dependent),
        Route("/login", login, methods=["POST"]),
        WebSocketRoute("/echo", echo),
    ]
    app = Starlette(routes=routes, middleware=middleware)
    app.state.backend = backend
    return TestClient(app)


@pytest.mark.parametrize(
    ("path", "on_invalid", "with_middleware", "before"),
    [
        ("/", "reject", True, 401),
        ("/", "anonymous", True, 200),
        ("/dependent", "reject", False, 401),
    ],
)
def test_the_answer(
    backend: Throttled,
    path: str,
    on_invalid: Literal["reject", "anonymous"],
    with_middleware: bool,
    before: int,
) -> None:
    client = client_of(backend, on_invalid, with_middleware=with_middleware)
    answers = []
    for headers in (WRONG, UNKNOWN):
        assert client.get(path, headers=headers).status_code == before
        answers.append(client.get(path, headers=headers))
    answers.append(client.get(path, headers=RIGHT))
    for answer in answers:
        assert answer.status_code == 429
        assert answer.text == "Too many attempts"
        assert 55 <= int(answer.headers["retry-after"]) <= 60
        assert answer.headers["cache-control"] == "no-store"
        assert "www-authenticate" not in answer.headers


def test_a_websocket_is_denied(backend: Throttled) -> None:
    client = client_of(backend)
    client.get("/", headers=WRONG)
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        client.websocket_connect("/echo", headers=RIGHT),
    ):
        pytest.fail("it was let in")
    assert caught.value.status_code == 429
    assert "retry-after" in caught.value.headers


@pytest.mark.anyio
async def test_a_websocket_that_can_not_be_denied_is_closed(backend: Throttled) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sent.append("called")

    guarded = AuthenticationMiddleware(app, backend)
    for _ in range(2):
        headers = [(b"authorization", basic("alice", "wrong"))]
        scope = {"type": "websocket", "headers": headers, "extensions": {}}
        await guarded(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}] * 2


def test_a_login_view(backend: Throttled) -> None:
    client = client_of(backend)
    wrong = {"username": "alice", "password": "wrong"}
    assert client.post("/login", json=wrong).status_code == 403
    answer = client.post("/login", json={**wrong, "password": "alicepwd"})
    assert answer.status_code == 429
    assert "retry-after" in answer.headers
    assert client.get("/", headers=RIGHT).status_code == 429


def test_an_api_and_a_login_view_share_a_store(passwords: Passwords) -> None:
    store = MemoryStore()
    limit = Limit(by_username, 1, per=MINUTE)
    api, view = (client_of(Throttled(passwords, limit, store=store)) for _ in range(2))
    assert view.post("/login", json={"username": "alice", "password": "x"}).status_code == 403
    assert api.get("/", headers=RIGHT).status_code == 429


class Quiet(AuthBackend[User]):
    realm = "Quiet"
    scopes = ("read",)
    vary = ("Sec-Fetch-Mode",)
    scheme = "Bearer"

    def get_scopes(self, user: User) -> tuple[str, ...]:
        return ("own",)

    def openapi_scheme(self) -> dict[str, str]:
        return {"type": "http", "scheme": "basic"}

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        return AuthCredentials(self.scopes), User("alice")


def test_challenges_vary_and_scopes_are_those_of_the_wrapped_backend() -> None:
    quiet = Quiet()
    backend = Throttled(quiet, Limit(by_username, 1, per=MINUTE))
    assert backend.challenges(connection()) == quiet.challenges(connection())
    assert backend.challenges(connection()) == (Challenge("Bearer", realm="Quiet"),)
    assert (backend.scheme, backend.realm) == ("Bearer", "Quiet")
    assert tuple(backend.scopes) == ("read",)
    assert tuple(backend.vary) == ("Sec-Fetch-Mode",)
    assert backend.get_scopes(User("alice")) == ("own",)
    assert backend.openapi_scheme() == {"type": "http", "scheme": "basic"}


class Plain(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> Any:
        return None


def test_a_backend_of_starlettes_has_none_of_them() -> None:
    backend = Throttled(Plain(), Limit(by_username, 1, per=MINUTE))
    assert backend.challenges(connection()) == ()
    assert backend.vary == ()
    assert backend.get_scopes(User("alice")) == ()
    assert backend.openapi_scheme() is None


def test_a_401_has_the_challenges_of_all_that_are_wrapped(passwords: Passwords) -> None:
    backend = Throttled(FirstRight(passwords), Limit(by_username, 2, per=MINUTE))
    answer = client_of(Throttled(passwords, *[Limit(by_username, 2, per=MINUTE)])).get(
        "/", headers=WRONG
    )
    assert answer.headers["www-authenticate"] == 'Basic realm="Restricted", charset="UTF-8"'
    assert backend.challenges(connection()) == ()


def test_headers_may_be_read_once(backend: Throttled) -> None:
    async def with_iterator(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["headers"] = iter(scope["headers"])
        await AuthenticationMiddleware(answering, backend)(scope, receive, send)

    async def answering(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse(HTTPConnection(scope).user.username)(scope, receive, send)

    assert TestClient(with_iterator).get("/", headers=RIGHT).json() == "alice"


@pytest.mark.anyio
async def test_nothing_logged_or_shown_holds_a_name(
    backend: Throttled, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(3):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - any that it raises
            await backend.authenticate(connection(basic("alice", "geheim")))
        shown = repr(caught.value) + repr(backend) + caplog.text
        assert not any(text in shown for text in ("alice", "geheim", "198.51.100.1"))
