"""Reads the body of a login: a form, or JSON.

FastAPI does not read the body: its answer to a malformed one is not an answer of RFC 6749 and shows
the password again, and for forms it needs one more package.
"""

import json
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

__all__ = ["LoginRefused", "PasswordLogin", "read_login"]

# In bytes. The longest credentials that a backend reads by default have 8 KiB.
_MAX_SIZE = 64 * 1024
_MAX_FIELDS = 100


class LoginRefused(Exception):
    """Raised when a login is refused with one of the codes of RFC 6749 section 5.2."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """The fields of a login. Its `repr` shows none of them."""

    username: str = field(repr=False)
    password: str = field(repr=False)
    scope: str = field(repr=False)


async def read_login(request: Request) -> PasswordLogin:
    """Return the login in the body of *request*.

    Raises:
        LoginRefused: If it can't be read, a field is missing or repeated or not a string, or it is
            not a login by password.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    secret = await _read(request)
    if media_type == "application/x-www-form-urlencoded":
        return _login(_unique(_parse_form(secret)))
    if media_type == "application/json":
        # By JSON there is no other way to log in.
        return _login({"grant_type": "password", **_unique(_parse_json(secret))})
    raise LoginRefused("invalid_request", "The body must be a form or JSON")


async def _read(request: Request) -> bytes:
    secret = b""
    try:
        # trio warns of a generator that is left unfinished.
        async with aclosing(request.stream()) as parts:
            async for token in parts:
                secret += token
                if len(secret) > _MAX_SIZE:
                    raise LoginRefused("invalid_request", "The body is too long")
    except ClientDisconnect:
        # Nobody reads the answer.
        raise LoginRefused("invalid_request", "The body is not complete") from None
    return secret


def _parse_form(secret: bytes) -> list[tuple[str, Any]]:
    with suppress(ValueError):
        return [
            *parse_qsl(
                secret.decode(),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MAX_FIELDS,
            )
        ]
    # Not chained: the error of a parser holds the text.
    raise LoginRefused("invalid_request", "The form can't be read")


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it is written, a name that occurs twice included."""


def _parse_json(secret: bytes) -> list[tuple[str, Any]]:
    with suppress(ValueError, RecursionError):
        token = json.loads(secret, object_pairs_hook=_Pairs)
        if isinstance(token, _Pairs):
            return token
    raise LoginRefused("invalid_request", "The body is not a JSON object")


def _unique(secret: list[tuple[str, Any]]) -> dict[str, Any]:
    token = dict(secret)
    if len(token) < len(secret):
        raise LoginRefused("invalid_request", "A field is repeated")
    return token


def _login(secret: Mapping[str, Any]) -> PasswordLogin:
    for name in ("grant_type", "username", "password", "scope"):
        if not isinstance(secret.get(name, ""), str):
            raise LoginRefused("invalid_request", f"The field {name} must be a string")
    # Without a value it counts as missing (RFC 6749 section 3.2).
    if not secret.get("grant_type"):
        raise LoginRefused("invalid_request", "The field grant_type is missing")
    # Before the fields of a password, which other types of grant do not have.
    if secret["grant_type"] != "password":
        raise LoginRefused("unsupported_grant_type", "The only grant_type is password")
    for name in ("username", "password"):
        if name not in secret:
            raise LoginRefused("invalid_request", f"The field {name} is missing")
    return PasswordLogin(secret["username"], secret["password"], secret.get("scope", ""))
