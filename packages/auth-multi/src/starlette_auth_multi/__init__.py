"""Several ways to authenticate, as one backend."""

from .multi import AnyOf, MultiAuth

__all__ = ["AnyOf", "MultiAuth"]
