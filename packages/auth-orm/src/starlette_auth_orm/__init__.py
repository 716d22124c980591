"""Authentication of Starlette-based apps against the users of an orm model."""

from ._storage import ModelSource
from .basic import ModelBasicAuth

__all__ = ["ModelBasicAuth", "ModelSource"]
