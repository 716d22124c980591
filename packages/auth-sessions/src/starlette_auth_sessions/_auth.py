"""Authentication by a session cookie."""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.authentication import AuthCredentials
from starlette.requests import HTTPConnection

from starlette_auth_core import AuthBackend, TokenCredentials

from ._sessions import Sessions
from ._typing import UserT

__all__ = ["SessionAuth"]


class SessionAuth(AuthBackend[UserT]):
    """Authentication by the cookie of a session.

    It grants what `get_scopes(user)` returns, `via:session`, and `fresh` for a while after the
    login. `request.auth.token` is the row of the session.

    A cookie that is unknown, malformed or of a session that has ended leaves the request anonymous,
    so that the login page can be seen. Where a valid session asks for something that may change the
    state of the app, or opens a WebSocket, the request must not come from another site.

    In a `MultiAuth` put it behind the schemes of headers: a request that has both is then that of
    the header.

    Args:
        sessions: The source of the sessions.

    Attributes:
        scheme: The name that the challenge goes by. Browsers do not know it, and so show no dialog.
        vary: As of `AuthBackend`. `Cookie` is added where it is missing.

    Raises:
        TypeError: At construction, if *sessions* is not a `Sessions` object (a store is not).
    """

    scheme = "Session"
    vary: Sequence[str] = ("Cookie",)

    def __init__(self, sessions: Sessions[UserT, Any]) -> None:
        self.sessions = sessions

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request by its session; see `AuthBackend.authenticate`.

        Raises:
            AuthenticationUnavailable: If the store does not answer in time.
            CrossOriginRequest: If another site made the browser send the request.
        """
        row = await self.sessions._authenticate(conn)
        if row is None:
            return None
        credentials = TokenCredentials(self.get_scopes(row.user), self.scheme, row)
        # These say how somebody logged in, which a user's own scopes must not.
        scopes = [name for name in credentials.scopes if not _is_reserved(name)]
        scopes.append("via:session")
        if self.sessions._is_fresh(row):
            scopes.append("fresh")
        credentials.scopes = scopes
        return credentials, row.user

    def openapi_scheme(self) -> Mapping[str, Any] | None:
        """Return the OpenAPI security scheme of the cookie; see `AuthBackend.openapi_scheme`."""
        return {"type": "apiKey", "in": "cookie", "name": self.sessions._cookie.name}

    def _check_settings(self) -> None:
        super()._check_settings()
        # A store has a `find` too, of digests.
        if not isinstance(self.sessions, Sessions):
            raise TypeError(
                "sessions must be a Sessions object, such as Sessions(store); got an object of "
                f"the class {type(self.sessions).__name__}"
            )
        # A cache that does not know of the cookie would hand one user's page to another.
        if "cookie" not in map(str.lower, self.vary):
            self.vary = (*self.vary, "Cookie")


def _is_reserved(scope: str) -> bool:
    return scope == "fresh" or scope.startswith("via:")
