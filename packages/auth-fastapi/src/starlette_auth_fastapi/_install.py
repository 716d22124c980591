"""The middleware of an app, and its answers."""

from collections.abc import Callable
from typing import Literal, TypeAlias

from fastapi import FastAPI
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_auth_core import AuthenticationMiddleware, refusal

from ._dialog import allow_dialog, quiet_send
from ._documentation import with_answers
from ._login_route import leads_to_login

__all__ = ["install"]

_OnInvalid: TypeAlias = Literal["reject", "anonymous"]
_Observer: TypeAlias = Callable[[HTTPConnection, AuthCredentials | AuthenticationError], None]


def install(
    app: FastAPI,
    backend: AuthenticationBackend,
    *,
    on_invalid: _OnInvalid,
    observer: _Observer | None,
    browser_dialog: bool,
) -> None:
    """Do what `Authenticated.install` says."""
    if not isinstance(app, FastAPI):
        raise TypeError(f"app must be a FastAPI app; got an object of {type(app)}")
    if not isinstance(browser_dialog, bool):
        raise TypeError(f"browser_dialog must be a bool, not a {type(browser_dialog).__name__}")
    # An app makes its middleware with the first request. Mistakes are to show now.
    AuthenticationMiddleware(app, backend, on_invalid=on_invalid, observer=observer)
    app.add_middleware(
        _Middleware,
        router=app,
        backend=backend,
        on_invalid=on_invalid,
        observer=observer,
        browser_dialog=browser_dialog,
    )
    # FastAPI's own documentation extends an app's in this way.
    app.openapi = with_answers(app.openapi)  # type: ignore[method-assign]  # on purpose


class _Middleware:
    def __init__(
        self,
        app: ASGIApp,
        *,
        router: FastAPI,
        backend: AuthenticationBackend,
        on_invalid: _OnInvalid,
        observer: _Observer | None,
        browser_dialog: bool,
    ) -> None:
        self._router = router
        self._browser_dialog = browser_dialog
        self._asking = AuthenticationMiddleware(
            app, backend, _json_response, on_invalid=on_invalid, observer=observer
        )
        # For a login: Swagger UI sends a header with it that stands for its client, not for a user.
        self._not_asking = AuthenticationMiddleware(app, _Nobody(), _json_response)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            if self._browser_dialog:
                allow_dialog(scope)
            send = quiet_send(scope, send)
            if leads_to_login(self._router.routes, scope):
                await self._not_asking(scope, receive, send)
                return
        await self._asking(scope, receive, send)


class _Nobody(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> None:
        return None


def _json_response(conn: HTTPConnection, error: AuthenticationError) -> Response:
    refused = refusal(conn, error)
    if isinstance(refused, WebSocketException):
        # The middleware closes the WebSocket, and sends no response.
        return Response()
    return JSONResponse({"detail": refused.detail}, refused.status_code, refused.headers)
