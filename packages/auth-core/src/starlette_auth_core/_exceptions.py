"""The errors of authentication, all of them kinds of Starlette's own.

AuthenticationError (Starlette)
├── InvalidCredentials            401: credentials were sent, and they are wrong
└── AuthenticationUnavailable     503: the check could not be made now
    └── TooManyAttempts           429: no check is made until later
"""

import math
from collections.abc import Mapping

from starlette.authentication import AuthenticationError

__all__ = ["AuthenticationUnavailable", "InvalidCredentials", "TooManyAttempts", "status_of"]


class InvalidCredentials(AuthenticationError):
    """Raised when credentials were sent, and they are malformed or wrong.

    Args:
        message: The text of the response. It must not hold a credential, and should not say which
            part was wrong (OWASP Authentication Cheat Sheet, "Authentication and Error Messages").
        username: The claimed user-id, for an audit log. It is not part of the text, of `args` or
            of the `repr`: people type their password into the wrong field.
        scheme: The scheme of the challenge that the *parameters* are added to. None: the backend
            that raised it fills in its own.
        parameters: What the challenge of that scheme says beside its own parameters, such as
            `{"error": "invalid_token"}` (RFC 6750 section 3.1). None: the backend that raised it
            fills in its own; an empty mapping adds nothing.

    Attributes:
        status_code: The status of the response: 401.
    """

    status_code = 401

    def __init__(
        self,
        message: str = "Invalid credentials",
        *,
        username: str | None = None,
        scheme: str | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.username = username
        self.scheme = scheme
        self.parameters = parameters


class AuthenticationUnavailable(AuthenticationError):
    """Raised when credentials can't be checked now: a database is down, or a queue is full.

    Args:
        message: The text of the response.
        retry_after: When to try again, in whole seconds (`Retry-After`, RFC 9110 section 10.2.3).

    Attributes:
        status_code: The status of the response: 503.

    Raises:
        TypeError: If *retry_after* is not a number.
        ValueError: If it is negative or not finite.
    """

    status_code = 503

    def __init__(
        self, message: str = "Authentication is unavailable", *, retry_after: int = 1
    ) -> None:
        if not isinstance(retry_after, (int, float)):
            raise TypeError(f"retry_after must be seconds, not a {type(retry_after).__name__}")
        if not 0 <= retry_after < math.inf:
            raise ValueError(f"retry_after must be zero or more seconds, not {retry_after}")
        super().__init__(message)
        self.retry_after = math.ceil(retry_after)


class TooManyAttempts(AuthenticationUnavailable):
    """Raised when credentials are not checked because too many attempts failed before.

    Args:
        message: The text of the response. It names nobody.
        retry_after: When to try again, in whole seconds (`Retry-After`, RFC 9110 section 10.2.3).

    Attributes:
        status_code: The status of the response: 429 (RFC 6585 section 4).
    """

    status_code = 429

    def __init__(self, message: str = "Too many attempts", *, retry_after: int = 1) -> None:
        super().__init__(message, retry_after=retry_after)


def status_of(error: AuthenticationError) -> int:
    """Return the status of the response to *error*: its own where that is one of an error."""
    status = getattr(error, "status_code", 401)
    return status if isinstance(status, int) and 400 <= status <= 599 else 401
