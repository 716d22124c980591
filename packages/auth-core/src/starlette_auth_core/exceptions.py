"""The errors of authentication, all of them kinds of Starlette's own.

AuthenticationError (Starlette)
├── InvalidCredentials          401: credentials were sent, and they are wrong
└── AuthenticationUnavailable   503: the check could not be made now
"""

from starlette.authentication import AuthenticationError

from .challenges import Challenge

__all__ = ["AuthenticationUnavailable", "InvalidCredentials"]


class InvalidCredentials(AuthenticationError):
    """Credentials were sent, and they are malformed or wrong.

    Args:
        message: What the response says. It must hold no credential, and should not say which
            part was wrong (OWASP Authentication Cheat Sheet, "Authentication and Error Messages").
        username: The user-id that was claimed, for throttling. It is no part of the text, of
            `args` or of the `repr`: people type their password into the wrong field.
        challenge: The challenge that takes the place of its scheme's entry in the response.
    """

    def __init__(
        self,
        message: str = "Invalid credentials",
        *,
        username: str | None = None,
        challenge: Challenge | None = None,
    ) -> None:
        super().__init__(message)
        self.username = username
        self.challenge = challenge


class AuthenticationUnavailable(AuthenticationError):
    """The credentials could not be checked now: a database is down, or a queue is full.

    Args:
        message: What the response says.
        retry_after: When to try again, in whole seconds (`Retry-After`, RFC 9110 section 10.2.3).
    """

    def __init__(
        self, message: str = "Authentication is unavailable", *, retry_after: int = 1
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
