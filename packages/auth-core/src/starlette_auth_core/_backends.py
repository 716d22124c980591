"""The backends, and the one flow of a login: find the user, check the password, upgrade its hash.

From `authenticate`, None means "not mine" and an exception "mine, and wrong". From `verify`, None
means "wrong". The rules are those of RFC 9110 section 11, RFC 7617 and RFC 6750.
"""

import logging
import sys
from abc import ABCMeta, abstractmethod
from collections.abc import Awaitable, Sequence
from types import CoroutineType
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, cast

from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser
from starlette.requests import HTTPConnection

from .credentials import (
    TOKEN68,
    VISIBLE_ASCII,
    Grammar,
    is_plain_text,
    read_api_key,
    read_basic,
    read_token,
)
from ._challenges import Challenge, extend, find_entry, is_token
from ._exceptions import AuthenticationUnavailable, InvalidCredentials
from .tokens import check_prefix, is_well_formed

# Which one runs is not for tests to choose.
if sys.version_info >= (3, 13):  # pragma: no cover
    from typing import TypeVar
else:  # pragma: no cover
    from typing_extensions import TypeVar

__all__ = [
    "AuthBackend",
    "AuthResult",
    "BaseAPIKeyAuth",
    "BaseBasicAuth",
    "BaseBearerAuth",
    "BaseTokenAuth",
    "PasswordHasher",
    "UserT",
    "check_hasher",
]

logger = logging.getLogger(__name__)

#: The type of an app's users. A subclass that names none gets Any.
UserT = TypeVar("UserT", default=Any)

_ResultT = TypeVar("_ResultT")
_InstanceT = TypeVar("_InstanceT")

#: What `authenticate` returns.
AuthResult: TypeAlias = tuple[AuthCredentials, BaseUser] | None


class PasswordHasher(Protocol):
    """What a backend needs of a password hasher. Those of starlette-auth-hashers fit."""

    @abstractmethod
    def verify(self, secret: str, hashed: str | None, /) -> Awaitable[bool]:
        """Tell whether *secret* is the password of the stored *hashed*; never raise for either."""

    @abstractmethod
    def verify_and_update(
        self, secret: str, hashed: str | None, /
    ) -> Awaitable[tuple[bool, str | None]]:
        """Do the same, and return a new hash too where the stored one should be replaced."""

    @abstractmethod
    def dummy_verify(self, secret: str, username: str, /) -> Awaitable[None]:
        """Do the work of a failing `verify`, for a user who does not exist."""


class _CheckedMeta(ABCMeta):
    # Checks the settings of a backend once it is made. `__init__` is too early (a subclass may set
    # them in its own) and too weak (it need not call ours); `__new__` would make `object` swallow
    # arguments that nobody takes.
    def __call__(cls: type[_InstanceT], *args: Any, **kwargs: Any) -> _InstanceT:
        instance = super().__call__(*args, **kwargs)  # type: ignore[misc]  # mypy wants a plain self
        instance._check_settings()
        return cast("_InstanceT", instance)


class AuthBackend(AuthenticationBackend, Generic[UserT], metaclass=_CheckedMeta):
    """Authenticates a request from one of its headers.

    Settings are class attributes; a subclass may set them in its `__init__`, and need not call
    `super().__init__()`. They are checked when the backend is made.

    Attributes:
        scheme: The name of the authentication scheme. Where it is empty there is no challenge.
        realm: The protection space that the challenge names (RFC 9110 section 11.5).
        scopes: What a successful authentication grants.

    Raises:
        TypeError: If the scopes are a string, in which each letter would be one: at construction,
            or in a request where `get_scopes` is overridden.
        ValueError: At construction, if no header can carry `scheme` or `realm`.
    """

    scheme: str = ""
    realm: str = "Restricted"
    scopes: Sequence[str] = ("authenticated",)

    @abstractmethod
    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request.

        Args:
            conn: The request or WebSocket.

        Returns:
            The granted scopes and the user, or None where the request holds nothing for this
            backend, so that it stays anonymous.

        Raises:
            InvalidCredentials: If it holds credentials for this backend, and they are wrong.
            AuthenticationUnavailable: If they can't be checked now.
        """

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        """Return what a 401 asks for (RFC 9110 section 11.6.1): by default `scheme` with `realm`.

        Override it to keep scripts in a browser away from the password pop-up: answer a scheme
        that browsers do not know where `Sec-Fetch-Mode` is not `navigate`.

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

    def _check_settings(self) -> None:
        # The realm is for challenges of one's own too.
        Challenge(self.scheme or "Unnamed", realm=self.realm)
        _check_scopes(self.scopes)


class BaseBasicAuth(AuthBackend[UserT]):
    """HTTP Basic authentication: `Authorization: Basic <base64 of user-id:password>`, RFC 7617.

    Override `find_user`, and set `hasher`: the rest is done here, once, so that an unknown user
    costs the same hash work as a wrong password. Where there is nobody to find, override `verify`
    alone. The form with an own `verify_password` and no `hasher` works, but answers faster for a
    user who does not exist.

    Text is handed on as it came. Unicode can spell `é` in two ways, which are two user-ids: to
    treat them as one, store user-ids in the form NFC, and call
    `unicodedata.normalize("NFC", username)` in `find_user` (RFC 7617 section 2, RFC 8265).

    Attributes:
        hasher: Checks the passwords, and says what a login of an unknown user costs.
        password_field: The attribute of a user that holds the password's hash.
        fallback_charset: The charset to try when credentials are not UTF-8, such as
            `"iso-8859-1"` for clients like Python's requests. None: they are refused. What
            happens to be UTF-8 as well is taken for that.

    Raises:
        TypeError: At construction, if neither `verify` nor `find_user` is overridden, or `hasher`
            is no password hasher.
        ValueError: At construction, if `fallback_charset` is no charset, or no header can carry
            `realm`.
    """

    scheme = "Basic"
    hasher: PasswordHasher | None = None
    password_field: str = "password"
    fallback_charset: str | None = None

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request by its user-id and password; see `AuthBackend.authenticate`."""
        credentials = read_basic(conn, fallback_charset=self.fallback_charset)
        if credentials is None:
            return None
        try:
            user = _found(await self.verify(credentials.username, credentials.password))
        except TimeoutError as error:
            raise AuthenticationUnavailable from error
        if user is None:
            raise InvalidCredentials(username=credentials.username)
        return _granted(self.get_scopes(user)), user

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        """Return the challenge of RFC 7617 section 2, which asks for UTF-8 (section 2.1).

        Args:
            conn: The request or WebSocket that is answered.

        Returns:
            The one challenge; see `AuthBackend.challenges`.
        """
        return (Challenge(self.scheme, realm=self.realm, charset="UTF-8"),)

    async def verify(self, username: str, password: str) -> UserT | None:
        """Find the user, check the password, and store an upgraded hash where there is one.

        Call it in a view to exchange a user-id and a password for the user. What no header could
        carry (control characters, lone surrogates, something that is no string) is an unknown
        user, and never reaches `find_user`.

        Args:
            username: The user-id.
            password: The password, in plain text.

        Returns:
            The user, or None where the user-id or the password is wrong.

        Raises:
            AuthenticationUnavailable: If finding or hashing ran into a `TimeoutError`.
            TypeError: If nothing says how to check a password, or `verify_password` returns what
                is true without being a bool.
        """
        if self.hasher is None and not self._overrides("verify_password"):
            raise TypeError(
                f"{type(self).__name__} can't check a password: "
                "set its hasher, or override verify_password"
            )
        try:
            if not (is_plain_text(username) and is_plain_text(password)):
                # Not even a hasher has to cope with it. The work is that of any password.
                await self._verify_nobody("", "")
                return None
            user = _found(await self.find_user(username))
            if user is None:
                await self._verify_nobody(username, password)
                return None
            return user if _is_right(await self.verify_password(user, password)) else None
        except TimeoutError as error:
            raise AuthenticationUnavailable from error

    async def find_user(self, username: str) -> UserT | None:
        """Find a user.

        Args:
            username: The user-id. It holds no control characters and no lone surrogates.

        Returns:
            The user, or None where there is none of that user-id or one who may not log in: both
            are refused at the same cost.

        Raises:
            TimeoutError: If it can't be told now. The answer is 503.
        """
        raise NotImplementedError

    async def verify_password(self, user: UserT, password: str) -> bool:
        """Tell whether a password is the user's, by `hasher`.

        A hash that the hasher calls outdated is replaced through `replace_password_hash`. Where
        that is not overridden there is nowhere to store a new hash, and none is computed.

        Args:
            user: The user, as `find_user` returned it.
            password: The password, in plain text.

        Returns:
            Whether it is right.

        Raises:
            TimeoutError: If it can't be told now. The answer is 503.
        """
        assert self.hasher is not None  # noqa: S101 - `verify` has made sure
        hashed = self.get_password_hash(user)
        if hashed is None or not self._overrides("replace_password_hash"):
            return await self.hasher.verify(password, hashed)
        valid, upgraded = await self.hasher.verify_and_update(password, hashed)
        if valid and upgraded is not None:
            await self._upgrade(user, hashed, upgraded)
        return valid

    def get_password_hash(self, user: UserT) -> str | None:
        """Return the stored hash of a user: by default the attribute named `password_field`.

        Args:
            user: The user, as `find_user` returned it.

        Returns:
            The hash, or None for a user without a password, who can't log in.
        """
        hashed: str | None = getattr(user, self.password_field)
        return hashed

    async def replace_password_hash(self, user: UserT, old: str, new: str) -> None:
        """Store a new hash, provided that the old one is still what is stored.

        Override it to have outdated hashes replaced on login. Do it in one statement (`UPDATE …
        WHERE password = old`), so that a password changed meanwhile is not overwritten. Whatever
        it raises is logged, and does not fail the login.

        Args:
            user: The user, as `find_user` returned it.
            old: The hash that was verified.
            new: The hash to store in its place.
        """
        raise NotImplementedError

    async def _verify_nobody(self, username: str, password: str) -> None:
        if self.hasher is not None:
            await self.hasher.dummy_verify(password, username)

    async def _upgrade(self, user: UserT, old: str, new: str) -> None:
        try:
            await self.replace_password_hash(user, old, new)
        except Exception as error:  # noqa: BLE001 - whatever it is, the password was right
            # A database's error may quote the statement with the hash in it: name it only.
            logger.warning("Storing an upgraded password hash failed: %s", type(error).__name__)

    def _overrides(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(BaseBasicAuth, name)

    def _check_settings(self) -> None:
        super()._check_settings()
        Challenge(self.scheme)
        if not (self._overrides("verify") or self._overrides("find_user")):
            raise TypeError(
                f"{type(self).__name__} can't authenticate anybody: override find_user(username) "
                "and set hasher, or override verify(username, password)"
            )
        if self.hasher is not None:
            check_hasher(self.hasher)
        if self.fallback_charset is not None:
            _check_charset(self.fallback_charset)


class BaseTokenAuth(AuthBackend[UserT]):
    """Authentication by an opaque token: `Authorization: Token <token>`.

    Override `verify`. Tokens are taken from the header alone, never from a query or a body
    (RFC 6750 sections 2.2 and 2.3): those end up in logs and histories.

    Attributes:
        scheme: The name of the scheme; change it for clients that send another one.
        prefix: The prefix of the tokens that `generate_token` made. Where it is set, a token that
            is not well formed is refused before `verify`, at the cost of a checksum.

    Raises:
        TypeError: At construction, if `verify` is not overridden.
        ValueError: At construction, if `scheme`, `realm` or `prefix` is not what it has to be.
    """

    scheme = "Token"
    prefix: str | None = None
    _grammar: ClassVar[Grammar] = VISIBLE_ASCII

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request by its token; see `AuthBackend.authenticate`."""
        try:
            token = self._read(conn)
            if token is None:
                return None
            well_formed = self.prefix is None or is_well_formed(token, self.prefix)
            found = await self.resolve(token) if well_formed else None
        except InvalidCredentials as error:
            error.challenge = error.challenge or self._failure(conn)
            raise
        except TimeoutError as error:
            raise AuthenticationUnavailable from error
        user, scopes = found or (None, ())
        if _found(user) is None:
            raise InvalidCredentials(challenge=self._failure(conn))
        return _granted(scopes), user

    @abstractmethod
    async def verify(self, token: str) -> UserT | None:
        """Find the user whom a token stands for.

        Compare a token with a fixed one through `secrets.compare_digest`, and look one up by
        `digest_token(token)`.

        Args:
            token: The token. It is not empty, and all visible ASCII.

        Returns:
            The user, or None where the token is not valid.

        Raises:
            TimeoutError: If it can't be told now. The answer is 503.
        """

    async def resolve(self, token: str) -> tuple[UserT, Sequence[str]] | None:
        """Find the user whom a token stands for, and the scopes that it grants.

        By default that is `verify` and `get_scopes`. Override it for tokens that have scopes of
        their own; `authenticate` calls nothing else.

        Args:
            token: The token, as for `verify`.

        Returns:
            The user and the scopes, or None where the token is not valid.

        Raises:
            TimeoutError: If it can't be told now. The answer is 503.
        """
        user = _found(await self.verify(token))
        return None if user is None else (user, self.get_scopes(user))

    def _read(self, conn: HTTPConnection) -> str | None:
        return read_token(conn, self.scheme, self._grammar)

    def _failure(self, conn: HTTPConnection) -> Challenge | None:
        return None

    def _check_settings(self) -> None:
        super()._check_settings()
        Challenge(self.scheme)
        if self.prefix is not None:
            check_prefix(self.prefix)


class BaseBearerAuth(BaseTokenAuth[UserT]):
    """Authentication by a bearer token: `Authorization: Bearer <token>`, RFC 6750 section 2.1.

    A failed token, malformed ones included, is answered with `error="invalid_token"`, and a
    request without one is not (section 3.1).
    """

    scheme = "Bearer"
    _grammar = TOKEN68

    def _failure(self, conn: HTTPConnection) -> Challenge | None:
        own = find_entry(self.challenges(conn), self.scheme)
        return own and extend(own, error="invalid_token")


class BaseAPIKeyAuth(BaseTokenAuth[UserT]):
    """Authentication by a bare token in a header of its own, such as `X-API-Key: <token>`.

    Attributes:
        header: The name of the header, case-insensitive.
        scheme: The name that the challenge goes by. No such scheme is registered: it tells people.
    """

    scheme = "ApiKey"
    header: str = "X-API-Key"

    def _read(self, conn: HTTPConnection) -> str | None:
        return read_api_key(conn, self.header, self._grammar)

    def _check_settings(self) -> None:
        super()._check_settings()
        if not is_token(self.header):
            raise ValueError(f"{self.header!r} is no name of a header: use a token of RFC 9110")


def check_hasher(hasher: object) -> None:
    """Raise a `TypeError` unless *hasher* has what `PasswordHasher` asks for."""
    methods = ("verify", "verify_and_update", "dummy_verify")
    if isinstance(hasher, type) or not all(callable(getattr(hasher, m, None)) for m in methods):
        shown = hasher if isinstance(hasher, type) else type(hasher)
        raise TypeError(
            f"hasher must be an object with {', '.join(methods)}, such as PBKDF2Hasher(); "
            f"got {'the class ' if isinstance(hasher, type) else 'a '}{shown.__name__}"
        )


def _check_charset(charset: str) -> None:
    try:
        b"?".decode(charset)
    except LookupError:
        raise ValueError(f"fallback_charset={charset!r} is no charset that Python knows") from None
    except UnicodeError:
        pass  # one of more than a byte for each character


def _check_scopes(scopes: Sequence[str]) -> None:
    if isinstance(scopes, str):
        raise TypeError(f"scopes must be a sequence of names: use ({scopes!r},)")


def _granted(scopes: Sequence[str]) -> AuthCredentials:
    _check_scopes(scopes)
    return AuthCredentials(scopes)


def _found(user: UserT | None) -> UserT | None:
    # `return False` in a `verify` or `find_user` means None to whoever wrote it. Taken for a user,
    # it would be let in.
    return None if user is False else _awaited(user)


def _is_right(answer: object) -> bool:
    # The tuple of `verify_and_update` is true, whatever it says. Some databases say 1.
    if _awaited(answer) and not isinstance(answer, int):
        raise TypeError(f"verify_password must return a bool; got a {type(answer).__name__}")
    return bool(answer)


def _awaited(result: _ResultT) -> _ResultT:
    # A coroutine is true, so a forgotten `await` would let everybody in.
    if isinstance(result, CoroutineType):
        result.close()
        raise TypeError(f"{result.__qualname__} was not awaited: write `return await …`")
    return result
