"""The errors of databases: an outage, or a mistake of the program; and which text may be logged."""

import logging
from typing import Any

from sqlalchemy import exc

from starlette_auth_core.storage import log_unavailable

__all__ = ["is_outage", "is_unstorable", "log_outage"]

logger = logging.getLogger("starlette_auth_sqlalchemy")

# Classes of SQLSTATE (PostgreSQL, appendix A): connection, authorization of the connection, a
# database that does not exist, transaction rollback, resources, operator intervention, system
# error. Then lock_not_available, read_only_sql_transaction (a primary that has become a standby).
_OUTAGE_STATES = ("08", "28", "3D", "40", "53", "57", "58", "55P03", "25006")
# States that say nothing: "general error", and "query execution was interrupted" of MariaDB.
_VAGUE_STATES = {"", "HY000", "70100"}
# Unknown column, syntax, unknown table, no such table, no such procedure, a column without a
# default: MariaDB's and MySQL's drivers call these mistakes an OperationalError.
_MISTAKE_CODES = {1054, 1064, 1109, 1146, 1305, 1364}
# MariaDB and MySQL: no such database, or a wrong password for it.
_REFUSED_CODES = {1044, 1045, 1049}
# SQLite's code for a statement that can't be run, such as for a missing table.
_SQLITE_ERROR = 1

# PostgreSQL: untranslatable_character, character_not_in_repertoire.
_UNSTORABLE_STATES = {"22P05", "22021"}
# MariaDB and MySQL: the collations of a column and a text do not go together, or a text has
# characters that are not of the character set.
_UNSTORABLE_CODES = {1267, 1300, 1366, 3854, 3988}

# What these say names servers, roles and files. Values are parameters of a query, not in its text.
_QUOTABLE_STATES = ("08", "28", "3D", "53", "55", "57")
_QUOTABLE_CODES = {1040, 1044, 1045, 1049, 1205, 1213, *range(2000, 3000)}


def is_outage(error: BaseException) -> bool:
    """Return whether a database did not answer; otherwise the program is wrong."""
    if isinstance(error, exc.TimeoutError | OSError | exc.InterfaceError):
        return True
    if getattr(error, "connection_invalidated", False):
        return True
    cause = _cause_of(error)
    state = getattr(cause, "sqlstate", None) or ""
    if is_unstorable(error):
        return False
    if state.startswith(_OUTAGE_STATES) or _code_of(cause) in _REFUSED_CODES:
        return True
    return (
        state in _VAGUE_STATES
        and isinstance(error, exc.OperationalError)
        and _code_of(cause) not in _MISTAKE_CODES
        # The extended codes have the primary one in their lowest byte.
        and getattr(cause, "sqlite_errorcode", 0) & 0xFF != _SQLITE_ERROR
    )


def is_unstorable(error: BaseException) -> bool:
    """Return whether *error* says that a column can't hold a text, because of its characters."""
    cause = _cause_of(error)
    return (
        isinstance(cause, UnicodeEncodeError)
        or getattr(cause, "sqlstate", None) in _UNSTORABLE_STATES
        or _code_of(cause) in _UNSTORABLE_CODES
    )


def log_outage(error: BaseException) -> None:
    """Log that a database did not answer, with the text where that can't quote a value."""
    cause = _cause_of(error)
    quotable = (
        isinstance(cause, exc.TimeoutError | OSError)
        # A connection that was not made has no query, and so no values.
        or (isinstance(error, exc.DBAPIError) and error.statement is None)
        or str(getattr(cause, "sqlstate", "")).startswith(_QUOTABLE_STATES)
        or _code_of(cause) in _QUOTABLE_CODES
        or hasattr(cause, "sqlite_errorcode")
    )
    log_unavailable(cause, logger=logger, text=str(cause) if quotable else None)


def _cause_of(error: BaseException) -> BaseException:
    # SQLAlchemy's error quotes the statement and its parameters.
    cause = error.orig if isinstance(error, exc.DBAPIError) else None
    return error if cause is None else cause


def _code_of(cause: BaseException) -> Any:
    # The errors of MariaDB's and MySQL's drivers have a number and a text.
    return cause.args[0] if len(cause.args) == 2 and isinstance(cause.args[0], int) else None
