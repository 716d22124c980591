"""A backend that limits the guesses at another one's passwords."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from starlette.authentication import AuthCredentials, AuthenticationBackend
from starlette.requests import HTTPConnection

from starlette_auth_core import AuthBackend, Challenge, InvalidCredentials

from ._attempts import Attempt, Counted, outcome_of
from ._limits import Limit, Limits
from ._memory import MemoryStore
from ._reading import BasicReader
from ._redis import RedisStore
from ._results import Results
from ._store import Claim, Outcome

__all__ = ["Throttled"]


class Throttled(AuthBackend[Any]):
    """Refuses attempts after too many failures, before a password is hashed.

    Put it around a backend, `MultiAuth` too. Put one around an `AnyOf`, not one around each of its
    backends: the failure of the first counts until the second has succeeded. Only `Authorization:
    Basic` is counted: tokens and sessions can't be guessed, and pass whatever has failed. An
    attempt counts for each limit whose key is not None, under all of the limits or under none.
    Where one refuses, the answer is `TooManyAttempts` (429 with `Retry-After`), for right and wrong
    passwords and for known and unknown users. Attempts that are sent at once wait for each other,
    at most 10 seconds, so that no burst is answered more often than a limit says.

    A failure is an error of the status 401. An attempt that could not be checked is given back. A
    success clears the account's failures that its own attempt was counted with, and none of an
    address. Where a session or an API key beside the password succeeds, the password was not
    checked, or it was wrong: that is not a success of its account.

    With *trust* a success also makes the pair of account and address trusted: its attempts count
    for that pair alone from then on. A stranger who fails in somebody's name can't lock the owner
    out where the owner has logged in before (OWASP Authentication Cheat Sheet, "Account Lockout"),
    and the owner's logins there do not clear the stranger's failures. The 20 newest addresses of
    an account are trusted, and none where the server does not know the address.

    With `trust=None` whoever fails in somebody's name locks the owner out until the failures do not
    count any more. And each login of the owner clears the account's failures: beside a client that
    logs in with every request, as with Basic, a stranger can guess on and on. Have limits by
    address then.

    NIST SP 800-63B (revision 4, section 3.2.2) allows at most 100 failures in a row for one
    account: `Limit(by_username, 100, per=timedelta(hours=12))` beside a shorter limit.

    Args:
        backend: The backend, ours or Starlette's. Its header is read with the `fallback_charset` of
            the backends that it wraps in `backend` or `backends`: one that reads another charset
            must say so there. Credentials that are malformed never succeed, and a backend that is
            not made of core's is not asked about them.
        *limits: The limits. Equal limits of several `Throttled` over one store count together.
        store: Where attempts are counted. None: a `MemoryStore` of its own.
        trust: How long a success makes an address trusted. None: none is.

    Attributes:
        backend: The wrapped backend, whose challenges, `vary` and scopes are this one's.

    Raises:
        TypeError: If *backend* is not an object with a method `authenticate`, a limit is not a
            `Limit`, *store* is not a store, or *trust* is not a timedelta.
        ValueError: If there are no limits, or *trust* is not positive.
    """

    def __init__(
        self,
        backend: AuthenticationBackend,
        *limits: Limit,
        store: MemoryStore | RedisStore | None = None,
        trust: timedelta | None = timedelta(days=30),
    ) -> None:
        _check(backend, limits, store, trust)
        self.backend = backend
        self.scopes = ()
        if isinstance(backend, AuthBackend):
            self.scheme, self.realm = backend.scheme, backend.realm
            self.scopes, self.vary = backend.scopes, backend.vary
        self._store = MemoryStore() if store is None else store
        self._limits = Limits(limits, trust, self._store._secret)
        self._reader = BasicReader(backend)
        self._results = Results(backend)

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Authenticate a request with the wrapped backend, unless too many attempts have failed.

        Args:
            conn: The request or WebSocket.

        Returns:
            What the backend returns.

        Raises:
            TooManyAttempts: If a limit refuses the attempt. The backend was not asked.
            AuthenticationUnavailable: If attempts that were sent before are not known in time.
            AuthenticationError: The backend's own, unchanged.
        """
        header = self._reader.read(conn)
        if header is None:
            return await self.backend.authenticate(conn)
        counted = Counted.of(conn, self._store, header.identity)
        held = await counted.enter(self._limits.slots(conn, header.usernames))
        if header.malformed and self._results.may_read_more:
            await counted.leave(held, Outcome.FAILURE)
            raise InvalidCredentials
        try:
            result = await self.backend.authenticate(conn)
            outcome = self._results.outcome(result, header)
        except BaseException as error:
            await _fail(counted, held, error)
            raise
        await counted.leave(held, outcome)
        if outcome is Outcome.FAILURE and header.malformed:
            raise InvalidCredentials
        return result

    @asynccontextmanager
    async def attempt(self, conn: HTTPConnection | None, username: str) -> AsyncIterator[Attempt]:
        """Count one attempt of a view that checks a password itself.

        ```python
        async with backend.attempt(request, username) as attempt:
            user = await passwords.verify(username, password)
            if user is not None:
                attempt.succeed()
        ```

        It counts each time, also where one request holds several (a batch of GraphQL), and together
        with the attempts that come in the header. A block that ends without `succeed()` is a
        failure, and so is an `HTTPException` below 500, an `AuthenticationError` of the status 401
        and a `WebSocketException` of the code 1008. For any other exception the attempt is given
        back.

        Args:
            conn: The request or WebSocket. None: limits by address do not count it.
            username: The claimed user name. Anything but a string counts as no name.

        Returns:
            A context manager, which yields the `Attempt`.

        Raises:
            TooManyAttempts: On entering, if a limit refuses the attempt.
            AuthenticationUnavailable: On entering, if attempts that were sent before are not known
                in time; on leaving, if a failure can't be counted any more.
        """
        # A JSON body may hold anything.
        usernames = [username] if isinstance(username, str) and username else []
        counted = Counted(self._store)
        held = await counted.enter(self._limits.slots(conn, usernames))
        attempt = Attempt()
        try:
            yield attempt
        except BaseException as error:
            attempt._ended = True
            await _fail(counted, held, error, succeeded=attempt._succeeded)
            raise
        attempt._ended = True
        await counted.leave(held, Outcome.SUCCESS if attempt._succeeded else Outcome.FAILURE)

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        """Return the challenges of the wrapped backend; see `AuthBackend.challenges`."""
        challenges = getattr(self.backend, "challenges", None)
        return () if challenges is None else tuple(challenges(conn))

    def get_scopes(self, user: Any) -> Sequence[str]:
        """Return what the wrapped backend grants a user; see `AuthBackend.get_scopes`."""
        get_scopes = getattr(self.backend, "get_scopes", None)
        return self.scopes if get_scopes is None else get_scopes(user)

    def openapi_scheme(self) -> Mapping[str, Any] | None:
        """Return the scheme of the wrapped backend; see `AuthBackend.openapi_scheme`."""
        openapi_scheme = getattr(self.backend, "openapi_scheme", None)
        return None if openapi_scheme is None else openapi_scheme()


async def _fail(
    counted: Counted, held: Sequence[Claim], error: BaseException, *, succeeded: bool = False
) -> None:
    outcome = Outcome.SUCCESS if succeeded else outcome_of(error)
    if isinstance(error, Exception):
        await counted.leave(held, outcome)
    else:
        # Whoever is cancelled can't wait.
        counted.leave_soon(held, outcome)


def _check(
    backend: object, limits: Sequence[object], store: object, trust: timedelta | None
) -> None:
    if isinstance(backend, type) or not callable(getattr(backend, "authenticate", None)):
        raise TypeError(
            f"backend must be an object with a method authenticate; got {_kind(backend)}"
        )
    for limit in limits:
        if not isinstance(limit, Limit):
            raise TypeError(f"Each limit must be a Limit; got {_kind(limit)}")
    if not limits:
        raise ValueError(
            "Throttled needs at least one limit, such as "
            "Limit(by_username, 5, per=timedelta(minutes=1))"
        )
    if store is not None and not isinstance(store, (MemoryStore, RedisStore)):
        raise TypeError(f"store must be a MemoryStore or a RedisStore; got {_kind(store)}")
    if trust is not None and not isinstance(trust, timedelta):
        raise TypeError(f"trust must be a timedelta or None; got {_kind(trust)}")
    if trust is not None and trust <= timedelta():
        raise ValueError(f"trust must be positive, or None for no trust, not {trust}")


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
