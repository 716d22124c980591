"""HTTP Basic authentication, and the one flow of a login.

The flow: find the user, check the password, upgrade its hash, ask whether the user is active. From
`authenticate`, None means "not mine" and an exception "mine, and wrong". From `verify`, None means
"wrong".
"""

import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol, TypeAlias, cast

from starlette.authentication import AuthCredentials
from starlette.requests import HTTPConnection

from ._backend import AuthBackend, SchemeCredentials, UserT, check_max_size
from ._challenges import Challenge
from ._disconnect import Client
from ._exceptions import AuthenticationUnavailable, InvalidCredentials
from ._results import (
    accepted_keywords,
    as_bool,
    awaitable,
    finished,
    is_unfinished,
    user_or_none,
)
from .credentials import MAX_CREDENTIALS_SIZE, _read_pair, is_plain_text
from .storage import check_hasher, read_hash

__all__ = ["BaseBasicAuth", "PasswordHasher"]

logger = logging.getLogger("starlette_auth_core")

# The user-id of the login that is being made: `verify_password` has the user only.
_claimed: ContextVar[str | None] = ContextVar("starlette_auth_core.claimed", default=None)


class PasswordHasher(Protocol):
    """The methods that a backend needs of a password hasher. Those of starlette-auth-hashers fit.

    Each may take two more keywords, which are handed on where the signature has them, so that a
    hasher can share one computation among requests that the same client could have sent:
    `username`, the user-id that was claimed (`verify` and `verify_and_update`; `dummy_verify` has
    it anyway), and `backend`, the object that asks. `username` is None where `verify_password` was
    called by itself.
    """

    @abstractmethod
    def verify(self, secret: str, hashed: str | None, /) -> Awaitable[bool]:
        """Return whether *secret* is the password of the stored hash; never raise for either."""

    @abstractmethod
    def verify_and_update(
        self, secret: str, hashed: str | None, /
    ) -> Awaitable[tuple[bool, str | None]]:
        """Do the same, and return a new hash too where the stored one should be replaced."""

    @abstractmethod
    def dummy_verify(self, secret: str, username: str, /) -> Awaitable[None]:
        """Do the work of a failing `verify`, for a user who does not exist."""


_Watched: TypeAlias = Callable[[Awaitable[Any]], Awaitable[Any]]


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
        hasher: Checks the passwords, and decides what a login of an unknown user costs.
        password_field: The attribute of a user that holds the password's hash.
        active_field: The attribute of a user that is false for one who may not log in. It is asked
            after the password, so that a login of such a user costs as much as any other. None:
            every user may log in.
        fallback_charset: The charset to try when credentials are not UTF-8, such as
            `"iso-8859-1"` for clients like Python's requests. None: they are refused. Credentials
            that are UTF-8 as well are read as UTF-8.
        max_credentials_size: The longest credentials that are read, in bytes of base64.

    Raises:
        TypeError: At construction, if neither `verify` nor `find_user` is overridden, `hasher` is
            not a password hasher, or nothing can check a password: no `hasher`, and neither
            `verify_password` nor `verify` is overridden.
        ValueError: At construction, if `fallback_charset` is not a charset, `scheme` is not Basic,
            or no header can carry `realm`.
    """

    scheme = "Basic"
    hasher: PasswordHasher | None = None
    password_field: str = "password"
    active_field: str | None = None
    fallback_charset: str | None = None
    max_credentials_size: int = MAX_CREDENTIALS_SIZE

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request by its user-id and password; see `AuthBackend.authenticate`."""
        secret = _read_pair(conn, self.fallback_charset, self.max_credentials_size)
        if secret is None:
            return None
        username, password = secret
        client = Client.of(conn)
        watched = _unwatched if client is None else client.watched
        try:
            if type(self).verify is BaseBasicAuth.verify:
                user = await self._log_in(username, password, watched)
            else:
                # All of it is watched, since its steps are not known.
                pending = awaitable(self.verify(username, password), "verify")
                user = user_or_none(await watched(pending), "verify")
                if user is not None and not self._is_active(user):
                    user = None
        except TimeoutError as error:
            raise AuthenticationUnavailable from error
        if user is None:
            raise InvalidCredentials(username=username)
        return SchemeCredentials(self.get_scopes(user), self.scheme), user

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        """Return the challenge of RFC 7617 section 2, which asks for UTF-8 (section 2.1).

        Args:
            conn: The request or WebSocket that is answered.

        Returns:
            The one challenge; see `AuthBackend.challenges`.
        """
        return (Challenge(self.scheme, realm=self.realm, charset="UTF-8"),)

    def openapi_scheme(self) -> Mapping[str, Any] | None:
        """Return the OpenAPI security scheme of HTTP Basic; see `AuthBackend.openapi_scheme`."""
        return {"type": "http", "scheme": "basic"}

    async def verify(self, username: str, password: str) -> UserT | None:
        """Find the user, check the password, and store an upgraded hash where there is one.

        Call it in a view to exchange a user-id and a password for the user. Text that no header
        could carry (control characters, lone surrogates, something that is not a string) is an
        unknown user, and never reaches `find_user`.

        Args:
            username: The user-id.
            password: The password, in plain text.

        Returns:
            The user, or None where the user-id or the password is wrong, or the user is not
            active.

        Raises:
            AuthenticationUnavailable: If finding or hashing ran into a `TimeoutError`.
            TypeError: If an override returns a result that still has to be awaited, cannot be
                awaited, or is not a bool where a bool is due.
        """
        try:
            if not (is_plain_text(username) and is_plain_text(password)):
                # Not even a hasher has to cope with it. The work is that of any password.
                await self._verify_nobody("", "")
                return None
            return await self._log_in(username, password, _unwatched)
        except TimeoutError as error:
            raise AuthenticationUnavailable from error

    async def find_user(self, username: str) -> UserT | None:
        """Find a user.

        Args:
            username: The user-id. It holds no control characters and no lone surrogates.

        Returns:
            The user, or None where no user has that user-id. A user who may not log in can be
            returned as None too, or be told apart by `active_field`: both cost the same.

        Raises:
            TimeoutError: If the user can't be looked up now. The answer is 503.
        """
        raise NotImplementedError

    async def verify_password(self, user: UserT, password: str) -> bool:
        """Check whether a password is the user's, by `hasher`.

        A hash that the hasher calls outdated is replaced through `replace_password_hash`. Where
        that is not overridden there is nowhere to store a new hash, and none is computed; nor is
        one for a user who is not active.

        Args:
            user: The user, as `find_user` returned it.
            password: The password, in plain text.

        Returns:
            Whether it is right.

        Raises:
            TimeoutError: If the password can't be checked now. The answer is 503.
            TypeError: If there is no `hasher`.
        """
        hasher = self.hasher
        if hasher is None:
            raise TypeError(_no_hasher(self))
        stored = finished(self.get_password_hash(user), "get_password_hash")
        hashed = self._hash_as_text(user, stored)
        if (
            stored is None
            or hashed is None
            or type(self).replace_password_hash is BaseBasicAuth.replace_password_hash
            or not self._is_active(user)
        ):
            claim = self._claim(hasher.verify)
            return await awaitable(hasher.verify(password, hashed, **claim), "hasher.verify")
        claim = self._claim(hasher.verify_and_update)
        valid, upgraded = await awaitable(
            hasher.verify_and_update(password, hashed, **claim), "hasher.verify_and_update"
        )
        valid = as_bool(valid, "hasher.verify_and_update")
        if upgraded is None and hashed is not stored:
            upgraded = hashed
        if valid and upgraded is not None:
            # The storage compares the old hash with the column, where bytes are not text.
            await self._upgrade(user, stored, upgraded)
        return valid

    def get_password_hash(self, user: UserT) -> str | None:
        """Return the stored hash of a user: by default the attribute named `password_field`.

        Args:
            user: The user, as `find_user` returned it.

        Returns:
            The hash, or None for a user without a password, who can't log in. Bytes are read as
            ASCII, and replaced by text at the next login.
        """
        hashed: str | None = self._attribute(user, "password_field", self.password_field)
        return hashed

    async def replace_password_hash(self, user: UserT, old: str, new: str) -> None:
        """Store a new hash, provided that the old one is still what is stored.

        Override it to have outdated hashes replaced on login. Do it in one statement (`UPDATE …
        WHERE password = old`), so that a password changed meanwhile is not overwritten. An error
        that it raises is logged, and does not fail the login.

        Args:
            user: The user, as `find_user` returned it.
            old: The hash that was verified.
            new: The hash to store in its place.
        """
        raise NotImplementedError

    async def _log_in(self, username: str, password: str, watched: _Watched) -> UserT | None:
        # The flow of a login, with plain text. What hashes is watched: its client may leave.
        found = await awaitable(self.find_user(username), "find_user")
        user = user_or_none(found, "find_user")
        if user is None:
            await watched(self._verify_nobody(username, password))
            return None
        claimed = _claimed.set(username)
        try:
            pending = awaitable(self.verify_password(user, password), "verify_password")
            valid = as_bool(await watched(pending), "verify_password")
        finally:
            _claimed.reset(claimed)
        return user if valid and self._is_active(user) else None

    async def _verify_nobody(self, username: str, password: str) -> None:
        hasher = self.hasher
        if hasher is not None:
            claim = self._claim(hasher.dummy_verify)
            claim.pop("username", None)
            pending = hasher.dummy_verify(password, username, **claim)
            await awaitable(pending, "hasher.dummy_verify")

    def _claim(self, method: Callable[..., Any]) -> dict[str, Any]:
        """Return who asks, by the keywords that a method of the hasher has for it."""
        accepted = accepted_keywords(method)
        claim: dict[str, Any] = {"username": _claimed.get(), "backend": self}
        return {name: claim[name] for name in claim if name in accepted}

    def _hash_as_text(self, user: UserT, stored: object) -> str | None:
        if not isinstance(stored, bytes | bytearray | memoryview):
            return cast("str | None", stored)
        return read_hash(
            bytes(stored), model=type(user).__name__, field=self.password_field, logger=logger
        )

    async def _upgrade(self, user: UserT, old: str, new: str) -> None:
        pending = None
        try:
            pending = self.replace_password_hash(user, old, new)
            if pending is not None:
                await pending
        except Exception as error:  # noqa: BLE001 - whatever it is, the password was right
            # A database's error may quote the statement with the hash in it: name it only.
            logger.warning("Storing an upgraded password hash failed: %s", type(error).__name__)
            return
        awaitable(pending, "replace_password_hash")

    def _is_active(self, user: UserT) -> bool:
        if self.active_field is None:
            return True
        active = self._attribute(user, "active_field", self.active_field)
        if callable(active) or is_unfinished(active):
            # A method is true, whatever it would return.
            logger.error(
                "Login refused: active_field %r of %s is a method; use an attribute or a property",
                self.active_field,
                type(user).__name__,
            )
            return False
        return bool(active)

    def _attribute(self, user: UserT, setting: str, name: str) -> Any:
        # Raised for the users that exist, an AttributeError would say which these are.
        try:
            return getattr(user, name)
        except AttributeError:
            logger.error(  # noqa: TRY400 - a traceback would show the user
                "Login refused: %s has no attribute %r; correct the setting %s",
                type(user).__name__,
                name,
                setting,
            )
            return None

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.scheme.lower() != "basic":
            raise ValueError(
                f"scheme must be Basic, not {self.scheme!r}: clients send no other. To keep "
                "browsers from asking for a password, override challenges(conn)"
            )
        if not self._overrides("verify", BaseBasicAuth):
            if not self._overrides("find_user", BaseBasicAuth):
                raise TypeError(
                    f"{type(self).__name__} can't authenticate anybody: override "
                    "find_user(username) and set hasher, or override verify(username, password)"
                )
            if self.hasher is None and not self._overrides("verify_password", BaseBasicAuth):
                raise TypeError(_no_hasher(self))
        if self.hasher is not None:
            check_hasher(self.hasher)
        check_max_size(self.max_credentials_size)
        if self.fallback_charset is not None:
            _check_charset(self.fallback_charset)


def _unwatched(work: Awaitable[Any]) -> Awaitable[Any]:
    return work


def _no_hasher(backend: object) -> str:
    return (
        f"{type(backend).__name__} can't check a password: "
        "set its hasher, or override verify_password"
    )


def _check_charset(charset: str) -> None:
    try:
        b"?".decode(charset)
    except LookupError:
        raise ValueError(f"fallback_charset={charset!r} is not a charset of Python's") from None
    except UnicodeError:
        pass  # one of more than a byte for each character
