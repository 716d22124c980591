"""The subject of a token as a user."""

from collections.abc import Mapping
from typing import Any

from starlette.authentication import BaseUser

__all__ = ["JWTUser"]


class JWTUser(BaseUser):
    """A user who is known by the claims of a token alone.

    Args:
        claims: The claims of a valid token.

    Attributes:
        claims: All claims of the token.
        issuer: Who issued the token, its `iss`.
        username: Whom the token is about, its `sub`. It is unique for one issuer (RFC 7519 section
            4.1.2), and rarely a name to show.
    """

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self.claims = claims
        self.issuer: str = claims["iss"]
        self.username: str = claims["sub"]

    @property
    def is_authenticated(self) -> bool:
        """True: the token was valid."""
        return True

    @property
    def identity(self) -> str:
        """The `sub`, as `username`."""
        return self.username

    @property
    def display_name(self) -> str:
        """The `sub`, as `username`: which other claims hold a name depends on the issuer."""
        return self.username
