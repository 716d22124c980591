import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from app import BasicAuth, protected
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from starlette_auth_core import AuthenticationMiddleware, InvalidCredentials
from starlette_auth_throttle import Limit, RedisStore, Throttled, by_address, by_username

redis = Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
# At least 16 random bytes, the same on all servers.
secret = os.environ["THROTTLE_SECRET"].encode()

passwords = BasicAuth()
backend = Throttled(
    passwords,
    Limit(by_username, 5, per=timedelta(minutes=1)),
    Limit(by_username, 100, per=timedelta(hours=12)),
    Limit(by_address, 20, per=timedelta(minutes=1)),
    store=RedisStore(redis, secret=secret),
)


async def login(request: Request) -> JSONResponse:
    try:
        data = await request.json()
        username, password = data.get("username"), data.get("password")
    except (ValueError, AttributeError, RecursionError):  # it is not a JSON object
        raise HTTPException(400) from None
    async with backend.attempt(request, username) as attempt:
        user = await passwords.verify(username, password)
        if user is None:
            raise InvalidCredentials
        attempt.succeed()
    return JSONResponse({"message": f"Hello, {user.username}!"})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    await redis.aclose()


app = Starlette(
    routes=[Route("/protected", protected), Route("/login", login, methods=["POST"])],
    middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
    lifespan=lifespan,
)
