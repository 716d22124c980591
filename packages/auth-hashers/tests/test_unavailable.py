"""A machine in trouble gives no verdict: an error that is answered with 503, and never "wrong"."""

import hashlib
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import anyio
import anyio.to_thread
import argon2.low_level
import bcrypt
import pytest

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    CachingHasher,
    HasherUnavailable,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
    _workers,
)

pytestmark = pytest.mark.anyio

PBKDF2 = PBKDF2Hasher(rounds=1)
BLOWFISH = BCryptHasher(rounds=4)
BCRYPT = "$2b$04$" + 53 * "."
WERKZEUG = f"scrypt:2:1:1$salt${128 * '0'}"


def around(hasher: BaseHasher) -> list[BaseHasher]:
    return [
        hasher,
        MultiHasher([hasher, PBKDF2]),
        MultiHasher([PBKDF2, hasher]),
        CachingHasher(hasher, ttl=60, max_entries=9),
        MultiHasher([MultiHasher([PBKDF2]), CachingHasher(hasher, ttl=60, max_entries=9)]),
    ]


class TestComputationThatFails:
    """Whatever it raises, the stored hash was parsed before, so it is not to blame."""

    @pytest.fixture(params=[MemoryError, OSError, RuntimeError, ValueError])
    def broken(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> NoReturn:
            raise request.param("secret")

        monkeypatch.setattr(bcrypt, "hashpw", fail)
        monkeypatch.setattr(hashlib, "scrypt", fail)

    @pytest.mark.usefixtures("broken")
    @pytest.mark.parametrize(
        ("hasher", "stored"),
        [
            *((hasher, BCRYPT) for hasher in around(BLOWFISH)),
            (LegacyHasher("werkzeug"), WERKZEUG),
            (MultiHasher([PBKDF2, LegacyHasher("werkzeug")]), WERKZEUG),
        ],
        ids=repr,
    )
    async def test_check(
        self, hasher: BaseHasher, stored: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        for secret in ("secret", "wrong"):
            for call in (hasher.verify_sync, hasher.verify_and_update_sync):
                with pytest.raises(HasherUnavailable, match="can't be computed now"):
                    call(secret, stored)
            for check in (hasher.verify, hasher.verify_and_update):
                with pytest.raises(HasherUnavailable) as caught:
                    await check(secret, stored)
                assert isinstance(caught.value, TimeoutError)
                assert caught.value.__cause__ is caught.value.__context__ is None
        assert caplog.messages
        for message in caplog.messages:
            assert "memory" in message
            assert "stored" not in message
            assert "secret" not in message

    @pytest.mark.usefixtures("broken")
    @pytest.mark.parametrize("hasher", around(BLOWFISH)[:2], ids=repr)
    async def test_new_hash_and_unknown_user(self, hasher: BaseHasher) -> None:
        with pytest.raises(HasherUnavailable):
            hasher.make_sync("secret")
        with pytest.raises(HasherUnavailable):
            await hasher.make("secret")
        with pytest.raises(HasherUnavailable):
            hasher.dummy_verify_sync("secret")
        with pytest.raises(HasherUnavailable):
            await hasher.dummy_verify("secret", "alice")

    @pytest.mark.usefixtures("broken")
    async def test_upgrade_is_left_out(self, caplog: pytest.LogCaptureFixture) -> None:
        hasher = MultiHasher([BLOWFISH, PBKDF2])
        stored = PBKDF2.make_sync("secret")

        assert hasher.verify_and_update_sync("secret", stored) == (True, None)
        assert await hasher.verify_and_update("secret", stored) == (True, None)
        assert "An outdated password hash was kept" in caplog.messages[-1]

    @pytest.mark.usefixtures("broken")
    def test_malformed_hash_is_a_wrong_password_all_the_same(self) -> None:
        hasher = MultiHasher([PBKDF2, BLOWFISH, LegacyHasher("werkzeug")])

        for stored in (
            None,
            "!",
            "x",
            "$2b$04$x",
            "$2b$99$" + 53 * ".",
            "scrypt:3:1:1$a$" + "0" * 128,
        ):
            assert not hasher.verify_sync("secret", stored)

    def test_parser_without_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(_: str) -> NoReturn:
            raise MemoryError

        stored = PBKDF2.make_sync("secret")
        monkeypatch.setattr(PBKDF2._algorithm.handler, "from_string", fail)
        with pytest.raises(HasherUnavailable):
            PBKDF2.verify_sync("secret", stored)

    # argon2.h: ARGON2_MEMORY_ALLOCATION_ERROR, ARGON2_THREAD_FAIL.
    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (-22, "short of memory$"),
            (-33, r"probably short of memory or threads \(RuntimeError\)$"),
        ],
    )
    def test_status_of_argon2(
        self, monkeypatch: pytest.MonkeyPatch, status: int, reason: str
    ) -> None:
        hasher = Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1)
        stored = hasher.make_sync("secret")
        monkeypatch.setattr(argon2.low_level, "core", lambda context, kind: status)
        with pytest.raises(HasherUnavailable, match=reason):
            hasher.verify_sync("secret", stored)


class TestThreads:
    async def test_work_that_no_thread_could_be_started_for_is_not_done_later(
        self, configure: Callable[..., None], gated: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: object) -> NoReturn:
            raise RuntimeError("can't start new thread")

        configure(workers=2, max_waiting=9)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gated.make, "first")
            await anyio.to_thread.run_sync(gated.begun.acquire)
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", fail)
                with pytest.raises(HasherUnavailable, match="short of threads"):
                    await gated.make("second")
            gated.gate.set()
        await gated.make("third")
        assert gated.made == ["first", "third"]

    async def test_interpreter_that_exits_is_another_matter(
        self, configure: Callable[..., None], gated: Any
    ) -> None:
        configure(workers=1)
        gated.gate.set()
        await gated.make("first")
        _workers._settings.drop_waiting()
        with pytest.raises(RuntimeError, match="after shutdown"):
            await gated.make("second")


LIMITED = """
    import asyncio, logging, resource, sys
    from starlette_auth_hashers import *

    logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.WARNING)

    def limit(mebibytes):
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[0])
        resource.setrlimit(
            resource.RLIMIT_AS, (pages * resource.getpagesize() + mebibytes * 2**20,) * 2
        )

    def answer(call, *arguments):
        try:
            outcome = call(*arguments)
            return asyncio.run(outcome) if asyncio.iscoroutine(outcome) else outcome
        except BaseException as error:
            return type(error).__name__
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measured as Linux counts it")
class TestRealLimit:
    @pytest.mark.parametrize("hasher", ["Argon2Hasher()", "Hasher('scrypt')"])
    def test_right_password_is_not_wrong(self, run_python: Callable[..., str], hasher: str) -> None:
        code = f"""{LIMITED}
    cheap = PBKDF2Hasher(rounds=1)
    hasher = {hasher}
    stored = hasher.make_sync("secret")
    old = cheap.make_sync("secret")
    asyncio.run(cheap.make("secret"))
    limit(16)
    for each in (
        hasher,
        MultiHasher([hasher, cheap]),
        MultiHasher([cheap, hasher]),
        CachingHasher(hasher, ttl=60, max_entries=9),
    ):
        for secret in ("secret", "wrong"):
            for name in ("verify", "verify_and_update"):
                for suffix in ("_sync", ""):
                    print(answer(getattr(each, name + suffix), secret, stored))
    for each in (hasher, MultiHasher([hasher, cheap])):
        for suffix in ("_sync", ""):
            print(answer(getattr(each, "make" + suffix), "secret"))
            print(answer(getattr(each, "dummy_verify" + suffix), "secret"))
    upgrading = MultiHasher([hasher, cheap])
    print(answer(upgrading.verify_and_update_sync, "secret", old))
    print(answer(upgrading.verify_and_update, "secret", old))
        """
        lines = run_python(code).splitlines()

        answers = [line for line in lines if " " not in line or line.startswith("(")]
        assert answers == ["HasherUnavailable"] * 40 + ["(True, None)"] * 2
        logged = [line for line in lines if line not in answers]
        assert all(
            "memory" in line or "An outdated password hash was kept" in line for line in logged
        )
        assert not any("stored" in line for line in logged)

    def test_no_thread_to_be_had(self, run_python: Callable[..., str]) -> None:
        # A thread wants a stack of 8 MiB.
        code = f"""{LIMITED}
    import threading

    cheap = PBKDF2Hasher(rounds=1)
    stored = cheap.make_sync("secret")
    asyncio.run(asyncio.sleep(0))
    threading.stack_size(64 * 2**20)
    limit(16)
    print(answer(cheap.verify, "secret", stored))
    print(answer(cheap.make, "secret"))
    threading.stack_size(256 * 2**10)
    print(answer(cheap.verify, "secret", stored))
        """
        line = "A password hash can't be computed now: the machine is short of threads"
        assert run_python(code).splitlines() == [line, "HasherUnavailable"] * 2 + ["True"]
