"""Trust: who fails in somebody's name does not lock the owner out."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import anyio
import pytest
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.requests import HTTPConnection
from throttle_backends import (
    ELSEWHERE,
    HOME,
    Answering,
    FirstRight,
    Passwords,
    User,
    answer,
    at_once,
    basic,
    connection,
    guess,
    guesses,
)

from starlette_auth_core import BaseAPIKeyAuth, TooManyAttempts
from starlette_auth_throttle import (
    Limit,
    MemoryStore,
    RedisStore,
    Throttled,
    by_address,
    by_username,
)

pytestmark = pytest.mark.anyio

Store = MemoryStore | RedisStore

MINUTE = timedelta(minutes=1)
LIMITS = (Limit(by_username, 3, per=MINUTE), Limit(by_username, 100, per=timedelta(hours=12)))


async def test_a_stranger_does_not_lock_the_owner_out(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, *LIMITS, store=store)
    assert await guess(backend, password="alicepwd") == 200
    assert await guesses(backend, 4, address=ELSEWHERE) == [401] * 3 + [429]
    assert await guess(backend, password="alicepwd") == 200
    assert await guess(backend, password="alicepwd", address=ELSEWHERE) == 429


async def test_an_active_owner_does_not_let_a_stranger_guess_on(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, *LIMITS, store=store)
    await guess(backend, password="alicepwd")
    statuses = []
    for _ in range(6):
        statuses.append(await guess(backend, address=ELSEWHERE))
        assert await guess(backend, password="alicepwd") == 200
    assert statuses == [401] * 3 + [429] * 3


async def test_guesses_at_a_trusted_address_are_limited_too(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, *LIMITS, store=store)
    await guess(backend, password="alicepwd")
    assert await guesses(backend, 5) == [401] * 3 + [429] * 2
    # They count for the pair alone.
    assert await guess(backend, password="alicepwd", address=ELSEWHERE) == 200


async def test_a_success_in_a_view_makes_trusted(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, *LIMITS, store=store)
    async with backend.attempt(connection(), "alice") as attempt:
        attempt.succeed()
    await guesses(backend, 3, address=ELSEWHERE)
    assert await guess(backend, password="alicepwd") == 200


async def test_the_limit_of_an_address_holds_for_the_trusted(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, *LIMITS, Limit(by_address, 2, per=MINUTE), store=store)
    await guess(backend, password="alicepwd")
    assert await guesses(backend, 2, "bob") == [401] * 2
    assert await guess(backend, password="alicepwd") == 429


async def test_success_with_ones_own_account_helps_for_no_other(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, *LIMITS, store=store)
    statuses = []
    for _ in range(5):
        assert await guess(backend, "bob", "bobpwd") == 200
        statuses.append(await guess(backend))
    assert statuses == [401] * 3 + [429] * 2


class Cookie(Answering):
    """A backend of Starlette's kind, which does not say how it authenticates."""

    user: Any = SimpleUser("bob")

    def __init__(self) -> None:
        super().__init__(lambda: (AuthCredentials(["authenticated"]), self.user))

    async def authenticate(self, conn: HTTPConnection) -> Any:
        return await super().authenticate(conn) if "cookie" in conn.headers else None


class Unnamed(Cookie):
    user = User("")
    del user.username


class ApiKey(BaseAPIKeyAuth[User]):
    async def verify(self, token: str) -> User | None:
        return User("bob") if token == "bobs" else None


def with_others(*authorization: bytes) -> HTTPConnection:
    conn = connection(*authorization)
    conn.scope["headers"] += [(b"cookie", b"session=bobs"), (b"x-api-key", b"bobs")]
    return conn


@pytest.mark.parametrize("kind", [Cookie, Unnamed, ApiKey])
async def test_a_success_with_other_credentials_of_ones_own_helps_for_no_account(
    store: Store, passwords: Passwords, kind: Callable[[], AuthenticationBackend]
) -> None:
    backend = Throttled(FirstRight(kind(), passwords), *LIMITS, store=store)
    statuses = []
    for _ in range(5):
        # Bob is logged in. The password is not looked at, and is no failure.
        assert await answer(backend, with_others(basic("alice", "wrong"))) in (200, 429)
        statuses.append(await guess(backend))
    assert statuses == [401] * 3 + [429] * 2
    assert passwords.hashed == 3


async def test_other_credentials_beside_a_password_are_not_counted(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(FirstRight(ApiKey(), passwords), *LIMITS, store=store)
    for _ in range(5):
        assert await answer(backend, with_others(basic("alice", "wrong"))) == 200
        assert await answer(backend, with_others(b"Basic")) == 200


@pytest.mark.parametrize("kind", [Cookie, Unnamed, ApiKey])
async def test_a_wrong_password_counts_whatever_succeeds_after_it(
    store: Store, passwords: Passwords, kind: Callable[[], AuthenticationBackend]
) -> None:
    backend = Throttled(FirstRight(passwords, kind()), *LIMITS, store=store)
    statuses = [await answer(backend, with_others(basic("alice", "wrong"))) for _ in range(5)]
    assert statuses == [200] * 3 + [429] * 2
    assert passwords.hashed == 3


@pytest.mark.parametrize("others", [(), (Cookie,), (ApiKey,), (Cookie, Unnamed)])
async def test_a_backend_that_does_not_say_how_it_authenticates_checks_passwords(
    store: Store, passwords: Passwords, others: Sequence[Callable[[], AuthenticationBackend]]
) -> None:
    class Silent(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> Any:
            await passwords.authenticate(conn)
            return AuthCredentials(["authenticated"]), SimpleUser("Alice")

    wrapped = FirstRight(*(each() for each in others), Silent())
    backend = Throttled(wrapped, *LIMITS, store=store)
    assert await guess(backend, password="alicepwd") == 200
    assert await guesses(backend, 4, address=ELSEWHERE) == [401] * 3 + [429]
    assert await guess(backend, password="alicepwd") == 200


@pytest.mark.parametrize("with_connection", [True, False])
async def test_nobody_is_trusted_without_an_address(
    store: Store, passwords: Passwords, with_connection: bool
) -> None:
    backend = Throttled(passwords, *LIMITS, store=store)
    conn = connection(address=None) if with_connection else None
    async with backend.attempt(conn, "alice") as attempt:
        attempt.succeed()
    await guesses(backend, 3, address=ELSEWHERE)
    with pytest.raises(TooManyAttempts):
        async with backend.attempt(conn, "alice"):
            pass


async def test_without_trust_the_owner_is_locked_out(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, *LIMITS, store=store, trust=None)
    await guess(backend, password="alicepwd")
    await guesses(backend, 3, address=ELSEWHERE)
    assert await guess(backend, password="alicepwd") == 429


async def test_without_trust_a_success_clears_the_account(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, *LIMITS, store=store, trust=None)
    await guesses(backend, 2, address=ELSEWHERE)
    await guess(backend, password="alicepwd")
    assert await guesses(backend, 4, address=ELSEWHERE) == [401] * 3 + [429]


async def test_trust_ends(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, *LIMITS, store=store, trust=timedelta(milliseconds=200))
    await guess(backend, password="alicepwd")
    await guesses(backend, 3, address=ELSEWHERE)
    await anyio.sleep(0.25)
    assert await guess(backend, password="alicepwd") == 429


async def test_trust_is_renewed_by_each_success(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, *LIMITS, store=store, trust=timedelta(milliseconds=600))
    for _ in range(4):
        assert await guess(backend, password="alicepwd") == 200
        await anyio.sleep(0.2)
    await guesses(backend, 3, address=ELSEWHERE)
    assert await guess(backend, password="alicepwd") == 200


async def test_the_20_newest_addresses_are_trusted(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, *LIMITS, store=store)
    homes = [f"192.0.2.{number}" for number in range(1, 22)]
    for address in homes:
        assert await guess(backend, password="alicepwd", address=address) == 200
    await guesses(backend, 3, address=ELSEWHERE)
    statuses = [await guess(backend, password="alicepwd", address=each) for each in homes]
    assert statuses == [429] + [200] * 20


async def test_a_whole_network_of_ipv6_is_one_address(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, *LIMITS, store=store)
    await guess(backend, password="alicepwd", address="2001:db8:1:2::1")
    await guesses(backend, 3, address=ELSEWHERE)
    assert await guess(backend, password="alicepwd", address="2001:db8:1:2:ffff::2") == 200
    assert await guess(backend, password="alicepwd", address="2001:db8:1:3::1") == 429


async def test_who_waits_goes_on_where_a_success_makes_trusted(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    statuses = await at_once([lambda: guess(backend, password="alicepwd")] * 5)
    assert statuses == [200] * 5


async def test_an_account_with_a_key_of_its_own_is_trusted(
    store: Store, passwords: Passwords
) -> None:
    def by_tenant(conn: object, username: str | None) -> str | None:
        return username and username.partition("@")[2]

    limits = (Limit(by_tenant, 2, per=MINUTE), Limit(by_username, 5, per=MINUTE))
    backend = Throttled(passwords, *limits, store=store)
    passwords.passwords["alice@acme"] = "alicepwd"
    assert await guess(backend, "alice@acme", "alicepwd") == 200
    assert await guesses(backend, 3, "bob@acme", address=ELSEWHERE) == [401, 401, 429]
    assert await guess(backend, "alice@acme", "alicepwd", address=HOME) == 200
