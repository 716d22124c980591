"""Authentication against users and tokens that are stored with SQLAlchemy 2 or SQLModel."""

from ._basic import SQLAlchemyBasicAuth
from ._mixin import TokenMixin
from ._tokens import SQLAlchemyTokenStore

__all__ = ["SQLAlchemyBasicAuth", "SQLAlchemyTokenStore", "TokenMixin"]
