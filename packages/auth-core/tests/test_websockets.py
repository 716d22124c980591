"""WebSockets: a denial response where the server offers it, else a close before accept."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationError,
    SimpleUser,
    UnauthenticatedUser,
)
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import WebSocketException
from starlette.middleware import Middleware
from starlette.middleware.authentication import (
    AuthenticationMiddleware as StarletteAuthenticationMiddleware,
)
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Scope
from starlette.websockets import WebSocket

from starlette_auth_core import (
    AuthenticationMiddleware,
    AuthenticationUnavailable,
    BaseBearerAuth,
    InvalidCredentials,
    authorize,
    requires,
)

pytestmark = pytest.mark.anyio

BEARER = b'Bearer realm="Restricted"'
INVALID_TOKEN = b'Bearer realm="Restricted", error="invalid_token"'
INSUFFICIENT = b'Bearer realm="Restricted", error="insufficient_scope", scope="admin"'

REFUSED = [{"type": "websocket.close", "code": 1008, "reason": ""}]


class BearerAuth(BaseBearerAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        if token == "slow":
            raise TimeoutError
        return SimpleUser("bob") if token == "good" else None


async def whoami(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.user.display_name or "anonymous")
    await websocket.close()


async def raises(websocket: WebSocket) -> None:
    raise InvalidCredentials("Expired")


async def raises_late(websocket: WebSocket) -> None:
    await websocket.accept()
    raise InvalidCredentials("Too late")


async def own_denial(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("Mine", 401))


class Chat(WebSocketEndpoint):
    encoding = "text"

    @requires("authenticated")
    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept()

    @requires("admin")
    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_text(f"You may say {data}")


def app_with(**options: Any) -> Starlette:
    return Starlette(
        routes=[
            WebSocketRoute("/", whoami),
            WebSocketRoute("/protected", requires("authenticated")(whoami)),
            WebSocketRoute("/admin", requires("admin")(whoami)),
            WebSocketRoute("/teapot", requires("admin", 418)(whoami)),
            WebSocketRoute("/redirect", requires("admin", redirect="login")(whoami)),
            WebSocketRoute("/raises", raises),
            WebSocketRoute("/raises-late", raises_late),
            WebSocketRoute("/own-denial", own_denial),
            WebSocketRoute("/chat", Chat),
            Route("/login", lambda request: PlainTextResponse("Log in"), name="login"),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuth(), **options)],
    )


async def converse(
    app: ASGIApp, path: str = "/", token: str | None = None, *, denial: bool, say: str | None = None
) -> list[Message]:
    """Be the server, with or without the extension, and return all that the app sent."""
    messages: list[Message] = [{"type": "websocket.connect"}]
    if say is not None:
        messages.append({"type": "websocket.receive", "text": say})
    incoming = iter([*messages, {"type": "websocket.disconnect", "code": 1000}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(incoming)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "websocket",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "scheme": "ws",
        "server": ("testserver", 80),
        "headers": [] if token is None else [(b"authorization", f"Bearer {token}".encode())],
    }
    if denial:
        scope["extensions"] = {"websocket.http.response": {}}
    await app(scope, receive, send)
    return sent


def status_and_challenges(sent: list[Message]) -> tuple[int, list[bytes]]:
    start, *bodies = sent
    assert start["type"] == "websocket.http.response.start"
    assert {message["type"] for message in bodies} == {"websocket.http.response.body"}
    headers = start["headers"]
    return start["status"], [value for name, value in headers if name == b"www-authenticate"]


class TestLoggingIn:
    @pytest.mark.parametrize("denial", [True, False])
    @pytest.mark.parametrize(
        ("path", "token", "name"),
        [("/", None, "anonymous"), ("/", "good", "bob"), ("/protected", "good", "bob")],
    )
    async def test_who_may_come_in_does(
        self, path: str, token: str | None, name: str, denial: bool
    ) -> None:
        accept, text, close = await converse(app_with(), path, token, denial=denial)
        assert accept["type"] == "websocket.accept"
        assert text["text"] == name
        assert close["type"] == "websocket.close"


class TestRefusals:
    async def test_failed_credentials_are_denied_with_401(self) -> None:
        sent = await converse(app_with(), token="wrong", denial=True)
        assert status_and_challenges(sent) == (401, [INVALID_TOKEN])
        assert sent[1]["body"] == b"Invalid credentials"
        assert (b"cache-control", b"no-store") in sent[0]["headers"]

    async def test_an_unavailable_check_is_denied_with_503(self) -> None:
        sent = await converse(app_with(), token="slow", denial=True)
        assert status_and_challenges(sent) == (503, [])
        assert (b"retry-after", b"1") in sent[0]["headers"]

    async def test_an_error_from_beneath_is_answered_alike(self) -> None:
        sent = await converse(app_with(), "/raises", denial=True)
        assert status_and_challenges(sent) == (401, [BEARER])

    async def test_on_error_decides(self) -> None:
        def on_error(conn: HTTPConnection, exc: AuthenticationError) -> Response:
            return RedirectResponse("/login")

        sent = await converse(app_with(on_error=on_error), token="wrong", denial=True)
        assert status_and_challenges(sent) == (307, [])

    @pytest.mark.parametrize(
        ("path", "token", "answer"),
        [
            ("/protected", None, (401, [BEARER])),
            ("/admin", None, (401, [BEARER])),
            ("/admin", "good", (403, [INSUFFICIENT])),
            ("/teapot", "good", (418, [])),
            ("/teapot", None, (418, [])),
            ("/redirect", None, (401, [BEARER])),
        ],
    )
    async def test_requires_denies(
        self, path: str, token: str | None, answer: tuple[int, list[bytes]]
    ) -> None:
        sent = await converse(app_with(), path, token, denial=True)
        assert status_and_challenges(sent) == answer

    async def test_requires_says_what_was_wrong_with_an_invalid_token(self) -> None:
        app = app_with(on_invalid="anonymous")
        accept, *_ = await converse(app, "/", "expired", denial=True)
        assert accept["type"] == "websocket.accept"
        sent = await converse(app, "/protected", "expired", denial=True)
        assert status_and_challenges(sent) == (401, [INVALID_TOKEN])

    async def test_a_denial_of_the_app_gets_the_challenges(self) -> None:
        sent = await converse(app_with(), "/own-denial", denial=True)
        assert status_and_challenges(sent) == (401, [BEARER])

    @pytest.mark.parametrize(
        ("path", "token"),
        [
            ("/", "wrong"),
            ("/", "slow"),
            ("/raises", None),
            ("/protected", None),
            ("/admin", "good"),
        ],
    )
    async def test_without_the_extension_it_is_a_close_before_accept(
        self, path: str, token: str | None
    ) -> None:
        assert await converse(app_with(), path, token, denial=False) == REFUSED

    @pytest.mark.parametrize("denial", [True, False])
    async def test_nothing_is_answered_twice(self, denial: bool) -> None:
        with pytest.raises(InvalidCredentials, match="Too late"):
            await converse(app_with(), "/raises-late", denial=denial)


class TestEndpoints:
    @pytest.mark.parametrize("denial", [True, False])
    async def test_a_method_that_runs_before_accept_denies(self, denial: bool) -> None:
        sent = await converse(app_with(), "/chat", denial=denial)
        if denial:
            assert status_and_challenges(sent) == (401, [BEARER])
        else:
            assert sent == REFUSED

    @pytest.mark.parametrize("denial", [True, False])
    async def test_one_that_runs_later_closes(self, denial: bool) -> None:
        accept, close = await converse(app_with(), "/chat", "good", denial=denial, say="hello")
        assert accept["type"] == "websocket.accept"
        assert (close["type"], close["code"]) == ("websocket.close", 1008)


async def test_unavailable_names_its_time() -> None:
    async def full(websocket: WebSocket) -> None:
        raise AuthenticationUnavailable(retry_after=30)

    app = Starlette(
        routes=[WebSocketRoute("/", full)],
        middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuth())],
    )
    sent = await converse(app, denial=True)
    assert (b"retry-after", b"30") in sent[0]["headers"]


def test_an_endpoint_has_to_take_a_connection() -> None:
    decorate: Callable[..., Any] = requires("authenticated")
    with pytest.raises(TypeError, match="request or websocket"):
        decorate(lambda ws: None)


class Silent(WebSocketEndpoint):
    encoding = "text"

    @requires("admin")
    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        raise NotImplementedError

    @requires("admin")
    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("denial", [True, False])
@pytest.mark.parametrize("frames", [0, 1, 2])
@pytest.mark.parametrize("place", ["app", "mount", "starlette's"])
async def test_a_websocket_ends_once(place: str, frames: int, denial: bool) -> None:
    incoming: list[Message] = [{"type": "websocket.connect"}]
    incoming += [{"type": "websocket.receive", "text": "hello"}] * frames
    incoming += [{"type": "websocket.disconnect", "code": 1000}]
    sent: list[str] = []
    ended = False

    async def receive() -> Message:
        nonlocal ended
        message = incoming.pop(0)
        ended = ended or message["type"] == "websocket.disconnect"
        return message

    async def send(message: Message) -> None:
        # As servers do it for what comes after the end.
        nonlocal ended
        assert not ended, f"{message['type']} after the end"
        ended = message["type"] == "websocket.close"
        sent.append(message["type"])

    ours = [Middleware(AuthenticationMiddleware, backend=BearerAuth())]
    routes = [WebSocketRoute("/", Silent)]
    if place == "mount":
        app = Starlette(routes=[Mount("/", routes=routes, middleware=ours)])
    elif place == "app":
        app = Starlette(routes=routes, middleware=ours)
    else:
        theirs = Middleware(StarletteAuthenticationMiddleware, backend=BearerAuth())
        app = Starlette(routes=routes, middleware=[theirs])
    scope: Scope = {"type": "websocket", "path": "/", "headers": []}
    if denial:
        scope["extensions"] = {"websocket.http.response": {}}
    await app(scope, receive, send)
    assert sent == ["websocket.accept", *(["websocket.close"] if frames else [])]


async def test_a_denial_after_accept_is_a_close() -> None:
    async def late(websocket: WebSocket) -> None:
        await websocket.accept()
        authorize(HTTPConnection(websocket.scope), "admin")

    app = Starlette(
        routes=[WebSocketRoute("/", late)],
        middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuth())],
    )
    accept, close = await converse(app, denial=True)
    assert accept["type"] == "websocket.accept"
    assert (close["type"], close["code"]) == ("websocket.close", 1008)


async def test_who_has_left_is_not_answered_past_the_middleware() -> None:
    sent: list[Message] = []
    incoming: list[Message] = [
        {"type": "websocket.connect"},
        {"type": "websocket.disconnect", "code": 1000},
    ]

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    async def late(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()
        authorize(websocket, "admin")

    async def bare(scope: Scope, receive: Any, send: Any) -> None:
        await late(WebSocket(scope, receive, send))

    part = AuthenticationMiddleware(bare, BearerAuth())
    app = Starlette(routes=[Mount("/", app=part)])
    await app({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.accept"]


class TestTheLastCall:
    """Starlette calls `on_disconnect` last, and so it is the one place that may end silently."""

    @staticmethod
    async def websocket_after(*kinds: str) -> WebSocket:
        incoming: list[Message] = [{"type": f"websocket.{kind}"} for kind in kinds]

        async def receive() -> Message:
            return incoming.pop(0)

        async def send(message: Message) -> None:
            raise NotImplementedError

        scope: Scope = {"type": "websocket", "path": "/", "headers": []}
        scope.update(auth=AuthCredentials(), user=UnauthenticatedUser())
        websocket = WebSocket(scope, receive, send)
        for _ in kinds:
            await websocket.receive()
        return websocket

    async def test_it_ends_silently_once_the_client_has_left(self) -> None:
        @requires("admin")
        async def on_disconnect(websocket: WebSocket, close_code: int) -> None:
            raise NotImplementedError

        left = await self.websocket_after("connect", "disconnect")
        assert await on_disconnect(left, 1000) is None

    async def test_before_it_refuses_by_raising(self) -> None:
        @requires("admin")
        async def on_disconnect(websocket: WebSocket, close_code: int) -> None:
            raise NotImplementedError

        with pytest.raises(WebSocketException):
            await on_disconnect(await self.websocket_after("connect"), 1000)

    async def test_any_other_function_refuses_by_raising(self) -> None:
        @requires("admin")
        async def helper(websocket: WebSocket) -> None:
            raise NotImplementedError

        with pytest.raises(WebSocketException):
            await helper(await self.websocket_after("connect", "disconnect"))
