"""A login: a token for a password, RFC 6749 section 4.3 (resource owner password credentials)."""

import base64
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.authentication import AuthenticationBackend, AuthenticationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from starlette_auth_core import AuthBackend, AuthenticationMiddleware, refusal
from starlette_auth_core.credentials import is_plain_text, is_reserved_scope
from starlette_auth_core.tokens import Tokens

from ._documentation import with_scopes
from ._login_body import LoginRefused, PasswordLogin, read_login
from ._login_route import LoginRoute
from ._responses import LOGIN_BODY, LOGIN_RESPONSES
from ._schemes import check_backend, vary_of
from ._users import is_anonymous

__all__ = ["login_router"]

_logger = logging.getLogger("starlette_auth_fastapi")

# The key of the scope in which the backend is asked, under which its refusal stands.
_REFUSED = "starlette_auth_fastapi.refused"
# RFC 6749 section 5.1 asks for both.
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def login_router(
    passwords: AuthBackend[Any] | AuthenticationBackend,
    tokens: Tokens[Any, Any],
    *,
    path: str = "/token",
    expires_in: timedelta,
) -> APIRouter:
    """Make a router with one endpoint, which exchanges a user name and a password for a token.

    A login is a form, as RFC 6749 section 4.3.2 has it and the "Authorize" button of FastAPI's
    documentation sends it, or a JSON object with the same fields, in which `grant_type` may be
    absent. The answers are those of RFC 6749 sections 5.1 and 5.2, and 429 and 503 with
    `Retry-After`. The header `Authorization` of the request, its cookies and its query are ignored.

    *passwords* is asked with a Basic header made from the user name and the password. So whatever
    wraps it counts for a login too, such as a limit on guesses.

    Without `scope` the token is issued with `scopes=None`: it grants what the backend of the tokens
    grants its user whenever it is used. With `scope` it has those scopes, each of which *passwords*
    must grant the user.

    An app that includes the router documents each scope that it asks for in the password flow, as
    soon as its lifespan has started; that of a mounted app never does. `Authenticated.install`
    documents them always.

    Args:
        passwords: The backend of the passwords, for HTTP Basic.
        tokens: Issues the tokens.
        path: The path of the endpoint. Where the router is included it may get a prefix.
        expires_in: How long a token is valid, in whole seconds.

    Returns:
        The router, for `app.include_router`.

    Raises:
        TypeError: If *passwords* has no method `authenticate`, *tokens* is not a `Tokens` object,
            *path* is not a string, or *expires_in* is not a timedelta.
        ValueError: If *expires_in* is less than a second or ends after the year 9999, *path* does
            not begin with a slash, or *tokens* has no prefix and so can't issue any.
    """
    _check_settings(passwords, tokens, path, expires_in)
    login = _Login(passwords, tokens, expires_in)

    async def log_in(request: Request) -> JSONResponse:
        """Exchange a user name and a password for an access token."""
        try:
            return JSONResponse(await login(request), headers=_NO_STORE)
        except LoginRefused as error:
            content = {"error": error.code, "error_description": str(error)}
        except HTTPException as error:
            # One that a backend raises itself may be stored.
            headers = MutableHeaders(raw=Headers(error.headers).raw)
            headers.update(_NO_STORE)
            raise HTTPException(error.status_code, error.detail, headers=headers) from None
        return JSONResponse(content, 400, headers=_NO_STORE)

    router = APIRouter(lifespan=_documenting)
    router.add_api_route(
        path,
        log_in,
        # Of this route alone: the app may add others to the router, which are to be guarded.
        route_class_override=LoginRoute,
        methods=["POST"],
        response_model=None,
        responses=LOGIN_RESPONSES,
        # The None removes the requirement of a dependency that the whole app has.
        openapi_extra={"requestBody": LOGIN_BODY, "security": None},
    )
    return router


def _check_settings(passwords: object, tokens: object, path: object, expires_in: object) -> None:
    check_backend("passwords", passwords)
    if not isinstance(tokens, Tokens):
        raise TypeError(f"tokens must be a Tokens object; got a {type(tokens).__name__}")
    if tokens.prefix is None:
        raise ValueError("tokens has no prefix, without which it can't issue a token")
    if not isinstance(expires_in, timedelta):
        raise TypeError(f"expires_in must be a timedelta, not a {type(expires_in).__name__}")
    if expires_in < timedelta(seconds=1):
        raise ValueError(f"expires_in must be at least a second, not {expires_in}")
    if expires_in > datetime.max.replace(tzinfo=UTC) - datetime.now(UTC):
        raise ValueError(f"expires_in is too long: {expires_in}")
    if not isinstance(path, str):
        raise TypeError(f"path must be a string, not a {type(path).__name__}")
    if not path.startswith("/"):
        raise ValueError(f"path must begin with a slash: {path!r}")


@asynccontextmanager
async def _documenting(app: object) -> AsyncIterator[None]:
    # FastAPI leaves the scopes of the password flow empty, since a scheme does not know which
    # scopes the operations ask for. A router gets to know its app when the app starts.
    if not isinstance(app, FastAPI):
        yield
        return
    generate = app.openapi
    app.openapi = with_scopes(generate)  # type: ignore[method-assign]  # as `install` does it
    try:
        yield
    finally:
        app.openapi = generate  # type: ignore[method-assign]  # as it was


class _Login:
    def __init__(
        self, passwords: AuthenticationBackend, tokens: Tokens[Any, Any], expires_in: timedelta
    ) -> None:
        # Not `authenticate`: the middleware drops the check of a client who leaves.
        self._ask = AuthenticationMiddleware(_nothing, passwords, _remember)
        self._tokens = tokens
        self._expires_in = expires_in
        # The header fields that could authenticate somebody who sent a wrong password.
        self._ignored = {b"authorization", b"cookie", b"proxy-authorization"}
        self._ignored |= {name.lower().encode("ascii") for name in vary_of(passwords)}

    async def __call__(self, request: Request) -> Mapping[str, Any]:
        login = await read_login(request)
        conn = await self._authenticated(request, login)
        scopes = _asked(login.scope, conn.auth.scopes)
        try:
            token, _ = await self._tokens.issue(
                conn.user, scopes=scopes, expires_in=self._expires_in
            )
        except AuthenticationError as error:
            raise refusal(conn, error) from None
        except ValueError:
            # The user was deleted or deactivated meanwhile. The text may show anything.
            _logger.info("Login refused: no token can be issued for the user")
            raise _wrong() from None
        answer: dict[str, Any] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(self._expires_in.total_seconds()),
        }
        return answer if scopes is None else {**answer, "scope": " ".join(scopes)}

    async def _authenticated(self, request: Request, login: PasswordLogin) -> HTTPConnection:
        # A colon ends the user-id (RFC 7617 section 2): `alice:x` with the password `y` would be
        # alice with the password `x:y`.
        if ":" in login.username or not is_plain_text(login.username + login.password):
            raise _wrong()
        scope = self._scope(request, login)
        refused: HTTPException | None
        try:
            await self._ask(scope, request.receive, _send_nothing)
        except HTTPException as error:
            # That of a backend itself.
            refused = error
        else:
            refused = scope.get(_REFUSED)
        if refused is None:
            if "user" not in scope:
                # The client has left, and nobody reads the answer. nginx logs this status.
                raise HTTPException(499, "Client closed request")
            if not is_anonymous(scope["user"]):
                return HTTPConnection(scope)
        elif refused.status_code != 401:
            raise refused
        raise _wrong()

    def _scope(self, request: Request, login: PasswordLogin) -> Scope:
        secret = base64.b64encode(f"{login.username}:{login.password}".encode())
        headers = [line for line in request.scope["headers"] if line[0] not in self._ignored]
        headers.append((b"authorization", b"Basic " + secret))
        # Without the user of this connection, and the answers of backends about it.
        scope = {
            key: value
            for key, value in request.scope.items()
            if key not in ("auth", "user") and not key.startswith("starlette_auth_")
        }
        return {**scope, "headers": headers, "query_string": b""}


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def _send_nothing(message: Message) -> None:
    pass


def _remember(conn: HTTPConnection, error: AuthenticationError) -> Response:
    # Not the error itself, whose frames hold the password.
    conn.scope[_REFUSED] = refusal(conn, error)
    return Response()


def _wrong() -> LoginRefused:
    return LoginRefused("invalid_grant", "The user name or the password is wrong")


def _asked(scope: str, granted: list[str]) -> list[str] | None:
    scopes = list(dict.fromkeys(name for name in scope.split(" ") if name))
    if not scopes:
        return None
    for name in scopes:
        # A token with one of the scopes that say how somebody logged in could pass for a password,
        # so `Tokens` issues none.
        if name not in granted or is_reserved_scope(name):
            raise LoginRefused("invalid_scope", "The user is not granted each scope that is asked")
    return scopes
