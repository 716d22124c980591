"""Bearer JWTs of other issuers, for apps and for MCP servers."""

from ._backend import BaseJWTAuth, JWTAuth
from ._jwks import JWKS
from ._protected_resource import protected_resource
from ._static_keys import StaticKeys
from ._users import JWTUser

__all__ = [
    "JWKS",
    "BaseJWTAuth",
    "JWTAuth",
    "JWTUser",
    "StaticKeys",
    "protected_resource",
]
