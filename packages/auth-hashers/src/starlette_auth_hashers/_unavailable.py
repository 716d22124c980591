"""No verdict: the error for a machine that can't compute a hash now."""

import logging

__all__ = ["HasherUnavailable", "Shortage", "unavailable"]

logger = logging.getLogger("starlette_auth_hashers")


class HasherUnavailable(TimeoutError):
    """Raised when the machine is short of memory or threads, so that no hash can be computed now.

    Whether the password is right is not known then. auth-core answers 503.
    """


class Shortage(Exception):
    """Raised where the library that computes a hash says what it lacks.

    Args:
        lacks: What that is.
    """

    def __init__(self, lacks: str) -> None:
        super().__init__(lacks)
        self.lacks = lacks


def unavailable(name: str | None, error: BaseException) -> HasherUnavailable:
    """Log that a hash could not be computed, and return the error to raise.

    Args:
        name: The algorithm, where it is known.
        error: The error of the computation.

    Returns:
        The error. Raise it outside of the `except`: a library's error may quote the password.
    """
    if isinstance(error, Shortage):
        reason = f"the machine is short of {error.lacks}"
    elif isinstance(error, MemoryError):
        reason = "the machine is short of memory"
    elif "new thread" in str(error):
        reason = "the machine is short of threads"
    else:
        kind = type(error).__name__
        reason = f"the machine is probably short of memory or threads ({kind})"
    what = f"A password hash ({name})" if name else "A password hash"
    logger.error("%s can't be computed now: %s", what, reason)
    return HasherUnavailable(f"{what} can't be computed now: {reason}")
