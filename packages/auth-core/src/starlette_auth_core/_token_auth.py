"""Authentication by a token: in `Authorization` as Token or Bearer, or in a header of its own.

`BaseTokenAuth` and its kin are for tokens that the app looks up itself. `TokenAuth`, `BearerAuth`
and `APIKeyAuth` are the same schemes over `Tokens`.
"""

from collections.abc import Mapping, Sequence
from types import CoroutineType
from typing import Any, ClassVar

from starlette.authentication import AuthCredentials
from starlette.requests import HTTPConnection

from ._backend import AuthBackend, SchemeCredentials, UserT, check_max_size
from ._challenges import Challenge
from ._exceptions import AuthenticationUnavailable, InvalidCredentials
from ._grammar import is_token
from ._results import awaitable, named, user_or_none
from ._token_format import check_prefix, is_well_formed
from .credentials import (
    MAX_CREDENTIALS_SIZE,
    TOKEN68,
    VISIBLE_ASCII,
    Grammar,
    read_api_key,
    read_token,
)
from .tokens import TokenRow, Tokens

__all__ = [
    "APIKeyAuth",
    "BaseAPIKeyAuth",
    "BaseBearerAuth",
    "BaseTokenAuth",
    "BearerAuth",
    "TokenAuth",
    "TokenCredentials",
]


class TokenCredentials(SchemeCredentials):
    """The scopes that a token of `Tokens` granted, and its row.

    Attributes:
        token: The row of the token, to revoke or rotate it. It does not hold the token itself.
    """

    def __init__(self, scopes: Sequence[str], scheme: str, token: TokenRow) -> None:
        super().__init__(scopes, scheme)
        self.token = token


class BaseTokenAuth(AuthBackend[UserT]):
    """Authentication by an opaque token: `Authorization: Token <token>`.

    Override `verify`, or `resolve` alone for tokens that have scopes of their own. Tokens are read
    from the header alone, never from a query or a body (RFC 6750 sections 2.2 and 2.3): those end
    up in logs and histories.

    Attributes:
        scheme: The name of the scheme; change it for clients that send another one.
        prefix: The prefix of the tokens that `generate_token` made. Where it is set, a token that
            is not well formed is refused before `verify`, at the cost of a checksum.
        max_credentials_size: The longest token that is read, in bytes.

    Raises:
        TypeError: At construction, if neither `verify` nor `resolve` is overridden.
        ValueError: At construction, if `scheme`, `realm`, `prefix` or `max_credentials_size` is
            not valid.
    """

    scheme = "Token"
    prefix: str | None = None
    max_credentials_size: int = MAX_CREDENTIALS_SIZE
    _grammar: ClassVar[Grammar] = VISIBLE_ASCII
    # What the challenge of a failed token says (RFC 6750 section 3.1).
    _failure: ClassVar[Mapping[str, str]] = {}

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request by its token; see `AuthBackend.authenticate`."""
        try:
            token = self._read(conn)
            if token is None:
                return None
            user: Any = None
            scopes: Sequence[str] = ()
            if self.prefix is not None and not is_well_formed(token, self.prefix):
                pass
            elif type(self).resolve is BaseTokenAuth.resolve:
                # The default of `resolve`, in place, up to what is granted: a coroutine and some
                # calls less for most requests.
                pending = self.verify(token)
                if type(pending) is not CoroutineType:
                    awaitable(pending, "verify")
                user = user_or_none(await pending, "verify")
                if user is not None:
                    return SchemeCredentials(self.get_scopes(user), self.scheme), user
            else:
                user, scopes = _as_pair(await awaitable(self.resolve(token), "resolve"))
        except InvalidCredentials as error:
            if error.parameters is not None and error.scheme is not None:
                raise
            raise self._explained(error).with_traceback(error.__traceback__) from error.__cause__
        except TimeoutError as error:
            raise AuthenticationUnavailable from error
        if user is None:
            raise InvalidCredentials(scheme=self.scheme, parameters=self._failure)
        return self._grant(scopes), user

    def openapi_scheme(self) -> Mapping[str, Any] | None:
        """Return the OpenAPI security scheme of the header; see `AuthBackend.openapi_scheme`."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": f"Authorization: {self.scheme} <token>",
        }

    async def verify(self, token: str) -> UserT | None:
        """Find the user whom a token stands for.

        Compare a token with a fixed one through `secrets.compare_digest`, and look one up by
        `digest_token(token)`.

        Args:
            token: The token. It is not empty, and all visible ASCII.

        Returns:
            The user, or None where the token is not valid.

        Raises:
            TimeoutError: If the token can't be looked up now. The answer is 503.
        """
        return _as_pair(await awaitable(self.resolve(token), "resolve"))[0]  # type: ignore[no-any-return]  # it is a user

    async def resolve(self, token: str) -> tuple[UserT, Sequence[str]] | None:
        """Find the user whom a token stands for, and the scopes that it grants.

        By default that is `verify` and `get_scopes`. Override it for tokens that have scopes of
        their own; `authenticate` calls nothing else.

        Args:
            token: The token, as for `verify`.

        Returns:
            The user and the scopes, or None where the token is not valid.

        Raises:
            TimeoutError: If the token can't be looked up now. The answer is 503.
        """
        user = user_or_none(await awaitable(self.verify(token), "verify"), "verify")
        return None if user is None else (user, self.get_scopes(user))

    def _read(self, conn: HTTPConnection) -> str | None:
        return read_token(conn, self.scheme, self._grammar, max_size=self.max_credentials_size)

    def _explained(self, error: InvalidCredentials) -> InvalidCredentials:
        # A copy: an app may raise the same object for somebody else.
        copy = error.__class__.__new__(error.__class__, *error.args)
        copy.__dict__.update(error.__dict__)
        copy.scheme = error.scheme or self.scheme
        copy.parameters = self._failure if error.parameters is None else error.parameters
        return copy

    def _grant(self, scopes: Sequence[str]) -> AuthCredentials:
        return SchemeCredentials(scopes, self.scheme)

    def _check_settings(self) -> None:
        super()._check_settings()
        Challenge(self.scheme)
        overridden = self._overrides("verify", BaseTokenAuth) or self._overrides(
            "resolve", BaseTokenAuth
        )
        if not overridden:
            raise TypeError(
                f"{type(self).__name__} can't authenticate anybody: override verify(token), or "
                "resolve(token) for tokens that have scopes of their own"
            )
        check_max_size(self.max_credentials_size)
        if self.prefix is not None:
            check_prefix(self.prefix)


class BaseBearerAuth(BaseTokenAuth[UserT]):
    """Authentication by a bearer token: `Authorization: Bearer <token>`, RFC 6750 section 2.1.

    A failed token, malformed ones included, is answered with `error="invalid_token"`, and a
    request without one is not (section 3.1).
    """

    scheme = "Bearer"
    _grammar = TOKEN68
    _failure: ClassVar[Mapping[str, str]] = {"error": "invalid_token"}

    def openapi_scheme(self) -> Mapping[str, Any] | None:
        """Return the OpenAPI security scheme of bearer tokens; see `AuthBackend`."""
        if self.scheme.lower() != "bearer":
            return super().openapi_scheme()
        return {"type": "http", "scheme": "bearer"}


class BaseAPIKeyAuth(BaseTokenAuth[UserT]):
    """Authentication by a bare token in a header of its own, such as `X-API-Key: <token>`.

    Attributes:
        header: The name of the header, case-insensitive. It is added to `vary`.
        scheme: The name that the challenge goes by. No such scheme is registered: the name is for
            people.

    Raises:
        ValueError: At construction, if `header` is not the name of a header.
    """

    scheme = "ApiKey"
    header: str = "X-API-Key"

    def openapi_scheme(self) -> Mapping[str, Any] | None:
        """Return the OpenAPI security scheme of the header; see `AuthBackend.openapi_scheme`."""
        return {"type": "apiKey", "in": "header", "name": self.header}

    def _read(self, conn: HTTPConnection) -> str | None:
        return read_api_key(conn, self.header, self._grammar, max_size=self.max_credentials_size)

    def _check_settings(self) -> None:
        if not is_token(self.header):
            raise ValueError(f"invalid header name {self.header!r} (must be an RFC 9110 token)")
        super()._check_settings()
        if self.header.lower() not in map(str.lower, self.vary):
            self.vary = (*self.vary, self.header)


class TokenAuth(BaseTokenAuth[UserT]):
    """Authentication by a token of `Tokens`: `Authorization: Token <token>`.

    It grants `scopes` of the class and the token's own. A token that was issued with `scopes=None`
    grants what `get_scopes(user)` returns whenever the token is used. `request.auth.token` is the
    row of the token.

    Args:
        tokens: The source of the tokens.

    Raises:
        TypeError: At construction, if *tokens* is not a `Tokens` object (a store is not), or a
            subclass overrides `verify` and not `resolve`, which is what `authenticate` calls.
    """

    def __init__(self, tokens: Tokens[UserT, Any]) -> None:
        self.tokens = tokens

    async def verify(self, token: str) -> UserT | None:
        """Find the user whom a token stands for; see `BaseTokenAuth.verify`.

        Raises:
            AuthenticationUnavailable: If the store does not answer in time.
        """
        return _as_pair(await awaitable(self.resolve(token), "resolve"))[0]  # type: ignore[no-any-return]  # it is a user

    async def resolve(self, token: str) -> tuple[UserT, Sequence[str]] | None:
        """Find the user whom a token stands for, and the scopes that it grants.

        To refuse more tokens, override it, and return what `super().resolve(token)` returns for
        the others.

        Args:
            token: The token.

        Returns:
            The user and the scopes, or None where the token is not valid.

        Raises:
            AuthenticationUnavailable: If the store does not answer in time.
        """
        row = await self.tokens.find(token)
        if row is None:
            return None
        user = user_or_none(row.user, "find")
        if user is None:
            return None
        if row.scopes is None:
            return user, _TokenScopes(self.get_scopes(user), row)
        return user, _TokenScopes((*self.scopes, *row.scopes.split()), row)

    def _grant(self, scopes: Sequence[str]) -> AuthCredentials:
        if isinstance(scopes, _TokenScopes):
            return TokenCredentials(scopes, self.scheme, scopes.row)
        return super()._grant(scopes)

    def _check_settings(self) -> None:
        super()._check_settings()
        # A store has a `find` too, of digests.
        if not isinstance(self.tokens, Tokens):
            raise TypeError(
                f"tokens must be a Tokens object, such as Tokens(store, prefix=…); "
                f"got {named(self.tokens)}"
            )
        if self._overrides("verify", TokenAuth) and not self._overrides("resolve", TokenAuth):
            raise TypeError(
                f"{type(self).__name__} overrides verify(token), which authenticate does not call: "
                "override resolve(token)"
            )


class BearerAuth(TokenAuth[UserT], BaseBearerAuth[UserT]):
    """Authentication by a bearer token of `Tokens`: `Authorization: Bearer <token>`, RFC 6750.

    Args:
        tokens: The source of the tokens; see `TokenAuth`.
    """


class APIKeyAuth(TokenAuth[UserT], BaseAPIKeyAuth[UserT]):
    """Authentication by a key of `Tokens` in a header of its own: `X-API-Key: <token>`.

    Args:
        tokens: The source of the tokens; see `TokenAuth`.
    """


class _TokenScopes(tuple[str, ...]):  # noqa: SLOT001 - the row is an attribute
    # The scopes out of `TokenAuth.resolve`. They carry the row on to `authenticate`, so that a
    # subclass can override `resolve` with the signature of the base.

    row: TokenRow

    def __new__(cls, scopes: Sequence[str], row: TokenRow) -> "_TokenScopes":
        self = super().__new__(cls, SchemeCredentials(scopes, "").scopes)
        self.row = row
        return self


def _as_pair(found: Any) -> tuple[Any, Sequence[str]]:
    # The user, or None, and the scopes out of what `resolve` returned.
    if type(found) is tuple and len(found) == 2:
        return user_or_none(found[0], "resolve"), found[1]
    if user_or_none(found, "resolve") is None:
        return None, ()
    raise TypeError(
        "resolve must return a tuple of the user and the scopes, or None; "
        f"it returned {named(found)}"
    )
