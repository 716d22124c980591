"""The base of all backends: the settings, when they are checked, and what is granted."""

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeAlias, cast

from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser
from starlette.requests import HTTPConnection

from ._challenges import Challenge
from ._grammar import is_token
from ._typing import TypeVar

__all__ = [
    "AuthBackend",
    "AuthResult",
    "SchemeCredentials",
    "UserT",
    "check_max_size",
    "check_names",
]

#: The type of an app's users. A subclass that names none gets Any.
UserT = TypeVar("UserT", default=Any)

_InitT = TypeVar("_InitT", bound=Callable[..., None])

#: What `authenticate` returns.
AuthResult: TypeAlias = tuple[AuthCredentials, BaseUser] | None


class SchemeCredentials(AuthCredentials):
    """The granted scopes, and the scheme of the credentials that they were granted for.

    A refusal names an error of that scheme (RFC 6750 section 3.1) without reading a header again.
    """

    def __init__(self, scopes: Sequence[str], scheme: str) -> None:
        # Asked here, since a call for each request is not free: those two are never wrong.
        if type(scopes) is not tuple and type(scopes) is not list:
            check_names("scopes", scopes)
        self.scopes = list(scopes)
        self.scheme = scheme


def _checked(init: _InitT) -> _InitT:
    # Settings are checked when the outermost `__init__` has ended: a subclass may set them in its
    # own, and need not call ours. That of a dataclass is made too late to be seen, and calls
    # `__post_init__`.
    @functools.wraps(init)
    def checking(self: "AuthBackend[Any]", *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        if checking in (type(self).__init__, type(self).__post_init__):
            self._check_settings()

    checking._checks_settings = True  # type: ignore[attr-defined]  # functions have any attribute
    return cast("_InitT", checking)


class AuthBackend(AuthenticationBackend, ABC, Generic[UserT]):
    """Authenticates a request from its headers.

    Settings are class attributes. A subclass may set them in its `__init__`, and need not call
    `super().__init__()`. They are checked when the backend is made.

    Attributes:
        scheme: The name of the authentication scheme. Where it is empty there is no challenge.
        realm: The protection space that the challenge names (RFC 9110 section 11.5).
        scopes: The scopes that a successful authentication grants.
        vary: The names of the header fields, beside `Authorization`, that decide who asks. They go
            into `Vary` of every response, so that no shared cache hands one user's response to
            another (RFC 9111 section 4.1; its section 3.5 guards `Authorization` alone).

    Raises:
        TypeError: If `scopes` or `vary` is a string, in which each letter would be a name: at
            construction, or in a request where `get_scopes` is overridden.
        ValueError: At construction, if no header can carry `scheme`, `realm` or `vary`.
    """

    scheme: str = ""
    realm: str = "Restricted"
    scopes: Sequence[str] = ("authenticated",)
    vary: Sequence[str] = ()

    @_checked
    def __init__(self) -> None:
        super().__init__()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls.__init__, "_checks_settings"):
            cls.__init__ = _checked(cls.__init__)  # type: ignore[method-assign]  # on purpose
        if not hasattr(cls.__post_init__, "_checks_settings"):
            cls.__post_init__ = _checked(cls.__post_init__)  # type: ignore[method-assign]  # on purpose

    @_checked
    def __post_init__(self) -> None:
        pass

    @abstractmethod
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request.

        Args:
            conn: The request or WebSocket.

        Returns:
            The granted scopes and the user, or None where the request holds no credentials for
            this backend, so that it stays anonymous.

        Raises:
            InvalidCredentials: If it holds credentials for this backend, and they are wrong.
            AuthenticationUnavailable: If they can't be checked now.
        """

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        """Return what a 401 asks for (RFC 9110 section 11.6.1): by default `scheme` with `realm`.

        Override it to keep scripts in a browser away from the password pop-up: answer with a
        scheme that browsers do not know where `Sec-Fetch-Mode` is not `navigate`.

        Args:
            conn: The request or WebSocket that is answered.

        Returns:
            The challenges, each of which is sent in a line of its own.
        """
        return (Challenge(self.scheme, realm=self.realm),) if self.scheme else ()

    def get_scopes(self, user: UserT) -> Sequence[str]:
        """Return what the authentication of a user grants: by default `scopes`.

        Args:
            user: The user, as `verify` returned it.

        Returns:
            The scopes that `requires` asks for.
        """
        return self.scopes

    def openapi_scheme(self) -> Mapping[str, Any] | None:
        """Return the OpenAPI security scheme object of this backend.

        Returns:
            The object (OpenAPI Specification 3.1 section 4.8.27), or None, the default, for a
            backend that API documentation should not show.
        """
        return None

    def _check_settings(self) -> None:
        # The realm is for challenges of one's own too.
        Challenge(self.scheme or "Unnamed", realm=self.realm)
        check_names("scopes", self.scopes)
        check_names("vary", self.vary)
        for name in self.vary:
            if name != "*" and not is_token(name):
                raise ValueError(f"vary: invalid header name {name!r} (must be an RFC 9110 token)")

    @classmethod
    def _overrides(cls, name: str, base: type[Any]) -> bool:
        return getattr(cls, name) is not getattr(base, name)


def check_names(setting: str, names: object) -> None:
    """Raise a `TypeError` if *names* is a string, in which each letter would be a name."""
    if isinstance(names, (str, bytes)):
        raise TypeError(f"{setting} must be a sequence of names: use ({names!r},)")
    if inspect.iscoroutine(names):
        names.close()  # Otherwise Python warns that it was never awaited.
    if names is None or inspect.isawaitable(names):
        raise TypeError(f"{setting} must be a sequence of names, not a {type(names).__name__}")


def check_max_size(size: object) -> None:
    """Raise an error unless *size* is a possible `max_credentials_size`."""
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"max_credentials_size must be an int (bytes), not a {type(size).__name__}")
    if size < 1:
        raise ValueError(f"max_credentials_size must be at least 1 byte, not {size}")
