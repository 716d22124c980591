"""Sessions and their life: when one begins, is valid, and ends.

All rules stand in `Sessions`. A session is a row of a `TokenStore`, found by the digest of a random
id that only the cookie holds.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Generic, TypeVar

from anyio import CancelScope, fail_after
from starlette.requests import HTTPConnection
from starlette.responses import Response

from starlette_auth_core import InvalidCredentials
from starlette_auth_core.tokens import TokenStore

from ._arguments import check_conn, check_logged_in, check_response, check_user, is_nobody
from ._cookie import Cookie, SessionId
from ._cross_origin import check_origin, is_unsafe, trusted
from ._store_calls import check_row, check_store, finish, wait
from ._typing import RowT, UserT

__all__ = ["Sessions"]

_logger = logging.getLogger("starlette_auth_sessions")

_ResultT = TypeVar("_ResultT")

# The key of the scope under which the rows of the request's sessions stand.
_FOUND = "starlette_auth_sessions.found"
_TOUCH_EVERY = timedelta(minutes=1)
# How long a statement may take that undoes a login in a cancelled task, in seconds.
_UNDO_SECONDS = 5.0
# How many cookies of one request are looked up, at a query each. RFC 6265 section 6.1 asks browsers
# to keep 50 of a site, and Chromium keeps 180.
_MOST_COOKIES = 180
_NOT_EXTRA = frozenset({"digest", "scopes", "created_at", "expires_at", "last_used_at"})


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Sessions(Generic[UserT, RowT]):
    """Begins sessions, ends them, and knows which ones are valid.

    A session is valid until `absolute` after its login, or until it was not used for `idle`,
    whichever comes first. Times are stored in whole seconds, and the last use once a minute at
    most, so `idle` is exact to a minute.

    Every call of the store ends within `query_timeout`; a store that takes longer, or raises
    `TimeoutError`, makes `AuthenticationUnavailable`, which is answered with 503. Nobody is logged
    out because a database is down.

    An `AuthenticationMiddleware` around the views answers the errors of `login` and `logout`.

    Args:
        store: The storage. Its rows need `last_used_at`. Use a model of its own for sessions: in a
            store that `Tokens` shares, no token passes for a session and no session for a token,
            but `list`, `end_all` and `Tokens.revoke_all` mean both.
        idle: How long a session may be unused. More than a minute.
        absolute: How long after its login a session ends, used or not. It is the `Max-Age` of the
            cookie.
        fresh: How long after its login a session grants `fresh`. Zero: never.
        trusted_origins: Other origins whose pages may make requests with the session, such as
            `https://app.example.org`.
        insecure: Whether sessions work over plain http, for development. The cookie has another
            name then, and neither mode reads the one of the other.
        now: Returns the time, aware; tests set it.

    Attributes:
        query_timeout: How long a call of the store may take, in seconds, the wait for a connection
            included. None: forever.

    Raises:
        TypeError: At construction, if *store* is not a store, a time is not a timedelta,
            *trusted_origins* is not a sequence of strings, *insecure* is not a bool, or *now* is
            not a function.
        ValueError: At construction, if the rows of *store* have no `last_used_at`, where the store
            can tell; if a time is out of range; or if a trusted origin is not an origin.
    """

    query_timeout: float | None = 10.0

    def __init__(
        self,
        store: TokenStore[UserT, RowT],
        *,
        idle: timedelta = timedelta(hours=12),
        absolute: timedelta = timedelta(days=30),
        fresh: timedelta = timedelta(minutes=10),
        trusted_origins: Sequence[str] = (),
        insecure: bool = False,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        check_store(store)
        _check_spans(idle, absolute, fresh)
        if not isinstance(insecure, bool):
            raise TypeError(f"insecure must be a bool, not a {type(insecure).__name__}")
        if not callable(now):
            raise TypeError(f"now must be a function, not a {type(now).__name__}")
        self._store = store
        self._idle = idle
        self._absolute = absolute
        self._fresh = fresh
        self._trusted = trusted(trusted_origins)
        self._cookie = Cookie(insecure)
        self._clock = now

    async def login(
        self, conn: HTTPConnection, response: Response, user: UserT, **extra: Any
    ) -> RowT:
        """Begin a session of *user*, and have *response* set its cookie.

        The id is always a new one. The session that came with the request is ended, whosever it
        was: a login is a change of privileges (OWASP Session Management Cheat Sheet, "Renew the
        Session ID After Any Privilege Level Change"). A request with an unsafe method must not come
        from another site, whose page would otherwise log its visitors in as somebody else. A GET
        may log in, because the callback of OAuth comes from another site.

        Args:
            conn: The request.
            response: The response to the request. It is made `no-store` unless it has a
                `Cache-Control` of its own.
            user: The user, whose credentials have been checked.
            **extra: Fields of the app for the row, such as a name of the device.

        Returns:
            The row of the session, which does not hold its id.

        Raises:
            AuthenticationUnavailable: If the store takes too long. No cookie is set.
            CrossOriginRequest: If a page of another origin made the browser send the request.
            InvalidCredentials: If the store says that the user is deleted or may not log in.
            RuntimeError: If the request came over plain http, and not with `insecure=True`.
            TypeError: If *user* is nobody, or *extra* holds a field that is not the app's.
        """
        check_conn("conn", conn)
        check_response(response)
        self._check_https(conn)
        check_user(user)
        check_logged_in(user)
        refused = sorted(_NOT_EXTRA.intersection(extra))
        if refused:
            raise TypeError(f"login can't set {', '.join(refused)}: these fields are not the app's")
        self._check_unsafe(conn)
        old = await self._find_all(conn)
        session_id, now = SessionId.generate(), _whole(self._now())
        row: RowT | None = None
        try:
            row = await self._insert(user, session_id, now, extra)
            for each in old:
                await self._wait("delete", self._store.delete(each))
        except InvalidCredentials:
            raise
        except BaseException:
            await self._undo(session_id, row)
            raise
        self._cookie.set(response, session_id, self._absolute)
        return row

    async def logout(self, conn: HTTPConnection, response: Response) -> None:
        """End the session of a request, and have *response* delete its cookie.

        Several cookies end several sessions, up to 180, which is as many cookies as a browser keeps
        for a site. A request without a session is not an error.

        Args:
            conn: The request.
            response: The response to the request. It is made `no-store` unless it has a
                `Cache-Control` of its own.

        Raises:
            AuthenticationUnavailable: If the store takes too long. The cookie stays.
            CrossOriginRequest: If a page of another origin made the browser send the request.
        """
        check_conn("conn", conn)
        check_response(response)
        self._check_unsafe(conn)
        for row in await self._find_all(conn):
            await self._wait("delete", self._store.delete(row))
        self._cookie.expire(response)

    async def end_all(self, user: UserT, *, keep: HTTPConnection | None = None) -> int:
        """End the sessions of a user. Call it where a password changes.

        Args:
            user: The user.
            keep: A request whose session stays. Where it has no valid session, or one of another
                user, all of the user's end. The session that it came with is meant: in a view that
                calls `login` too, call `end_all` first.

        Returns:
            The number of ended sessions, those that had expired included.

        Raises:
            AuthenticationUnavailable: If the store takes too long.
            TypeError: If *user* is nobody.
        """
        check_user(user)
        if keep is not None:
            check_conn("keep", keep)
        row = None if keep is None else await self._find_valid(keep)
        return await self._wait("delete_all", self._store.delete_all(user, keep=row))

    async def list(self, user: UserT) -> Sequence[RowT]:
        """Return the rows of a user's valid sessions.

        Args:
            user: The user.

        Returns:
            The rows, newest first. The one with the digest of `request.auth.token` is that of the
            request.

        Raises:
            AuthenticationUnavailable: If the store takes too long.
            TypeError: If *user* is nobody.
        """
        check_user(user)
        rows = await self._wait("list", self._store.list(user))
        now = self._now()
        return [row for row in rows if self._is_valid(row, now)]

    async def purge(self) -> int:
        """Delete all sessions that are older than `absolute`, in a job: the query may take long.

        Returns:
            The number of deleted sessions.

        Raises:
            AuthenticationUnavailable: If the store takes longer than `query_timeout`.
        """
        return await self._wait("purge", self._store.purge(_whole(self._now())))

    async def _authenticate(self, conn: HTTPConnection) -> RowT | None:
        # For SessionAuth. It asks the store, also where the connection was seen before.
        conn.scope.pop(_FOUND, None)
        row = await self._find_valid(conn)
        if row is not None:
            self._check_unsafe(conn)
            await self._touch(row, _whole(self._now()))
        return row

    def _is_fresh(self, row: Any) -> bool:
        return self._now() - _utc(row.created_at) < self._fresh

    async def _find_valid(self, conn: HTTPConnection) -> RowT | None:
        ids = self._cookie.read(conn)
        # Of two cookies, another site on a subdomain may have set one.
        if len(ids) != 1 or ids[0] is None:
            return None
        row = await self._find(conn, ids[0])
        return row if row is not None and self._is_valid(row, self._now()) else None

    async def _find_all(self, conn: HTTPConnection) -> Sequence[RowT]:
        ids = dict.fromkeys(each for each in self._cookie.read(conn) if each is not None)
        rows = [await self._find(conn, each) for each in islice(ids, _MOST_COOKIES)]
        return [row for row in rows if row is not None]

    async def _find(self, conn: HTTPConnection, session_id: SessionId) -> RowT | None:
        # A view that ends the session of its request need not ask the store again. The row of a
        # WebSocket may be hours old.
        found: dict[Any, RowT | None] = {}
        if conn.scope["type"] == "http":
            found = conn.scope.setdefault(_FOUND, found)
        key = self, session_id
        if key not in found:
            row: Any = await self._wait("find", self._store.find(session_id.digest))
            if row is not None:
                check_row("find", row)
            found[key] = None if row is None or is_nobody(row.user) else row
        return found[key]

    async def _insert(self, user: UserT, session_id: SessionId, now: datetime, extra: Any) -> RowT:
        inserting = self._store.insert(
            user,
            digest=session_id.digest,
            scopes=None,
            created_at=now,
            expires_at=_whole(now + self._absolute),
            **extra,
        )
        try:
            row = await self._wait("insert", inserting)
        except ValueError as error:
            # That is how a store refuses a user who is deleted or may not log in.
            refused = type(error).__name__
        else:
            check_row("insert", row)
            return row
        # Raised out of the handler: the text of the store's error may show anything.
        _logger.info("Login refused: insert of the store raised %s", refused)
        raise InvalidCredentials

    async def _undo(self, session_id: SessionId, row: RowT | None) -> None:
        # Nobody knows the id of the new session, but it would show in `list`. An `insert` that was
        # broken off may have stored the row all the same.
        seconds = _UNDO_SECONDS
        if self.query_timeout is not None:
            seconds = min(seconds, self.query_timeout)
        try:
            with CancelScope(shield=True), fail_after(seconds):
                if row is None:
                    row = await self._store.find(session_id.digest)
                if row is not None:
                    await self._store.delete(row)
        except Exception as error:  # noqa: BLE001  # The error that led here is the one to raise.
            _logger.warning("A login failed, and may have left a row: %s", type(error).__name__)

    async def _touch(self, row: Any, now: datetime) -> None:
        unless_since = now - _TOUCH_EVERY
        last = getattr(row, "last_used_at", None)
        if last is not None and _utc(last) >= unless_since:
            return
        touched = False
        try:
            touching = self._store.touch(row, now, unless_since=unless_since)
            touched = await finish("touch", touching, self.query_timeout)
        except Exception as error:  # noqa: BLE001  # The last use is no reason to refuse a session.
            _logger.warning("The last use of a session was not stored: %s", type(error).__name__)
        # A row that the store has updated is left alone: an ORM would mark it as changed.
        last = getattr(row, "last_used_at", None)
        if touched and (last is None or _utc(last) != now):
            with suppress(Exception):  # It is frozen, and each library has its own error.
                row.last_used_at = now

    def _is_valid(self, row: Any, now: datetime) -> bool:
        last = getattr(row, "last_used_at", None) or row.created_at
        ended = row.expires_at is not None and _utc(row.expires_at) <= now
        return not ended and now - _utc(last) < self._idle

    def _check_https(self, conn: HTTPConnection) -> None:
        if self._cookie.insecure or conn.scope.get("scheme") in {"https", "wss"}:
            return
        raise RuntimeError(
            "a login over plain http would set a cookie that browsers refuse: serve the app over "
            "https (behind a proxy, the server has to trust its X-Forwarded-Proto), or use "
            "Sessions(..., insecure=True) for development"
        )

    def _check_unsafe(self, conn: HTTPConnection) -> None:
        if is_unsafe(conn):
            check_origin(conn, self._trusted)

    async def _wait(self, name: str, call: Awaitable[_ResultT]) -> _ResultT:
        return await wait(name, call, self.query_timeout)

    def _now(self) -> datetime:
        now = self._clock()
        if now.utcoffset() is None:
            raise ValueError("now must return an aware datetime, such as datetime.now(UTC)")
        return now.astimezone(UTC)


def _check_spans(idle: timedelta, absolute: timedelta, fresh: timedelta) -> None:
    for name, span in (("idle", idle), ("absolute", absolute), ("fresh", fresh)):
        if not isinstance(span, timedelta):
            raise TypeError(f"{name} must be a timedelta, not a {type(span).__name__}")
    if idle <= _TOUCH_EVERY:
        raise ValueError("idle must be more than a minute: the last use is stored once a minute")
    if absolute < timedelta(seconds=1):
        raise ValueError("absolute must be at least a second")
    if fresh < timedelta():
        raise ValueError("fresh must not be negative: zero grants it to no session")
    if absolute > datetime.max.replace(tzinfo=UTC) - _utc_now():
        raise ValueError("absolute is too long: it ends after the year 9999")


def _whole(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def _utc(time: datetime) -> datetime:
    # Some databases return naive times; those are stored in UTC.
    return time.replace(tzinfo=UTC) if time.utcoffset() is None else time.astimezone(UTC)
