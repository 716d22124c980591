"""Authentication of Starlette-based apps against the users of an orm model."""

from ._storage import ModelSource
from .basic import ModelBasicAuth
from .token import ModelBearerAuth, ModelTokenAuth, token_fields

__all__ = ["ModelBasicAuth", "ModelBearerAuth", "ModelSource", "ModelTokenAuth", "token_fields"]
