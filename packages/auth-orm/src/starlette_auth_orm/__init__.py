"""Authentication of Starlette-based apps against the users of an orm model."""

from ._basic import ModelBasicAuth
from ._models import ModelSource
from ._orm_on_sqlalchemy_2 import mend
from ._tokens import ModelTokenStore, token_fields

__all__ = ["ModelBasicAuth", "ModelSource", "ModelTokenStore", "token_fields"]

mend()
