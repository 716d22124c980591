"""What users of a throttle write."""

from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, assert_type

from redis.asyncio import Redis
from starlette.requests import HTTPConnection, Request

from starlette_auth_core import AuthBackend, AuthenticationMiddleware, BaseBasicAuth
from starlette_auth_multi import MultiAuth
from starlette_auth_throttle import (
    Attempt,
    Key,
    Limit,
    MemoryStore,
    RedisStore,
    Throttled,
    by_address,
    by_username,
)


class Passwords(BaseBasicAuth[str]):
    async def verify(self, username: str, password: str) -> str | None:
        return None


def by_tenant(conn: HTTPConnection | None, username: str | None) -> str | None:
    return None if username is None else username.partition("@")[2]


key: Key = by_tenant
minute = timedelta(minutes=1)
passwords = Passwords()
limits = [Limit(by_username, 5, per=minute), Limit(by_address, 20, minute), Limit(key, 50, minute)]

throttled = Throttled(passwords, *limits)
backend: AuthBackend[Any] = throttled
Throttled(MultiAuth([passwords]), *limits, store=MemoryStore(max_keys=10), trust=None)
Throttled(passwords, *limits, store=RedisStore(Redis(), secret=b"0123456789abcdef"))
AuthenticationMiddleware(MultiAuth([throttled]), throttled)  # type: ignore[arg-type]


async def login(request: Request, username: str, password: str) -> str | None:
    manager: AbstractAsyncContextManager[Attempt] = throttled.attempt(None, username)
    async with manager, throttled.attempt(request, username) as attempt:
        assert_type(attempt, Attempt)
        user = await passwords.verify(username, password)
        if user is not None:
            assert_type(attempt.succeed(), None)
    return user


Throttled(Passwords, *limits)  # type: ignore[arg-type]
Throttled(passwords, 5)  # type: ignore[arg-type]
Throttled(passwords, *limits, store={})  # type: ignore[arg-type]
Throttled(passwords, *limits, trust=30)  # type: ignore[arg-type]
Limit("username", 5, minute)  # type: ignore[arg-type]
Limit(by_username, 5, per=60)  # type: ignore[arg-type]
RedisStore(Redis(), secret="secret")  # type: ignore[arg-type]
