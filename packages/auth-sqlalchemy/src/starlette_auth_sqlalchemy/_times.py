"""Times: aware and in UTC for Python, and for a column what it takes."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, DateTime, literal

__all__ = ["in_utc", "to_column"]


def in_utc(value: datetime) -> datetime:
    """Return *value* aware and in UTC; a naive one is in UTC already."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def to_column(column: ColumnElement[Any], value: datetime | None) -> ColumnElement[Any]:
    """Return *value* as a parameter for a column; one without timezone holds UTC."""
    if value is not None:
        value = in_utc(value)
        if isinstance(column.type, DateTime) and not column.type.timezone:
            value = value.replace(tzinfo=None)
    return literal(value, column.type)
