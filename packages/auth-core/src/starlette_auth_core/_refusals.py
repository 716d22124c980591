"""How a refusal reaches the client: the response, its challenges, and the WebSocket's way."""

from starlette.authentication import AuthenticationError
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Send

from ._challenges import Challenge
from ._exceptions import AuthenticationUnavailable

__all__ = ["BACKEND", "POLICY_VIOLATION", "challenges_of", "deny", "error_response"]

#: The key of a scope that tells what is beneath which backend the request went through last.
BACKEND = "starlette_auth_core.backend"

#: The code of a close that refuses, RFC 6455 section 7.4.1.
POLICY_VIOLATION = 1008


def challenges_of(conn: HTTPConnection, backend: object = None) -> tuple[Challenge, ...]:
    """Return the challenges of *backend*, by default the one that *conn* went through last.

    There are none where the backend has no `challenges`, or the middleware was not ours.
    """
    if backend is None:
        backend = conn.scope.get(BACKEND)
    challenges = getattr(backend, "challenges", None)
    return () if challenges is None else tuple(challenges(conn))


def error_response(conn: HTTPConnection, error: AuthenticationError) -> Response:
    """Make the response to *error*: 503 where the check can't be made now, else 401."""
    headers = {"Cache-Control": "no-store"}
    status = 401
    if isinstance(error, AuthenticationUnavailable):
        status = 503
        headers["Retry-After"] = str(error.retry_after)
    return PlainTextResponse(str(error), status, headers)


async def deny(conn: HTTPConnection, response: Response, receive: Receive, send: Send) -> None:
    """Send *response*, to a WebSocket as a denial response or else as a close with code 1008.

    The extension is that of the ASGI specification, "WebSocket Denial Response".
    """
    extensions = conn.scope.get("extensions") or {}
    if conn.scope["type"] == "http" or "websocket.http.response" in extensions:
        await response(conn.scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
