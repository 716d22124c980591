"""The columns of a model of tokens."""

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import DateTime, String, Text
from sqlalchemy.orm import Mapped, mapped_column

__all__ = ["TokenMixin"]


class TokenMixin:
    """The columns of a model of tokens, for declarative classes and for SQLModel's.

    The model adds its key, a foreign key of the users, and the relationship `user`:

    ```python
    class Token(TokenMixin, Base):
        __tablename__ = "tokens"
        id: Mapped[int] = mapped_column(primary_key=True)
        user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
        user: Mapped[User] = relationship()
    ```

    It is a convenience: any mapped class with these attributes will do, with or without
    `last_used_at` and `name`. In a `MappedAsDataclass` these columns are not fields of the
    dataclass: they are not in its `__init__` and its `repr`. Declare them yourself where they have
    to be, and give `user` the option `init=False`. A row is added by a statement and not by the
    constructor, so a `default_factory` of a dataclass is not called for it: use `insert_default`. A
    `version_id_col` is not supported.

    Attributes:
        digest: The SHA-256 of the token in hexadecimal digits, with a unique index.
        scopes: The scopes, separated by spaces; None for those that the backend grants.
        created_at: The time of issue.
        expires_at: The end, or None.
        last_used_at: The time of the last use that was stored, or None.
        name: A name, for the owner of the token.

    The types are plain ones of SQLAlchemy, so that a migration of Alembic imports nothing of this
    package. Times are stored in UTC.
    """

    if TYPE_CHECKING:
        digest: Mapped[str]
        scopes: Mapped[str | None]
        created_at: Mapped[datetime]
        expires_at: Mapped[datetime | None]
        last_used_at: Mapped[datetime | None]
        name: Mapped[str | None]
    else:
        # Without annotations: pydantic, on which SQLModel stands, and dataclasses would take them
        # for theirs.
        digest = mapped_column(String(64), nullable=False, unique=True, index=True)
        scopes = mapped_column(Text, nullable=True)
        created_at = mapped_column(DateTime, nullable=False)
        expires_at = mapped_column(DateTime, nullable=True)
        last_used_at = mapped_column(DateTime, nullable=True)
        name = mapped_column(Text, nullable=True)
