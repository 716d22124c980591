"""The models of an app: which classes are models, and which fields a backend needs of them."""

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias, TypeGuard, cast

import orm

from starlette_auth_core import UserT

__all__ = [
    "ModelSource",
    "check_field",
    "check_source",
    "is_model",
    "key_of",
    "load_model",
]

#: A model, or a function that returns one.
ModelSource: TypeAlias = type[UserT] | Callable[[], type[UserT]]


def is_model(candidate: object) -> TypeGuard[type[Any]]:
    """Return whether *candidate* is a model that has a database; an abstract one has none."""
    return (
        isinstance(candidate, type)
        and issubclass(candidate, orm.Model)
        and hasattr(candidate, "registry")
        and hasattr(candidate, "pkname")
    )


def check_source(source: object) -> None:
    """Raise a `TypeError` unless *source* is a model, or may return one."""
    if is_model(source):
        return
    if isinstance(source, type) or not callable(source) or inspect.iscoroutinefunction(source):
        raise TypeError(
            "model must be a subclass of orm.Model with a registry and a primary key, or a "
            f"function that returns one; got {_shown(source)}"
        )


def load_model(source: ModelSource[UserT]) -> type[UserT]:
    """Return the model that *source* is, or returns now.

    Raises:
        TypeError: If it returns something else.
    """
    if is_model(source):
        return source
    model = cast("Callable[[], type[UserT]]", source)()
    if not is_model(model):
        raise TypeError(
            "model must return a subclass of orm.Model with a registry and a primary key; "
            f"it returned {_shown(model)}"
        )
    return model


def _shown(value: object) -> str:
    # The `repr` of a user may be anything.
    kind = value if isinstance(value, type) else type(value)
    return f"{'the class' if isinstance(value, type) else 'a'} {kind.__name__}"


def check_field(model: Any, option: str, name: str | None, *kinds: type[Any]) -> None:
    """Raise a `ValueError` unless *name*, set by *option*, is a field of one of the *kinds*."""
    # `model.table` stays untouched: orm's `create_all` fails on a table with an index that was
    # built before.
    if name is None:
        return
    if name not in model.fields:
        raise ValueError(
            f"{option}: {model.__name__} has no field {name!r}, "
            f"it has {', '.join(map(repr, model.fields))}"
        )
    # Most databases refuse to compare text with a number. It would look like a failure of theirs.
    if kinds and not isinstance(model.fields[name], kinds):
        raise ValueError(
            f"{option}: the field {name!r} of {model.__name__} must be of the type "
            f"{' or '.join(kind.__name__ for kind in kinds)}"
        )


def key_of(model: Any) -> Any:
    """Return the column of the primary key: orm's `filter(pk=…)` ignores a key of 0."""
    return model.table.columns[model.pkname]
