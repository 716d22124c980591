"""Logins of every kind behind one throttle: Basic, a login endpoint, and a batch of logins."""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, Request
from redis.asyncio import Redis

from starlette_auth_core import BaseBasicAuth, BearerAuth, TooManyAttempts, requires
from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_fastapi import Authenticated, login_router
from starlette_auth_hashers import PBKDF2Hasher
from starlette_auth_multi import AnyOf, MultiAuth
from starlette_auth_throttle import Limit, RedisStore, Throttled, by_address, by_username

redis = Redis.from_url(os.environ["REDIS_URL"])
prefix = os.environ["PREFIX"]
hasher = PBKDF2Hasher(rounds=1000)


@dataclass(frozen=True)
class User:
    username: str
    password: str = field(repr=False)
    is_authenticated: bool = True


NAMES = ("alice", "bob", "dave", "erin", "frank", "grace")
USERS = {name: User(name, hasher.make_sync(f"{name}pwd")) for name in NAMES}


CAROLS = hasher.make_sync("carolpwd")


class Passwords(BaseBasicAuth[User]):
    hasher = hasher

    async def verify_password(self, user: User, password: str) -> bool:
        await redis.incr(f"{{{prefix}}}hashes")
        return await super().verify_password(user, password)

    async def find_user(self, username: str) -> User | None:
        return USERS.get(username)


class Others(Passwords):
    async def find_user(self, username: str) -> User | None:
        return User("carol", CAROLS) if username == "carol" else None


limits = (
    Limit(by_username, 5, per=timedelta(minutes=1)),
    Limit(by_username, 100, per=timedelta(hours=12)),
    Limit(by_address, 200, per=timedelta(minutes=1)),
)
store = RedisStore(redis, secret=os.environ["SECRET"].encode(), prefix=prefix, timeout=5)
tokens: Tokens[User, Any] = Tokens(MemoryTokenStore(), prefix="test")
passwords = Passwords()
throttled = Throttled(passwords, *limits, store=store)
several = AnyOf([throttled, Throttled(Others(), *limits, store=store)])
backend = Throttled(MultiAuth([BearerAuth(tokens), several]), *limits, store=store)

app = FastAPI()
Authenticated(backend).install(app)
app.include_router(login_router(throttled, tokens, expires_in=timedelta(hours=1)))


@app.get("/protected")
@requires("authenticated")
async def protected(request: Request) -> str:
    return str(request.user.username)


@app.post("/graphql")
async def batch(request: Request) -> list[str]:
    """Log in several times in one request, as a batch of GraphQL mutations does."""
    answers = []
    for login in await request.json():
        try:
            async with backend.attempt(request, login["username"]) as attempt:
                user = await passwords.verify(login["username"], login["password"])
                if user is not None:
                    attempt.succeed()
        except TooManyAttempts:
            answers.append("refused")
        else:
            answers.append("wrong" if user is None else "right")
    return answers
