"""Drops the check of a password whose client has left.

No ASGI server cancels the task of such a request. The only sign is a message out of `receive`,
`http.disconnect` or `websocket.disconnect`, which comes after everything that the client has sent.
So whoever waits for the sign reads the body ahead, and keeps it for the app.
"""

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from types import CoroutineType, coroutine
from typing import Any, Protocol, TypeVar, cast

import anyio
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

__all__ = ["WATCHED", "Client", "ClientLeft", "Watched", "dismiss"]

T = TypeVar("T")

#: The key of the scope under which a `Watched` stands while the middleware asks its backend.
WATCHED = "starlette_auth_core.watched"

# How much of a body is read ahead, in bytes. A form or a JSON document ends before that, so its
# sender is watched to the end. An upload may not; but as many as there are logins waiting for a
# hasher have to fit into memory, and all of them may come from strangers.
_MOST_AHEAD = 2 * 1024 * 1024

# Even a message of a single byte takes this much memory, in bytes: counted by their bodies alone,
# 2 MiB of them would take 1 GiB.
_LEAST_SIZE = 512

_CLIENT_CLOSED_REQUEST = 499
_DISCONNECTS = ("http.disconnect", "websocket.disconnect")


class ClientLeft(Exception):
    """Raised out of `Client.watched` where the client has left: nobody waits for an answer."""


class Watched(Protocol):
    """A request whose client is watched while a backend checks its password.

    It stands in the scope for that long. A wrapper may hand on a copy of the scope, and the client
    is still shared.

    Attributes:
        client: The client, once a password is checked.
        receive: The server's.
    """

    client: "Client | None"
    receive: Receive


class Client:
    """The client of one request, who may leave while a password is checked.

    It is made for a request with a password. One whose password is found in a cache costs nothing
    else: `receive` is first called when a check suspends.

    Only one `receive` may wait at a time, and one that is cancelled may lose the message that it
    had got already (that of Starlette's BaseHTTPMiddleware does). So the reader is not stopped
    where a check ends but left waiting, and the app gets the message that the reader waits for.

    Args:
        receive: The server's, which nobody else may call before `authenticate` has returned.

    Attributes:
        left: Whether the client has left. Ask when `authenticate` has ended, however it did: the
            app is not to be called then, even where `ClientLeft` was swallowed on the way.
        was_read: Whether something was read of it, or is being read: only then is there anything
            to `close`.
    """

    # Class attributes, since most clients need none of their own.
    left = False
    was_read = False
    _drop: Callable[[], object] | None = None
    _ahead: deque[Message] | None = None
    _size = 0
    _failure: Exception | None = None
    _reading: tuple[anyio.CancelScope, anyio.Event] | None = None

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    @classmethod
    def of(cls, conn: HTTPConnection) -> "Client | None":
        """Return the client of a connection that is watched, and None for any other one."""
        request: Watched | None = conn.scope.get(WATCHED)
        if request is None:
            return None
        if request.client is None:
            request.client = cls(request.receive)
        return request.client

    @property
    def app_receive(self) -> Receive:
        """The `receive` for the app: the server's own where nothing was read.

        Raises:
            ClientLeft: If the client has left, so that the app is not to be called.
        """
        if self.left:
            raise ClientLeft
        return self.receive if self.was_read else self._receive

    async def watched(self, check: Awaitable[T]) -> T:
        """Await the check of a password, and cancel it if the client leaves meanwhile.

        It runs in the caller's task. A check within another one is watched already.

        Args:
            check: The coroutine, or another awaitable.

        Returns:
            Its result.

        Raises:
            ClientLeft: If the client has left.
        """
        work: Coroutine[Any, Any, T] = (
            check if isinstance(check, CoroutineType) else _as_coroutine(check)
        )
        if self.left:
            work.close()
            raise ClientLeft
        if self._drop is not None:
            return await work
        if _running_trio() is not None:
            return await self._outcome(self._on_trio(work))
        # A cached password suspends nothing, and is not to pay for a scope of anyio. That would
        # have to be entered before the first step, since the work may suspend within scopes of its
        # own; asyncio's timeout need not.
        try:
            rest = _resumed(work, work.send(None))
        except StopIteration as returned:
            result: T = returned.value
            return result
        return await self._outcome(self._on_asyncio(rest))

    async def receive(self) -> Message:
        """Return the messages that were read ahead, in order, and then the server's own.

        A disconnect is the last one, and each later call returns it again.

        Returns:
            The message.

        Raises:
            Exception: The error of the server's `receive`, once, in its place among the messages.
        """
        if not self._ahead and self._reading is not None:
            _, ended = self._reading
            await ended.wait()
        if self._ahead:
            is_last = self.left and len(self._ahead) == 1
            return self._ahead[0] if is_last else self._ahead.popleft()
        if self._failure is not None:
            try:
                raise self._failure
            finally:
                # The error holds this frame, which holds this client.
                self._failure = None
        return await self._receive()

    async def close(self) -> None:
        """End what still waits for a message, at the end of the request."""
        if self._reading is not None:
            scope, ended = self._reading
            scope.cancel()
            with anyio.CancelScope(shield=True):
                await ended.wait()
        self._failure = None

    async def _outcome(self, work: Coroutine[Any, Any, T]) -> T:
        # Cancelled work may raise, or return, whatever it likes.
        try:
            result = await work
        except Exception:
            if not self.left:
                raise
        else:
            if not self.left:
                return result
        raise ClientLeft

    async def _on_asyncio(self, rest: Awaitable[T]) -> T:
        async with asyncio.timeout(None) as timeout:
            return await self._read_during(rest, partial(timeout.reschedule, 0))

    async def _on_trio(self, work: Coroutine[Any, Any, T]) -> T:
        with anyio.CancelScope() as scope:
            try:
                rest = _resumed(work, work.send(None))
            except StopIteration as returned:
                return cast("T", returned.value)
            return await self._read_during(rest, scope.cancel)
        raise ClientLeft

    async def _read_during(self, rest: Awaitable[T], drop: Callable[[], object]) -> T:
        self._drop = drop
        try:
            if self._reading is None:
                self._start_reading()
            return await rest
        finally:
            self._drop = None

    def _start_reading(self) -> None:
        # Not in a task group: that would have to be left in order with the scopes of the work, and
        # the reader stays on after it.
        self.was_read = True
        ahead = self._ahead = self._ahead or deque()
        scope, ended = self._reading = (anyio.CancelScope(), anyio.Event())
        trio = _running_trio()
        if trio is None:
            # Kept, since the loop itself does not hold its tasks.
            self._task = asyncio.create_task(self._read(ahead, scope, ended))
            # One that is cancelled before its first step never gets to a `finally` of its own.
            self._task.add_done_callback(lambda _: ended.set())
        else:
            context = contextvars.copy_context()
            trio.lowlevel.spawn_system_task(self._read, ahead, scope, ended, context=context)

    async def _read(
        self, ahead: deque[Message], scope: anyio.CancelScope, ended: anyio.Event
    ) -> None:
        try:
            with scope:
                while self._drop and not (self.left or self._failure) and self._size < _MOST_AHEAD:
                    self._keep(ahead, await self._receive())
        except Exception as error:  # noqa: BLE001 - the app gets it from `receive`
            self._failure = error
        finally:
            self._reading = None
            ended.set()

    def _keep(self, ahead: deque[Message], message: Message) -> None:
        ahead.append(message)
        self._size += max(len(message.get("body", b"")), _LEAST_SIZE)
        if message["type"] in _DISCONNECTS:
            self.left = True
            if self._drop is not None:
                self._drop()


async def dismiss(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a client who has left, for the middleware further out and its access log.

    Servers ignore a response without a reader. Starlette's BaseHTTPMiddleware takes the lack of one
    for a defect, and every stranger could have a traceback logged. The status is the one that nginx
    logs: "client closed request".

    Args:
        scope: The request's. A WebSocket needs no answer.
        receive: The server's.
        send: The server's.
    """
    if scope["type"] == "http":
        # The ASGI specification lets servers raise it ("Disconnected Client - send exception").
        with suppress(OSError):
            await Response(status_code=_CLIENT_CLOSED_REQUEST)(scope, receive, send)


async def _as_coroutine(work: Awaitable[T]) -> T:
    return await work


@coroutine
def _resumed(work: Coroutine[Any, Any, T], yielded: object) -> Generator[object, Any, T]:
    # `await work`, for work that has been suspended already.
    try:
        while True:
            try:
                sent = yield yielded
            except BaseException as error:  # noqa: BLE001 - the work decides what becomes of it
                yielded = work.throw(error)
            else:
                yielded = work.send(sent)
    except StopIteration as returned:
        return cast("T", returned.value)


def _running_trio() -> Any:
    # This package does not depend on trio: an app that runs on it has imported it.
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_task() else None
