"""Litestar's `JWTAuth`, with a token class that looks the token up instead of decoding it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from headers_cases import TOKENS
from jwt.exceptions import DecodeError
from litestar import Litestar, get
from litestar.connection import ASGIConnection
from litestar.security.jwt import JWTAuth, Token
from serving import serve_asgi


class TableToken(Token):
    @classmethod
    def decode_payload(cls, encoded_token: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        user = TOKENS.get(encoded_token)
        if user is None:
            raise DecodeError
        now = datetime.now(UTC)
        return {
            "sub": user,
            "exp": (now + timedelta(hours=1)).timestamp(),
            "iat": (now - timedelta(hours=1)).timestamp(),
        }


async def retrieve_user(token: Token, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    return token.sub


@get("/bearer", sync_to_thread=False)
def bearer() -> str:
    return "in"


auth = JWTAuth[str, Token](
    retrieve_user_handler=retrieve_user,
    token_secret="not used, since the table has the tokens",
    token_cls=TableToken,
)
app = Litestar([bearer], on_app_init=[auth.on_app_init], openapi_config=None)

if __name__ == "__main__":
    serve_asgi(app)
