"""What copies of MultiHasher and CachingHasher with a small mistake in them got away with."""

from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from starlette_auth_hashers import (
    BaseHasher,
    CachingHasher,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
)

pytestmark = pytest.mark.anyio


class Noting(BaseHasher):
    """Takes `hash of …` for hashes, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def make_sync(self, secret: str) -> str:
        return f"hash of {secret}"

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        self.asked.append((secret, str(hashed)))
        return hashed == f"hash of {secret}"

    def dummy_verify_sync(self, secret: str, username: str = "nobody") -> None:
        self.asked.append((secret, username))


Wrap = Callable[[BaseHasher], BaseHasher]


def caching(hasher: BaseHasher) -> CachingHasher:
    return CachingHasher(hasher, ttl=60, max_entries=9)


def multi(hasher: BaseHasher) -> MultiHasher:
    return MultiHasher([hasher, PBKDF2Hasher(rounds=1)])


class TestAnUnknownUser:
    """The hasher beneath gets to know the user-id that was claimed."""

    @pytest.mark.parametrize("wrap", [caching, multi])
    async def test_user_id_is_handed_on(self, wrap: Wrap) -> None:
        noting = Noting()
        hasher = wrap(noting)
        await hasher.dummy_verify("secret", "alice")
        hasher.dummy_verify_sync("secret", "bob")
        await hasher.dummy_verify("secret")
        hasher.dummy_verify_sync("secret")
        assert noting.asked == [("secret", "alice"), ("secret", "bob")] + 2 * [("secret", "")]


class TestAtTheSameTime:
    """Checks share their work only where they are the same."""

    async def together(self, gated: Any, *calls: tuple[Any, ...]) -> list[Any]:
        answers: list[Any] = [None] * len(calls)

        async def call(position: int, function: Any, *args: Any) -> None:
            answers[position] = await function(*args)

        async with anyio.create_task_group() as tasks:
            for position, (function, *args) in enumerate(calls):
                tasks.start_soon(call, position, function, *args)
            # Each of them has asked by then, so that they could meet.
            await anyio.wait_all_tasks_blocked()
            gated.gate.set()
        return answers

    async def test_updates_of_other_pairs_are_others(self, gated: Any) -> None:
        update = caching(gated).verify_and_update
        assert await self.together(
            gated,
            (update, "a", "hash of a"),
            (update, "b", "hash of a"),
            (update, "a", "hash of b"),
            (update, "a", None),
        ) == [(True, None), (False, None), (False, None), (False, None)]

    async def test_a_check_is_no_update_and_no_dummy(self, gated: Any) -> None:
        hasher = caching(gated)
        for calls in (
            [hasher.verify, hasher.verify_and_update, hasher.dummy_verify],
            [hasher.dummy_verify, hasher.verify_and_update, hasher.verify],
        ):
            hasher.clear()
            gated.gate.clear()
            answers = await self.together(gated, *((call, "a", "hash of a") for call in calls))
            assert dict(zip([call.__name__ for call in calls], answers, strict=True)) == {
                "verify": True,
                "verify_and_update": (True, None),
                "dummy_verify": None,
            }


class TestMemory:
    async def test_each_clearing_forgets_what_is_being_checked(self, gated: Any) -> None:
        hasher = caching(gated)
        hasher.clear()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hasher.verify, "a", "hash of a")
            await anyio.to_thread.run_sync(gated.begun.acquire)
            hasher.clear()
            gated.gate.set()
        assert await hasher.verify("a", "hash of a")
        assert gated.checked == ["a", "a"]

    async def test_right_password_of_a_multi_hasher_is_checked_once(self) -> None:
        noting = Noting()
        hasher = caching(multi(noting))
        for _ in range(2):
            assert await hasher.verify_and_update("a", "hash of a") == (True, None)
        assert noting.asked == [("a", "hash of a")]

    @pytest.mark.parametrize("secret", ["\ud800", "a\udfff"])
    async def test_lone_surrogates_are_wrong_passwords(self, secret: str) -> None:
        hasher = caching(PBKDF2Hasher(rounds=1))
        hashed = hasher.make_sync("a")
        assert not await hasher.verify(secret, hashed)
        assert not hasher.verify_sync("a", secret)


class TestMessages:
    """They are what somebody has to go by, so they are right to the letter."""

    def test_no_hashers(self) -> None:
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - compared below
            MultiHasher([])
        assert str(raised.value) == "MultiHasher needs at least one hasher, the preferred one first"

    def test_first_one_makes_none(self) -> None:
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - compared below
            MultiHasher([LegacyHasher("django_salted_sha1")])
        assert str(raised.value) == (
            "The first hasher of a MultiHasher makes the new hashes, and a LegacyHasher makes "
            "none: put it behind another one"
        )

    def test_needs_update_too_early(self) -> None:
        with pytest.raises(RuntimeError) as raised:
            multi(Noting()).needs_update("hash of a")
        assert str(raised.value) == (
            "Call needs_update once, right after verify of the same hash and in the same task; "
            "elsewhere, use verify_and_update instead of both"
        )

    @pytest.mark.parametrize("numbers", [(0, 1), (60, 0)])
    def test_numbers_too_small(self, numbers: tuple[int, int]) -> None:
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - compared below
            CachingHasher(Noting(), ttl=numbers[0], max_entries=numbers[1])
        assert str(raised.value) == "ttl must be above 0 and finite, and max_entries at least 1"

    def test_hash_that_is_no_text(self) -> None:
        with pytest.raises(TypeError, match=r"^hashed must be a str or None, not int$"):
            multi(Noting()).verify_sync("a", 5)  # type: ignore[arg-type]

    async def test_user_id_that_is_no_text(self) -> None:
        with pytest.raises(TypeError) as raised:
            await caching(Noting()).dummy_verify("a", 5)  # type: ignore[arg-type]
        assert str(raised.value) == "username must be a str, not int"
