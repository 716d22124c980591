"""The dependency that an endpoint asks for its user."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Literal, cast, overload

from fastapi import Depends, FastAPI, Response
from fastapi.security import SecurityScopes
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection

from starlette_auth_core import AuthBackend, UserT, authenticate, authorize, refusal

from ._dialog import quieted
from ._install import install
from ._login_route import is_login
from ._schemes import Scheme, check_backend, schemes_of, vary_of
from ._users import is_anonymous

__all__ = ["Authenticated"]


class _Optional(Generic[UserT]):
    # The dependency for those who may be anonymous. An object and not a method, of which each
    # access makes another one: `dependency_overrides` finds a dependency by identity.

    __signature__: inspect.Signature

    def __init__(self, admission: "_Admission") -> None:
        self._admission = admission
        self.__signature__ = admission.signature

    async def __call__(
        self,
        conn: HTTPConnection,
        security_scopes: SecurityScopes,
        response: Response,
        **schemes: None,
    ) -> AsyncIterator[UserT | None]:
        user = await self._admission.admit(conn, security_scopes.scopes, response, optional=True)
        with _refusing(conn):
            yield cast("UserT | None", user)


class Authenticated(Generic[UserT]):
    """A FastAPI dependency that asks a backend for the user, and documents how to be one.

    ```python
    CurrentUser = Annotated[User, Security(auth)]
    Editor = Annotated[User, Security(auth, scopes=["articles:write"])]
    MaybeUser = Annotated[User | None, Depends(auth.optional)]
    ```

    Without scopes it is open to everybody whom the backend lets in. With scopes all of them are
    needed: 401 for the anonymous and 403 for a user who lacks one (RFC 9110 sections 15.5.2 and
    15.5.4). It works on HTTP and WebSocket routes, alone and with `install`, and asks a backend
    once for each connection. An `AuthenticationError` of a dependency or endpoint that comes after
    it is answered like one of the backend.

    Given for a whole app it lets everybody log in at a `login_router`, where it returns None. So a
    dependency of the whole app that reads the user has to expect None.

    Alone it adds the header fields of the backend's `vary` to `Vary` of the responses that FastAPI
    makes of what an endpoint returns. `install` adds them to a `Response` that an endpoint returns
    too.

    Args:
        backend: The backend, ours or Starlette's.
        token_url: The URL of the login, such as `"/token"`: bearer tokens are then documented with
            the password flow of OAuth 2 (RFC 6749 section 4.3), which the documentation's
            "Authorize" button can use. A URL without a leading slash is relative to the
            documentation's.

    Attributes:
        optional: The dependency for those who may be anonymous: it returns None for them. Wrong
            credentials are refused by it too.

    Raises:
        TypeError: If *backend* has no method `authenticate`, *token_url* is not a string, or an
            `openapi_scheme` is not a mapping.
        ValueError: If *token_url* is empty, or an `openapi_scheme` is not a security scheme object
            that FastAPI knows.
    """

    __signature__: inspect.Signature
    optional: Callable[..., AsyncIterator[UserT | None]]

    # With the union alone mypy infers Any, since each of ours is one of Starlette's too.
    @overload
    def __init__(self, backend: AuthBackend[UserT], *, token_url: str | None = None) -> None: ...

    @overload
    def __init__(
        self: "Authenticated[Any]", backend: AuthenticationBackend, *, token_url: str | None = None
    ) -> None: ...

    def __init__(
        self, backend: AuthBackend[UserT] | AuthenticationBackend, *, token_url: str | None = None
    ) -> None:
        check_backend("backend", backend)
        if token_url is not None and not isinstance(token_url, str):
            raise TypeError(f"token_url must be a string, not a {type(token_url).__name__}")
        if token_url == "":
            raise ValueError('token_url is empty: give the path of the login, such as "/token"')
        self._admission = _Admission(backend, token_url)
        self.__signature__ = self._admission.signature
        self.optional = _Optional[UserT](self._admission)

    async def __call__(
        self,
        conn: HTTPConnection,
        security_scopes: SecurityScopes,
        response: Response,
        **schemes: None,
    ) -> AsyncIterator[UserT]:
        """Provide the user, for FastAPI; see the class."""
        user = await self._admission.admit(conn, security_scopes.scopes, response, optional=False)
        with _refusing(conn):
            yield cast("UserT", user)

    def install(
        self,
        app: FastAPI,
        *,
        on_invalid: Literal["reject", "anonymous"] = "reject",
        observer: Callable[[HTTPConnection, AuthCredentials | AuthenticationError], None]
        | None = None,
        browser_dialog: bool = False,
    ) -> None:
        """Add `AuthenticationMiddleware` to an app, and its answers to the documentation.

        Every request is authenticated then, and `request.user` and `requires` work. Its answers
        are JSON: `{"detail": …}`. The responses 401, 429 and 503, and 403 where scopes are asked
        for, are documented for each operation with a security requirement that does not document
        them itself. The requests to a `login_router` are not authenticated.

        Args:
            app: The app. Its routes may be added before or after.
            on_invalid: See `AuthenticationMiddleware`.
            observer: See `AuthenticationMiddleware`.
            browser_dialog: Whether requests of a browser's scripts are answered with challenges
                that open the browser's password dialogue. Pages that somebody opens always are.

        Raises:
            RuntimeError: If the app has started.
            TypeError: If *app* is not a FastAPI app, *observer* is not a sync callable, or
                *browser_dialog* is not a bool.
            ValueError: If *on_invalid* is neither of the two.
        """
        install(
            app,
            self._admission.backend,
            on_invalid=on_invalid,
            observer=observer,
            browser_dialog=browser_dialog,
        )


class _Admission:
    """Decides who is let in; what `Authenticated` and its `optional` share."""

    def __init__(self, backend: AuthenticationBackend, token_url: str | None) -> None:
        self.backend = backend
        self._vary = vary_of(backend)
        kind = inspect.Parameter.KEYWORD_ONLY
        own = [
            inspect.Parameter("conn", kind, annotation=HTTPConnection),
            inspect.Parameter("security_scopes", kind, annotation=SecurityScopes),
            inspect.Parameter("response", kind, annotation=Response),
        ]
        # FastAPI shows one scheme for a dependency, and those of the dependencies beneath it.
        hidden = [
            inspect.Parameter(f"scheme_{position}", kind, default=Depends(scheme))
            for position, scheme in enumerate[Scheme](schemes_of(backend, token_url))
        ]
        self.signature = inspect.Signature([*own, *hidden])

    async def admit(
        self, conn: HTTPConnection, scopes: list[str], response: Response, *, optional: bool
    ) -> Any:
        """Return the user, or None for somebody anonymous who is let in; raise for others."""
        # A dependency of the whole app is one of its login too, where nobody is anybody yet.
        if is_login(conn.scope):
            return None
        self._add_vary(response)
        refused: HTTPException | WebSocketException
        try:
            await authenticate(conn, self.backend)
            anonymous = is_anonymous(conn.user)
            if optional and anonymous:
                return None
            if scopes:
                authorize(conn, scopes)
            elif anonymous:
                raise refusal(conn, AuthenticationError("Unauthorized"))
        except (HTTPException, WebSocketException) as error:
            refused = quieted(conn.scope, error)
        else:
            return conn.user
        raise refused

    def _add_vary(self, response: Response) -> None:
        present = [
            name.strip().lower()
            for line in response.headers.getlist("vary")
            for name in line.split(",")
        ]
        for name in self._vary:
            if name.lower() not in present:
                response.headers.append("vary", name)


@contextmanager
def _refusing(conn: HTTPConnection) -> Iterator[None]:
    # Outside the middleware nothing answers an error of authentication of the code that comes
    # after the dependency.
    try:
        yield
    except AuthenticationError as error:
        refused = refusal(conn, error)
    else:
        return
    # Not chained: the frames of the error may hold credentials. The exit stack of FastAPI is still
    # handling the error, so that it does not suffice to have left the handler above.
    raise quieted(conn.scope, refused) from None
