"""Tells users from the anonymous."""

__all__ = ["is_anonymous"]


def is_anonymous(user: object) -> bool:
    """Return whether *user* says that nobody has logged in.

    An app's users need not say anything: an object without `is_authenticated` is a user, and so is
    one of Starlette's `BaseUser` that does not override it.
    """
    try:
        return not getattr(user, "is_authenticated", True)
    except NotImplementedError:
        return False
