"""The backend for models of encode/orm, from starlette-auth-orm."""

from starlette_auth_orm import ModelBasicAuth

__all__ = ["ModelBasicAuth"]
