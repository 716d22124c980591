"""Backends that are tried one after the other, and what a failure asks for then."""

from collections.abc import Iterable
from typing import Any

from starlette.authentication import AuthCredentials, AuthenticationBackend
from starlette.requests import HTTPConnection

from starlette_auth_core import AuthBackend, Challenge, InvalidCredentials

__all__ = ["AnyOf", "MultiAuth"]


class MultiAuth(AuthBackend[Any]):
    """Tries several backends in order, until one succeeds or fails.

    The first one that finds credentials of its kind decides. Where they are wrong, its error is
    raised unchanged and nothing further is tried, even if a later backend would have succeeded.
    For two backends of one scheme there is `AnyOf`.

    Args:
        backends: The backends, in order: ours or Starlette's, and MultiAuths too.

    Attributes:
        backends: The same, as a tuple.

    Raises:
        TypeError: If one has no method `authenticate`. The message says which.
        ValueError: If there are none.
    """

    def __init__(self, backends: Iterable[AuthenticationBackend]) -> None:
        self.backends: tuple[AuthenticationBackend, ...] = tuple(backends)
        # Those of the backends, in order and each once.
        names: dict[str, str] = {}
        for each in (self, *self.backends):
            for field in getattr(each, "vary", ()):
                names.setdefault(field.lower(), field)
        self.vary = tuple(names.values())
        name = type(self).__name__
        if not self.backends:
            raise ValueError(f"{name} needs at least one backend")
        for position, backend in enumerate(self.backends, 1):
            if isinstance(backend, type):
                raise TypeError(
                    f"Backend number {position} of {name} is the class {backend.__name__}: "
                    "make an instance of it"
                )
            if not callable(getattr(backend, "authenticate", None)):
                raise TypeError(
                    f"Backend number {position} of {name} has no method authenticate: "
                    f"it is a {type(backend).__name__}"
                )

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request with the first backend that it has credentials for.

        Args:
            conn: The request or WebSocket.

        Returns:
            What that backend returns, or None where there are credentials for none.

        Raises:
            AuthenticationError: The backend's own, unchanged.
        """
        for backend in self.backends:
            result = await backend.authenticate(conn)
            if result is not None:
                return result
        return None

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        """Return the challenges of all backends, in order and each once.

        RFC 9110 section 11.6.1 lets a response hold several.
        """
        merged: dict[Challenge, None] = {}
        for backend in self.backends:
            challenges = getattr(backend, "challenges", None)
            if challenges is not None:
                merged.update(dict.fromkeys(challenges(conn)))
        return tuple(merged)


class AnyOf(MultiAuth):
    """Tries the next backend where the credentials are wrong for one: for several of one scheme.

    A static API key and a token from a database may both come as `Authorization: Token …`; only
    the backends can tell which it is. The price is that a wrong credential costs what all of the
    backends cost, which is also what keeps its time from telling which of them knew the user.

    Args:
        backends: The backends, in order.

    Raises:
        TypeError: If one has no method `authenticate`. The message says which.
        ValueError: If there are none.
    """

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request with the first backend that accepts its credentials.

        Args:
            conn: The request or WebSocket.

        Returns:
            What that backend returns, or None where there are credentials for none.

        Raises:
            InvalidCredentials: The first one, if no backend accepts them.
            AuthenticationError: Any other error of a backend, at once.
        """
        failure: InvalidCredentials | None = None
        for backend in self.backends:
            try:
                result = await backend.authenticate(conn)
            except InvalidCredentials as error:
                failure = failure or error
                continue
            if result is not None:
                return result
        try:
            if failure is not None:
                raise failure
        finally:
            # The error holds this frame, which must not hold the error: in such a circle both
            # would stay, credentials and all, until a garbage collection.
            del failure
        return None
