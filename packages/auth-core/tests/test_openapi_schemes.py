"""The security schemes that backends hand to API documentation, OpenAPI 3.1 section 4.8.27."""

from typing import Any

import pytest
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    APIKeyAuth,
    AuthBackend,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    BearerAuth,
    TokenAuth,
)
from starlette_auth_core.tokens import MemoryTokenStore, Tokens

TOKENS: Tokens[Any, Any] = Tokens(MemoryTokenStore(), prefix="shop")


async def nobody(*args: object) -> None:
    raise NotImplementedError


def made(base: type[AuthBackend[Any]], **attributes: Any) -> AuthBackend[Any]:
    backend: AuthBackend[Any] = type("Auth", (base,), {"verify": nobody, **attributes})()
    return backend


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        (made(BaseBasicAuth), {"type": "http", "scheme": "basic"}),
        (made(BaseBearerAuth), {"type": "http", "scheme": "bearer"}),
        (BearerAuth(TOKENS), {"type": "http", "scheme": "bearer"}),
        (
            made(BaseTokenAuth),
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "Authorization: Token <token>",
            },
        ),
        (
            made(BaseBearerAuth, scheme="JWT"),
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "Authorization: JWT <token>",
            },
        ),
        (
            TokenAuth(TOKENS),
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "Authorization: Token <token>",
            },
        ),
        (made(BaseAPIKeyAuth), {"type": "apiKey", "in": "header", "name": "X-API-Key"}),
        (
            made(BaseAPIKeyAuth, header="X-Other"),
            {"type": "apiKey", "in": "header", "name": "X-Other"},
        ),
        (APIKeyAuth(TOKENS), {"type": "apiKey", "in": "header", "name": "X-API-Key"}),
    ],
)
def test_each_scheme_has_its_object(backend: AuthBackend[Any], expected: dict[str, str]) -> None:
    assert backend.openapi_scheme() == expected


def test_a_backend_of_ones_own_is_not_shown_unless_it_says_so() -> None:
    class OwnAuth(AuthBackend[Any]):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            raise NotImplementedError

    assert OwnAuth().openapi_scheme() is None
