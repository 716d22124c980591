"""An issuer: its metadata, its keys, and tokens with whatever claims are asked for."""

import json
import time

from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

KEY = ECKey.generate_key("P-256", {"kid": "one"})


def url_of(request: Request) -> str:
    return str(request.base_url).rstrip("/")


async def metadata(request: Request) -> Response:
    issuer = url_of(request)
    return JSONResponse({"issuer": issuer, "jwks_uri": f"{issuer}/keys"})


async def keys(request: Request) -> Response:
    return JSONResponse({"keys": [KEY.as_dict(private=False)]})


async def token(request: Request) -> Response:
    claims = {"iss": url_of(request), "sub": "alice", "exp": int(time.time()) + 300}
    claims |= json.loads(await request.body())
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "one"}
    return PlainTextResponse(jwt.encode(header, claims, KEY))


app = Starlette(
    routes=[
        Route("/.well-known/oauth-authorization-server", metadata),
        Route("/keys", keys),
        Route("/token", token, methods=["POST"]),
    ]
)
