"""Mends the one method of encode/orm 0.3.1 that fails on SQLAlchemy 2.

`QuerySet._build_select_expression` calls `sqlalchemy.sql.select(tables)` with a list, which
SQLAlchemy 2 refuses: the tables are arguments of their own there. Nothing that reads through
`Model.objects` works without, and encode/orm is no longer developed. So the method is replaced on
the class of orm itself, when this package is imported: on SQLAlchemy 2, where the method fails.
"""

from types import SimpleNamespace
from typing import Any

import sqlalchemy
from orm.models import QuerySet
from sqlalchemy.exc import ArgumentError

__all__ = ["mend"]


def mend(query_set: Any = QuerySet) -> None:
    """Replace the method that builds a SELECT, where it fails on SQLAlchemy 2.

    Args:
        query_set: The class of orm.
    """
    # SQLAlchemy 1.4 takes a list, and would warn about the attempt.
    if not sqlalchemy.__version__.startswith("1.") and _fails(query_set):
        query_set._build_select_expression = _build_select_expression


def _fails(query_set: Any) -> bool:
    model = SimpleNamespace(table=sqlalchemy.table("attempt", sqlalchemy.column("id")))
    try:
        query_set(model_cls=model)._build_select_expression()
    except ArgumentError:
        return True
    return False


def _build_select_expression(self: Any) -> Any:
    # This is the method of orm 0.3.1, with the list of tables spread. As there, each item of
    # `select_related` starts from the table of the model.
    tables = [self.table]
    joined = self.table
    for path in self._select_related:
        model, joined = self.model_cls, self.table
        for field in path.split("__"):
            model = model.fields[field].target
            joined = sqlalchemy.join(joined, model.table)
            tables.append(model.table)
    expression = sqlalchemy.select(*tables).select_from(joined)
    if self.filter_clauses:
        expression = expression.where(*self.filter_clauses)
    if self._order_by:
        expression = expression.order_by(*map(self._prepare_order_by, self._order_by))
    if self.limit_count:
        expression = expression.limit(self.limit_count)
    if self.query_offset:
        expression = expression.offset(self.query_offset)
    return expression
