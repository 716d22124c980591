"""The middleware of an app, and what it answers in the app's documentation."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

from fastapi import FastAPI
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_auth_core import AuthenticationMiddleware, refusal

from ._dialog import allow_dialog, quiet_send
from ._login_route import leads_to_login
from ._responses import LOGIN_BODY, described

__all__ = ["install"]

_OnInvalid: TypeAlias = Literal["reject", "anonymous"]
_Observer: TypeAlias = Callable[[HTTPConnection, AuthCredentials | AuthenticationError], None]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def install(
    app: FastAPI,
    backend: AuthenticationBackend,
    *,
    on_invalid: _OnInvalid,
    observer: _Observer | None,
    browser_dialog: bool,
) -> None:
    """Do what `Authenticated.install` says."""
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
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        return _complete(generate())

    # It is how FastAPI's documentation extends what an app says of itself.
    app.openapi = openapi  # type: ignore[method-assign]  # on purpose


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
        # A login is asked by nobody. Swagger UI sends a header with it that stands for its client.
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


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    # It may be the same document each time, since FastAPI keeps it.
    schemes = document.get("components", {}).get("securitySchemes", {})
    for path in document.get("paths", {}).values():
        for method in _METHODS:
            operation = path.get(method, {})
            if operation.get("requestBody") == LOGIN_BODY:
                # That of a dependency of the whole app.
                operation.pop("security", None)
            for requirement in operation.get("security", ()):
                _document_answers(operation["responses"], any(requirement.values()))
                for name, scopes in requirement.items():
                    _document_scopes(schemes.get(name, {}), scopes)
    return document


def _document_answers(responses: dict[str, Any], asks_for_scopes: bool) -> None:
    statuses = [401, 429, 503]
    if asks_for_scopes:
        statuses.insert(1, 403)
    for status in statuses:
        # As FastAPI does it for its own 422.
        if not {str(status), f"{status // 100}XX", "default"}.intersection(responses):
            responses[str(status)] = described(HTTPStatus(status).phrase)


def _document_scopes(scheme: dict[str, Any], scopes: list[str]) -> None:
    flow = scheme.get("flows", {}).get("password")
    if flow is not None:
        for scope in scopes:
            flow.setdefault("scopes", {}).setdefault(scope, "")
