"""A hash is outdated if it is less work than a new one, and never if it takes more memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from starlette_auth_hashers._passlib import load_algorithm

pytestmark = pytest.mark.anyio


def argon2(memory_cost: int, time_cost: int, parallelism: int) -> Hasher:
    return Argon2Hasher(memory_cost=memory_cost, time_cost=time_cost, parallelism=parallelism)


def scrypt(rounds: int, block_size: int, parallelism: int) -> Hasher:
    return Hasher("scrypt", rounds=rounds, block_size=block_size, parallelism=parallelism)


SETTINGS = [
    # The hasher, the hasher that made the stored hash, and whether that is outdated.
    (PBKDF2Hasher(rounds=10), PBKDF2Hasher(rounds=9), True),
    (PBKDF2Hasher(rounds=10), PBKDF2Hasher(rounds=10), False),
    (PBKDF2Hasher(rounds=10), PBKDF2Hasher(rounds=11), False),
    (PBKDF2Hasher(rounds=1000), PBKDF2Hasher(rounds=2000), False),
    (CryptHasher(rounds=2000), CryptHasher(rounds=1999), True),
    (CryptHasher(rounds=2000), CryptHasher(rounds=2000), False),
    (CryptHasher(rounds=2000), CryptHasher(rounds=5000), False),  # written without its rounds
    (CryptHasher(rounds=5001), CryptHasher(rounds=5000), True),
    (BCryptHasher(rounds=5), BCryptHasher(rounds=4), True),
    (BCryptHasher(rounds=5), BCryptHasher(rounds=5), False),
    (BCryptHasher(rounds=4), BCryptHasher(rounds=5), False),
    (argon2(64, 2, 2), argon2(64, 2, 2), False),
    (argon2(64, 2, 2), argon2(63, 2, 2), True),
    (argon2(64, 2, 2), argon2(64, 1, 2), True),
    (argon2(64, 2, 2), argon2(64, 2, 1), False),
    (argon2(64, 2, 2), argon2(65, 2, 2), False),
    (argon2(64, 2, 2), argon2(64, 3, 2), False),
    (argon2(64, 2, 2), argon2(64, 2, 3), False),
    (argon2(64, 2, 2), argon2(128, 4, 4), False),
    (argon2(64, 2, 2), argon2(128, 1, 4), False),  # as much work
    (argon2(64, 2, 2), argon2(32, 8, 4), False),
    (argon2(64, 2, 2), argon2(128, 8, 1), False),
    (argon2(64, 4, 2), argon2(32, 7, 2), True),
    (argon2(64, 4, 2), argon2(96, 2, 2), False),  # less work, and more memory
    (scrypt(4, 2, 2), scrypt(4, 2, 2), False),
    (scrypt(4, 2, 4), scrypt(5, 2, 1), False),  # less work, and more memory
    (scrypt(4, 2, 2), scrypt(3, 2, 2), True),
    (scrypt(4, 2, 2), scrypt(4, 1, 2), True),
    (scrypt(4, 2, 2), scrypt(4, 2, 1), True),
    (scrypt(4, 2, 2), scrypt(5, 3, 3), False),
    (scrypt(4, 2, 2), scrypt(5, 1, 3), False),
    *(
        (Hasher(name, rounds=20), Hasher(name, rounds=rounds), rounds < 20)
        for name in ("django_pbkdf2_sha256", "ldap_pbkdf2_sha256", "pbkdf2_sha512", "fshp", "scram")
        for rounds in (19, 20, 21)
    ),
    *(
        (Hasher(name, rounds=5), Hasher(name, rounds=rounds), rounds < 5)
        for name in ("bcrypt_sha256", "django_bcrypt", "django_bcrypt_sha256", "ldap_bcrypt")
        for rounds in (4, 5)
    ),
    (Hasher("md5_crypt"), Hasher("md5_crypt"), False),
]


@pytest.mark.parametrize(("hasher", "other", "outdated"), SETTINGS, ids=str)
class TestTable:
    def test_needs_update(self, hasher: Hasher, other: Hasher, outdated: bool) -> None:
        hashed = other.make_sync("secret")

        # It has no state: asked any number of times, with or without a check.
        assert hasher.needs_update(hashed) is outdated
        assert hasher.needs_update(hashed) is outdated

    async def test_verify_and_update(self, hasher: Hasher, other: Hasher, outdated: bool) -> None:
        hashed = other.make_sync("secret")

        for valid, new in (
            hasher.verify_and_update_sync("secret", hashed),
            await hasher.verify_and_update("secret", hashed),
        ):
            assert valid
            assert (new is not None) is outdated
            if new is not None:
                assert hasher.verify_sync("secret", new)
                assert not hasher.needs_update(new)
        assert hasher.verify_and_update_sync("wrong", hashed) == (False, None)


def test_stronger_hashes_of_others_are_kept() -> None:
    # Django 6.0's PBKDF2, and 64 MiB of Argon2 for a hasher of 19.
    django = "pbkdf2_sha256$1500000$salt$" + "A" * 43 + "="
    mine = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$" + "A" * 43

    assert not Hasher("django_pbkdf2_sha256").needs_update(django)
    assert not argon2(19_456, 2, 1).needs_update(mine)


@pytest.mark.parametrize("hashed", ["", "!", "$5$salt$x", "$argon2id$v=19$m=1", "x" * 10_000_000])
def test_what_is_no_hash_of_it_is_not_outdated(hashed: str) -> None:
    assert not Argon2Hasher().needs_update(hashed)


class Reversing(BaseHasher):
    """What somebody writes: two methods."""

    def make_sync(self, secret: str) -> str:
        if not secret.isalpha():
            raise ValueError("letters only")
        return "reversed:" + secret[::-1]

    def verify_sync(self, secret: str, hashed: str | None) -> bool:
        return hashed == "reversed:" + secret[::-1]


class TestOwnHasher:
    async def test_two_methods_get_the_rest(self) -> None:
        hasher = Reversing()

        hashed = await hasher.make("secret")
        assert hashed == "reversed:terces"
        assert await hasher.verify("secret", hashed)
        assert not await hasher.verify("wrong", hashed)
        assert not await hasher.verify("wrong", None)
        assert await hasher.verify_and_update("secret", hashed) == (True, None)
        assert hasher.verify_and_update_sync("secret", hashed) == (True, None)
        assert hasher.verify_and_update_sync("wrong", hashed) == (False, None)
        assert hasher.identify("anything")
        assert not hasher.needs_update("anything")

    async def test_dummy_makes_one_hash(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[str] = []
        monkeypatch.setattr(Reversing, "make_sync", lambda _, secret: made.append(secret))

        Reversing().dummy_verify_sync("secret", "alice")
        await Reversing().dummy_verify("secret", "alice")
        assert made == ["secret", "secret"]

    def test_dummy_of_what_it_refuses(self) -> None:
        Reversing().dummy_verify_sync("1234")

    def test_its_own_needs_update_counts(self) -> None:
        class Newer(Reversing):
            def needs_update(self, hashed: str) -> bool:
                return True

        assert Newer().verify_and_update_sync("secret", "reversed:terces") == (
            True,
            "reversed:terces",
        )
        assert Newer().verify_and_update_sync("12", "reversed:21") == (True, None)

    def test_both_methods_are_needed(self) -> None:
        with pytest.raises(TypeError, match="abstract"):
            BaseHasher()  # type: ignore[abstract] # that is the test

    def test_legacy_hasher_is_never_outdated(self) -> None:
        assert not LegacyHasher("hex_md5").needs_update("0" * 32)


class TestVariantsOfArgon2:
    """A weaker kind is outdated, unless it costs more than a new hash (RFC 9106 section 3.1)."""

    NEW = argon2(64, 2, 2)
    RAW = "m=64,t=2,p=2$c2FsdHNhbHQ$"

    @pytest.mark.parametrize(
        ("stored", "outdated"),
        [
            (f"$argon2id$v=19${RAW}{'A' * 43}", False),
            (f"$argon2i$v=19${RAW}{'A' * 43}", True),
            (f"$argon2d$v=19${RAW}{'A' * 43}", True),
            (f"$argon2id$v=16${RAW}{'A' * 43}", True),
            (f"$argon2id${RAW}{'A' * 43}", True),  # Version 16 is not written.
            (f"$argon2id$v=19${RAW}{'A' * 6}", True),  # 4 bytes
            (f"$argon2id$v=19${RAW}{'A' * 20}", True),  # 15 bytes
            (f"$argon2id$v=19${RAW}{'A' * 22}", False),  # 16 bytes
            (f"$argon2i$v=19$m=65,t=1,p=1$c2FsdHNhbHQ${'A' * 43}", False),
            (f"$argon2i$v=16$m=64,t=3,p=1$c2FsdHNhbHQ${'A' * 6}", False),
            (f"$argon2id$v=19${RAW[:-1]}", False),  # It has no digest, and verifies nothing.
        ],
    )
    def test_table(self, stored: str, outdated: bool) -> None:
        assert self.NEW.needs_update(stored) is outdated

    @pytest.mark.parametrize(
        "stored",
        [
            # libsodium's crypto_pwhash with OPSLIMIT_SENSITIVE, and RFC 9106 section 4, first.
            f"$argon2id$v=19$m=1048576,t=4,p=1$c2FsdHNhbHQ${'A' * 43}",
            f"$argon2id$v=19$m=2097152,t=1,p=4$c2FsdHNhbHQ${'A' * 43}",
        ],
    )
    def test_stronger_ones_of_others_are_kept(self, stored: str) -> None:
        assert not Argon2Hasher().needs_update(stored)


costs = st.tuples(st.integers(64, 200), st.integers(1, 6), st.integers(1, 4))


@given(
    new=costs,
    stored=costs,
    kind=st.sampled_from(["id", "i", "d"]),
    version=st.sampled_from([16, 19]),
    size=st.sampled_from([6, 22, 43]),
)
def test_replaced_argon2_never_costs_more_than_its_replacement(
    new: tuple[int, int, int], stored: tuple[int, int, int], kind: str, version: int, size: int
) -> None:
    memory, passes, lanes = stored
    hashed = f"$argon2{kind}$v={version}$m={memory},t={passes},p={lanes}$c2FsdHNhbHQ${'A' * size}"

    if argon2(*new).needs_update(hashed):
        assert memory * passes <= new[0] * new[1]
        assert memory <= new[0]
    elif memory * passes < new[0] * new[1]:
        assert memory > new[0]


@given(
    new=st.tuples(st.integers(1, 8), st.integers(1, 9), st.integers(1, 9)),
    stored=st.tuples(st.integers(1, 8), st.integers(1, 9), st.integers(1, 9)),
)
def test_replaced_scrypt_never_costs_more_than_its_replacement(
    new: tuple[int, int, int], stored: tuple[int, int, int]
) -> None:
    def work(costs: tuple[int, int, int]) -> int:
        return int(2 ** costs[0]) * costs[1] * costs[2]

    hashed = "$scrypt$ln={},r={},p={}$c2FsdHNhbHQ$".format(*stored) + "A" * 43
    if scrypt(*new).needs_update(hashed):
        assert work(stored) < work(new)
        assert 2 ** stored[0] * stored[1] <= 2 ** new[0] * new[1]


def make(name: str, secret: str) -> str:
    """Hash a password as the program did that the hash comes from."""
    handler = load_algorithm(name, {}, {}, {}).handler
    if "bcrypt" in name or name == "scram":
        handler = handler.using(rounds=4)
    return str(handler.hash(secret))


class TestLookAlikes:
    """Where the old algorithm can't tell passwords apart, the hash stays as it is.

    Another password than the owner's is let in there, and must not become the only one.
    """

    @pytest.mark.parametrize(
        ("name", "owner", "typed"),
        [
            ("bcrypt", "x" * 72 + "owner", "x" * 72 + "other"),
            ("django_bcrypt", "x" * 72 + "owner", "x" * 73),
            ("ldap_bcrypt", "é" * 36 + "owner", "é" * 37),
            ("des_crypt", "password1", "password2"),
            ("ldap_des_crypt", "password1", "password" + "x"),
            ("django_des_crypt", "password1", "password2"),
            ("des_crypt", "pC!", "pá"),
            ("bsdi_crypt", "pC!", "pá"),
            ("crypt16", "x" * 16 + "owner", "x" * 16 + "other"),
            ("lmhash", "Secret", "sECRET"),
            ("lmhash", "x" * 14 + "owner", "x" * 14 + "other"),
            ("mysql323", "secret", "sec ret"),
            ("scram", "fi", "ﬁ"),
        ],
    )
    @pytest.mark.parametrize("wrapped", [False, True])
    async def test_no_new_hash_is_made_of_one(
        self, name: str, owner: str, typed: str, wrapped: bool
    ) -> None:
        old: BaseHasher = LegacyHasher(name)
        if wrapped:
            old = CachingHasher(MultiHasher([PBKDF2Hasher(rounds=9), old]), ttl=60, max_entries=9)
        hasher = MultiHasher([PBKDF2Hasher(rounds=10), old])
        hashed = make(name, owner)

        assert await hasher.verify_and_update(typed, hashed) == (True, None)

    @pytest.mark.parametrize("cached", [False, True])
    async def test_needs_update_answers_no(self, cached: bool) -> None:
        # Whoever asks it makes the new hash himself.
        multi = MultiHasher([PBKDF2Hasher(rounds=10), LegacyHasher("bcrypt")])
        hasher = CachingHasher(multi, ttl=60, max_entries=9) if cached else multi
        for secret, outdated in (("x" * 72, True), ("x" * 73, False)):
            hashed = make("bcrypt", secret)
            for _ in range(2):  # the second time from memory, where that is cached
                assert hasher.verify_sync(secret, hashed)
                assert hasher.needs_update(hashed) is outdated
                assert await hasher.verify(secret, hashed)
                assert hasher.needs_update(hashed) is outdated

    @pytest.mark.parametrize("name", ["bcrypt", "des_crypt", "crypt16", "mysql323", "scram"])
    def test_others_move(self, name: str) -> None:
        hashed = make(name, "secret")
        hasher = MultiHasher([PBKDF2Hasher(rounds=10), LegacyHasher(name)])

        valid, new = hasher.verify_and_update_sync("secret", hashed)
        assert valid
        assert new is not None
