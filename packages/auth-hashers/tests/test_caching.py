"""A repeated right password is answered from memory, and nothing else is."""

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    CachingHasher,
    HasherBusy,
    MultiHasher,
    PBKDF2Hasher,
    _caching,
    _pacing,
    waiting,
)

pytestmark = pytest.mark.anyio

Configure = Callable[..., None]


class Gated(BaseHasher):
    """A hasher that works only once its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.checked: list[str] = []

    def make_sync(self, secret: str) -> str:
        return f"hash of {secret}"

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        self.gate.wait(30)
        self.checked.append(secret)
        return hashed == f"hash of {secret}"


class Counting(BaseHasher):
    """Notes each check and each hash that it makes."""

    def __init__(self) -> None:
        self.work: list[str] = []

    def make_sync(self, secret: str) -> str:
        self.work.append(f"make {secret}")
        return f"hash of {secret}"

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        self.work.append(f"verify {secret}")
        return hashed == f"hash of {secret}"


@pytest.fixture
def inner() -> Counting:
    return Counting()


@pytest.fixture
def hasher(inner: Counting) -> CachingHasher:
    return CachingHasher(inner, ttl=60, max_entries=3)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time_now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: time_now[0])
    return time_now


class TestRemembering:
    async def test_right_password_is_checked_once(
        self, hasher: CachingHasher, inner: Counting
    ) -> None:
        for _ in range(3):
            assert await hasher.verify("a", "hash of a")
            assert hasher.verify_sync("a", "hash of a")
            assert await hasher.verify_and_update("a", "hash of a") == (True, None)
            assert hasher.verify_and_update_sync("a", "hash of a") == (True, None)
        assert inner.work == ["verify a"]

    @pytest.mark.parametrize("method", ["verify_and_update_sync", "verify_sync"])
    def test_whichever_method_is_first(
        self, hasher: CachingHasher, inner: Counting, method: str
    ) -> None:
        getattr(hasher, method)("a", "hash of a")
        assert hasher.verify_sync("a", "hash of a")
        assert hasher.verify_and_update_sync("a", "hash of a") == (True, None)
        assert inner.work == ["verify a"]

    async def test_wrong_password_never_is(self, hasher: CachingHasher, inner: Counting) -> None:
        for _ in range(2):
            assert not await hasher.verify("wrong", "hash of a")
            assert not hasher.verify_sync("wrong", "hash of a")
            assert await hasher.verify_and_update("wrong", "hash of a") == (False, None)
            assert hasher.verify_and_update_sync("wrong", "hash of a") == (False, None)
            assert not hasher.verify_sync("wrong", None)
        assert len(inner.work) == 10

    def test_right_password_does_not_help_a_wrong_one(
        self, hasher: CachingHasher, inner: Counting
    ) -> None:
        assert hasher.verify_sync("a", "hash of a")
        for secret, hashed in (("b", "hash of a"), ("a", "hash of b"), ("a", None), ("a", "")):
            assert not hasher.verify_sync(secret, hashed)
        assert len(inner.work) == 5

    def test_changed_hash_misses(self) -> None:
        hashing = PBKDF2Hasher(rounds=1)
        hasher = CachingHasher(hashing, ttl=60, max_entries=9)
        first, second = (hashing.make_sync("a") for _ in range(2))

        assert hasher.verify_sync("a", first)
        assert len(hasher._known) == 1
        assert hasher.verify_sync("a", second)
        assert len(hasher._known) == 2

    def test_lengths_are_unambiguous(self) -> None:
        class Yes(BaseHasher):
            checks = 0

            def make_sync(self, secret: str) -> str:
                return secret

            def verify_sync(self, secret: str, hashed: str | None) -> bool:
                self.checks += 1
                return True

        yes = Yes()
        hasher = CachingHasher(yes, ttl=60, max_entries=100)
        pairs = [("ab", "c"), ("a", "bc"), ("", "abc"), ("abc", ""), ("a\0b", "c"), ("a", "\0bc")]
        for pair in pairs:
            assert hasher.verify_sync(*pair)
        assert yes.checks == len(pairs)

    def test_it_expires(self, hasher: CachingHasher, inner: Counting, now: list[float]) -> None:
        hasher.verify_sync("a", "hash of a")
        now[0] += 59.9
        hasher.verify_sync("a", "hash of a")
        assert len(inner.work) == 1
        now[0] += 0.1  # counted from the check, not from the last answer
        hasher.verify_sync("a", "hash of a")
        assert len(inner.work) == 2
        hasher.verify_sync("a", "hash of a")
        assert len(inner.work) == 2

    def test_what_has_expired_is_dropped(self, hasher: CachingHasher, now: list[float]) -> None:
        hasher.verify_sync("a", "hash of a")
        hasher.verify_sync("b", "hash of b")
        now[0] += 60
        hasher.verify_sync("c", "hash of c")
        assert len(hasher._known) == 1

    def test_time_too_short_to_tell(self, inner: Counting) -> None:
        hasher = CachingHasher(inner, ttl=1e-300, max_entries=1)
        for _ in range(2):
            assert hasher.verify_sync("a", "hash of a")
        assert len(inner.work) == 2

    def test_it_is_bounded_and_drops_the_oldest(
        self, hasher: CachingHasher, inner: Counting
    ) -> None:
        for name in "abcd":
            assert hasher.verify_sync(name, f"hash of {name}")
        assert len(hasher._known) == 3
        inner.work.clear()
        for name in "bcd":
            assert hasher.verify_sync(name, f"hash of {name}")
        assert inner.work == []
        assert hasher.verify_sync("a", "hash of a")
        assert inner.work == ["verify a"]

    async def test_clear(self, hasher: CachingHasher, inner: Counting) -> None:
        hasher.verify_sync("a", "hash of a")
        hasher.clear()
        assert await hasher.verify("a", "hash of a")
        assert len(inner.work) == 2

    def test_what_a_forked_child_does(self, hasher: CachingHasher, inner: Counting) -> None:
        hasher.verify_sync("a", "hash of a")
        key, lock = hasher._key, hasher._lock
        _caching._start_afresh()
        assert hasher._key != key
        assert hasher._lock is not lock
        assert hasher.verify_sync("a", "hash of a")
        assert len(inner.work) == 2

    def test_no_password_is_in_it(self, hasher: CachingHasher) -> None:
        hasher.verify_sync("s3cret", "hash of s3cret")
        (digest,) = hasher._known
        assert "s3cret" not in repr(vars(hasher))
        assert "hash of" not in repr(vars(hasher))
        assert digest not in {
            hashlib.blake2b(text, digest_size=32).digest()
            for text in (b"s3cret", b"hash of s3cret")
        }

    def test_key_is_of_each(self, inner: Counting) -> None:
        digests = set()
        for _ in range(2):
            hasher = CachingHasher(inner, ttl=60, max_entries=1)
            hasher.verify_sync("a", "hash of a")
            digests |= set(hasher._known)
        assert len(digests) == 2

    def test_entry_takes_some_250_bytes(self, inner: Counting) -> None:
        import tracemalloc

        hasher = CachingHasher(inner, ttl=60, max_entries=20_000)
        hasher.verify_sync("a", "hash of a")
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20_000):
            hasher._remember(hasher._digest(b"pair", str(number), "x"), 0)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert 150 < (after - before) / 20_000 < 350


class TestUpdating:
    async def test_outdated_hash_is_never_answered_from_memory(self) -> None:
        new, old = Argon2Hasher(memory_cost=32, time_cost=1), PBKDF2Hasher(rounds=1)
        hasher = CachingHasher(MultiHasher([new, old]), ttl=60, max_entries=9)
        stored = old.make_sync("secret")

        for _ in range(2):
            for valid, upgraded in (
                await hasher.verify_and_update("secret", stored),
                hasher.verify_and_update_sync("secret", stored),
            ):
                assert valid
                assert upgraded is not None
                assert new.verify_sync("secret", upgraded)
        assert hasher.verify_sync("secret", stored)

    async def test_it_passes_the_rest_on(self, hasher: CachingHasher, inner: Counting) -> None:
        assert await hasher.make("a") == "hash of a"
        assert hasher.make_sync("a") == "hash of a"
        assert hasher.identify("x")
        assert not hasher.needs_update("x")
        hasher.dummy_verify_sync("a", "alice")
        assert inner.work == ["make a"] * 3
        assert hasher.hasher is inner
        assert repr(hasher).endswith(", ttl=60, max_entries=3)")


async def spin(condition: Callable[[], bool]) -> None:
    """Let the other tasks run until *condition* holds."""
    with anyio.fail_after(30):
        while not condition():
            await anyio.lowlevel.checkpoint()


class TestSharing:
    """Checks of the same at the same time are one."""

    @pytest.fixture
    def hasher(self, configure: Configure, gated: Any) -> CachingHasher:
        configure(workers=1, max_waiting=3)
        return CachingHasher(gated, ttl=60, max_entries=10)

    def callers(self, hasher: CachingHasher) -> int:
        return sum(shared.callers for shared in hasher._shared.values())

    @pytest.mark.parametrize("method", ["verify", "verify_and_update"])
    async def test_100_right_logins_are_one_hash(
        self, hasher: CachingHasher, gated: Any, method: str
    ) -> None:
        answers: list[Any] = []

        async def login() -> None:
            answers.append(await getattr(hasher, method)("a", "hash of a"))

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(login)
            await spin(lambda: self.callers(hasher) == 100)
            gated.gate.set()
        assert answers == [True if method == "verify" else (True, None)] * 100
        assert gated.checked == ["a"]
        assert hasher._shared == {}

    async def test_sharing_does_not_tell_who_exists(
        self, hasher: CachingHasher, gated: Any
    ) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(hasher.verify, "wrong", "hash of a")  # a user who exists
                tasks.start_soon(hasher.dummy_verify, "wrong", "nobody")
                tasks.start_soon(hasher.dummy_verify, "wrong", "nobody else")
            await spin(lambda: self.callers(hasher) == 30)
            gated.gate.set()
        assert gated.checked == ["wrong"]
        assert gated.made == ["wrong", "wrong"]

    @pytest.mark.parametrize("method", ["verify", "verify_and_update"])
    @pytest.mark.parametrize("stored", ["hash of a", None, "", "!", "junk"])
    async def test_it_depends_on_what_the_client_sent(
        self, hasher: CachingHasher, gated: Any, method: str, stored: str | None
    ) -> None:
        # Twelve spellings of one user-id, or twelve users with the same stored string.
        check = getattr(hasher, method)
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                for _ in range(3):
                    tasks.start_soon(
                        lambda name: check("wrong", stored, username=name), f"user {number}"
                    )
            await spin(lambda: self.callers(hasher) == 12)
            gated.gate.set()
        assert gated.checked == ["wrong"] * 4

    async def test_unknown_users_share_in_the_same_way(
        self, hasher: CachingHasher, gated: Any
    ) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                for _ in range(3):
                    tasks.start_soon(hasher.dummy_verify, "wrong", f"user {number}")
            await spin(lambda: self.callers(hasher) == 12)
            gated.gate.set()
        assert gated.made == ["wrong"] * 4

    async def test_two_backends_share_nothing(self, hasher: CachingHasher, gated: Any) -> None:
        backends = [object(), object()]
        async with anyio.create_task_group() as tasks:
            for backend in backends:
                for _ in range(2):
                    tasks.start_soon(
                        lambda backend: hasher.verify(
                            "wrong", "hash of a", username="alice", backend=backend
                        ),
                        backend,
                    )
            await spin(lambda: self.callers(hasher) == 4)
            gated.gate.set()
        assert gated.checked == ["wrong"] * 2

        gated.gate.clear()
        async with anyio.create_task_group() as tasks:
            for backend in backends:
                for _ in range(2):
                    tasks.start_soon(
                        lambda backend: hasher.dummy_verify("wrong", "alice", backend=backend),
                        backend,
                    )
            await spin(lambda: self.callers(hasher) == 4)
            gated.gate.set()
        assert gated.made == ["wrong"] * 2

    async def test_outcome_is_that_of_the_own_stored_hash(
        self, hasher: CachingHasher, gated: Any
    ) -> None:
        # One user-id and password, and another stored hash: it has just been changed.
        answers: dict[str | None, bool] = {}

        async def login(stored: str | None) -> None:
            answers[stored] = await hasher.verify("a", stored, username="alice")

        async with anyio.create_task_group() as tasks:
            for stored in ("hash of a", "hash of b", None, ""):
                tasks.start_soon(login, stored)
            await spin(lambda: self.callers(hasher) >= 3)
            gated.gate.set()
        assert answers == {"hash of a": True, "hash of b": False, None: False, "": False}

    @pytest.mark.parametrize("stored", [None, "", "!", "junk"])
    @pytest.mark.parametrize("method", ["verify", "verify_and_update"])
    async def test_without_a_user_id_and_a_hash_nothing_is_shared(
        self, configure: Configure, gated: Any, stored: str | None, method: str
    ) -> None:
        class Strict(Gated):
            def identify(self, hashed: str) -> bool:
                return hashed.startswith("hash of")

        configure(workers=1, max_waiting=10)
        strict = Strict()
        hasher = CachingHasher(strict, ttl=60, max_entries=10)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(getattr(hasher, method), "wrong", stored)
            await spin(lambda: waiting() == 2)
            assert hasher._shared == {}
            strict.gate.set()
        assert strict.checked == ["wrong"] * 3

    async def test_one_who_asks_while_a_failed_check_waits_gets_its_answer_when_it_is_due(
        self, hasher: CachingHasher, gated: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A cheap old hash is computed sooner than that of an unknown user: what is shared must not
        # depend on that.
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        clock.simulated = True
        for _ in range(15):
            with _pacing.computation(id(gated), None):
                clock.spend(5.0)
        due = anyio.Event()
        pausing: list[float] = []
        answers: list[bool] = []

        async def pause(seconds: float) -> None:
            pausing.append(seconds)
            await due.wait()

        async def login() -> None:
            answers.append(await hasher.verify("wrong", "hash of a", username="alice"))

        monkeypatch.setattr(clock, "pause", pause)
        gated.gate.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(login)
            await spin(lambda: len(pausing) == 1)
            now[0] += 3.0
            tasks.start_soon(login)
            await spin(lambda: len(pausing) == 2)
            assert gated.checked == ["wrong"]
            assert pausing == [5.0, 2.0]
            now[0] += 2.0
            tasks.start_soon(login)  # The answer is due, so this is another check.
            await spin(lambda: len(pausing) == 3)
            assert gated.checked == ["wrong"] * 2
            assert pausing[2] == 5.0
            due.set()
        assert answers == [False] * 3
        assert hasher._shared == {}

    async def test_nobody_left_to_wait_forgets_the_answer(
        self, hasher: CachingHasher, gated: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock.simulated = True
        for _ in range(15):
            with _pacing.computation(id(gated), None):
                clock.spend(5.0)
        begun = anyio.Event()

        async def pause(seconds: float) -> None:
            begun.set()
            await anyio.sleep_forever()

        monkeypatch.setattr(clock, "pause", pause)
        gated.gate.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hasher.verify, "wrong", "hash of a")
            await begun.wait()
            assert len(hasher._shared) == 1
            tasks.cancel_scope.cancel()
        assert hasher._shared == {}

    async def test_hit_needs_no_worker(self, hasher: CachingHasher, gated: Any) -> None:
        hasher._remember(hasher._digest(b"pair", "a", "hash of a"), 0)
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(gated.make, str(number))
            await spin(lambda: waiting() == 3)
            with pytest.raises(HasherBusy):
                await hasher.verify("b", "hash of b")
            with pytest.raises(HasherBusy):
                await hasher.dummy_verify("b", "bob")
            assert await hasher.verify("a", "hash of a")
            assert await hasher.verify_and_update("a", "hash of a") == (True, None)
            assert hasher._shared == {}
            gated.gate.set()
        assert await hasher.verify("b", "hash of b")

    async def test_joining_needs_no_room(self, hasher: CachingHasher, gated: Any) -> None:
        answers: list[bool] = []

        async def login() -> None:
            answers.append(await hasher.verify("a", "hash of a"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(login)
            for number in range(3):
                tasks.start_soon(gated.make, str(number))
            await spin(lambda: waiting() == 3)
            tasks.start_soon(login)
            await spin(lambda: self.callers(hasher) == 2)
            gated.gate.set()
        assert answers == [True, True]

    @pytest.mark.parametrize("cancelled", [0, 1, 2])
    async def test_cancelled_caller_does_not_end_it_for_others(
        self, hasher: CachingHasher, gated: Any, cancelled: int
    ) -> None:
        answers: list[int] = []
        scopes = [anyio.CancelScope() for _ in range(3)]

        async def login(number: int) -> None:
            with scopes[number]:
                assert await hasher.verify("a", "hash of a")
                answers.append(number)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gated.make, "first")  # so that the check waits
            await anyio.to_thread.run_sync(gated.begun.acquire)
            for number in range(3):
                tasks.start_soon(login, number)
                await spin(lambda number=number: self.callers(hasher) == number + 1)  # type: ignore[misc] # mypy infers no lambda with a default
            scopes[cancelled].cancel()
            await spin(lambda: self.callers(hasher) == 2)
            gated.gate.set()
        assert sorted(answers) == sorted({0, 1, 2} - {cancelled})
        assert gated.checked == ["a"]

    async def test_nobody_left_drops_what_waits(self, hasher: CachingHasher, gated: Any) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gated.make, "first")
            await anyio.to_thread.run_sync(gated.begun.acquire)
            async with anyio.create_task_group() as logins:
                for _ in range(3):
                    logins.start_soon(hasher.verify, "a", "hash of a")
                await spin(lambda: self.callers(hasher) == 3)
                logins.cancel_scope.cancel()
            assert hasher._shared == {}
            assert waiting() == 0
            gated.gate.set()
            assert await hasher.verify("a", "hash of a")
        assert gated.checked == ["a"]

    async def test_nobody_left_lets_what_runs_end(self, hasher: CachingHasher, gated: Any) -> None:
        async with anyio.create_task_group() as logins:
            logins.start_soon(hasher.verify, "a", "hash of a")
            await anyio.to_thread.run_sync(gated.begun.acquire)
            logins.cancel_scope.cancel()
        answers: list[bool] = []

        async def login() -> None:
            answers.append(await hasher.verify("a", "hash of a"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(login)  # joins it
            await spin(lambda: self.callers(hasher) == 1)
            gated.gate.set()
        assert answers == [True]
        assert gated.checked == ["a"]

    async def test_clear_forgets_what_is_being_checked(
        self, hasher: CachingHasher, gated: Any
    ) -> None:
        answers: list[bool] = []

        async def login() -> None:
            answers.append(await hasher.verify("a", "hash of a"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(login)
            await anyio.to_thread.run_sync(gated.begun.acquire)
            hasher.clear()
            tasks.start_soon(login)  # does not join what began before
            await spin(lambda: self.callers(hasher) == 1)
            gated.gate.set()
        assert answers == [True, True]
        assert gated.checked == ["a", "a"]

    async def test_clear_while_checked_leaves_nothing(
        self, hasher: CachingHasher, gated: Any
    ) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hasher.verify, "a", "hash of a")
            await anyio.to_thread.run_sync(gated.begun.acquire)
            hasher.clear()
            gated.gate.set()
        assert hasher._known == {}

    async def test_errors_reach_all(self, configure: Configure, gated: Any) -> None:
        class Failing(BaseHasher):
            def make_sync(self, secret: str) -> str:
                return secret

            def verify_sync(self, secret: str, hashed: str | None) -> bool:
                gated.gate.wait(30)
                raise LookupError(secret)

        configure(workers=1)
        hasher = CachingHasher(Failing(), ttl=60, max_entries=1)
        errors: list[LookupError] = []

        async def login() -> None:
            try:
                await hasher.verify("a", "b")
            except LookupError as error:
                errors.append(error)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(login)
            await spin(lambda: self.callers(hasher) == 3)
            gated.gate.set()
        assert len(errors) == 3
        assert hasher._shared == {}


def test_several_loops_share(configure: Configure, gated: Any) -> None:
    configure(workers=1)
    hasher = CachingHasher(gated, ttl=60, max_entries=10)
    answers: list[bool] = []

    def serve(backend: str) -> None:
        answers.append(anyio.run(hasher.verify, "a", "hash of a", backend=backend))

    threads = [threading.Thread(target=serve, args=(b,)) for b in ("asyncio", "trio") * 3]
    for thread in threads:
        thread.start()
    while sum(shared.callers for shared in list(hasher._shared.values())) < 6:
        pass
    gated.gate.set()
    for thread in threads:
        thread.join(30)
    assert answers == [True] * 6
    assert gated.checked == ["a"]


def test_threads_hammer_it() -> None:
    hashing = PBKDF2Hasher(rounds=1)
    hasher = CachingHasher(hashing, ttl=60, max_entries=5)
    stored = {str(number): hashing.make_sync(str(number)) for number in range(10)}
    failures: list[str] = []

    def hammer() -> None:
        for _ in range(30):
            for secret, hashed in stored.items():
                if not hasher.verify_sync(secret, hashed) or hasher.verify_sync("x", hashed):
                    failures.append(secret)
            hasher.clear()

    threads = [threading.Thread(target=hammer) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(hasher._known) <= 5


class TestConstructing:
    @pytest.mark.parametrize(
        ("ttl", "max_entries"),
        [(0, 1), (-1, 1), (float("inf"), 1), (float("nan"), 1), (1, 0), (1, -1)],
    )
    def test_numbers_are_above_0(self, inner: Counting, ttl: float, max_entries: int) -> None:
        with pytest.raises(ValueError, match="above 0"):
            CachingHasher(inner, ttl=ttl, max_entries=max_entries)

    @pytest.mark.parametrize(
        ("ttl", "max_entries", "name"),
        [
            *(("60", 1, "ttl"), (None, 1, "ttl"), (True, 1, "ttl")),
            *((1, "1", "max_entries"), (1, 1.5, "max_entries"), (1, True, "max_entries")),
        ],
    )
    def test_numbers_are_numbers(
        self, inner: Counting, ttl: Any, max_entries: Any, name: str
    ) -> None:
        with pytest.raises(TypeError, match=name):
            CachingHasher(inner, ttl=ttl, max_entries=max_entries)

    @pytest.mark.parametrize("hasher", [None, "argon2", Argon2Hasher])
    def test_hasher_is_one(self, hasher: Any) -> None:
        with pytest.raises(TypeError, match="hasher"):
            CachingHasher(hasher, ttl=1, max_entries=1)

    @pytest.mark.parametrize("secret", [b"a", None, 1])
    async def test_wrong_types(self, hasher: CachingHasher, secret: Any) -> None:
        for call in (hasher.verify, hasher.verify_and_update):
            with pytest.raises(TypeError, match="secret must be a str"):
                await call(secret, "hash of a")
            with pytest.raises(TypeError, match="hashed must be a str"):
                await call("a", b"hash of a")  # type: ignore[arg-type] # that is the test
        for blocking in (hasher.verify_sync, hasher.verify_and_update_sync):
            with pytest.raises(TypeError, match="secret must be a str"):
                blocking(secret, "hash of a")
        with pytest.raises(TypeError, match="secret must be a str"):
            await hasher.dummy_verify(secret, "alice")
        with pytest.raises(TypeError, match="username must be a str"):
            await hasher.dummy_verify("a", b"alice")  # type: ignore[arg-type] # that is the test
