"""Says which scopes an endpoint asks for, and refuses who lacks them."""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.websockets import WebSocket

from .authorization import has_scheme
from .challenges import Challenge
from .refusals import challenges_of, deny

__all__ = ["requires"]

P = ParamSpec("P")


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
        redirect: The name of the route to send a refused request to, with the URL in `next`.
        any_of: Scopes of which one is enough, beside *scopes*.

    Returns:
        The decorator.

    Raises:
        TypeError: If the function takes neither a `request` nor a `websocket`.
        ValueError: If a scope can't be named in a challenge: printable ASCII alone can.
    """
    rule = _Rule(_as_tuple(scopes), _as_tuple(any_of), status_code, redirect)
    rule.challenge()

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
                status, headers = rule.refusal(websocket)
                response = PlainTextResponse("", status, headers)
                await deny(websocket, response, websocket.receive, websocket.send)

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
        return of_coroutine if inspect.iscoroutinefunction(function) else of_function

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
        status, headers = self.refusal(request)
        raise HTTPException(status, headers=headers)

    def refusal(self, conn: HTTPConnection) -> tuple[int, dict[str, str]]:
        if self.status_code is not None:
            return self.status_code, {}
        if not getattr(conn.user, "is_authenticated", True):
            return 401, {}  # the middleware adds the challenges
        if has_scheme(conn, "Bearer"):
            for challenge in challenges_of(conn):
                if challenge.scheme.lower() == "bearer":
                    return 403, {"WWW-Authenticate": self.challenge(challenge).to_header()}
        return 403, {}

    def challenge(self, bearer: Challenge = Challenge("Bearer")) -> Challenge:
        parameters = dict(bearer.parameters)
        parameters |= {
            "error": "insufficient_scope",
            "scope": " ".join((*self.scopes, *self.any_of)),
        }
        return Challenge(bearer.scheme, **parameters)


def _as_tuple(scopes: str | Sequence[str]) -> tuple[str, ...]:
    return (scopes,) if isinstance(scopes, str) else tuple(scopes)


def _find_parameter(function: Callable[..., Any]) -> tuple[str, int]:
    for position, name in enumerate(inspect.signature(function).parameters):
        if name in ("request", "websocket"):
            return name, position
    raise TypeError(f"{function!r} must take an argument named request or websocket")
