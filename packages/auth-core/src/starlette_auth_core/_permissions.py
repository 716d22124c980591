"""Says which scopes an endpoint asks for, and refuses who lacks them."""

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.websockets import WebSocket, WebSocketState

from .credentials import has_scheme
from ._challenges import extend, find_entry
from ._refusals import POLICY_VIOLATION, challenges_of, deny

__all__ = ["requires"]

P = ParamSpec("P")

# `scope-token`, RFC 6750 section 3.
_SCOPE_TOKEN = re.compile(r"[!#-\[\]-~]+")


def requires(
    scopes: str | Sequence[str],
    status_code: int | None = None,
    redirect: str | None = None,
    *,
    any_of: Sequence[str] = (),
) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Let an endpoint be called only with these scopes, in the place of Starlette's decorator.

    It goes on functions and methods that take a `request` or a `websocket`. Beneath our
    `AuthenticationMiddleware` a 401 carries the backend's challenges; Starlette's knows none.

    Args:
        scopes: The scope or scopes that are needed, all of them.
        status_code: The status of a refusal. None: 401 for the anonymous and 403 for who lacks a
            scope (RFC 9110 sections 15.5.2 and 15.5.4), where a bearer token is told
            `error="insufficient_scope"` (RFC 6750 section 3.1).
        redirect: The name of the route to send a refused request to, with the URL in `next`. A
            WebSocket can't be sent elsewhere, and is refused.
        any_of: Scopes of which one is enough, beside *scopes*.

    Returns:
        The decorator.

    Raises:
        TypeError: If the function takes neither a `request` nor a `websocket`.
    """
    rule = _Rule(_as_tuple(scopes), _as_tuple(any_of), status_code, redirect)

    def decorator(function: Callable[P, Any]) -> Callable[P, Any]:
        name, position = _find_parameter(function)

        def connection(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return kwargs[name] if name in kwargs else args[position]

        @functools.wraps(function)
        async def of_websocket(*args: P.args, **kwargs: P.kwargs) -> None:
            websocket: WebSocket = connection(args, kwargs)
            if rule.allows(websocket):
                await function(*args, **kwargs)
            else:
                await rule.refuse_websocket(websocket)

        @functools.wraps(function)
        async def of_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:
            request: Request = connection(args, kwargs)
            if rule.allows(request):
                return await function(*args, **kwargs)
            return rule.refuse(request)

        @functools.wraps(function)
        def of_function(*args: P.args, **kwargs: P.kwargs) -> Any:
            request: Request = connection(args, kwargs)
            if rule.allows(request):
                return function(*args, **kwargs)
            return rule.refuse(request)

        if name == "websocket":
            return of_websocket
        return of_coroutine if _is_async(function) else of_function

    return decorator


@dataclass(frozen=True, slots=True)
class _Rule:
    scopes: tuple[str, ...]
    any_of: tuple[str, ...]
    status_code: int | None
    redirect: str | None

    def allows(self, conn: HTTPConnection) -> bool:
        granted = conn.auth.scopes
        return all(scope in granted for scope in self.scopes) and (
            not self.any_of or any(scope in granted for scope in self.any_of)
        )

    def refuse(self, request: Request) -> Response:
        if self.redirect is not None:
            back = urlencode({"next": str(request.url)})
            return RedirectResponse(f"{request.url_for(self.redirect)}?{back}", 303)
        raise self.refusal(request)

    async def refuse_websocket(self, websocket: WebSocket) -> None:
        if websocket.application_state is WebSocketState.CONNECTING:
            error = self.refusal(websocket)
            response = PlainTextResponse(error.detail, error.status_code, error.headers)
            await deny(websocket, response, websocket.receive, websocket.send)
        else:
            await websocket.close(POLICY_VIOLATION)

    def refusal(self, conn: HTTPConnection) -> HTTPException:
        if self.status_code is not None:
            return HTTPException(self.status_code)
        if not getattr(conn.user, "is_authenticated", True):
            return HTTPException(401)  # the middleware adds the challenges
        return HTTPException(403, headers=self._insufficient_scope(conn))

    def _insufficient_scope(self, conn: HTTPConnection) -> dict[str, str] | None:
        bearer = find_entry(challenges_of(conn), "Bearer")
        if bearer is None or not has_scheme(conn, "Bearer"):
            return None
        parameters = {"error": "insufficient_scope"}
        needed = (*self.scopes, *self.any_of)
        if all(_SCOPE_TOKEN.fullmatch(scope) for scope in needed):
            parameters["scope"] = " ".join(needed)
        return {"WWW-Authenticate": extend(bearer, **parameters).to_header()}


def _as_tuple(scopes: str | Sequence[str]) -> tuple[str, ...]:
    return (scopes,) if isinstance(scopes, str) else tuple(scopes)


def _is_async(function: Callable[..., Any]) -> bool:
    # An object may be called too, as Starlette allows for endpoints.
    call = getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def _find_parameter(function: Callable[..., Any]) -> tuple[str, int]:
    for position, name in enumerate(inspect.signature(function).parameters):
        if name in ("request", "websocket"):
            return name, position
    raise TypeError(f"{function!r} must take an argument named request or websocket")
