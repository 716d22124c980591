"""Hashers go to other processes by what they were made of."""

import copy
import functools
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import pytest

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    CachingHasher,
    CryptHasher,
    Hasher,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
)

HASHERS: list[BaseHasher] = [
    Argon2Hasher(memory_cost=64, time_cost=1, parallelism=1),
    BCryptHasher(rounds=4),
    CryptHasher(rounds=1000),
    PBKDF2Hasher(rounds=5),
    Hasher("scrypt", rounds=4),
    Hasher("django_pbkdf2_sha256", rounds=5),
    MultiHasher([PBKDF2Hasher(rounds=5), MultiHasher([BCryptHasher(rounds=4)])]),
]


class Peculiar(PBKDF2Hasher):
    """A hasher with a constructor and an attribute of its own."""

    def __init__(self, name: str) -> None:
        super().__init__(rounds=9)
        self.name = name


@pytest.mark.parametrize("hasher", HASHERS, ids=repr)
@pytest.mark.parametrize(
    "duplicate", [lambda hasher: pickle.loads(pickle.dumps(hasher)), copy.copy, copy.deepcopy]
)
def test_copy_works_as_the_original(
    hasher: BaseHasher, duplicate: Callable[[BaseHasher], BaseHasher]
) -> None:
    hashed = hasher.make_sync("secret")
    copied = duplicate(hasher)

    assert repr(copied) == repr(hasher)
    assert copied.verify_sync("secret", hashed)
    assert not copied.verify_sync("wrong", hashed)
    assert hasher.verify_sync("secret", copied.make_sync("secret"))
    assert copied.verify_and_update_sync("secret", hashed) == (True, None)


@pytest.mark.parametrize("name", ["hex_sha256", "django_salted_sha1", "werkzeug", "des_crypt"])
def test_legacy_hasher(name: str) -> None:
    copied = pickle.loads(pickle.dumps(LegacyHasher(name)))
    assert repr(copied) == f"LegacyHasher({name!r})"


def test_subclass_keeps_its_attributes() -> None:
    copied = pickle.loads(pickle.dumps(Peculiar("mine")))

    assert copied.name == "mine"
    assert "$9$" in copied.make_sync("secret")


def test_other_process_hashes() -> None:
    hasher = MultiHasher([Argon2Hasher(memory_cost=64, time_cost=1), PBKDF2Hasher(rounds=5)])
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as processes:
        hashed = processes.submit(hasher.make_sync, "secret").result(60)
        verify = functools.partial(hasher.verify_sync, "secret")
        assert processes.submit(verify, hashed).result(60)
    assert hasher.verify_sync("secret", hashed)


@pytest.mark.parametrize(
    "hasher",
    [
        CachingHasher(PBKDF2Hasher(), ttl=60, max_entries=9),
        MultiHasher([CachingHasher(PBKDF2Hasher(), ttl=60, max_entries=9)]),
    ],
    ids=["alone", "within"],
)
def test_caching_hasher_says_why_not(hasher: BaseHasher) -> None:
    with pytest.raises(TypeError, match="CachingHasher can't be pickled or copied: it holds"):
        pickle.dumps(hasher)
