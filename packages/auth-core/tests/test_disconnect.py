"""Clients that leave while their password is checked."""

import asyncio
import contextlib
from base64 import b64encode
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, Literal

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from starlette_auth_core import AuthenticationMiddleware, BaseBasicAuth, BaseTokenAuth

pytestmark = pytest.mark.anyio

MEBIBYTE = 1024 * 1024
# Nothing waits for it when all is well.
PATIENCE = 30
END: Message = {"type": "http.request", "body": b"", "more_body": False}
GONE: Message = {"type": "http.disconnect"}


def chunk(body: bytes) -> Message:
    return {"type": "http.request", "body": body, "more_body": True}


class Connection:
    """A connection as a server sees it.

    A `receive` that is cancelled may lose its message, and takes a while to end.
    """

    def __init__(self, *messages: Message) -> None:
        self._messages = deque(messages)
        self._arrived = anyio.Event()
        self._is_read = anyio.Event()
        self.asked = 0
        self.waiting = 0
        self.sent: list[Message] = []

    def arrive(self, *messages: Message) -> None:
        self._messages.extend(messages)
        self._arrived.set()

    async def until_all_is_read(self) -> None:
        """Wait until `receive` waits for a message that has not arrived yet."""
        await self._is_read.wait()

    async def receive(self) -> Message:
        assert not self.waiting
        self.asked += 1
        self.waiting += 1
        try:
            while not self._messages:
                self._is_read.set()
                self._arrived = anyio.Event()
                await self._arrived.wait()
            message = self._messages.popleft()
            await checkpoint()
            return message
        finally:
            with anyio.CancelScope(shield=True):
                await checkpoint()
            self.waiting -= 1

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]  # type: ignore[no-any-return]  # Message's values are Any


class Gate:
    """Work that waits until it is let through."""

    def __init__(self) -> None:
        self.began = anyio.Event()
        self.opened = anyio.Event()
        self.cancelled = 0

    async def work(self) -> None:
        self.began.set()
        try:
            await self.opened.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise


class Hasher:
    """Finds every password right, after it has gone through the gate."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    async def verify(self, secret: str, hashed: str | None, /) -> bool:
        await self.gate.work()
        return True

    async def verify_and_update(
        self, secret: str, hashed: str | None, /
    ) -> tuple[bool, str | None]:
        return await self.verify(secret, hashed), None

    async def dummy_verify(self, secret: str, username: str, /) -> None:
        await self.gate.work()


class User(SimpleUser):
    password = "a hash"


class Users(BaseBasicAuth[User]):
    def __init__(self, gate: Gate) -> None:
        self.hasher = Hasher(gate)

    async def find_user(self, username: str) -> User | None:
        return User(username) if username == "alice" else None


class OwnPasswordCheck(Users):
    async def verify_password(self, user: User, password: str) -> bool:
        assert self.hasher is not None
        return await self.hasher.verify(password, None)


class OwnVerify(BaseBasicAuth[User]):
    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    async def verify(self, username: str, password: str) -> User | None:
        await self.gate.work()
        return User(username)


class Wrapped(AuthenticationBackend):
    """Lets a request in, whatever happened."""

    def __init__(self, backend: AuthenticationBackend) -> None:
        self.backend = backend

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        for _ in range(2):
            with contextlib.suppress(Exception):
                await self.backend.authenticate(HTTPConnection(dict(conn.scope)))
        return AuthCredentials(["authenticated"]), User("somebody")


class RaisesInstead(AuthenticationBackend):
    def __init__(self, backend: AuthenticationBackend) -> None:
        self.backend = backend

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        try:
            await self.backend.authenticate(conn)
        except Exception:  # noqa: BLE001 - it is the careless sort of wrapper
            raise LookupError("another error") from None
        return None


class App:
    """Reads what there is, up to *most* messages, and answers."""

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.calls = 0
        self.got: list[Message] = []
        self.receive: Receive | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        self.receive = receive
        self.got += [await receive() for _ in range(self.most)]
        await Response()(scope, receive, send)


def login(kind: str = "http", username: str = "alice") -> Scope:
    credentials = b64encode(f"{username}:pwd".encode())
    return {
        "type": kind,
        "method": "POST",
        "path": "/",
        "headers": [(b"authorization", b"Basic " + credentials)],
    }


def living_tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return trio.lowlevel.current_statistics().tasks_living


async def handle(
    app: ASGIApp,
    backend: AuthenticationBackend,
    connection: Connection,
    during: Callable[[], Coroutine[Any, Any, None]],
    scope: Scope | None = None,
) -> None:
    """Handle a request to its end, and do something *during* it."""
    before = living_tasks()
    middleware = AuthenticationMiddleware(app, backend)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(during)
            await middleware(scope or login(), connection.receive, connection.send)
            assert not connection.waiting
    assert living_tasks() == before


@pytest.fixture
def gate() -> Gate:
    return Gate()


class TestAClientThatLeaves:
    @pytest.mark.parametrize("kind", ["http", "websocket"])
    @pytest.mark.parametrize("username", ["alice", "nobody"])
    @pytest.mark.parametrize(
        "backend",
        [
            Users,
            OwnPasswordCheck,
            OwnVerify,
            lambda gate: Wrapped(Users(gate)),
            lambda gate: RaisesInstead(Users(gate)),
        ],
        ids=["hasher", "verify_password", "verify", "wrapped", "another error"],
    )
    async def test_has_the_check_cancelled_and_the_app_not_called(
        self,
        backend: Callable[[Gate], AuthenticationBackend],
        username: str,
        kind: str,
        gate: Gate,
    ) -> None:
        first = END if kind == "http" else {"type": "websocket.connect"}
        app, connection = App(), Connection(first)

        async def leave() -> None:
            await gate.began.wait()
            connection.arrive({"type": f"{kind}.disconnect"})

        await handle(app, backend(gate), connection, leave, login(kind, username))
        assert app.calls == 0
        assert gate.cancelled == 1

    async def test_may_have_left_before(self, gate: Gate) -> None:
        app, connection = App(), Connection(END, GONE)
        await handle(app, Users(gate), connection, checkpoint)
        assert (app.calls, gate.cancelled) == (0, 1)
        assert connection.asked == 2

    @pytest.mark.parametrize("error", [None, ValueError("no such hash"), TimeoutError()])
    async def test_is_gone_whatever_cancelled_work_makes_of_it(
        self, error: Exception | None, gate: Gate
    ) -> None:
        class Stubborn(OwnVerify):
            async def verify(self, username: str, password: str) -> User | None:
                try:
                    await gate.work()
                except anyio.get_cancelled_exc_class():
                    if error is not None:
                        raise error from None
                return User(username)

        class Noting(Wrapped):
            async def authenticate(
                self, conn: HTTPConnection
            ) -> tuple[AuthCredentials, Any] | None:
                try:
                    return await self.backend.authenticate(conn)
                except Exception as caught:
                    raised.append(type(caught).__name__)
                    raise

        raised: list[str] = []
        app, connection = App(), Connection(END, GONE)
        await handle(app, Noting(Stubborn(gate)), connection, checkpoint)
        assert (app.calls, gate.cancelled) == (0, 1)
        # A throttle around it is not to count a failure.
        assert raised == ["ClientLeft"]

    async def test_amid_the_app_has_no_error_of_the_app_swallowed(self, gate: Gate) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            connection.arrive(GONE)
            assert [await receive(), await receive()] == [END, GONE]
            raise Stopped

        async def during() -> None:
            await connection.until_all_is_read()
            gate.opened.set()

        connection = Connection(END)
        middleware = AuthenticationMiddleware(app, Users(gate))
        async with anyio.create_task_group() as group:
            group.start_soon(during)
            with pytest.raises(Stopped):
                await middleware(login(), connection.receive, connection.send)

    @pytest.mark.parametrize(("kind", "statuses"), [("http", [499]), ("websocket", [])])
    async def test_is_answered_for_the_middleware_further_out(
        self, kind: str, statuses: list[int], gate: Gate
    ) -> None:
        connection = Connection({"type": f"{kind}.disconnect"})
        await handle(App(), Users(gate), connection, checkpoint, login(kind))
        starts = [message for message in connection.sent if message["type"].endswith("start")]
        assert [start["status"] for start in starts] == statuses

    async def test_may_be_nobody_to_send_to(self, gate: Gate) -> None:
        async def send(message: Message) -> None:
            raise BrokenPipeError

        connection = Connection(GONE)
        middleware = AuthenticationMiddleware(App(), Users(gate))
        await middleware(login(), connection.receive, send)
        assert gate.cancelled == 1


class TestTheBody:
    async def test_is_handed_on_in_order_and_the_disconnect_last(self, gate: Gate) -> None:
        app = App(most=5)
        messages = [chunk(b"a"), chunk(b"b"), END]
        connection = Connection(*messages)

        async def during() -> None:
            await connection.until_all_is_read()
            assert connection.asked == 4
            gate.opened.set()
            connection.arrive(GONE)

        await handle(app, Users(gate), connection, during)
        assert app.got == [*messages, GONE, GONE]
        assert connection.status == 200

    async def test_is_not_lost_where_it_arrives_at_the_end_of_the_check(self, gate: Gate) -> None:
        app = App(most=3)
        connection = Connection(chunk(b"a"))

        async def during() -> None:
            await connection.until_all_is_read()
            # Both in one step of the event loop, so the check ends amid a `receive`.
            connection.arrive(chunk(b"b"))
            gate.opened.set()
            await checkpoint()
            connection.arrive(END)

        await handle(app, Users(gate), connection, during)
        assert app.got == [chunk(b"a"), chunk(b"b"), END]

    async def test_may_be_waited_for_by_an_app_that_gives_up(self, gate: Gate) -> None:
        got: list[Message] = []
        connection = Connection()

        async def impatient(scope: Scope, receive: Receive, send: Send) -> None:
            with anyio.CancelScope() as scope_of_receive:
                scope_of_receive.cancel()
                await receive()
            connection.arrive(chunk(b"a"), END)
            got.extend([await receive(), await receive()])
            await Response()(scope, receive, send)

        async def during() -> None:
            await connection.until_all_is_read()
            gate.opened.set()

        await handle(impatient, Users(gate), connection, during)
        assert got == [chunk(b"a"), END]

    @pytest.mark.parametrize(
        ("size", "count"), [(64 * 1024, 32), (2 * MEBIBYTE, 1), (3 * MEBIBYTE, 1), (1, 4096)]
    )
    async def test_is_read_ahead_up_to_two_mebibytes(
        self, size: int, count: int, gate: Gate
    ) -> None:
        app = App(most=count + 3)
        messages = [*[chunk(bytes(size))] * (count + 2), END]
        connection = Connection(*messages)

        async def during() -> None:
            while connection.asked < count or connection.waiting:
                await checkpoint()
            gate.opened.set()
            await anyio.wait_all_tasks_blocked()

        class Counting(App):
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                assert connection.asked == count
                await app(scope, receive, send)

        await handle(Counting(), Users(gate), connection, during)
        assert app.got == messages

    async def test_may_end_in_an_error_which_the_app_gets(self, gate: Gate) -> None:
        connection = Connection(chunk(b"a"))
        answers = deque([connection.receive, fail_to_receive, connection.receive])

        async def receive() -> Message:
            return await answers.popleft()()

        got: list[object] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            for _ in range(3):
                try:
                    got.append(await receive())
                except ClientDisconnect as error:
                    got.append(error)
            await Response()(scope, receive, send)

        async def during() -> None:
            while len(answers) > 1:
                await checkpoint()
            gate.opened.set()
            connection.arrive(END)

        async with anyio.create_task_group() as group:
            group.start_soon(during)
            middleware = AuthenticationMiddleware(app, Users(gate))
            await middleware(login(), receive, connection.send)
        assert got[0] == chunk(b"a")
        assert isinstance(got[1], ClientDisconnect)
        assert got[2] == END

    async def test_that_cannot_be_received_leaves_the_check_alone(self, gate: Gate) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await Response()(scope, receive, send)

        asked: list[str] = []

        async def receive() -> Message:
            asked.append(a_context.get())
            return await fail_to_receive()

        connection = Connection()
        middleware = AuthenticationMiddleware(app, Wrapped(Users(gate)))
        a_context.set("the request's")
        async with anyio.create_task_group() as group:
            group.start_soon(middleware, login(), receive, connection.send)
            await anyio.wait_all_tasks_blocked()
            assert not gate.cancelled
            gate.opened.set()
            await anyio.wait_all_tasks_blocked()
        assert connection.status == 200
        # The second check does not ask again: the app has not had the error yet.
        assert asked == ["the request's"]


a_context = ContextVar[str]("a_context")


async def fail_to_receive() -> Message:
    await checkpoint()
    raise ClientDisconnect


class Token(BaseTokenAuth[User]):
    async def verify(self, token: str) -> User | None:
        await checkpoint()
        return User("bob")


class Cached(Users):
    async def find_user(self, username: str) -> User | None:
        await checkpoint()
        return User(username)

    async def verify_password(self, user: User, password: str) -> bool:
        return password == "pwd"


class TestARequestThatNeedsNoHash:
    @pytest.mark.parametrize(
        ("backend", "header"),
        [
            (lambda gate: Token(), b"Token abc"),
            (Cached, b"Basic YWxpY2U6cHdk"),
            (Users, b"Digest abc"),
        ],
        ids=["a token", "a cached password", "anonymous"],
    )
    async def test_is_not_watched(
        self, backend: Callable[[Gate], AuthenticationBackend], header: bytes, gate: Gate
    ) -> None:
        app, connection = App(most=0), Connection(END)
        scope = {**login(), "headers": [(b"authorization", header)]}
        await handle(app, backend(gate), connection, checkpoint, scope)
        assert connection.status == 200
        assert connection.asked == 0
        assert app.receive == connection.receive


class Stopped(Exception):
    pass


class TestCancellationFromOutside:
    async def test_by_a_scope_goes_through(self, gate: Gate) -> None:
        app, connection = App(), Connection(END)
        waiting_at_the_end: list[int] = []

        async def request() -> None:
            middleware = AuthenticationMiddleware(app, Users(gate))
            try:
                await middleware(login(), connection.receive, connection.send)
            finally:
                waiting_at_the_end.append(connection.waiting)

        before = living_tasks()
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(request)
                await connection.until_all_is_read()
                scope.cancel()
        assert scope.cancelled_caught
        assert waiting_at_the_end == [0]
        assert (app.calls, gate.cancelled, connection.waiting) == (0, 1, 0)
        assert living_tasks() == before

    @pytest.mark.parametrize("also_leaves", [False, True])
    def test_of_the_task_goes_through(self, also_leaves: bool, gate: Gate) -> None:
        app = App()

        async def main() -> None:
            connection = Connection(END)
            middleware = AuthenticationMiddleware(app, Users(gate))
            task = asyncio.create_task(middleware(login(), connection.receive, connection.send))
            await connection.until_all_is_read()
            if also_leaves:
                connection.arrive(GONE)
                await checkpoint()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert connection.waiting == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())
        assert (app.calls, gate.cancelled) == (0, 1)

    def test_of_everything_ends_everything(self, gate: Gate) -> None:
        # As `asyncio.run` cancels all tasks, one of which may not have had its first step yet.
        async def main() -> None:
            connection = Connection(END)
            middleware = AuthenticationMiddleware(App(), Users(gate))
            task = asyncio.create_task(middleware(login(), connection.receive, connection.send))
            await gate.began.wait()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert len(others) == 2
            for other in others:
                other.cancel()
            await asyncio.wait(others)
            assert task.cancelled()
            assert connection.asked == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())

    def test_a_task_whose_client_left_is_not_cancelled_itself(self, gate: Gate) -> None:
        async def main() -> None:
            connection = Connection(END, GONE)
            middleware = AuthenticationMiddleware(App(), Users(gate))
            async with asyncio.timeout(PATIENCE):
                await middleware(login(), connection.receive, connection.send)
                await checkpoint()
            task = asyncio.current_task()
            assert task is not None
            assert task.cancelling() == 0

        asyncio.run(main())

    async def test_amid_the_app_goes_through(self, gate: Gate) -> None:
        connection = Connection(END)
        gate.opened.set()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            outer.cancel()
            await receive()

        with anyio.CancelScope() as outer:
            middleware = AuthenticationMiddleware(app, Users(gate))
            await middleware(login(), connection.receive, connection.send)
        assert outer.cancelled_caught
        assert connection.waiting == 0


class OwnAwaitable:
    def __await__(self) -> Generator[Any, None, bool]:
        yield from checkpoint().__await__()
        return True


class TestAnOwnCheck:
    async def test_keeps_its_scopes(self, gate: Gate) -> None:
        class Impatient(OwnVerify):
            async def verify(self, username: str, password: str) -> User | None:
                with anyio.move_on_after(0) as inner:
                    await gate.work()
                with anyio.CancelScope() as another:
                    another.cancel()
                    await gate.work()
                async with anyio.create_task_group() as group:
                    group.start_soon(checkpoint)
                return User(username) if inner.cancelled_caught else None

        app, connection = App(), Connection(END)
        await handle(app, Impatient(gate), connection, checkpoint)
        assert (connection.status, gate.cancelled) == (200, 2)

    async def test_that_times_out_is_unavailable(self, gate: Gate) -> None:
        class Impatient(OwnVerify):
            async def verify(self, username: str, password: str) -> User | None:
                with anyio.fail_after(0):
                    await gate.work()
                raise AssertionError

        connection = Connection(END)
        await handle(App(), Impatient(gate), connection, checkpoint)
        assert connection.status == 503

    async def test_may_raise(self, gate: Gate) -> None:
        class Broken(OwnVerify):
            async def verify(self, username: str, password: str) -> User | None:
                await checkpoint()
                raise Stopped

        connection = Connection(END)
        middleware = AuthenticationMiddleware(App(), Broken(gate))
        with pytest.raises(Stopped):
            await middleware(login(), connection.receive, connection.send)
        assert connection.waiting == 0

    async def test_may_return_any_awaitable(self, gate: Gate) -> None:
        class Plain(Users):
            def verify_password(self, user: User, password: str) -> Awaitable[bool]:  # type: ignore[override]  # callers only await it
                return OwnAwaitable()

        app, connection = App(most=1), Connection(END)
        await handle(app, Plain(gate), connection, checkpoint)
        assert (connection.status, app.got) == (200, [END])

    async def test_within_another_one_is_watched_by_that(self, gate: Gate) -> None:
        class Delegating(Users):
            async def authenticate(
                self, conn: HTTPConnection
            ) -> tuple[AuthCredentials, Any] | None:
                self.conn = conn
                return await super().authenticate(conn)

            async def verify(self, username: str, password: str) -> User | None:
                await checkpoint()
                await Suspending().authenticate(self.conn)
                return await super().verify(username, password)

        app, connection = App(), Connection(END)

        async def leave() -> None:
            await gate.began.wait()
            connection.arrive(GONE)

        await handle(app, Delegating(gate), connection, leave)
        assert (app.calls, gate.cancelled) == (0, 1)

    async def test_may_be_called_twice(self, gate: Gate) -> None:
        class Twice(Wrapped):
            async def authenticate(
                self, conn: HTTPConnection
            ) -> tuple[AuthCredentials, Any] | None:
                await self.backend.authenticate(conn)
                await checkpoint()
                return await self.backend.authenticate(conn)

        app, connection = App(most=3), Connection(chunk(b"a"))

        async def during() -> None:
            await connection.until_all_is_read()
            gate.opened.set()
            await checkpoint()
            connection.arrive(chunk(b"b"), END)

        await handle(app, Twice(Users(gate)), connection, during)
        assert app.got == [chunk(b"a"), chunk(b"b"), END]

    async def test_of_a_view_does_not_read_the_body(self, gate: Gate) -> None:
        backend = Users(gate)
        gate.opened.set()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            user = await backend.verify("alice", "pwd")
            assert user is not None
            body = await Request(scope, receive).body()
            await Response(body)(scope, receive, send)

        connection = Connection(chunk(b"a"), END)
        scope = {**login(), "headers": []}
        await handle(app, backend, connection, checkpoint, scope)
        assert connection.sent[1]["body"] == b"a"
        assert connection.asked == 2


class Suspending(OwnVerify):
    def __init__(self) -> None:
        pass

    async def verify(self, username: str, password: str) -> User | None:
        await anyio.wait_all_tasks_blocked()
        return User(username)


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


async def give_back(request: Request) -> Response:
    return Response(await request.body())


class TestStarlettesTestClient:
    @pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
    def test_works(self, anyio_backend: Literal["asyncio", "trio"]) -> None:
        app = Starlette(
            routes=[Route("/", give_back, methods=["POST"]), WebSocketRoute("/", echo)],
            middleware=[Middleware(AuthenticationMiddleware, backend=Suspending())],
        )
        with TestClient(app, backend=anyio_backend) as client:
            assert client.post("/", content=b"abc", auth=("alice", "pwd")).content == b"abc"
            headers = {"Authorization": "Basic YWxpY2U6cHdk"}
            with client.websocket_connect("/", headers=headers) as websocket:
                websocket.send_text("hello")
                assert websocket.receive_text() == "hello"
