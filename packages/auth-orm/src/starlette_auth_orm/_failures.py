"""The errors of databases: which of them are about a value, and which texts may be logged."""

import logging
import sqlite3
from typing import Any

from starlette_auth_core.storage import log_unavailable

__all__ = ["is_unstorable", "log_failure"]

logger = logging.getLogger("starlette_auth_orm")

# SQLSTATE of PostgreSQL: untranslatable_character, character_not_in_repertoire.
_UNSTORABLE_STATES = {"22P05", "22021"}
# MariaDB and MySQL: the collations of a column and a text do not go together, a text has characters
# that are not of the character set (of the statement, of the column, in a conversion).
_UNSTORABLE_CODES = {1267, 1300, 1366, 3854, 3988}

# Classes of SQLSTATE whose texts name servers, roles, tables and columns: connection, authorization
# of it, catalog, names and syntax, resources, prerequisites, intervention by an operator. Values
# are parameters of a query, and not in its text.
_QUOTABLE_STATES = ("08", "28", "3D", "42", "53", "55", "57")
# The same of MariaDB and MySQL. Errors from 2000 on are of the client: no server, no connection.
# Left out: syntax (1064), since the driver writes values into the statement.
_QUOTABLE_CODES = {1040, 1044, 1045, 1049, 1054, 1142, 1146, 1205, 1213, *range(2000, 3000)}


def is_unstorable(error: Exception) -> bool:
    """Return whether *error* says that a column can't hold a text, because of its characters."""
    return (
        isinstance(error, UnicodeEncodeError)
        or getattr(error, "sqlstate", None) in _UNSTORABLE_STATES
        or _code_of(error) in _UNSTORABLE_CODES
    )


def log_failure(model: Any, error: Exception) -> None:
    """Log that the database of *model* did not answer."""
    text = _text_of(error)
    if not model.registry.database.is_connected:
        hint = "the database is not connected: await its connect() when the app starts"
        text = f"{text} ({hint})" if text else hint
    log_unavailable(error, logger=logger, text=text)


def _text_of(error: Exception) -> str | None:
    """Return the text of *error*, or None where it may quote the values of a query."""
    quotable = (
        # Python's own: no route to a host, another event loop, a pool that is not there. In SQLite
        # values are parameters, and its OperationalError is about files, locks and tables.
        isinstance(error, OSError | RuntimeError | AssertionError | sqlite3.OperationalError)
        or str(getattr(error, "sqlstate", "")).startswith(_QUOTABLE_STATES)
        or _code_of(error) in _QUOTABLE_CODES
        or _is_interface_error(error)
    )
    return str(error) if quotable else None


def _code_of(error: Exception) -> object:
    # PyMySQL's errors have a number and a text.
    return error.args[0] if len(error.args) == 2 else None


def _is_interface_error(error: Exception) -> bool:
    # asyncpg's is about the use of a connection, but for the one about a value.
    return type(error).__name__ == "InterfaceError" and not isinstance(error, ValueError)
