"""No frame of an error shows a password, but in a variable that error reporters hide.

They send the local variables of every frame, without those of names such as `password`.
"""

import base64
import logging
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NoReturn

import anyio
import anyio.to_thread
import bcrypt
import pytest

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    CachingHasher,
    CryptHasher,
    Hasher,
    HasherBusy,
    HasherUnavailable,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
    PepperedHasher,
    WrappedHasher,
    _passlib,
    waiting,
)

pytestmark = pytest.mark.anyio

Configure = Callable[..., None]
Call = Callable[[BaseHasher, str, str], Awaitable[object]]

PASSWORD = "pa55word"
SHOWN = (PASSWORD, base64.b64encode(PASSWORD.encode()).decode().rstrip("="))
HIDDEN = {"password", "secret", "token"}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk over all that an error reporter would follow."""
    if error is not None:
        yield error
        yield from chain(error.__cause__)
        yield from chain(error.__context__)


def assert_hidden(error: BaseException) -> None:
    for each in chain(error):
        captured = traceback.TracebackException.from_exception(each, capture_locals=True)
        for frame in captured.stack:
            if frame.filename != __file__:
                for name, value in (frame.locals or {}).items():
                    where = f"{frame.filename}:{frame.lineno} {frame.name}: {name}"
                    assert name in HIDDEN or not any(text in value for text in SHOWN), where


class Failing(BaseHasher):
    """A hasher that is broken."""

    def make_sync(self, secret: str) -> str:
        raise LookupError

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        raise LookupError


ARGON2 = Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1)
PBKDF2 = PBKDF2Hasher(rounds=1)
MAKERS: list[BaseHasher] = [
    ARGON2,
    BCryptHasher(rounds=4),
    CryptHasher(rounds=1000),
    Hasher("scram", rounds=1),
    Hasher("scrypt", rounds=1),
    PBKDF2,
    MultiHasher([PBKDF2, ARGON2]),
    CachingHasher(PBKDF2, ttl=1e-9, max_entries=1),
    PepperedHasher(PBKDF2, {"a": 32 * b"k"}, current="a"),
]


def make_cheap_werkzeug() -> LegacyHasher:
    """Make one for which an unknown user costs next to nothing."""
    hasher = LegacyHasher("werkzeug")
    hasher._verifier.today = f"scrypt:2:8:1$salt${128 * '0'}"  # type: ignore[misc] # not passlib's
    return hasher


STORED = [
    *((hasher, hasher.make_sync(PASSWORD)) for hasher in MAKERS),
    (LegacyHasher("hex_sha256"), "0" * 64),
    (LegacyHasher("ldap_salted_sha256"), "{SSHA256}" + 48 * "A"),
    (make_cheap_werkzeug(), f"pbkdf2:sha256:1$salt${64 * '0'}"),
    (make_cheap_werkzeug(), f"scrypt:2:8:1$salt${128 * '0'}"),
    (make_cheap_werkzeug(), f"sha256$salt${64 * '0'}"),
    (LegacyHasher("wordpress"), "$P$5abcdefgh" + 22 * "."),
    (LegacyHasher("spring"), "{sha256}" + 80 * "0"),
    (LegacyHasher("dovecot"), "{PLAIN-MD5}" + 32 * "0"),
    (WrappedHasher(PBKDF2, LegacyHasher("hex_md5")), "$wrapped$hex_md5$$x"),
    (MultiHasher([PBKDF2, LegacyHasher("hex_sha256")]), "0" * 64),
    (CachingHasher(MultiHasher([PBKDF2, ARGON2]), ttl=1, max_entries=1), "!"),
]
BROKEN: list[BaseHasher] = [
    Failing(),
    MultiHasher([Failing(), PBKDF2]),
    CachingHasher(Failing(), ttl=1, max_entries=1),
    CachingHasher(MultiHasher([Failing()]), ttl=1, max_entries=1),
]
each_hasher = pytest.mark.parametrize(
    ("hasher", "hashed"), STORED, ids=[f"{hasher!r}" for hasher, _ in STORED]
)


async def make_sync(hasher: BaseHasher, secret: str, hashed: str) -> object:
    return hasher.make_sync(secret)


async def verify_sync(hasher: BaseHasher, secret: str, hashed: str) -> object:
    return hasher.verify_sync(secret, hashed)


async def verify_and_update_sync(hasher: BaseHasher, secret: str, hashed: str) -> object:
    return hasher.verify_and_update_sync(secret, hashed)


async def dummy_verify_sync(hasher: BaseHasher, secret: str, hashed: str) -> object:
    hasher.dummy_verify_sync(secret, "alice")
    return None


async def make(hasher: BaseHasher, secret: str, hashed: str) -> object:
    return await hasher.make(secret)


async def verify(hasher: BaseHasher, secret: str, hashed: str) -> object:
    return await hasher.verify(secret, hashed)


async def verify_and_update(hasher: BaseHasher, secret: str, hashed: str) -> object:
    return await hasher.verify_and_update(secret, hashed)


async def dummy_verify(hasher: BaseHasher, secret: str, hashed: str) -> object:
    await hasher.dummy_verify(secret, "alice")
    return None


BLOCKING: list[Call] = [make_sync, verify_sync, verify_and_update_sync, dummy_verify_sync]
AWAITED: list[Call] = [make, verify, verify_and_update, dummy_verify]


class Password(str):
    """A password that can be encoded so many times before *error* is raised."""

    __slots__ = ("error", "times")

    error: type[BaseException]
    times: int

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        if not self.times:
            raise self.error
        self.times -= 1
        return super().encode(encoding, errors)


@pytest.mark.parametrize("call", BLOCKING + AWAITED)
@each_hasher
async def test_failure_wherever_the_password_is_read(
    hasher: BaseHasher, hashed: str, call: Call
) -> None:
    if isinstance(hasher, LegacyHasher) and call in (make_sync, make):
        return
    caught = 0
    for error in (MemoryError, ValueError, KeyboardInterrupt):
        secret = Password(PASSWORD)
        secret.error, secret.times = error, 0
        times = 0
        while not secret.times:
            secret.times = times
            try:
                await call(hasher, secret, hashed)
            except BaseException as raised:  # noqa: BLE001 - whatever it is
                assert_hidden(raised)
                caught += 1
            times += 1
    assert caught


@pytest.mark.parametrize("call", BLOCKING + AWAITED)
@pytest.mark.parametrize("hasher", [BCryptHasher(rounds=4), CryptHasher(rounds=1000)], ids=repr)
async def test_failure_of_what_computes(
    hasher: BaseHasher, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    hashed = hasher.make_sync(PASSWORD)
    monkeypatch.setattr(bcrypt, "hashpw", fail)
    monkeypatch.setattr(_passlib, "load_crypt", lambda: fail)
    with pytest.raises(KeyboardInterrupt) as caught:
        await call(hasher, PASSWORD, hashed)
    assert_hidden(caught.value)


@pytest.mark.parametrize("call", BLOCKING + AWAITED)
@pytest.mark.parametrize("hasher", BROKEN, ids=lambda hasher: type(hasher).__name__)
async def test_broken_hasher(hasher: BaseHasher, call: Call) -> None:
    with pytest.raises(LookupError) as caught:
        await call(hasher, PASSWORD, "stored")
    assert_hidden(caught.value)


@pytest.mark.parametrize("call", AWAITED)
@each_hasher
async def test_full_queue(
    hasher: BaseHasher, hashed: str, call: Call, configure: Configure, gated: Any
) -> None:
    configure(workers=1, max_waiting=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gated.make, "another")
        await anyio.to_thread.run_sync(gated.begun.acquire)
        with pytest.raises(HasherBusy) as caught:
            await call(hasher, PASSWORD, hashed)
        gated.gate.set()
        assert_hidden(caught.value)


@pytest.mark.parametrize("call", AWAITED)
@each_hasher
async def test_no_thread(
    hasher: BaseHasher,
    hashed: str,
    call: Call,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_: object) -> NoReturn:
        raise RuntimeError("can't start new thread")

    configure(workers=1, max_waiting=1)
    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(HasherUnavailable, match="short of threads") as caught:
        await call(hasher, PASSWORD, hashed)
    assert_hidden(caught.value)


@pytest.mark.parametrize("call", AWAITED)
@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("cached", [False, True])
async def test_cancelled(
    cached: bool, running: bool, call: Call, configure: Configure, gated: Any
) -> None:
    configure(workers=1, max_waiting=1)
    hasher = CachingHasher(gated, ttl=1, max_entries=1) if cached else gated
    caught: list[BaseException] = []

    async def login() -> None:
        try:
            await call(hasher, PASSWORD, "stored")
        except BaseException as error:
            caught.append(error)
            raise

    async with anyio.create_task_group() as outer:
        if not running:
            outer.start_soon(gated.make, "another")
            await anyio.to_thread.run_sync(gated.begun.acquire)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(login)
            if running:
                await anyio.to_thread.run_sync(gated.begun.acquire)
            with anyio.fail_after(30):
                while not running and not waiting():
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        gated.gate.set()
    assert_hidden(caught[0])


@pytest.mark.parametrize("call", [make_sync, make])
@pytest.mark.parametrize(
    "secret",
    [PASSWORD + "\0", PASSWORD * 600, PASSWORD + "\ud800"],
    ids=["NUL", "too long", "surrogate"],
)
@pytest.mark.parametrize("hasher", MAKERS, ids=repr)
async def test_password_that_is_refused(hasher: BaseHasher, secret: str, call: Call) -> None:
    with pytest.raises(ValueError, match="can't hash this password") as caught:
        await call(hasher, secret, "")
    assert_hidden(caught.value)


@pytest.mark.parametrize("call", [make_sync, make])
@pytest.mark.parametrize(
    ("hasher", "secret"),
    [
        (BCryptHasher(rounds=4), PASSWORD * 10),
        (CryptHasher(rounds=1000), PASSWORD * 70),
        (Hasher("scram", rounds=1), PASSWORD + "\x07"),
        (Hasher("des_crypt"), PASSWORD + "é"),
        # passlib's own refusal: the character is not in code page 437.
        (Hasher("django_des_crypt"), PASSWORD + "\u20ac"),
    ],
    ids=repr,
)
async def test_password_that_an_algorithm_refuses(
    hasher: BaseHasher, secret: str, call: Call
) -> None:
    with pytest.raises(ValueError, match="can't hash this password") as caught:
        await call(hasher, secret, "")
    assert_hidden(caught.value)


@pytest.mark.parametrize("call", [make_sync, make])
async def test_hasher_that_makes_nothing(call: Call) -> None:
    with pytest.raises(NotImplementedError) as caught:
        await call(LegacyHasher("hex_sha256"), PASSWORD, "")
    assert_hidden(caught.value)


@pytest.mark.parametrize("call", BLOCKING + AWAITED)
@each_hasher
async def test_wrong_types(hasher: BaseHasher, hashed: str, call: Call) -> None:
    wrong: Any = PASSWORD.encode()
    with pytest.raises((TypeError, NotImplementedError)) as caught:
        await call(hasher, wrong, hashed)
    assert_hidden(caught.value)
    if "and_update" in call.__name__ or call in (verify_sync, verify):
        number: Any = 5
        with pytest.raises(TypeError) as caught:
            await call(hasher, PASSWORD, number)
        assert_hidden(caught.value)


@pytest.mark.parametrize("call", [verify_sync, verify])
@each_hasher
async def test_bad_stored_string_and_the_log(
    hasher: BaseHasher, hashed: str, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for stored in ("", "!", "é", hashed[: len(hashed) // 2], hashed * 100):
            assert not await call(hasher, PASSWORD, stored)
        assert not await call(hasher, PASSWORD + "\0", hashed)
    for record in caplog.records:
        assert PASSWORD not in repr(vars(record))
