"""Authentication by API tokens that are stored as rows of an orm model.

The tokens are those of `starlette_auth_core.tokens`: 256 random bits each, shown once, and stored
as a SHA-256 digest. Who reads the table can't use what is in it.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orm
import sqlalchemy

from starlette_auth_core import BaseBearerAuth, BaseTokenAuth
from starlette_auth_core.tokens import digest_token, generate_token, is_well_formed

from ._storage import (
    QUERY_TIMEOUT,
    ModelSource,
    check_field,
    check_source,
    execute,
    fetch,
    find,
    from_row,
    is_active,
    is_model,
    load_model,
    select,
)

__all__ = ["ModelBearerAuth", "ModelTokenAuth", "token_fields"]

# RFC 6749 appendix A.4: visible ASCII but `"` and `\`. They are stored as the RFC's section 3.3
# writes them, separated by spaces.
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class _UTCType(sqlalchemy.TypeDecorator):  # type: ignore[misc]  # SQLAlchemy 1.4 has no types
    """Stores aware datetimes as UTC, and returns aware ones: no database of the three does both."""

    impl = sqlalchemy.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a timezone: use datetime.now(UTC)")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: object) -> datetime | None:
        if value is None:
            return None
        # A column of the type `timestamp with time zone` returns an aware one.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class UTCDateTime(orm.DateTime):
    def get_column_type(self) -> _UTCType:
        return _UTCType()


def token_fields(user_model: Any) -> dict[str, Any]:
    """Return the fields of a model of tokens, to spread into its `fields`.

    Add fields of your own, such as a name: `{**token_fields(User), "name": orm.Text()}`. Another
    primary key takes the place of `id`.

    Args:
        user_model: The user model, or its class name where that is defined later.

    Returns:
        `id`; `digest`, the SHA-256 of a token, with a unique index; `user`, whose tokens are
        deleted with them (on SQLite only after `PRAGMA foreign_keys = ON`: call `revoke_all`
        first, since it gives the key of a deleted user to the next one); `scopes`, separated by
        spaces, or None; `created_at` and `expires_at`, aware and in UTC, the latter None for a
        token that does not expire.
    """
    return {
        "id": orm.Integer(primary_key=True),
        # A unique constraint has an index of its own. With `index=True` orm's `create_all` fails
        # where the table has been used before.
        "digest": orm.String(max_length=64, unique=True),
        "user": orm.ForeignKey(user_model, on_delete="CASCADE"),
        "scopes": orm.Text(allow_null=True, allow_blank=True),
        "created_at": UTCDateTime(),
        "expires_at": UTCDateTime(allow_null=True),
    }


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ModelTokenAuth(BaseTokenAuth[Any]):
    """Authentication by tokens that are rows of an orm model: `Authorization: Token <token>`.

    A request is one query, which loads the token and its user. A token that is not well formed
    costs none.

    Args:
        model: The model of the tokens, made with `token_fields`, or what returns it. A callable is
            called at each use.
        prefix: What the tokens start with; see `starlette_auth_core.tokens.generate_token`. None:
            tokens of any form are looked up, and none can be issued.
        active_field: The field of a user that is false for one whose tokens do not work.
        now: Returns the time, aware; tests set it.

    Attributes:
        query_timeout: How long the query may take, in seconds, the wait for a connection included.
            None: for ever.

    Raises:
        TypeError: At construction, if *model* is something else, or a subclass overrides `verify`.
        ValueError: At construction, if *prefix* can start no token. If a model lacks a field: at
            construction, or on first use where a callable returns the model.
    """

    query_timeout: float | None = QUERY_TIMEOUT

    def __init__(
        self,
        model: ModelSource[Any],
        *,
        prefix: str | None,
        active_field: str | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        check_source(model)
        if type(self).verify is not ModelTokenAuth.verify:
            raise TypeError("requests are authenticated by resolve: override that, and not verify")
        self.model = model
        self.prefix = prefix
        self.active_field = active_field
        self.now = now
        if is_model(model):
            self._load_model(complete=False)

    async def verify(self, token: str) -> Any | None:
        """Return the user of *token*, or None where it is not valid; see `resolve`."""
        found = await self.resolve(token)
        return None if found is None else found[0]

    async def resolve(self, token: str) -> tuple[Any, Sequence[str]] | None:
        """Return the user of *token* and the scopes that it grants.

        A token that was issued with scopes grants `scopes` of this class and its own. Another one
        grants what `get_scopes` says of its user.

        Returns:
            Them, or None where the token is not known, has expired, or its user is not active.

        Raises:
            AuthenticationUnavailable: If the database is down, slow or not connected.
        """
        if not isinstance(token, str):
            return None
        if self.prefix is not None and not is_well_formed(token, self.prefix):
            return None
        model = self._load_model()
        user_model = model.fields["user"].target
        row = await find(
            model, "digest", digest_token(token), seconds=self.query_timeout, user=user_model
        )
        if row is None or self._has_expired(row) or not is_active(row.user, self.active_field):
            return None
        if row.scopes is None:
            return row.user, self.get_scopes(row.user)
        return row.user, (*self.scopes, *row.scopes.split())

    async def issue(
        self,
        user: Any,
        *,
        scopes: Sequence[str] | None = None,
        expires_in: timedelta | None = None,
        **fields: Any,
    ) -> tuple[str, Any]:
        """Make a token for *user*.

        Args:
            user: The user.
            scopes: What the token grants, beside `scopes` of this class. None: what `get_scopes`
                says of the user, whenever the token is used.
            expires_in: How long the token is valid, to the second. None: until it is revoked.
            **fields: Further fields of the row, such as a name.

        Returns:
            The token, to be shown to its owner once, and the row, which does not hold it.

        Raises:
            TypeError: If *user* is none, or *scopes* is a string.
            ValueError: If a scope has characters that RFC 6749 section 3.3 does not allow,
                *expires_in* is not positive, the model lacks a field, or there is no prefix.
        """
        model = self._load_model()
        user_model = model.fields["user"].target
        if not isinstance(user, user_model):
            raise TypeError(f"user must be a {user_model.__name__}; got a {type(user).__name__}")
        for name in fields:
            check_field(model, "issue", name)
        return await self._create(model, _join(scopes), expires_in, user=user, **fields)

    async def rotate(
        self, row: Any, *, overlap: timedelta, expires_in: timedelta | None = None
    ) -> tuple[str, Any]:
        """Make a token that takes the place of *row*, which stays valid for *overlap*.

        Args:
            row: The row of the token to replace. Its user, scopes and own fields are taken over.
            overlap: How long the old token is valid from now, unless it expires sooner.
            expires_in: How long the new token is valid. None: as long as the old one was to be.
                (The time of one that was rotated before has been cut: say how long.)

        Returns:
            The new token, to be shown to its owner once, and its row.

        Raises:
            ValueError: If the old token was revoked or has expired, or *overlap* is negative.
        """
        if overlap < timedelta():
            raise ValueError("overlap must not be negative")
        model = type(row)
        old = await self._reload(row)
        if old is None or self._has_expired(old):
            raise ValueError("the token can't be rotated: it was revoked, or has expired")
        if expires_in is None and old.expires_at is not None:
            expires_in = old.expires_at - old.created_at
        own = {"digest", "scopes", "created_at", "expires_at", model.pkname}
        kept = {name: getattr(old, name) for name in model.fields if name not in own}
        ends = (self._now() + overlap).replace(microsecond=0)
        # The new one first: whatever fails on the way, its owner has one that works.
        token, new = await self._create(model, old.scopes, expires_in, **kept | {"user": row.user})
        row.expires_at = ends if old.expires_at is None else min(ends, old.expires_at)
        statement = model.table.update().where(_is(row))
        await execute(model, statement.values(expires_at=row.expires_at))
        if await self._reload(row) is None:
            await self.revoke(new)
            raise ValueError("the token can't be rotated: it was revoked meanwhile")
        return token, new

    async def revoke(self, row: Any) -> None:
        """Delete the token *row*: it is not valid any more."""
        model = type(row)
        await execute(model, model.table.delete().where(_is(row)))

    async def revoke_all(self, user: Any) -> None:
        """Delete all tokens of *user*."""
        model = self._load_model()
        await execute(model, model.table.delete().where(model.table.columns["user"] == user.pk))

    def _load_model(self, *, complete: bool = True) -> Any:
        model: Any = load_model(self.model)
        for name, field in token_fields("").items():
            if name != "id":
                check_field(model, "token_fields", name, type(field))
        # While modules are imported, a user model that is given by its name may not be there yet.
        user = model.fields["user"]
        if complete or not isinstance(user.to, str) or user.to in model.registry.models:
            check_field(user.target, "active_field", self.active_field)
        return model

    async def _create(
        self, model: Any, scopes: str | None, expires_in: timedelta | None, **fields: Any
    ) -> tuple[str, Any]:
        if self.prefix is None:
            raise ValueError("a backend without a prefix issues no tokens")
        if expires_in is not None and expires_in <= timedelta():
            raise ValueError("expires_in must be positive")
        token, now = generate_token(self.prefix), self._now()
        expires_at = None if expires_in is None else (now + expires_in).replace(microsecond=0)
        row = await model.objects.create(
            digest=digest_token(token),
            scopes=scopes,
            created_at=now,
            expires_at=expires_at,
            **fields,
        )
        # orm leaves a user there that has a key and nothing else.
        row.user = fields["user"]
        return token, row

    async def _reload(self, row: Any) -> Any | None:
        model = type(row)
        rows = await fetch(model, select(model).where(_is(row)), seconds=None)
        return from_row(model, rows[0]) if rows else None

    def _has_expired(self, row: Any) -> bool:
        expires_at: datetime | None = row.expires_at
        return expires_at is not None and expires_at <= self._now()

    def _now(self) -> datetime:
        now = self.now()
        if now.tzinfo is None:
            raise ValueError("now must return an aware datetime, such as datetime.now(UTC)")
        # Some databases keep whole seconds only. What a row says is what is stored.
        return now.astimezone(UTC).replace(microsecond=0)


class ModelBearerAuth(ModelTokenAuth, BaseBearerAuth[Any]):
    """The same for bearer tokens: `Authorization: Bearer <token>`, RFC 6750."""


def _is(row: Any) -> Any:
    # Not by its key: SQLite gives the key of a deleted row to the next one.
    return type(row).table.columns["digest"] == row.digest


def _join(scopes: Sequence[str] | None) -> str | None:
    if scopes is None:
        return None
    if isinstance(scopes, str):
        raise TypeError(f"scopes must be a sequence of names: use ({scopes!r},)")
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            raise ValueError(f"{scope!r} is no scope: RFC 6749 section 3.3 says what is")
    return " ".join(scopes)
