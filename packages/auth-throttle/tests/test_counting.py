"""What counts, in each store."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from starlette.authentication import (
    AuthCredentials,
    AuthenticationError,
    BaseUser,
    UnauthenticatedUser,
)
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import HTTPConnection
from throttle_backends import (
    ELSEWHERE,
    HOME,
    Answering,
    Passwords,
    User,
    answer,
    basic,
    connection,
    guess,
    guesses,
)

from starlette_auth_core import (
    AuthBackend,
    AuthenticationUnavailable,
    InvalidCredentials,
    TooManyAttempts,
)
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
FIVE = Limit(by_username, 5, per=MINUTE)


class OwnError(AuthenticationError):
    def __init__(self, status_code: Any) -> None:
        super().__init__("own")
        self.status_code = status_code


def raising(error: BaseException) -> Callable[[], Any]:
    def answer() -> Any:
        raise error

    return answer


async def test_the_sixth_guess_is_refused_without_a_hash(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, FIVE, store=store)
    assert await guesses(backend, 5) == [401] * 5
    assert await guess(backend) == 429
    assert await guess(backend, password="alicepwd", address=ELSEWHERE) == 429
    assert passwords.hashed == 5


async def test_an_unknown_user_is_refused_as_a_known_one_is(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, FIVE, store=store)
    assert await guesses(backend, 6, "nobody") == [401] * 5 + [429]


async def test_another_account_is_not_refused(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, FIVE, store=store)
    await guesses(backend, 6)
    assert await guess(backend, "bob", "bobpwd") == 200


async def test_an_address_is_refused_for_all_accounts(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, Limit(by_address, 3, per=MINUTE), store=store)
    assert [await guess(backend, name) for name in "abcd"] == [401, 401, 401, 429]
    assert await guess(backend, "alice", "alicepwd") == 429
    assert await guess(backend, "alice", "alicepwd", address=ELSEWHERE) == 200


#: What a wrapped backend does, and whether that is a failure.
ANSWERS: list[tuple[str, Callable[[], Any], bool]] = [
    ("InvalidCredentials", raising(InvalidCredentials()), True),
    ("Starlette's own error", raising(AuthenticationError("wrong")), True),
    ("an error of the status 401", raising(OwnError(401)), True),
    # Core answers both with 401.
    ("an error of no status", raising(OwnError(None)), True),
    ("an error of a status that is not an error's", raising(OwnError(200)), True),
    ("an HTTPException of 401", raising(HTTPException(401)), True),
    ("an error of the status 403", raising(OwnError(403)), False),
    ("AuthenticationUnavailable", raising(AuthenticationUnavailable()), False),
    ("TooManyAttempts", raising(TooManyAttempts()), False),
    ("TimeoutError", raising(TimeoutError()), False),
    ("an error of the program", raising(ZeroDivisionError()), False),
    ("not mine", lambda: None, False),
    ("something that core refuses", object, False),
    ("nobody", lambda: (AuthCredentials(["authenticated"]), None), True),
    ("an empty row", lambda: (AuthCredentials(["authenticated"]), {}), True),
    ("a user who does not say", lambda: (AuthCredentials(), BaseUser()), False),
    ("somebody anonymous", lambda: (AuthCredentials(), UnauthenticatedUser()), True),
]


@pytest.mark.parametrize(
    ("do", "is_failure"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS]
)
async def test_a_failure_counts_and_anything_else_is_given_back(
    store: Store, do: Callable[[], Any], is_failure: bool
) -> None:
    wrapped = Answering(do)
    backend = Throttled(wrapped, Limit(by_username, 1, per=MINUTE), store=store)
    for _ in range(2):
        with suppress(HTTPException, TimeoutError, ZeroDivisionError):
            await guess(backend)
    assert wrapped.asked == (1 if is_failure else 2)


@pytest.mark.parametrize(
    ("error", "is_failure"),
    [
        (HTTPException(401), True),
        (HTTPException(400), True),
        (HTTPException(451), True),
        (HTTPException(500), False),
        (HTTPException(503), False),
        (InvalidCredentials(), True),
        (AuthenticationError(), True),
        (AuthenticationUnavailable(), False),
        (OwnError(403), False),
        (WebSocketException(1008), True),
        (WebSocketException(1011), False),
        (TimeoutError(), False),
        (ZeroDivisionError(), False),
    ],
    ids=lambda value: f"{type(value).__name__}{getattr(value, 'status_code', '')}",
)
async def test_an_error_in_the_block_of_an_attempt(
    store: Store, passwords: Passwords, error: Exception, is_failure: bool
) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    with pytest.raises(type(error)):
        async with backend.attempt(connection(), "alice"):
            raise error
    assert await guess(backend) == (429 if is_failure else 401)


async def test_a_block_without_success_is_a_failure(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, FIVE, store=store)
    for _ in range(5):
        async with backend.attempt(connection(), "alice"):
            pass
    assert await guess(backend) == 429
    with pytest.raises(TooManyAttempts):
        async with backend.attempt(connection(), "alice"):
            pytest.fail("it was let in")


async def test_after_success_no_error_is_a_failure(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    for _ in range(2):
        with suppress(HTTPException):
            async with backend.attempt(connection(), "alice") as attempt:
                attempt.succeed()
                raise HTTPException(401)
    assert await guess(backend) == 401


async def test_success_after_the_block_is_an_error(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, FIVE, store=store)
    async with backend.attempt(connection(), "alice") as attempt:
        pass
    with pytest.raises(RuntimeError, match="inside its block"):
        attempt.succeed()


async def test_each_attempt_of_a_view_counts(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, FIVE, store=store)
    conn = connection(basic("alice", "wrong"))
    refused = 0
    for _ in range(8):
        try:
            async with backend.attempt(conn, "alice"):
                pass
        except TooManyAttempts:
            refused += 1
    assert refused == 3


@pytest.mark.parametrize(
    "header",
    [b"Bearer wrong", b"Token wrong", b"Basically YWxpY2U6d3Jvbmc=", b"", b"Digest username=alice"],
)
async def test_other_schemes_are_neither_counted_nor_refused(store: Store, header: bytes) -> None:
    wrapped = Answering(raising(InvalidCredentials()))
    backend = Throttled(wrapped, Limit(by_address, 1, per=MINUTE), store=store)
    for _ in range(3):
        assert await answer(backend, connection(header)) == 401
    assert await guess(backend) == 401
    assert await answer(backend, connection(header)) == 401
    assert wrapped.asked == 5


async def test_a_request_without_credentials_is_not_counted(
    store: Store, passwords: Passwords
) -> None:
    backend = Throttled(passwords, Limit(by_address, 1, per=MINUTE), store=store)
    await guess(backend)
    assert await answer(backend, connection()) == 204


#: Each is for the address alone: nobody's name can be taken from it.
MALFORMED = [
    (b"Basic",),
    (b"Basic %%%%",),
    (b"basic YWxpY2U6d3Jvbmc",),
    (b"Basic\tYWxpY2U6d3Jvbmc=",),
    (basic("", "wrong"),),
    (basic("alice", "wrong"), basic("alice", "wrong")),
    (b"Bearer x", basic("alice", "wrong")),
    (basic("al\xefce", "wrong", "latin-1"),),
]


@pytest.mark.parametrize("headers", MALFORMED, ids=map(str, range(len(MALFORMED))))
async def test_malformed_credentials_and_empty_names_count_for_the_address_alone(
    store: Store, passwords: Passwords, headers: tuple[bytes, ...]
) -> None:
    limits = (Limit(by_address, 2, per=MINUTE), Limit(by_username, 1, per=MINUTE))
    backend = Throttled(passwords, *limits, store=store)
    assert [await answer(backend, connection(*headers)) for _ in range(3)] == [401, 401, 429]
    assert await guess(backend, address=ELSEWHERE) == 401


async def test_credentials_that_are_not_read_never_succeed(store: Store) -> None:
    # A lenient backend would be a way past the limits of an account, and its own error would say
    # that a password is wrong.
    wrapped = Answering(lambda: (AuthCredentials(["authenticated"]), User("alice")))
    backend = Throttled(wrapped, FIVE, store=store)
    assert await answer(backend, connection(b"Basic\tYWxpY2U6d3Jvbmc=")) == 401
    assert await answer(backend, connection(b"Basic %YWxpY2U6d3Jvbmc=")) == 401
    assert wrapped.asked == 0

    class Lenient(AuthBackend[User]):
        scheme = "Own"

        async def authenticate(self, conn: HTTPConnection) -> Any:
            return AuthCredentials(["authenticated"]), User("alice")

    backend = Throttled(Lenient(), FIVE, store=store)
    assert await answer(backend, connection(b"Basic\tYWxpY2U6d3Jvbmc=")) == 401


async def test_text_that_is_not_a_name_raises_nothing(store: Store, passwords: Passwords) -> None:
    backend = Throttled(passwords, Limit(by_username, 1, per=MINUTE), store=store)
    for name in ("\ud800", "al\x00ice", "\u0301" * 1_000_000, "x" * 1_000_000):
        async with backend.attempt(connection(), name):
            pass
        with pytest.raises(TooManyAttempts):
            async with backend.attempt(None, name):
                pass
    anything: Any
    for anything in (None, 5, ["alice"], {}, ""):
        async with backend.attempt(connection(), anything):
            pass


async def test_an_attempt_counts_for_all_limits_or_for_none(
    store: Store, passwords: Passwords
) -> None:
    limits = (Limit(by_username, 2, per=MINUTE), Limit(by_address, 3, per=MINUTE))
    backend = Throttled(passwords, *limits, store=store)
    assert await guesses(backend, 10) == [401] * 2 + [429] * 8
    # The eight took nothing from the address.
    assert await guess(backend, "bob") == 401
    assert await guess(backend, "bob") == 429


async def test_a_success_clears_its_own_account_and_no_address(
    store: Store, passwords: Passwords
) -> None:
    limits = (Limit(by_username, 3, per=MINUTE), Limit(by_address, 4, per=MINUTE))
    backend = Throttled(passwords, *limits, store=store, trust=None)
    assert await guesses(backend, 2) == [401, 401]
    assert await guess(backend, password="alicepwd") == 200
    assert await guesses(backend, 2) == [401, 401]
    assert await guess(backend, address=ELSEWHERE) == 401
    assert await guess(backend, "bob", "bobpwd") == 429


async def test_retry_after_is_the_longest_of_those_that_refuse(
    store: Store, passwords: Passwords
) -> None:
    limits = (
        Limit(by_username, 1, per=timedelta(seconds=30)),
        Limit(by_username, 2, per=timedelta(hours=1)),
        Limit(by_address, 1, per=timedelta(milliseconds=1500)),
    )
    backend = Throttled(passwords, *limits, store=store)
    await guess(backend)
    with pytest.raises(TooManyAttempts) as caught:
        await backend.authenticate(connection(basic("alice", "wrong")))
    assert 28 <= caught.value.retry_after <= 30
    with pytest.raises(TooManyAttempts) as caught:
        await backend.authenticate(connection(basic("bob", "wrong")))
    assert 1 <= caught.value.retry_after <= 2
    assert "alice" not in str(caught.value)
    assert HOME not in str(caught.value)


async def test_once_retry_after_is_over_an_attempt_is_let_in(
    store: Store, passwords: Passwords
) -> None:
    import anyio

    backend = Throttled(passwords, Limit(by_username, 2, per=timedelta(seconds=1)), store=store)
    assert await guesses(backend, 2) == [401, 401]
    with pytest.raises(TooManyAttempts) as caught:
        await backend.authenticate(connection(basic("alice", "wrong")))
    assert caught.value.retry_after == 1
    await anyio.sleep(caught.value.retry_after)
    assert await guess(backend) == 401


async def test_two_limits_of_one_key_count_apart(store: Store, passwords: Passwords) -> None:
    limits = (
        Limit(by_username, 1, per=timedelta(milliseconds=1)),
        Limit(by_username, 3, per=MINUTE),
    )
    backend = Throttled(passwords, *limits, store=store)
    statuses: list[int] = []
    while statuses.count(401) < 3:
        statuses.append(await guess(backend))
    assert await guess(backend) == 429
    assert passwords.hashed == 3


async def test_equal_limits_over_one_store_count_together(
    store: Store, passwords: Passwords
) -> None:
    api = Throttled(passwords, FIVE, store=store)
    login = Throttled(Passwords(), Limit(by_username, 5, per=timedelta(seconds=60)), store=store)
    other = Throttled(Passwords(), Limit(by_username, 6, per=MINUTE), store=store)
    assert await guesses(api, 3) == [401] * 3
    assert await guesses(login, 3) == [401, 401, 429]
    assert await guess(other) == 401


async def test_kind_and_value_of_a_key_do_not_collide(store: Store, passwords: Passwords) -> None:
    limits = (Limit(by_username, 1, per=MINUTE), Limit(by_address, 1, per=MINUTE))
    backend = Throttled(passwords, *limits, store=store)
    assert await guess(backend, HOME, address=ELSEWHERE) == 401
    assert await guess(backend, "alice", "alicepwd", address=HOME) == 200


async def test_keys_of_one_name_do_not_collide(store: Store, passwords: Passwords) -> None:
    def make(number: int) -> Callable[[HTTPConnection | None, str | None], str | None]:
        return lambda conn, username: username and username[number]

    first, second = make(0), make(1)
    backend = Throttled(
        passwords, Limit(first, 1, per=MINUTE), Limit(second, 1, per=MINUTE), store=store
    )
    assert await guess(backend, "ab") == 401
    assert await guess(backend, "ba") == 401
    assert (
        await guess(Throttled(passwords, Limit(make(1), 1, per=MINUTE), store=store), "xa") == 429
    )


async def test_one_name_in_two_charsets_is_one_account(store: Store) -> None:
    passwords = Passwords(fallback_charset="iso-8859-1")
    backend = Throttled(FirstOf(passwords), Limit(by_username, 2, per=MINUTE), store=store)
    for charset, status in (("utf-8", 401), ("latin-1", 401), ("utf-8", 429), ("latin-1", 429)):
        assert await answer(backend, connection(basic("Zoë", "wrong", charset))) == status


async def test_bytes_that_two_backends_read_differently_count_for_both_names(
    store: Store,
) -> None:
    latin, cyrillic = Passwords(fallback_charset="latin-1"), Passwords(fallback_charset="cp1251")
    latin.passwords["é"] = "épwd"
    backend = Throttled(FirstOf(latin, cyrillic), Limit(by_username, 2, per=MINUTE), store=store)
    assert await answer(backend, connection(basic("é", "wrong", "latin-1"))) == 401
    assert await guess(backend, "й") == 401
    assert await guess(backend, "й") == 429
    # Whose success it would be is not known, so it clears nobody's failures.
    other = Throttled(latin, Limit(by_username, 2, per=MINUTE), store=store)
    assert await guess(other, "é") == 401
    assert await guess(other, "é") == 429


class FirstOf(Answering):
    # Wraps as MultiAuth does.
    def __init__(self, *backends: Passwords) -> None:
        self.backends = backends

    async def authenticate(self, conn: HTTPConnection) -> Any:
        return await self.backends[0].authenticate(conn)
