"""Times that are aware and in UTC, on databases that keep neither."""

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import orm
import sqlalchemy

__all__ = ["UTCDateTime", "in_utc"]


def in_utc(value: datetime) -> datetime:
    """Return *value* aware and in UTC; a naive one is in UTC already."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


if TYPE_CHECKING:
    _TypeDecorator = sqlalchemy.TypeDecorator[datetime]
else:  # SQLAlchemy 1.4 has no types.
    _TypeDecorator = sqlalchemy.TypeDecorator


class _NaiveUTC(datetime):
    # asyncpg sends a datetime as the type that the column has. `timestamp` takes naive ones only.
    # For `timestamp with time zone` it calls `astimezone`, which takes a naive datetime for the
    # local time of the process.
    def astimezone(self, tz: tzinfo | None = None) -> Any:
        return datetime.combine(self.date(), self.time(), UTC).astimezone(tz)


class _UTCType(_TypeDecorator):
    """Stores aware datetimes as UTC, and returns aware ones: no database of the three does both."""

    impl = sqlalchemy.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a timezone: use datetime.now(UTC)")
        utc = value.astimezone(UTC).replace(tzinfo=None)
        # The other drivers know datetimes by their exact class.
        if dialect.name == "postgresql":
            return _NaiveUTC.combine(utc.date(), utc.time())
        return utc

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else in_utc(value)


class UTCDateTime(orm.DateTime):
    """A field of datetimes that are aware and in UTC."""

    def get_column_type(self) -> _UTCType:
        return _UTCType()

    def expand_relationship(self, value: Any) -> Any:
        # orm calls this for each value that a model is given. databases 0.9 leaves out
        # `process_result_value` on PostgreSQL.
        return in_utc(value) if isinstance(value, datetime) else value
