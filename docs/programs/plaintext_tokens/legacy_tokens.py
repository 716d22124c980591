from typing import Any

import anyio

from starlette_auth_core import BaseTokenAuth, TokenAuth
from starlette_auth_core.tokens import Tokens, TokenStore, digest_token, is_well_formed
from starlette_auth_multi import AnyOf


class LegacyTokenAuth(BaseTokenAuth[Any]):
    """Accepts the tokens of old, whose digests are in the table. `Tokens` issues no such ones."""

    def __init__(self, store: TokenStore[Any, Any]) -> None:
        self.store = store

    async def verify(self, token: str) -> Any:
        if is_well_formed(token, None):
            return None  # A new one: `Tokens` knows its end and its scopes.
        with anyio.fail_after(10):
            row = await self.store.find(digest_token(token))
        # An end is checked by `Tokens` only, so a row that has one is not accepted here.
        return row.user if row is not None and row.expires_at is None else None


def backend_for(store: TokenStore[Any, Any]) -> AnyOf:
    return AnyOf([TokenAuth(Tokens(store, prefix="shop")), LegacyTokenAuth(store)])
