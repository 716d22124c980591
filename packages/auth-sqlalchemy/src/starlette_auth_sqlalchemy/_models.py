"""Mapped classes: which columns there are, how all of an object is loaded, and by which key.

Nothing here configures mappers while modules are imported: `relationship("User")` may name a class
that is not there yet, and a mapper that failed once fails for ever.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Mapper, with_polymorphic

__all__ = ["check_attribute", "column_of", "entity_of", "key_clauses", "key_value", "mapper_of"]


def mapper_of(model: object) -> Mapper[Any]:
    """Return the mapper of a class, or raise a `TypeError`."""
    mapper = sqlalchemy.inspect(model, raiseerr=False) if isinstance(model, type) else None
    if not isinstance(mapper, Mapper):
        kind = model if isinstance(model, type) else type(model)
        raise TypeError(
            "model must be a class that SQLAlchemy maps to a table; got "
            f"{'the class' if isinstance(model, type) else 'a'} {kind.__name__}"
        )
    return mapper


def column_of(mapper: Mapper[Any], option: str, name: str) -> ColumnElement[Any]:
    """Return the column of an attribute, or raise a `ValueError`; *option* says whose name it is.

    `mapper.column_attrs` would configure the mappers.
    """
    if name not in mapper.columns:
        raise ValueError(
            f"{option}: {mapper.class_.__name__} has no column {name!r}, "
            f"it has {', '.join(map(repr, mapper.columns.keys()))}"
        )
    return mapper.columns[name]


def check_attribute(mapper: Mapper[Any], option: str, name: str | None) -> None:
    """Raise a `ValueError` unless *name* is a column, or a property of Python's."""
    if name is None or any(name in vars(kind) for kind in mapper.class_.__mro__):
        return
    column_of(mapper, option, name)


def entity_of(mapper: Mapper[Any], *, aliased: bool = False) -> Any:
    """Return what to select, so that the columns of subclasses are there too."""
    if mapper.polymorphic_on is None or len(list(mapper.self_and_descendants)) == 1:
        return mapper.class_
    if aliased:
        return with_polymorphic(mapper.class_, "*", flat=True)
    # The parameter is not public. Without it, loader options of the app's fit the alias only.
    return with_polymorphic(mapper.class_, "*", _use_mapper_path=True)


def key_value(
    mapper: Mapper[Any], identity: Sequence[Any], column: ColumnElement[Any]
) -> tuple[Any, ...]:
    """Return the value of a column that is a part of a primary key, or nothing for another one.

    Args:
        mapper: The mapper.
        identity: The primary key of an object.
        column: The column, also that of a joined subclass.

    Returns:
        The value, in a tuple.
    """
    property_ = mapper.get_property_by_column(column)
    for part, value in zip(mapper.primary_key, identity, strict=True):
        if part is column or mapper.get_property_by_column(part) is property_:
            return (value,)
    return ()


def key_clauses(
    mapper: Mapper[Any], identity: Sequence[Any], table: Any
) -> list[ColumnElement[bool]]:
    """Return the conditions for the row of an object in one of the mapper's tables."""
    clauses = []
    for column in table.primary_key:
        for part, value in zip(mapper.primary_key, identity, strict=True):
            same = mapper.get_property_by_column(part) is mapper.get_property_by_column(column)
            if same or column.references(part):
                clauses.append(column == value)
    return clauses
