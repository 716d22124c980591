"""Stored hashes move to the preferred hasher, one login after the other, and none is lost."""

import base64
import hashlib
import importlib
import logging
from collections.abc import Callable
from typing import Any

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

pytestmark = pytest.mark.anyio

PASSWORD = "pässwörd"
ARGON2 = Argon2Hasher(memory_cost=32, time_cost=1)
PBKDF2 = PBKDF2Hasher(rounds=10)
NEW = ARGON2

# Made by passlib 1.7.4 with bcrypt 4.0 as it makes them, which is what release 0.5.0 did.
OF_RELEASE_0_5_0 = [
    (
        PBKDF2Hasher(rounds=29_000),
        "$pbkdf2-sha256$29000$3FsLofQew7gXwnhvbU1JSQ$4bSbJ60HkH6m0fEN3xfNNLiQFXFXr1EOXQpHElp4Phk",
    ),
    (
        CryptHasher(rounds=535_000),
        "$5$rounds=535000$nne.ArxykTZhf1GC$HsZvVHshgJE2JAadB0fpbUKjomHapvmZcfZhamB6AV3",
    ),
    (
        BCryptHasher(rounds=12),
        "$2b$12$QKcCV1F9DJI.g9lp1Sw7Eu8DX4DtjB9AnW.CibaR5Mddi66w9U7Si",
    ),
    (
        Argon2Hasher(memory_cost=65_536, time_cost=3, parallelism=4),
        (
            "$argon2id$v=19$m=65536,t=3,p=4$r/V+L8W4t3aulRIiRAhBaA"
            "$nsF22hdV6Z387D9lv3KP23abnCKmiXGHH0A5KmLYrXA"
        ),
    ),
]


@pytest.mark.parametrize(("hasher", "stored"), OF_RELEASE_0_5_0, ids=str)
def test_hashes_of_release_0_5_0_verify(hasher: Hasher, stored: str) -> None:
    assert hasher.verify_sync(PASSWORD, stored)
    assert not hasher.needs_update(stored)
    assert MultiHasher([PBKDF2, *(other for other, _ in OF_RELEASE_0_5_0)]).identify(stored)


def test_long_password_of_release_0_5_0_keeps_its_bcrypt_hash() -> None:
    stored = "$2b$04$.0zGsdxA9oMDIXSVE5WS5u27DG3b7PZlys2W5ktjqVc4qy8zzkSaa"
    hasher = MultiHasher([BCryptHasher(rounds=5), PBKDF2])

    assert hasher.verify_and_update_sync("x" * 80, stored) == (True, None)
    # Its owner may have typed something else behind the 72 bytes.
    moved = MultiHasher([PBKDF2, BCryptHasher()])
    assert moved.verify_and_update_sync("x" * 80, stored) == (True, None)
    assert moved.verify_and_update_sync("x" * 72 + "other", stored) == (True, None)


def test_new_hasher_that_cannot_take_the_password_loses_no_login() -> None:
    stored = PBKDF2.make_sync("x" * 80)
    hasher = MultiHasher([BCryptHasher(rounds=4), PBKDF2])

    assert hasher.verify_and_update_sync("x" * 80, stored) == (True, None)
    assert hasher.verify_sync("x" * 80, stored)
    with pytest.raises(ValueError, match="72 bytes"):
        hasher.make_sync("x" * 80)


class TestMultiHasher:
    async def test_first_makes_and_all_verify(self) -> None:
        hasher = MultiHasher([ARGON2, PBKDF2])

        assert ARGON2.identify(await hasher.make("secret"))
        assert ARGON2.identify(hasher.make_sync("secret"))
        for old in (ARGON2, PBKDF2):
            stored = old.make_sync("secret")
            assert await hasher.verify("secret", stored)
            assert hasher.verify_sync("secret", stored)
            assert not await hasher.verify("wrong", stored)
            assert hasher.identify(stored)
        assert not hasher.identify("!")

    async def test_login_moves_the_hash(self) -> None:
        hasher = MultiHasher([ARGON2, PBKDF2])
        stored = PBKDF2.make_sync("secret")

        assert await hasher.verify_and_update("wrong", stored) == (False, None)
        valid, new = await hasher.verify_and_update("secret", stored)
        assert valid
        assert new is not None
        assert ARGON2.verify_sync("secret", new)
        assert await hasher.verify_and_update("secret", new) == (True, None)

    def test_settings_of_the_first_count(self) -> None:
        hasher = MultiHasher([PBKDF2Hasher(rounds=20), ARGON2])

        valid, new = hasher.verify_and_update_sync("secret", PBKDF2.make_sync("secret"))
        assert valid
        assert new is not None
        assert "$20$" in new

    def test_hashers_are_a_tuple(self) -> None:
        assert MultiHasher(iter([ARGON2, PBKDF2])).hashers == (ARGON2, PBKDF2)
        assert repr(MultiHasher([PBKDF2])) == "MultiHasher([PBKDF2Hasher(rounds=10)])"

    def test_empty_is_refused(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            MultiHasher([])

    @pytest.mark.parametrize("other", ["argon2", None, Hasher, 1])
    def test_what_is_no_hasher_is_refused(self, other: Any) -> None:
        with pytest.raises(TypeError, match="number 2"):
            MultiHasher([ARGON2, other])

    def test_class_in_place_of_a_hasher(self) -> None:
        classes: list[Any] = [Argon2Hasher]
        with pytest.raises(TypeError, match="is the class Argon2Hasher: make an instance"):
            MultiHasher(classes)

    @pytest.mark.parametrize(
        "first",
        [
            LegacyHasher("hex_md5"),
            LegacyHasher("werkzeug"),
            CachingHasher(LegacyHasher("hex_md5"), ttl=1, max_entries=1),
        ],
    )
    def test_first_must_make_hashes(self, first: BaseHasher) -> None:
        with pytest.raises(ValueError, match="put it behind another"):
            MultiHasher([first, ARGON2])

    def test_stored_hash_of_none_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)

        assert not MultiHasher([ARGON2, PBKDF2]).verify_sync("secret", "$2b$12$")

        assert caplog.messages == ["A stored hash is not of any of the hashers"]

    def test_unsalted_hashes_move(self) -> None:
        hasher = MultiHasher([ARGON2, LegacyHasher("hex_sha256")])
        stored = hashlib.sha256(b"secret").hexdigest()

        valid, new = hasher.verify_and_update_sync("secret", stored)
        assert valid
        assert new is not None
        assert ARGON2.identify(new)

    def test_they_nest(self) -> None:
        inner = MultiHasher([ARGON2, PBKDF2])
        crypt = CryptHasher(rounds=1000)
        for hasher in (
            MultiHasher([inner, crypt]),
            MultiHasher([ARGON2, MultiHasher([PBKDF2, crypt])]),
            MultiHasher([CachingHasher(inner, ttl=60, max_entries=9), crypt]),
            MultiHasher([MultiHasher([inner]), crypt]),
        ):
            for old in (ARGON2, PBKDF2, crypt):
                stored = old.make_sync("secret")
                assert not hasher.verify_sync("wrong", stored)
                assert not hasher.needs_update(stored)
                for _ in range(2):
                    assert hasher.verify_sync("secret", stored)
                    assert hasher.needs_update(stored) is (old is not ARGON2)
                _, new = hasher.verify_and_update_sync("secret", stored)
                assert (new is not None) is (old is not ARGON2)


class TestCost:
    """A check that fails costs one check, whatever is stored: counted."""

    @pytest.fixture
    def hasher(self, counted: Callable[[Hasher], Hasher]) -> MultiHasher:
        new, old = counted(PBKDF2Hasher(rounds=1000)), counted(Hasher("pbkdf2_sha512", rounds=50))
        return MultiHasher([new, old])

    def test_of_an_unknown_user(self, hasher: MultiHasher, work: Any) -> None:
        hasher.dummy_verify_sync("wrong", "alice")
        assert work.take() == [1000]

    @pytest.mark.parametrize("stored", [None, "", "!", "$pbkdf2-sha256$x", "$pbkdf2-sha512$x"])
    def test_of_what_is_no_hash(self, hasher: MultiHasher, work: Any, stored: str | None) -> None:
        assert not hasher.verify_sync("wrong", stored)
        assert work.take() == [1000]

    def test_of_the_preferred(self, hasher: MultiHasher, work: Any) -> None:
        stored = PBKDF2Hasher(rounds=1000).make_sync("secret")

        assert not hasher.verify_sync("wrong", stored)
        assert work.take() == [1000]

    @pytest.mark.parametrize("rounds", [50, 20])
    def test_of_another_is_its_own(self, hasher: MultiHasher, work: Any, rounds: int) -> None:
        stored = Hasher("pbkdf2_sha512", rounds=rounds).make_sync("secret")

        # Also where it is outdated for its own hasher.
        assert not hasher.verify_sync("wrong", stored)
        assert work.take() == [rounds]
        assert hasher.verify_and_update_sync("wrong", stored) == (False, None)
        assert work.take() == [rounds]
        assert hasher.verify_sync("secret", stored)
        assert work.take() == [rounds]

    def test_of_nested_ones_is_one(
        self, counted: Callable[[Hasher], Hasher], work: Any, hasher: MultiHasher
    ) -> None:
        first = counted(PBKDF2Hasher(rounds=3000))
        stored = Hasher("pbkdf2_sha512", rounds=20).make_sync("secret")

        class Django(LegacyHasher):
            pass

        behind = MultiHasher([first, Django("hex_md5"), MultiHasher([PBKDF2, hasher])])
        assert not behind.verify_sync("wrong", stored)
        assert work.take() == [20]
        ahead = MultiHasher([hasher, LegacyHasher("hex_md5")])
        assert not ahead.verify_sync("wrong", stored)
        assert work.take() == [20]
        assert not ahead.verify_sync("wrong", "0" * 32)
        assert work.take() == []  # but for the MD5
        assert not ahead.verify_sync("wrong", None)
        assert work.take() == [1000]

    async def test_awaited_costs_the_same(self, hasher: MultiHasher, work: Any) -> None:
        stored = Hasher("pbkdf2_sha512", rounds=20).make_sync("secret")

        assert not await hasher.verify("wrong", stored)
        assert work.take() == [20]
        await hasher.dummy_verify("wrong", "alice")
        assert work.take() == [1000]

    def test_overridden_methods_are_used(self) -> None:
        class Peppered(PBKDF2Hasher):
            def make_sync(self, secret: str) -> str:
                return super().make_sync("pepper" + secret)

            def verify_sync(self, secret: str, hashed: str | None) -> bool:
                return super().verify_sync("pepper" + secret, hashed)

        old = Peppered(rounds=5)
        hasher = MultiHasher([ARGON2, old])

        assert hasher.verify_sync("secret", old.make_sync("secret"))
        assert not hasher.verify_sync("secret", PBKDF2.make_sync("secret"))


class Server:
    """One of several over one store, whose logins upgrade hashes."""

    def __init__(self, store: dict[str, str], hasher: BaseHasher) -> None:
        self.store = store
        self.hasher = hasher

    async def register(self, name: str, password: str) -> None:
        self.store[name] = await self.hasher.make(password)

    async def login(self, name: str, password: str) -> bool:
        stored = self.store[name]
        valid, new = await self.hasher.verify_and_update(password, stored)
        if new is not None and self.store[name] == stored:
            self.store[name] = new
        return valid


async def test_rollout_in_two_steps_and_back_loses_no_login() -> None:
    old, new = PBKDF2, ARGON2
    store: dict[str, str] = {}
    servers = [Server(store, old), Server(store, old)]
    users: list[str] = []

    async def everybody_logs_in() -> None:
        for server in servers:
            users.append(f"user{len(users)}")
            await server.register(users[-1], users[-1])
        for user in users:
            for server in servers:
                assert await server.login(user, user)
                assert not await server.login(user, "wrong")

    await everybody_logs_in()
    reads: list[BaseHasher] = [old, new]
    writes: list[BaseHasher] = [new, old]
    # All read the new format first; then one after the other writes it; and all the way back.
    for step in (reads, writes, reads):
        for server in servers:
            server.hasher = MultiHasher(step)
            await everybody_logs_in()
        if step is writes:
            assert all(map(new.identify, store.values()))
    assert all(map(old.identify, store.values()))
    for server in servers:
        server.hasher = old
        await everybody_logs_in()


@pytest.fixture(scope="session")
def django() -> Any:
    """Return `django.contrib.auth.hashers`, which has no types of its own."""
    names = [
        *("PBKDF2PasswordHasher", "PBKDF2SHA1PasswordHasher", "Argon2PasswordHasher"),
        *("BCryptSHA256PasswordHasher", "BCryptPasswordHasher"),
    ]
    paths = [f"django.contrib.auth.hashers.{name}" for name in names]
    importlib.import_module("django.conf").settings.configure(PASSWORD_HASHERS=paths)
    return importlib.import_module("django.contrib.auth.hashers")


class TestDjango:
    """Its hashes are passlib's `django_…`, checked against Django itself."""

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ("pbkdf2_sha256", "django_pbkdf2_sha256"),
            ("pbkdf2_sha1", "django_pbkdf2_sha1"),
            ("argon2", "django_argon2"),
            ("bcrypt_sha256", "django_bcrypt_sha256"),
            ("bcrypt", "django_bcrypt"),
        ],
    )
    @pytest.mark.parametrize("wrap", [Hasher, LegacyHasher])
    async def test_hash_is_verified_and_upgraded(
        self, django: Any, theirs: str, ours: str, wrap: Callable[[str], BaseHasher]
    ) -> None:
        maker = django.get_hasher(theirs)
        # As cheap as it can be made.
        for name, value in (("iterations", 1000), ("rounds", 4), ("memory_cost", 1024)):
            if hasattr(maker, name):
                setattr(maker, name, value)
        stored = maker.encode(PASSWORD, maker.salt())
        hasher = MultiHasher([NEW, wrap(ours)])

        assert not hasher.verify_sync("wrong", stored)
        valid, new = await hasher.verify_and_update(PASSWORD, stored)
        assert valid
        assert new is not None
        assert NEW.verify_sync(PASSWORD, new)

    def test_django_verifies_ours(self, django: Any) -> None:
        for hasher in (
            Hasher("django_pbkdf2_sha256", rounds=10),
            Hasher("django_bcrypt", rounds=4),
            Hasher("django_bcrypt_sha256", rounds=4),
            Hasher("django_argon2", memory_cost=64, time_cost=1),
        ):
            assert django.check_password(PASSWORD, hasher.make_sync(PASSWORD))
            assert not django.check_password("wrong", hasher.make_sync(PASSWORD))

    # As Django 5.2 makes them, at its own costs.
    @pytest.mark.parametrize(
        ("name", "stored"),
        [
            (
                "django_pbkdf2_sha256",
                (
                    "pbkdf2_sha256$1000000$vPk9MosygOYIaMzsMM1yqT$"
                    "WZQYjcZZDVODgUurRajrdOL0D/GA3/3zjDS5IsZA6Fc="
                ),
            ),
            (
                "django_argon2",
                (
                    "argon2$argon2id$v=19$m=102400,t=2,p=8$RmY0WHptYmxEUzM5b05BbEM3Zm5sSQ$"
                    "r3feMPvKYSSOIbFB2vgK1k4B2Dbz/wgPWYuUKf9NsOY"
                ),
            ),
            (
                "django_bcrypt_sha256",
                "bcrypt_sha256$$2b$12$O9I5S/YbfkfCOWWwF4729.7/YPRmze.8LZlYO8auIlagUaaZq3PFi",
            ),
            (
                "django_bcrypt",
                "bcrypt$$2b$12$fNTKMgzIq1zDVCn1TyLja.lpxra6/hX6i6ipfBdpktNouSWH47swa",
            ),
        ],
    )
    def test_hash_of_its_own_costs(self, name: str, stored: str) -> None:
        assert LegacyHasher(name).verify_sync(PASSWORD, stored)

    def test_disabled_marker_is_wrong(self, django: Any) -> None:
        hasher = MultiHasher([NEW, LegacyHasher("django_pbkdf2_sha256")])
        assert not hasher.verify_sync("", django.make_password(None))


class TestWerkzeug:
    """Both of its formats, checked against Werkzeug itself."""

    @pytest.mark.parametrize(
        "method",
        [
            *("scrypt", "scrypt:16:2:3", "scrypt:1024:8:2"),
            *("pbkdf2:sha256:10", "pbkdf2:sha512:10", "pbkdf2:sha1:10", "pbkdf2:sha384:10"),
        ],
    )
    async def test_hash_is_verified_and_upgraded(self, method: str) -> None:
        from werkzeug.security import generate_password_hash

        stored = generate_password_hash(PASSWORD, method)
        hasher = MultiHasher([NEW, LegacyHasher("werkzeug")])

        assert hasher.identify(stored)
        assert await hasher.verify_and_update("wrong", stored) == (False, None)
        valid, new = await hasher.verify_and_update(PASSWORD, stored)
        assert valid
        assert new is not None
        assert NEW.verify_sync(PASSWORD, new)

    def test_nul_at_the_end_is_not_nothing(self) -> None:
        from werkzeug.security import check_password_hash, generate_password_hash

        stored = generate_password_hash("secret", "pbkdf2:sha256:1")

        assert check_password_hash(stored, "secret\0")  # so does HMAC
        assert not LegacyHasher("werkzeug").verify_sync("secret\0", stored)


def test_hashes_of_pwdlib_are_plain() -> None:
    # It makes `$argon2id$…` with argon2-cffi and `$2b$…` with bcrypt, as they are.
    import argon2
    import bcrypt

    hasher = MultiHasher([ARGON2, BCryptHasher()])

    assert hasher.verify_sync("secret", argon2.PasswordHasher(1, 64, 1).hash("secret"))
    assert hasher.verify_sync("secret", bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode())


def test_salt_of_any_bytes() -> None:
    salt = bytes(range(200, 240))
    encoded = base64.b64encode(salt).decode().rstrip("=").replace("+", ".")
    digest = hashlib.pbkdf2_hmac("sha256", b"secret", salt, 3)
    checksum = base64.b64encode(digest).decode().rstrip("=").replace("+", ".")

    assert PBKDF2.verify_sync("secret", f"$pbkdf2-sha256$3${encoded}${checksum}")
