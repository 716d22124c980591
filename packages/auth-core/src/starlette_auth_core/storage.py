"""Rules that every storage of users or tokens shares, whatever the database.

A storage holds queries. These functions judge the rows: a database may take different user-ids for
the same, and may cut a hash that is too long.
"""

from collections.abc import Callable, Iterable
from logging import Logger
from typing import TypeVar

__all__ = [
    "check_hasher",
    "exactly_one",
    "has_room",
    "is_active",
    "is_stored",
    "log_unavailable",
    "read_hash",
]

_RowT = TypeVar("_RowT")


def check_hasher(hasher: object) -> None:
    """Raise an error unless an object is a password hasher.

    Args:
        hasher: The object, which has to have the methods of `PasswordHasher`.

    Raises:
        TypeError: If it lacks one of them, or is a class.
    """
    methods = ("verify", "verify_and_update", "dummy_verify")
    if isinstance(hasher, type) or not all(callable(getattr(hasher, m, None)) for m in methods):
        shown = hasher if isinstance(hasher, type) else type(hasher)
        raise TypeError(
            f"hasher must be an object with {', '.join(methods)}, such as PBKDF2Hasher(); "
            f"got {'the class ' if isinstance(hasher, type) else 'a '}{shown.__name__}"
        )


def exactly_one(
    rows: Iterable[_RowT],
    value: str,
    *,
    read: Callable[[_RowT], object],
    model: str,
    field: str,
    logger: Logger,
    ignore_padding: bool = False,
) -> _RowT | None:
    """Return the one row whose field is exactly the value that was looked for.

    Some collations take `alice`, `ALICE`, `alicé` and `alice ` for the same, so the rows of a query
    are compared again. Where several rows remain, nobody may log in: which of them is meant can't
    be told.

    Args:
        rows: The rows that the query found.
        value: The value that the query looked for.
        read: Returns the field of a row.
        model: The name of the model, for the log.
        field: The name of the field, for the log.
        logger: The logger of the storage's package.
        ignore_padding: Whether blanks at the end of a row's field do not count. That is right for
            `CHAR(n)` on PostgreSQL, which pads values with blanks, and compares them without.

    Returns:
        The row. None where there is none, and where there are several, which is logged.
    """

    def matches(row: _RowT) -> bool:
        stored = read(row)
        if stored == value:
            return True
        return ignore_padding and isinstance(stored, str) and stored.rstrip(" ") == value

    exact = [row for row in rows if matches(row)]
    if len(exact) > 1:
        logger.error(
            "Login refused: %d rows of %s share the same %s; add a unique constraint.",
            len(exact),
            model,
            field,
        )
    return exact[0] if len(exact) == 1 else None


def is_active(user: object, active_field: str | None) -> bool:
    """Return whether a user may log in.

    Args:
        user: The user.
        active_field: The attribute that is false for a user who may not log in. None: every user
            may.

    Returns:
        Whether the attribute is true. A method is not: it was not called.

    Raises:
        AttributeError: If the user has no such attribute.
    """
    if active_field is None:
        return True
    value = getattr(user, active_field)
    return bool(value) and not callable(value)


def read_hash(stored: object, *, model: str, field: str, logger: Logger) -> str | None:
    """Return a stored password hash as text.

    Args:
        stored: What the column holds: text, bytes of a column that was once binary, or None.
        model: The name of the model, for the log.
        field: The name of the field, for the log.
        logger: The logger of the storage's package.

    Returns:
        The hash, without the blanks that `CHAR(n)` pads it with. None where there is none, and
        where the bytes are not ASCII, which is logged: no hash has such bytes.
    """
    if isinstance(stored, bytes):
        try:
            stored = stored.decode("ascii")
        except UnicodeDecodeError:
            logger.warning("The bytes in %s.%s are not a password hash.", model, field)
    return stored.rstrip(" ") if isinstance(stored, str) else None


def has_room(new: str, length: int | None, *, model: str, field: str, logger: Logger) -> bool:
    """Return whether a column has room for a new password hash, and log where it has not.

    Args:
        new: The hash.
        length: How many characters the column takes. None: any number.
        model: The name of the model, for the log.
        field: The name of the field, for the log.
        logger: The logger of the storage's package.

    Returns:
        Whether the hash fits.
    """
    if length is None or len(new) <= length:
        return True
    logger.warning(
        "An outdated password hash was kept: a new one has %d characters, %s.%s has room for %d.",
        len(new),
        model,
        field,
        length,
    )
    return False


def is_stored(new: str, stored: object, *, model: str, field: str, logger: Logger) -> bool:
    """Return whether a database has stored a whole password hash, and log where it has not.

    MySQL and MariaDB cut text that is too long unless they are strict, and the user of a cut hash
    can't log in any more. Ask in the transaction of the UPDATE, after an UPDATE that changed a row,
    and roll back where the answer is no.

    Args:
        new: The hash that the UPDATE set.
        stored: The hash that a SELECT returned after that.
        model: The name of the model, for the log.
        field: The name of the field, for the log.
        logger: The logger of the storage's package.

    Returns:
        Whether both are the same; see `read_hash`.
    """
    if read_hash(stored, model=model, field=field, logger=logger) == new:
        return True
    logger.error(
        "An outdated password hash was kept: the database cut the new one; "
        "make the column of %s.%s longer.",
        model,
        field,
    )
    return False


def log_unavailable(error: BaseException, *, logger: Logger, text: str | None = None) -> None:
    """Log why a database did not answer, which becomes `AuthenticationUnavailable`.

    Args:
        error: The error of the database. Its class is logged.
        logger: The logger of the storage's package.
        text: The text of the error, where that text can't quote a value of the query: values are
            user-ids, digests and hashes.
    """
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    logger.error(
        "Authentication is unavailable, a query failed: %s", f"{kind}: {text}" if text else kind
    )
