"""Makes every refusal: the status, the headers with the challenges, and the way of a WebSocket."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.authentication import AuthenticationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Send
from starlette.websockets import WebSocket, WebSocketState

from ._asking import last_asked
from ._backend import check_names
from ._challenges import Challenge, add_parameters
from ._exceptions import InvalidCredentials, status_of

__all__ = [
    "POLICY_VIOLATION",
    "challenge_lines",
    "challenges_of",
    "deny",
    "error_response",
    "merge_vary",
    "raisable",
    "refusal",
    "refusal_headers",
    "vary_of",
]

Lines = list[tuple[bytes, bytes]]

#: The code of a close that refuses, RFC 6455 section 7.4.1.
POLICY_VIOLATION = 1008


def refusal(conn: HTTPConnection, error: AuthenticationError) -> HTTPException | WebSocketException:
    """Return what to raise so that the framework answers an error of authentication.

    The response has the error's text and its `status_code` (401 without one), is `no-store`, and
    names in `Retry-After` when to try again where the error says so. A 401 carries the challenges
    of the backend that was asked last on this connection, each in a line of its own (RFC 9110
    section 11.6.1); no other status does.

    Args:
        conn: The request or WebSocket.
        error: The error.

    Returns:
        An `HTTPException`, whose `headers` are a mapping that holds a name several times. For a
        WebSocket that can't be denied by a response, since the server does not offer it or the
        WebSocket has been accepted, a `WebSocketException` with code 1008 (RFC 6455 section
        7.4.1).
    """
    return raisable(conn, status_of(error), str(error), refusal_headers(conn, error))


def raisable(
    conn: HTTPConnection, status: int, detail: str | None, headers: Lines
) -> HTTPException | WebSocketException:
    """Return the exception that makes the framework send this response."""
    if not _takes_response(conn):
        return WebSocketException(POLICY_VIOLATION)
    return HTTPException(status, detail, headers=Headers(raw=headers))


def refusal_headers(conn: HTTPConnection, error: AuthenticationError) -> Lines:
    """Return the header lines of the response to *error*."""
    asked = last_asked(conn)
    headers = [(b"cache-control", b"no-store")]
    retry_after = getattr(error, "retry_after", None)
    # An error of the app's own may have anything there.
    if isinstance(retry_after, (int, float)) and math.isfinite(retry_after):
        headers.append((b"retry-after", str(max(0, math.ceil(retry_after))).encode()))
    if asked is not None:
        if status_of(error) == 401:
            headers += challenge_lines(conn, asked.backend, error)
        headers = merge_vary(headers, vary_of(asked.backend))
    return headers


def challenges_of(conn: HTTPConnection, backend: object) -> tuple[Challenge, ...]:
    """Return the challenges of *backend*; Starlette's own backends have none."""
    challenges = getattr(backend, "challenges", None)
    return () if challenges is None else tuple(challenges(conn))


def challenge_lines(
    conn: HTTPConnection, backend: object, error: AuthenticationError | None
) -> Lines:
    """Return the header lines that hold the challenges of *backend*, and what *error* adds."""
    challenges = challenges_of(conn, backend)
    if isinstance(error, InvalidCredentials) and error.scheme and error.parameters:
        challenges = add_parameters(challenges, error.scheme, error.parameters)
    return [(b"www-authenticate", entry.to_header().encode("ascii")) for entry in challenges]


def vary_of(backend: object) -> tuple[str, ...]:
    """Return the names that *backend*, and those that it wraps, have in `vary`, each once.

    Raises:
        TypeError: If a `vary` is a string, in which each letter would be a name.
    """
    names: dict[str, str] = {}
    for each in _with_wrapped(backend):
        own = getattr(each, "vary", ())
        check_names("vary", own)
        for name in own:
            names.setdefault(name.lower(), name)
    return tuple(names.values())


def _with_wrapped(backend: object) -> Iterator[object]:
    # A wrapper that knows nothing of `vary` still holds what it wraps.
    seen: list[object] = []
    waiting = [backend]
    while waiting:
        each = waiting.pop(0)
        if any(each is other for other in seen):
            continue
        seen.append(each)
        yield each
        inner: Any = getattr(each, "backend", None)
        several: Any = getattr(each, "backends", ())
        waiting += [inner] if inner is not None else []
        waiting += list(several) if isinstance(several, (tuple, list)) else []


def merge_vary(headers: Iterable[tuple[bytes, bytes]], names: Iterable[str]) -> Lines:
    """Return *headers* with a line of `Vary` for those of *names* that none has yet."""
    lines = list(headers)
    present = {
        name.strip().lower()
        for key, value in lines
        if key.lower() == b"vary"
        for name in value.decode("latin-1").split(",")
    }
    missing = [] if "*" in present else [n for n in names if n.lower() not in present]
    if missing:
        lines.append((b"vary", ", ".join(missing).encode("ascii")))
    return lines


def error_response(conn: HTTPConnection, error: AuthenticationError) -> Response:
    """Make the response to *error*, in plain text."""
    response = PlainTextResponse(str(error), status_of(error))
    response.raw_headers += refusal_headers(conn, error)
    return response


async def deny(conn: HTTPConnection, response: Response, receive: Receive, send: Send) -> None:
    """Send *response*, to a WebSocket as a denial response or else as a close with code 1008.

    The extension is that of the ASGI specification, "WebSocket Denial Response".
    """
    if _takes_response(conn):
        await response(conn.scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})


def _takes_response(conn: HTTPConnection) -> bool:
    if conn.scope["type"] == "http":
        return True
    if isinstance(conn, WebSocket) and conn.application_state is not WebSocketState.CONNECTING:
        return False
    return "websocket.http.response" in (conn.scope.get("extensions") or {})
