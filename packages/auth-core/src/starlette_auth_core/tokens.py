"""API tokens and their life: when one is issued, found, rotated and revoked.

All rules about validity, expiry, scopes, rotation and last use stand in `Tokens`. It keeps tokens
in a `TokenStore`, which makes queries and knows no rule.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Generic, cast

from anyio import fail_after
from anyio.lowlevel import checkpoint

from ._grammar import is_reserved_scope, is_scope_token
from ._memory import MemoryTokenStore
from ._results import close_unawaited, is_anonymous, is_unfinished, named, user_or_none
from ._settled import settled
from ._store_calls import check_extra, check_row, finish, wait
from ._token_format import check_prefix, digest_token, generate_token, is_well_formed
from ._token_store import TokenRow, TokenStore
from ._typing import TypeVar

__all__ = [
    "MemoryTokenStore",
    "TokenRow",
    "TokenStore",
    "Tokens",
    "digest_token",
    "generate_token",
    "is_well_formed",
]

_logger = logging.getLogger("starlette_auth_core")

_UserT = TypeVar("_UserT", default=Any)
_RowT = TypeVar("_RowT", default=Any)
_ResultT = TypeVar("_ResultT")

# How long each statement may take that undoes a rotation in a cancelled task, in seconds.
_UNDO_SECONDS = 5.0
_NOT_EXTRA = frozenset({"digest", "created_at", "expires_at", "last_used_at"})


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Tokens(Generic[_UserT, _RowT]):
    """Issues tokens, and knows which ones are valid.

    Times are stored in whole seconds, which is all that some databases keep. Every call of the
    store ends within `query_timeout`; a store that takes longer, or raises `TimeoutError`, makes
    `AuthenticationUnavailable`. Other errors of the store pass.

    Args:
        store: The storage.
        prefix: The start of the tokens; see `generate_token`. None: tokens of any prefix are
            found, and none can be issued.
        touch_every: The last use of a token is stored when the stored one is older than this.
            None: never.
        now: Returns the time, aware; tests set it.

    Attributes:
        query_timeout: How long a call of the store may take, in seconds, the wait for a connection
            included. None: forever.

    Raises:
        TypeError: At construction, if *touch_every* is not a timedelta.
        ValueError: At construction, if no token can start with *prefix*, or *touch_every* is
            negative.
    """

    query_timeout: float | None = 10.0

    def __init__(
        self,
        store: TokenStore[_UserT, _RowT],
        *,
        prefix: str | None,
        touch_every: timedelta | None = timedelta(minutes=5),
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        if prefix is not None:
            check_prefix(prefix)
        if touch_every is not None:
            _check_span("touch_every", touch_every, timedelta())
        self._store = store
        self._prefix = prefix
        self._touch_every = touch_every
        self._clock = now

    @property
    def prefix(self) -> str | None:
        """The start of the tokens. None: tokens of any prefix are found, and none can be issued."""
        return self._prefix

    async def find(self, token: str) -> _RowT | None:
        """Return the row of a valid token, and store that it was used.

        Args:
            token: The token, as a client sent it. One that is not well formed costs no query.

        Returns:
            The row, or None where the token is not known, has expired, or its user may not log in.
            A token is not valid any more at the second `expires_at`.

        Raises:
            AuthenticationUnavailable: If the store takes too long.
            TypeError: If the store returned something that is not a row.
        """
        if not isinstance(token, str) or not is_well_formed(token, self._prefix):
            return None
        row = await self._find(digest_token(token))
        if row is None:
            return None
        now = self._now()
        if _has_expired(row, now):
            return None
        if self._touch_every is not None and hasattr(row, "last_used_at"):
            row = await self._touch(row, _whole(now), self._touch_every)
        return row

    async def issue(
        self,
        user: _UserT,
        *,
        scopes: Sequence[str] | None = None,
        expires_in: timedelta | None = None,
        **extra: Any,
    ) -> tuple[str, _RowT]:
        """Make a token for *user*.

        Args:
            user: The user.
            scopes: The scopes that the token grants beside those of the backend's class. None:
                those that the backend's `get_scopes` returns, whenever the token is used.
            expires_in: How long the token is valid, to the second. None: until it is revoked.
            **extra: Fields of the app, such as a name.

        Returns:
            The token, to be shown to its owner once, and its row, which does not hold the token.

        Raises:
            AuthenticationUnavailable: If the store takes too long.
            TypeError: If *user* is nobody, *scopes* is a string, or *extra* holds a field that is
                not the app's. Nothing is stored.
            ValueError: If a scope is not a scope-token (RFC 6749 section 3.3), or is one that only
                backends grant (`fresh`, `via:…`); if *expires_in* is not positive, there is no
                prefix, *now* returned a naive time, or the user is deleted, may not log in or says
                that nobody has logged in (`is_authenticated` is false). Nothing is stored.
        """
        prefix = self._issuing_prefix()
        _check_user(user)
        if is_anonymous(user):
            raise ValueError(f"no token can be issued for {named(user)} that is not authenticated")
        refused = sorted(_NOT_EXTRA.intersection(extra))
        if refused:
            raise TypeError(f"issue can't set {', '.join(refused)}: these fields are not the app's")
        joined, now = _join(scopes), _whole(self._now())
        expires_at = _end(now, expires_in)
        token = generate_token(prefix)
        return token, await self._insert(user, token, joined, (now, expires_at), extra)

    async def rotate(
        self, row: _RowT, *, overlap: timedelta, expires_in: timedelta | None = None
    ) -> tuple[str, _RowT]:
        """Make a token that takes the place of the one of *row*, which stays valid for *overlap*.

        A rotation that is broken off, by an error or by cancellation, leaves the old token as it
        was and no new one. Of two rotations at once without overlap, exactly one succeeds.

        Args:
            row: The row of the token to replace, which is read again and not changed. Its user,
                scopes and the app's own fields are taken over.
            overlap: How long the old token is valid from now, unless it ends sooner.
            expires_in: How long the new token is valid. None: as long as the old one was to be
                from its issue. (A rotation has cut the time of one that was rotated before: say
                how long.)

        Returns:
            The new token, to be shown to its owner once, and its row.

        Raises:
            AuthenticationUnavailable: If the store takes too long.
            TypeError: If *overlap* or *expires_in* is not a timedelta.
            ValueError: If the old token was revoked or has expired, its user may not log in, the
                row was changed meanwhile, *overlap* is negative, *expires_in* is not positive, or
                there is no prefix.
        """
        prefix = self._issuing_prefix()
        _check_span("overlap", overlap, timedelta())
        now = _whole(self._now())
        _end(now, expires_in)
        check_row("The caller of rotate", row)
        old: Any = await self._find(cast("TokenRow", row).digest)
        if old is None or _has_expired(old, self._now()):
            raise ValueError(
                "the token can't be rotated: it was revoked or has expired, or its user may not "
                "log in"
            )
        end = _utc(old.expires_at)
        if expires_in is None and end is not None:
            expires_in = end - cast("datetime", _utc(old.created_at))
        expires_at = _end(now, expires_in)
        ends = _sum(now, overlap) or end
        if end is not None and ends is not None:
            ends = min(ends, end)
        extra = check_extra(self._store.extra(old))  # noqa: S610  # Not Django's.
        token = generate_token(prefix)
        rotation = _Rotation(token, old, end, ends, now, extra)
        try:
            rotation.new = new = await self._insert(
                old.user, token, old.scopes, (now, expires_at), extra
            )
            rotation.moved = None
            rotation.moved = await self._wait("expire", self._store.expire(old, ends))
            # The caller of a cancelled rotation would never see the token.
            await checkpoint()
        except BaseException:
            await settled(partial(self._undo, rotation))
            raise
        if not rotation.moved:
            await settled(partial(self._undo, rotation))
            raise ValueError("the token can't be rotated: its row was changed meanwhile")
        return token, new

    async def revoke(self, row: _RowT) -> bool:
        """Delete a token, which is not valid any more from now on.

        Args:
            row: Its row.

        Returns:
            Whether it was still there.

        Raises:
            AuthenticationUnavailable: If the store takes too long.
        """
        return await self._wait("delete", self._store.delete(row))

    async def revoke_all(self, user: _UserT, *, keep: _RowT | None = None) -> int:
        """Delete the tokens of a user.

        Args:
            user: The user.
            keep: The row of a token that stays, such as `request.auth.token`.

        Returns:
            The number of deleted tokens, expired ones included.

        Raises:
            AuthenticationUnavailable: If the store takes too long.
            TypeError: If *user* is nobody.
        """
        _check_user(user)
        return await self._wait("delete_all", self._store.delete_all(user, keep=keep))

    async def list(self, user: _UserT) -> Sequence[_RowT]:
        """Return the rows of a user's valid tokens.

        Args:
            user: The user.

        Returns:
            The rows, newest first.

        Raises:
            AuthenticationUnavailable: If the store takes too long.
            TypeError: If *user* is nobody.
        """
        _check_user(user)
        rows = await self._wait("list", self._store.list(user))
        now = self._now()
        return [row for row in rows if not _has_expired(row, now)]

    async def purge(self) -> int:
        """Delete all tokens that have expired, in a job: the query may take long.

        Returns:
            The number of deleted tokens.

        Raises:
            AuthenticationUnavailable: If the store takes longer than `query_timeout`.
        """
        return await self._wait("purge", self._store.purge(_whole(self._now())))

    async def _find(self, digest: str) -> _RowT | None:
        row = await self._wait("find", self._store.find(digest))
        if user_or_none(row, "find of the store") is None:
            return None
        check_row("find of the store", row)
        user = user_or_none(cast("TokenRow", row).user, "find of the store")
        return None if user is None else row

    async def _insert(
        self,
        user: _UserT,
        token: str,
        scopes: str | None,
        times: tuple[datetime, datetime | None],
        extra: Mapping[str, Any],
    ) -> _RowT:
        inserting = self._store.insert(
            user,
            digest=digest_token(token),
            scopes=scopes,
            created_at=times[0],
            expires_at=times[1],
            **extra,
        )
        row = await self._wait("insert", inserting)
        check_row("insert of the store", row)
        return row

    async def _touch(self, row: Any, now: datetime, every: timedelta) -> Any:
        try:
            last, unless_since = _utc(row.last_used_at), now - every
            if last is not None and last >= unless_since:
                return row
            touching = self._store.touch(row, now, unless_since=unless_since)
            if await finish("touch", touching, self.query_timeout):
                return await self._show_use(row, now)
        except Exception as error:  # noqa: BLE001  # The last use is no reason to refuse a token.
            _logger.warning("The last use of a token was not stored: %s", type(error).__name__)
        return row

    async def _show_use(self, row: Any, now: datetime) -> Any:
        # A row that the store has updated is left alone: an ORM would mark it as changed.
        if _utc(row.last_used_at) != now:
            try:
                row.last_used_at = now
            except Exception:  # noqa: BLE001  # It is frozen, and each library has its own error.
                return await self._find(row.digest)
        return row

    async def _undo(self, rotation: "_Rotation") -> None:
        for step in (self._delete_new, self._restore_old):
            try:
                with fail_after(_UNDO_SECONDS):
                    await step(rotation)
            except Exception as error:  # noqa: BLE001  # The error that led here is the one to raise.
                _logger.error(  # noqa: TRY400  # A traceback would show digests.
                    "A rotation failed, and could not be undone: %s", type(error).__name__
                )

    async def _delete_new(self, rotation: "_Rotation") -> None:
        # Where `insert` was broken off, it may have stored the row all the same.
        new = rotation.new
        if new is None:
            new = await self._find(digest_token(rotation.token))
        if new is not None:
            await self._wait("delete", self._store.delete(new))

    async def _restore_old(self, rotation: "_Rotation") -> None:
        if rotation.moved is False or rotation.ends == rotation.end:
            return
        row: Any = await self._find(rotation.old.digest)
        if row is None or _utc(row.expires_at) != rotation.ends:
            return
        # Where `expire` was broken off, it may have been done all the same. But the end may be that
        # of another rotation in the same second, and its old token must not work again.
        if rotation.moved or not await self._is_rotated_by_another(rotation):
            await self._wait("expire", self._store.expire(row, rotation.end))

    async def _is_rotated_by_another(self, rotation: "_Rotation") -> bool:
        rows: Sequence[Any] = await self._wait("list", self._store.list(rotation.old.user))
        own = {rotation.old.digest, digest_token(rotation.token)}
        return any(
            row.digest not in own
            and _utc(row.created_at) == rotation.now
            and row.scopes == rotation.old.scopes
            and self._store.extra(row) == rotation.extra  # noqa: S610  # Not Django's.
            for row in rows
        )

    async def _wait(self, name: str, call: Awaitable[_ResultT]) -> _ResultT:
        return await wait(name, call, self.query_timeout)

    def _issuing_prefix(self) -> str:
        if self._prefix is None:
            raise ValueError("Tokens without a prefix issues no tokens")
        return self._prefix

    def _now(self) -> datetime:
        now = self._clock()
        if now.utcoffset() is None:
            raise ValueError("now must return an aware datetime, such as datetime.now(UTC)")
        return now.astimezone(UTC)


@dataclass(repr=False)
class _Rotation:
    token: str
    old: Any
    end: datetime | None  # of the old token, as it was
    ends: datetime | None  # and as it becomes
    now: datetime
    extra: Mapping[str, Any]
    new: Any = None
    moved: bool | None = False  # whether the old one has its new end; None: not known


def _whole(time: datetime) -> datetime:
    return time.replace(microsecond=0)


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    # Some databases return naive times; those are stored in UTC.
    return time.replace(tzinfo=UTC) if time.utcoffset() is None else time.astimezone(UTC)


def _has_expired(row: Any, now: datetime) -> bool:
    expires_at = _utc(row.expires_at)
    return expires_at is not None and expires_at <= now


def _end(now: datetime, expires_in: timedelta | None) -> datetime | None:
    if expires_in is None:
        return None
    _check_span("expires_in", expires_in, timedelta.resolution)
    # In less than a second the token would have ended before it is used.
    end = _sum(now, max(expires_in, timedelta(seconds=1)))
    if end is None:
        raise ValueError("expires_in is too long: use None for a token that does not expire")
    return end


def _sum(now: datetime, span: timedelta) -> datetime | None:
    # None: after the last year of datetime.
    try:
        return _whole(now + span)
    except OverflowError:
        return None


def _join(scopes: Sequence[str] | None) -> str | None:
    if scopes is None:
        return None
    if isinstance(scopes, str):
        raise TypeError("scopes must be a sequence of names, not a string")
    names = tuple(scopes)
    for name in names:
        if not is_scope_token(name):
            raise ValueError(f"{name!r} is not a scope: see scope-token in RFC 6749 section 3.3")
        if is_reserved_scope(name):
            raise ValueError(f"{name!r} is not a scope for tokens: only backends grant it")
    return " ".join(names)


def _check_span(name: str, span: timedelta, least: timedelta) -> None:
    if not isinstance(span, timedelta):
        raise TypeError(f"{name} must be a timedelta; got {named(span)}")
    if span < least:
        raise ValueError(f"{name} must {'not be negative' if not least else 'be positive'}")


def _check_user(user: object) -> None:
    if is_unfinished(user):
        close_unawaited(user)
        raise TypeError(f"user must be a user; got {named(user)}: await it before")
    if user_or_none(user, "the user") is None:
        raise TypeError(f"user must be a user; got {named(user)}")
