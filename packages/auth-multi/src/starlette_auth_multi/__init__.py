"""Several ways to authenticate, as one backend."""

from ._multi import AnyOf, MultiAuth

__all__ = ["AnyOf", "MultiAuth"]
