"""API tokens that are rows of an orm model: the queries for `starlette_auth_core.tokens.Tokens`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orm
import sqlalchemy

from starlette_auth_core.storage import is_active
from starlette_auth_core.tokens import TokenStore

from ._models import ModelSource, check_field, check_source, is_model, key_of, load_model
from ._queries import count, fetch, find, run, select, to_object, transaction
from ._times import UTCDateTime

__all__ = ["ModelTokenStore", "token_fields"]

_PROTOCOL = {"digest", "user", "scopes", "created_at", "expires_at", "last_used_at"}


def token_fields(user_model: Any) -> dict[str, Any]:
    """Return the fields of a model of tokens, to spread into its `fields`.

    Add fields of your own: `{**token_fields(User), "project": orm.Text()}`. Another primary key
    takes the place of `id`.

    Args:
        user_model: The user model, or its class name where that is defined later.

    Returns:
        `id`; `digest`, the SHA-256 of a token, with a unique index; `user`, whose tokens are
        deleted with them (on SQLite only after `PRAGMA foreign_keys = ON`: call `revoke_all`
        first, since it gives the key of a deleted user to the next one); `scopes`, separated by
        spaces, or None; `created_at`, `expires_at` and `last_used_at`, aware and in UTC, None for a
        token that does not expire, or was not used; and `name`, for its owner. Models without
        `last_used_at` and `name` work too.
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
        "last_used_at": UTCDateTime(allow_null=True),
        "name": orm.Text(allow_null=True),
    }


class ModelTokenStore(TokenStore[Any, Any]):
    """Stores tokens as rows of an orm model; see `starlette_auth_core.tokens.TokenStore`.

    Args:
        model: The model of the tokens, made with `token_fields`, or a function that returns it,
            which is called at each use.
        active_field: The field of a user that is false for one whose tokens do not work.

    Raises:
        TypeError: At construction, if *model* is something else.
        ValueError: If a model lacks a field: at construction, or on first use where a callable
            returns the model.
    """

    def __init__(self, model: ModelSource[Any], *, active_field: str | None = None) -> None:
        check_source(model)
        self.model = model
        self.active_field = active_field
        if is_model(model):
            self._load_model(complete=False)

    @property
    def records_use(self) -> bool | None:
        """Whether the model has `last_used_at`, without which it can't hold sessions.

        None where a function returns the model, which may not be there yet.
        """
        return "last_used_at" in self.model.fields if is_model(self.model) else None

    async def find(self, digest: str) -> Any | None:
        """Return the row of *digest*, with its user, or None.

        Raises:
            AuthenticationUnavailable: If the database is down or not connected.
        """
        model = self._load_model()
        row = await find(model, "digest", digest, user=_user_model(model))
        return row if row is not None and is_active(row.user, self.active_field) else None

    async def insert(
        self,
        user: Any,
        *,
        digest: str,
        scopes: str | None,
        created_at: datetime,
        expires_at: datetime | None,
        **extra: Any,
    ) -> Any:
        """Add a row, provided that its user is stored and active.

        Raises:
            TypeError: If *user* is not of the user model, or *extra* has a name that is not a
                field, the primary key, a foreign key, or a field of the protocol.
            ValueError: If *user* is not stored (any more), or is not active.
        """
        model = self._load_model()
        user_model, table = _user_model(model), model.table
        owner = key_of(user_model) == _checked_key(user, user_model)
        values = _own_values(model, extra) | {
            "digest": digest,
            "scopes": scopes,
            "created_at": created_at,
            "expires_at": expires_at,
        }
        literals = (sqlalchemy.literal(value, table.c[name].type) for name, value in values.items())
        # One statement, the first of its transaction: SQLite would refuse to write after a read
        # where somebody else has written.
        insert = table.insert().from_select(
            [*values, "user"], sqlalchemy.select(*literals, key_of(user_model)).where(owner)
        )
        added = _select(model).where(table.c.digest == digest)

        async def work(connection: Any) -> Any:
            async with transaction(connection):
                await connection.execute(insert)
                record = await connection.fetch_one(added)
                row = None if record is None else to_object(record, model, user=user_model)
                if row is None or not is_active(row.user, self.active_field):
                    raise ValueError("the user has been deleted, or is not active")
                return row

        return await run(model, work, settle=True)

    def extra(self, row: Any) -> Mapping[str, Any]:
        """Return the app's own fields of *row*, but for unique ones."""
        fields = type(row).fields
        return {
            name: getattr(row, name)
            for name in fields
            if _may_set(type(row), name) and not fields[name].unique
        }

    async def expire(self, row: Any, at: datetime | None) -> bool:
        """Let *row* end at *at* where it still ends when *row* says; return whether it did."""
        model, table = type(row), type(row).table
        same = table.c.digest == row.digest, _is(table.c.expires_at, row.expires_at)
        update = table.update().where(*same).values(expires_at=at)
        # MariaDB does not count a row that ends at that time already.
        unchanged = select(model).where(*same, _is(table.c.expires_at, at))

        async def work(connection: Any) -> bool:
            changed = await count(connection, model, update)
            return bool(changed or await connection.fetch_all(unchanged))

        return await run(model, work, settle=True)

    async def touch(self, row: Any, at: datetime, *, unless_since: datetime) -> bool:
        """Store that *row* was used, unless a use since *unless_since* is stored."""
        model, table = type(row), type(row).table
        if "last_used_at" not in model.fields:
            return False
        last = table.c.last_used_at
        due = sqlalchemy.or_(last.is_(None), last < unless_since)
        update = table.update().where(table.c.digest == row.digest, due)
        return bool(await _count(model, update.values(last_used_at=at)))

    async def delete(self, row: Any) -> bool:
        """Delete *row*; return whether it was there."""
        # Not by its key: SQLite gives the key of a deleted row to the next one.
        model, table = type(row), type(row).table
        return bool(await _count(model, table.delete().where(table.c.digest == row.digest)))

    async def delete_all(self, user: Any, *, keep: Any = None) -> int:
        """Delete the rows of *user*, but for *keep*; return how many there were."""
        model = self._load_model()
        table = model.table
        delete = table.delete().where(table.c.user == _checked_key(user, _user_model(model)))
        if keep is not None:
            delete = delete.where(table.c.digest != keep.digest)
        return await _count(model, delete)

    async def list(self, user: Any) -> Sequence[Any]:
        """Return the rows of *user*, the newest first."""
        model = self._load_model()
        table, user_model = model.table, _user_model(model)
        statement = (
            _select(model)
            .where(table.c.user == _checked_key(user, user_model))
            .order_by(table.c.created_at.desc(), key_of(model).desc())
        )
        return [to_object(row, model, user=user_model) for row in await fetch(model, statement)]

    async def purge(self, before: datetime) -> int:
        """Delete the rows that ended before *before*; return how many there were."""
        model = self._load_model()
        table = model.table
        return await _count(model, table.delete().where(table.c.expires_at < before))

    def _load_model(self, *, complete: bool = True) -> Any:
        model: Any = load_model(self.model)
        for name, field in token_fields("").items():
            if name in _PROTOCOL and (name != "last_used_at" or name in model.fields):
                check_field(model, "token_fields", name, type(field))
        # While modules are imported, a user model that is given by its name may not be there yet.
        user = model.fields["user"]
        if complete or not isinstance(user.to, str) or user.to in model.registry.models:
            check_field(user.target, "active_field", self.active_field)
        return model


def _user_model(model: Any) -> Any:
    return model.fields["user"].target


def _select(model: Any) -> Any:
    return select(model, user=_user_model(model))


async def _count(model: Any, statement: Any) -> int:
    async def work(connection: Any) -> int:
        return await count(connection, model, statement)

    return await run(model, work, settle=True)


def _is(column: Any, value: object) -> Any:
    return column.is_(None) if value is None else column == value


def _checked_key(user: Any, user_model: Any) -> Any:
    if not isinstance(user, user_model):
        raise TypeError(f"user must be a {user_model.__name__}; got a {type(user).__name__}")
    key = getattr(user, user_model.pkname, None)
    if key is None:
        raise ValueError("the user is not stored: create it first")
    return key


def _may_set(model: Any, name: str) -> bool:
    field = model.fields.get(name)
    if field is None or field.primary_key or isinstance(field, orm.ForeignKey):
        return False
    return name not in _PROTOCOL


def _own_values(model: Any, extra: Mapping[str, Any]) -> dict[str, Any]:
    # The values of the fields that the protocol does not set, as orm's `create` makes them.
    refused = sorted(name for name in extra if not _may_set(model, name))
    if refused:
        raise TypeError(f"{model.__name__} has no field for the app to set: {', '.join(refused)}")
    values = {}
    for name, field in model.fields.items():
        validator = field.validator
        if name in extra:
            values[name] = validator.validate(extra[name])
        elif name not in _PROTOCOL and validator.has_default():
            values[name] = validator.get_default_value()
    return values
