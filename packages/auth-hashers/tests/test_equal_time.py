"""A check that fails takes equally long for every kind of stored hash, and costs one check.

Processor time is simulated: a thousandth of a second for each round. Nothing waits in these tests;
they look at the seconds for which a check would have waited.
"""

import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    CachingHasher,
    CryptHasher,
    Hasher,
    MultiHasher,
    PBKDF2Hasher,
    PepperedHasher,
    WrappedHasher,
    _pacing,
    _repeating,
    _wrapped,
    waiting,
)

pytestmark = pytest.mark.anyio

Count = Callable[[Any], Any]
Call = Callable[[BaseHasher, str, Any], Awaitable[object]]

NEW, OLD, OLDER = 4000, 1500, 100
UNKNOWN = object()


async def verify(hasher: BaseHasher, secret: str, hashed: Any) -> object:
    return await hasher.verify(secret, hashed)


async def verify_and_update(hasher: BaseHasher, secret: str, hashed: Any) -> object:
    return await hasher.verify_and_update(secret, hashed)


async def verify_sync(hasher: BaseHasher, secret: str, hashed: Any) -> object:
    return hasher.verify_sync(secret, hashed)


async def verify_and_update_sync(hasher: BaseHasher, secret: str, hashed: Any) -> object:
    return hasher.verify_and_update_sync(secret, hashed)


CALLS: list[Call] = [verify, verify_and_update, verify_sync, verify_and_update_sync]
each_call = pytest.mark.parametrize("call", CALLS)


async def fail(call: Call, hasher: BaseHasher, secret: str, stored: Any) -> None:
    """Let a check fail; that of an unknown user by the twin of *call*."""
    if stored is not UNKNOWN:
        assert await call(hasher, secret, stored) in (False, (False, None))
    elif "sync" in call.__name__:
        hasher.dummy_verify_sync(secret, "nobody")
    else:
        await hasher.dummy_verify(secret, "nobody")


@pytest.fixture
def hashers(clock: Any, counted: Count) -> list[BaseHasher]:
    clock.simulated = True
    return [
        counted(PBKDF2Hasher(rounds=NEW)),
        counted(Hasher("pbkdf2_sha512", rounds=OLD)),
        counted(Hasher("pbkdf2_sha1", rounds=OLDER)),
    ]


def teach(clock: Any, algorithm: str, rounds: int) -> None:
    """Let this process know that a check takes a second."""
    for _ in range(15):
        with _pacing.computation((algorithm, 0), (("rounds", rounds),)):
            clock.spend(1.0)


STORED: dict[str, Any] = {
    "new": PBKDF2Hasher(rounds=NEW).make_sync("secret"),
    "of lower settings": PBKDF2Hasher(rounds=NEW // 2).make_sync("secret"),
    "old": Hasher("pbkdf2_sha512", rounds=OLD).make_sync("secret"),
    "old, of lower settings": Hasher("pbkdf2_sha512", rounds=OLD // 2).make_sync("secret"),
    "older": Hasher("pbkdf2_sha1", rounds=OLDER).make_sync("secret"),
    "none": None,
    "disabled": "!",
    "of nothing": "junk",
    "malformed": "$pbkdf2-sha256$!",
    "malformed, old": "$pbkdf2-sha512$!",
    "too expensive": "$pbkdf2-sha512$99999999$c2FsdA$" + 86 * "A",
    "unknown": UNKNOWN,
}
SECRETS = ["wrong", "x" * 5000, "a\0", "\ud800", ""]


def around(hashers: list[BaseHasher]) -> dict[str, BaseHasher]:
    first, second, third = hashers
    return {
        "multi": MultiHasher(hashers),
        "cached": CachingHasher(MultiHasher(hashers), ttl=60, max_entries=9),
        "nested": MultiHasher([MultiHasher([first, second]), third]),
        "nested behind": MultiHasher([first, MultiHasher([second, third])]),
        "cached within": MultiHasher(
            [CachingHasher(first, ttl=60, max_entries=9), MultiHasher([second]), third]
        ),
    }


class TestPepperedAndWrapped:
    """They take the time of the most expensive, whatever is stored."""

    @each_call
    async def test_failed_check(
        self, counted: Count, clock: Any, work: Any, call: Call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        repeat = _repeating.repeat

        def count_and_repeat(algorithm: Any, secret: str, config: str) -> str:
            work.note(OLDER)
            return repeat(algorithm, secret, config)

        clock.simulated = True
        monkeypatch.setattr(_wrapped, "repeat", count_and_repeat)
        keys = {"2025": b"o" * 32, "2026": b"n" * 32}
        outer, weak = PBKDF2Hasher(rounds=NEW), Hasher("pbkdf2_sha1", rounds=OLDER)
        peppered = PepperedHasher(counted(outer), keys, current="2026")
        wrapped = WrappedHasher(peppered, weak)
        hasher = MultiHasher([peppered, wrapped, counted(Hasher("pbkdf2_sha512", rounds=OLD))])
        new = peppered.make_sync("secret")
        stored = {
            "peppered": new,
            "under an older pepper": PepperedHasher(outer, keys, current="2025").make_sync(
                "secret"
            ),
            "under an unknown pepper": new.replace("2026", "2027"),
            "peppered, malformed": new[:30],
            "wrapped": wrapped.wrap_sync(weak.make_sync("secret")),
            "wrapped, malformed": "$wrapped$pbkdf2_sha1$AAAA" + new,
            "wrapped, of another kind": "$wrapped$hex_md5$" + new,
            "old": STORED["old"],
            "none": None,
            "disabled": "!",
            "unknown": UNKNOWN,
        }
        await fail(call, hasher, "wrong", stored["wrapped"])  # That teaches what it costs.
        work.take()
        clock.take()

        for kind, hashed in stored.items():
            for secret in ("wrong", "x" * 5000, "a\0"):
                await fail(call, hasher, secret, hashed)
                spent = sum(work.take()) / 1000
                assert spent + clock.take() == pytest.approx((NEW + OLDER) / 1000), kind

    @each_call
    async def test_unknown_pepper_takes_the_time_of_a_wrong_password(
        self, counted: Count, clock: Any, work: Any, call: Call
    ) -> None:
        clock.simulated = True
        hasher = PepperedHasher(counted(PBKDF2Hasher(rounds=NEW)), {"a": b"k" * 32}, current="a")
        stored = hasher.make_sync("secret")
        await fail(call, hasher, "wrong", stored)
        work.take()
        clock.take()

        for hashed in (stored, stored.replace("$a$", "$b$"), "junk", None, UNKNOWN):
            await fail(call, hasher, "wrong", hashed)
            assert sum(work.take()) / 1000 + clock.take() == pytest.approx(NEW / 1000)


class TestFailedCheck:
    @each_call
    @pytest.mark.parametrize(
        "shape", ["multi", "cached", "nested", "nested behind", "cached within"]
    )
    async def test_takes_as_long_as_the_most_expensive_hasher(
        self, hashers: list[BaseHasher], clock: Any, work: Any, call: Call, shape: str
    ) -> None:
        hasher = around(hashers)[shape]
        await fail(call, hasher, "wrong", STORED["new"])  # That teaches what it costs.
        work.take()
        clock.take()

        for kind, stored in STORED.items():
            for secret in SECRETS:
                await fail(call, hasher, secret, stored)
                rounds = work.take()
                assert len(rounds) == 1, kind
                assert rounds[0] / 1000 + clock.take() == pytest.approx(NEW / 1000), kind

    @each_call
    async def test_right_password_never_waits(
        self, hashers: list[BaseHasher], clock: Any, call: Call
    ) -> None:
        hasher = MultiHasher(hashers)
        await fail(call, hasher, "wrong", STORED["new"])
        clock.take()

        for kind in ("new", "of lower settings", "old", "older"):
            assert await call(hasher, "secret", STORED[kind])
        assert clock.blocked == clock.paused == []

    @each_call
    async def test_old_kind_that_is_more_expensive_counts_once_it_was_seen(
        self, counted: Count, clock: Any, work: Any, call: Call
    ) -> None:
        clock.simulated = True
        hasher = MultiHasher(
            [counted(PBKDF2Hasher(rounds=OLD)), counted(Hasher("pbkdf2_sha512", rounds=OLDER))]
        )
        expensive = Hasher("pbkdf2_sha512", rounds=NEW).make_sync("secret")
        await fail(call, hasher, "wrong", expensive)
        work.take()
        clock.take()

        for stored in (expensive, STORED["old"], None, UNKNOWN):
            await fail(call, hasher, "wrong", stored)
            assert sum(work.take()) / 1000 + clock.take() == pytest.approx(NEW / 1000)

    @each_call
    async def test_stored_hash_above_the_settings_takes_longer(
        self, counted: Count, clock: Any, work: Any, call: Call
    ) -> None:
        # The one thing that can't be hidden, as the documentation says.
        clock.simulated = True
        hasher = counted(PBKDF2Hasher(rounds=OLD))

        for _ in range(2):
            await fail(call, hasher, "wrong", STORED["new"])
            assert (work.take(), clock.take()) == ([NEW], 0)
            await fail(call, hasher, "wrong", UNKNOWN)
            assert (work.take(), clock.take()) == ([OLD], 0)

    @each_call
    async def test_first_check_of_old_settings_waits_by_the_product_of_the_settings(
        self, counted: Count, clock: Any, work: Any, call: Call
    ) -> None:
        clock.simulated = True
        hasher = counted(PBKDF2Hasher(rounds=NEW))

        await fail(call, hasher, "wrong", STORED["of lower settings"])
        assert work.take() == [NEW // 2]
        assert clock.take() == pytest.approx(NEW / 2000)

    @each_call
    async def test_first_check_of_all_costs_one_check(
        self, hashers: list[BaseHasher], clock: Any, work: Any, call: Call
    ) -> None:
        # Nothing is known of the others then, and no work is done to find out.
        await fail(call, MultiHasher(hashers), "wrong", STORED["older"])
        assert (work.take(), clock.take()) == ([OLDER], 0)

    @each_call
    @pytest.mark.parametrize(("busy", "factor"), [(0.5, 1.0), (3.0, 3.0), (100.0, 8.0)])
    async def test_busy_machine_lengthens_the_wait_too(
        self, hashers: list[BaseHasher], clock: Any, call: Call, busy: float, factor: float
    ) -> None:
        # The computations take so many times longer.
        clock.slowdown = busy
        hasher = MultiHasher(hashers)
        await fail(call, hasher, "wrong", STORED["new"])
        clock.take()

        await fail(call, hasher, "wrong", STORED["older"])
        assert clock.take() == pytest.approx(factor * (NEW - OLDER) / 1000)

    async def test_outlier_does_not_count(
        self, hashers: list[BaseHasher], clock: Any, work: Any
    ) -> None:
        hasher = MultiHasher(hashers)
        for _ in range(3):
            hasher.verify_sync("wrong", STORED["new"])
        with _pacing.computation(("pbkdf2_sha256", 0), (("rounds", NEW),)):
            clock.spend(60)
        clock.take()

        assert not hasher.verify_sync("wrong", STORED["older"])
        assert clock.take() == pytest.approx((NEW - OLDER) / 1000)

    async def test_wait_is_that_of_the_slowest_of_the_last_checks(
        self, hashers: list[BaseHasher], clock: Any
    ) -> None:
        # Each check takes another time, on a core that other programs share. The median would be
        # below that of half of all checks.
        with _pacing.computation(("pbkdf2_sha256", 0), (("rounds", NEW),)):
            clock.simulated = True
            clock.spend(1.5 * NEW / 1000)
        hasher = MultiHasher(hashers)
        for _ in range(5):
            hasher.verify_sync("wrong", STORED["new"])
            assert clock.take() == pytest.approx(NEW / 2000)
        hasher.verify_sync("wrong", STORED["older"])
        assert clock.take() == pytest.approx((1.5 * NEW - OLDER) / 1000)

    @pytest.mark.parametrize("jump", [-1000.0, 1000.0])
    async def test_clock_that_jumps_does_not_shorten_the_wait(
        self, hashers: list[BaseHasher], clock: Any, monkeypatch: pytest.MonkeyPatch, jump: float
    ) -> None:
        hasher = MultiHasher(hashers)
        for kind in ("new", "older", "older", "older"):
            hasher.verify_sync("wrong", STORED[kind])
        clock.take()
        check = hashers[2]._algorithm._compute  # type: ignore[attr-defined]  # a Hasher's

        def jumping(secret: str, parsed: Any) -> bool:
            clock.spend(jump)
            return bool(check(secret, parsed))

        algorithm = hashers[2]._algorithm  # type: ignore[attr-defined]  # a Hasher's
        object.__setattr__(algorithm, "_compute", jumping)
        assert not hasher.verify_sync("wrong", STORED["older"])
        assert clock.take() >= (NEW - 2 * OLDER) / 1000


class TestEveryAlgorithm:
    """An unknown user takes the time of a wrong password, whatever the algorithm."""

    async def test_scram_verifies_one_digest_of_three(self, work: Any) -> None:
        hasher = Hasher("scram", rounds=1)
        asked: list[str] = []
        algorithm = hasher._algorithm

        class Handler:
            def __getattr__(self, name: str) -> Any:
                return getattr(handler, name)

            def hash(self, secret: str) -> str:
                asked.append("hash")
                return str(handler.hash(secret))

            def verify(self, secret: str, hashed: str) -> bool:
                asked.append("verify")
                return bool(handler.verify(secret, hashed))

        handler = algorithm.handler
        stored = hasher.make_sync("secret")
        object.__setattr__(algorithm, "handler", Handler())
        hasher.verify_sync("wrong", stored)
        hasher.dummy_verify_sync("wrong")
        hasher.dummy_verify_sync("\x07")  # which SASLprep forbids
        hasher.verify_sync("\x07", stored)
        assert asked == ["verify"] * 4

    @pytest.mark.parametrize(
        "hasher",
        [
            PBKDF2Hasher(rounds=7),
            CryptHasher(rounds=1234),
            Argon2Hasher(memory_cost=64, time_cost=3, parallelism=2),
            Hasher("scrypt", rounds=3, block_size=5, parallelism=2),
            Hasher("django_argon2", memory_cost=64, time_cost=2, parallelism=2),
            Hasher("bcrypt_sha256", rounds=5),
            Hasher("ldap_bcrypt", rounds=5),
            Hasher("django_bcrypt", rounds=5),
            Hasher("fshp", rounds=5),
            Hasher("scram", rounds=5),
            Hasher("md5_crypt"),
            Hasher("phpass", rounds=8),
            Hasher("sun_md5_crypt", rounds=3),
        ],
        ids=repr,
    )
    def test_made_up_hash_costs_as_much_as_a_new_one(self, hasher: Hasher) -> None:
        algorithm = hasher._algorithm
        made_up, new = algorithm.today, hasher.make_sync("secret")

        assert not hasher.needs_update(made_up)
        assert algorithm._parse(made_up).costs == algorithm._parse(new).costs  # type: ignore[union-attr]
        for secret in ("secret", "a dummy password"):
            assert not hasher.verify_sync(secret, made_up)

    async def test_password_that_costs_more_is_compared_with_its_like(self, clock: Any) -> None:
        # SHA-crypt takes ten times as long for 511 bytes as for 8.
        hasher = MultiHasher([PBKDF2Hasher(rounds=1), CryptHasher(rounds=1000)])
        clock.simulated = True
        for size, seconds in ((0, 1), (7, 10)):
            with _pacing.computation(("sha256_crypt", size), (("rounds", 1000),)):
                clock.spend(seconds)

        await hasher.dummy_verify("x" * 8)
        assert clock.take() == 1
        await hasher.dummy_verify("x" * 500)
        assert clock.take() == 10


class Own(BaseHasher):
    """A hasher that somebody wrote."""

    def __init__(self, clock: Any, seconds: float) -> None:
        self.clock = clock
        self.seconds = seconds
        self.work: list[str] = []

    def make_sync(self, secret: str) -> str:
        self.work.append("make")
        self.clock.spend(self.seconds)
        return f"{self.seconds}:{secret}"

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        self.work.append("verify")
        self.clock.spend(self.seconds)
        return hashed == f"{self.seconds}:{secret}"

    def identify(self, hashed: str) -> bool:
        return hashed.startswith(f"{self.seconds}:")


class TestHasherOfOnesOwn:
    @each_call
    async def test_it_is_paced_as_ours_are(self, clock: Any, call: Call) -> None:
        clock.simulated = True
        new, old = Own(clock, 5.0), Own(clock, 2.0)
        hasher = MultiHasher([new, old])
        await fail(call, hasher, "wrong", "5.0:secret")
        clock.take()
        new.work.clear()

        await fail(call, hasher, "wrong", "2.0:secret")
        assert clock.take() == pytest.approx(3.0)
        assert (new.work, old.work) == ([], ["verify"])
        for stored in (None, "!", "junk", UNKNOWN):
            await fail(call, hasher, "wrong", stored)
            assert clock.take() == pytest.approx(0.0)
        assert new.work == ["make"] * 4

    async def test_awaited_alone_it_is_too(self, clock: Any) -> None:
        clock.simulated = True
        hasher = Own(clock, 5.0)
        await hasher.dummy_verify("wrong", "nobody")
        hasher.seconds = 2.0

        assert not await hasher.verify("wrong", "2.0:secret")
        assert clock.paused == [pytest.approx(3.0)]
        assert hasher.work == ["make", "verify"]

    async def test_override_of_verify_and_update(self, clock: Any) -> None:
        class Both(Own):
            def verify_and_update_sync(
                self, secret: str, hashed: str | None
            ) -> tuple[bool, str | None]:
                return self.verify_sync(secret, hashed), None

        hasher = Both(clock, 1.0)
        assert await hasher.verify_and_update("wrong", "1.0:secret") == (False, None)
        assert hasher.work == ["verify"]


class TestWaiting:
    async def test_it_holds_no_worker(
        self,
        hashers: list[BaseHasher],
        configure: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
        clock: Any,
    ) -> None:
        configure(workers=1, max_waiting=0)
        due = anyio.Event()
        pausing: list[float] = []

        async def pause(seconds: float) -> None:
            pausing.append(seconds)
            await due.wait()

        monkeypatch.setattr(clock, "pause", pause)
        hasher = MultiHasher(hashers)
        hasher.verify_sync("wrong", STORED["new"])

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(hasher.verify, "wrong", STORED["older"])
                with anyio.fail_after(30):
                    while len(pausing) <= number:
                        await anyio.lowlevel.checkpoint()
            # The one worker is free, and right passwords go on.
            assert waiting() == 0
            assert await hasher.verify("secret", STORED["old"])
            due.set()

    async def test_cancelled_one_changes_nothing_for_others(
        self, hashers: list[BaseHasher], monkeypatch: pytest.MonkeyPatch, clock: Any
    ) -> None:
        due, begun = anyio.Event(), anyio.Event()
        paused: list[float] = []

        async def pause(seconds: float) -> None:
            begun.set()
            await due.wait()
            paused.append(seconds)

        hasher = MultiHasher(hashers)
        hasher.verify_sync("wrong", STORED["new"])
        clock.take()
        monkeypatch.setattr(clock, "pause", pause)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hasher.verify, "wrong", STORED["older"])
            await begun.wait()
            tasks.cancel_scope.cancel()
        assert paused == []
        due.set()
        assert not await hasher.verify("wrong", STORED["older"])
        assert paused == [pytest.approx((NEW - OLDER) / 1000)]

    async def test_methods_that_block_sleep_in_their_callers_thread(self, clock: Any) -> None:
        slept: list[int] = []
        clock.sleep = lambda seconds: slept.append(threading.get_ident())
        clock.simulated = True
        teach(clock, "pbkdf2_sha256", 1)
        hasher = PBKDF2Hasher(rounds=1)

        def check() -> int:
            assert not hasher.verify_sync("wrong", None)
            return threading.get_ident()

        assert await anyio.to_thread.run_sync(check) in slept
        assert len(slept) == 1
        await hasher.verify("wrong", None)
        assert len(slept) == 1

    async def test_the_real_clock_sleeps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[float] = []

        async def sleep(seconds: float) -> None:
            asked.append(seconds)

        monkeypatch.setattr("time.sleep", asked.append)
        monkeypatch.setattr(anyio, "sleep", sleep)
        real = _pacing.Clock()
        real.sleep(1.0)
        await real.pause(2.0)

        assert asked == [1.0, 2.0]
        before = real.processor_time()
        assert real.processor_time() >= before


class TestLearning:
    def test_it_is_the_processes_and_not_the_hashers(self, clock: Any) -> None:
        clock.simulated = True
        teach(clock, "pbkdf2_sha256", 5)
        assert not PBKDF2Hasher(rounds=5).verify_sync("wrong", None)
        assert clock.take() == pytest.approx(1.0)

    def test_a_machine_is_not_judged_by_what_takes_no_time(self, clock: Any) -> None:
        assert _pacing.slowdown() == 1.0
        clock.simulated, clock.slowdown = True, 5.0
        with _pacing.computation("name", "settings"):
            clock.spend(0.0001)
        assert _pacing.slowdown() == 1.0

    def test_clock_that_goes_back_teaches_nothing(self, clock: Any) -> None:
        clock.simulated = True
        with _pacing.computation("name", "settings"):
            clock.spend(-1.0)
        assert _pacing.learned_costs("name") == {}
        assert not PBKDF2Hasher(rounds=1).verify_sync("wrong", None)

    def test_check_within_a_clock_that_goes_back(self, clock: Any) -> None:
        clock.simulated = True
        hasher = Own(clock, -1.0)
        assert not MultiHasher([hasher]).verify_sync("wrong", "-1.0:secret")
        assert clock.take() == 0

    def test_what_failed_teaches_nothing(self) -> None:
        with pytest.raises(LookupError), _pacing.computation("name", None):
            raise LookupError
        assert _pacing.learned_costs("name") == {}

    def test_it_is_bounded(self) -> None:
        for rounds in range(1000):
            for _ in range(50):
                with _pacing.computation("name", rounds):
                    pass
        known = _pacing._measured["name"]
        assert len(known) <= 64
        assert 999 in known
        assert all(len(samples) <= 15 for samples in known.values())

    def test_threads_may_learn_at_once(self) -> None:
        def learn() -> None:
            for number in range(2000):
                with _pacing.computation("name", number % 100):
                    pass
                _pacing.learned_costs("name")

        threads = [threading.Thread(target=learn) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0 < len(_pacing._measured["name"]) <= 64 + 4

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
    def test_forked_child_knows_the_same(self, run_python: Callable[..., str]) -> None:
        code = """
            import os, threading, warnings
            from starlette_auth_hashers import PBKDF2Hasher, _pacing

            warnings.simplefilter("ignore", DeprecationWarning)
            hasher = PBKDF2Hasher(rounds=1000)
            stop = threading.Event()

            def learn():
                while not stop.is_set():
                    hasher.verify_sync("wrong", None)

            thread = threading.Thread(target=learn)
            thread.start()
            for _ in range(20):
                child = os.fork()
                if not child:
                    hasher.verify_sync("wrong", None)
                    os._exit(0 if _pacing.learned_costs(("pbkdf2_sha256", 0)) else 1)
                assert os.waitpid(child, 0)[1] == 0
            stop.set()
            thread.join()
        """
        run_python(code)
