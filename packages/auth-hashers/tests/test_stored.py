"""Whatever is stored and whatever is typed: an answer, at the cost of a wrong password."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
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
from starlette_auth_hashers._formats._werkzeug import Werkzeug

pytestmark = pytest.mark.anyio

PBKDF2 = PBKDF2Hasher(rounds=7)
ARGON2 = Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1)
WERKZEUG = LegacyHasher("werkzeug")
HASHERS: list[BaseHasher] = [
    PBKDF2,
    CryptHasher(rounds=1000),
    BCryptHasher(rounds=4),
    ARGON2,
    Hasher("scrypt", rounds=1),
    Hasher("django_pbkdf2_sha256", rounds=1),
    Hasher("django_bcrypt_sha256", rounds=4),
    Hasher("scram", rounds=1),
    LegacyHasher("hex_sha256"),
    LegacyHasher("des_crypt"),
    WERKZEUG,
    MultiHasher([ARGON2, PBKDF2, WERKZEUG, LegacyHasher("hex_md5")]),
    CachingHasher(MultiHasher([PBKDF2, ARGON2]), ttl=60, max_entries=10),
]
each = pytest.mark.parametrize("hasher", HASHERS, ids=str)
GOOD = [hasher.make_sync("secret") for hasher in HASHERS[:8]] + [
    "scrypt:2:1:1$salt$" + "00" * 64,
    "pbkdf2:sha256:1$salt$" + "00" * 32,
]
NO_HASHES = [
    *("", " ", "!", "*", "!!", "x", "$", "$$", "None", "secret", "unusable", "\0", "\ud800", "é"),
    *("$pbkdf2-sha256$", "$5$", "$5$rounds=x$a$b", "$2b$12$", "$argon2id$", "$argon2id$v=19$m=8"),
    *("$pbkdf2-sha256$1$!$!", "$pbkdf2-sha256$0$a$b", "$pbkdf2-sha256$-1$aa$bb"),
    *("$2b$04$" + "." * 52, "$2b$04$" + "." * 54, "$2b$99$" + "." * 53, "$2x$04$" + "." * 53),
    *("$scrypt$ln=0,r=0,p=0$$", "$scrypt$ln=999,r=1,p=1$AA$AA", "$7$C6..../....SodiumChloride$x"),
    *("scrypt:", "scrypt:1:1:1$a$" + "0" * 128, "scrypt:3:1:1$a$" + "0" * 128),
    *("scrypt:0:0:0$a$" + "0" * 128, "pbkdf2:sha256:0$a$" + "0" * 64, "pbkdf2:md5:1$a$" + "0" * 64),
    *("pbkdf2:sha256:٣$a$" + "0" * 64, "$scram$1$a$foo=bar", "bcrypt_sha256$$2b$04$", "md5$a$"),
    *("x" * 4_000_000, "$argon2id$v=19$m=8,t=1,p=1$" + "A" * 2_000_000, "\0" * 5000),
]


@pytest.fixture(scope="module", autouse=True)
def _cheap_dummy_of_werkzeug() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Werkzeug, "today", "scrypt:2:1:1$salt$" + "00" * 64)
        yield


class TestAnything:
    @each
    @pytest.mark.parametrize("hashed", [None, *NO_HASHES], ids=lambda hashed: repr(hashed)[:30])
    def test_what_is_no_hash_is_wrong(self, hasher: BaseHasher, hashed: str | None) -> None:
        for secret in ("secret", "", hashed or "x"):
            assert hasher.verify_sync(secret, hashed) is False
            assert hasher.verify_and_update_sync(secret, hashed) == (False, None)
        if hashed is not None:
            assert hasher.identify(hashed) in {True, False}

    @each
    @pytest.mark.parametrize(
        "secret", ["", "x" * 4_000_000, "\0", "a\0b", "\ud800", "é" * 3000, "\u0007", "\uffff"]
    )
    async def test_what_is_no_password_is_wrong(self, hasher: BaseHasher, secret: str) -> None:
        for hashed in [None, "!", *GOOD]:
            assert hasher.verify_sync(secret, hashed) is False
        hasher.dummy_verify_sync(secret)
        assert await hasher.verify(secret, GOOD[0]) is False
        await hasher.dummy_verify(secret, secret)

    @given(secret=st.text(st.characters()), hashed=st.text(st.characters()))
    @example(secret="", hashed="")
    @each
    def test_any_two_texts(self, hasher: BaseHasher, secret: str, hashed: str) -> None:
        assert hasher.verify_sync(secret, hashed) is False

    @given(data=st.data())
    @each
    def test_any_damaged_hash(self, hasher: BaseHasher, data: st.DataObject) -> None:
        good = data.draw(st.sampled_from(GOOD))
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(good))] * 2)))
        # Digits would make some that take long.
        middle = data.draw(st.text(st.characters(exclude_categories=["N"]), max_size=3))

        assert hasher.verify_sync("wrong", good[:start] + middle + good[end:]) is False

    @each
    def test_wrong_case_and_added_characters(self, hasher: BaseHasher) -> None:
        for good in GOOD:
            for damaged in (good + "x", good + "\n", " " + good, good.upper(), good[:-1]):
                assert hasher.verify_sync("wrong", damaged) is False

    def test_no_password_is_found_out_by_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        for hasher in HASHERS:
            for hashed in ["$2b$12$stored", *GOOD, "pbkdf2:stored", "!stored", "x" * 9000]:
                for secret in ("typed", "typed\0", "typed\ud800", "typed" * 1000):
                    hasher.verify_sync(secret, hashed)

        assert caplog.messages
        for message in caplog.messages:
            assert "typed" not in message
            assert "stored " not in message.replace("stored hash", "")
            assert "$" not in message

    @pytest.mark.parametrize(
        ("secret", "hashed", "message"),
        [
            ("a\0b", GOOD[2], "A password was refused: bcrypt can't take it"),
            ("x" * 5000, GOOD[2], "A password was refused: bcrypt can't take it"),
            # An account without a password is in order: nothing to warn of at each login.
            ("secret", "!", None),
            ("secret", "*LK*", None),
            ("secret", "!$2b$04$" + 53 * ".", None),
            ("secret", "x", "A stored hash of bcrypt is malformed, or costs too much"),
            (
                "secret",
                "$2b$31$" + GOOD[2][7:],
                "A stored hash of bcrypt is malformed, or costs too much",
            ),
            ("wrong", GOOD[2], None),
            ("secret", None, None),
        ],
    )
    def test_log_says_which_was_bad(
        self,
        caplog: pytest.LogCaptureFixture,
        secret: str,
        hashed: str | None,
        message: str | None,
    ) -> None:
        caplog.set_level(logging.INFO)

        assert not BCryptHasher(rounds=4).verify_sync(secret, hashed)

        assert caplog.messages == ([message] if message else [])


class TestCost:
    """False costs as much as a wrong password does: counted, not timed."""

    @pytest.mark.parametrize(
        "hashed", [None, "", "!", "$2b$04$x", "$pbkdf2-sha256$7$!$", "x" * 9000, GOOD[3]]
    )
    def test_of_what_is_no_hash(
        self, counted: Callable[[Hasher], Hasher], work: Any, hashed: str | None
    ) -> None:
        hasher = counted(PBKDF2Hasher(rounds=7))

        assert not hasher.verify_sync("secret", hashed)
        assert work.take() == [7]

    @pytest.mark.parametrize("secret", ["x" * 5000, "a\0", "\ud800"])
    def test_of_what_is_no_password(
        self, counted: Callable[[Hasher], Hasher], work: Any, secret: str
    ) -> None:
        hasher = counted(PBKDF2Hasher(rounds=7))

        assert not hasher.verify_sync(secret, GOOD[0])
        assert work.take() == [7]
        hasher.dummy_verify_sync(secret)
        assert work.take() == [7]

    def test_of_a_wrong_and_a_right_password(
        self, counted: Callable[[Hasher], Hasher], work: Any
    ) -> None:
        hasher = counted(PBKDF2Hasher(rounds=7))

        assert not hasher.verify_sync("wrong", GOOD[0])
        assert work.take() == [7]
        assert hasher.verify_sync("secret", GOOD[0])
        assert work.take() == [7]

    def test_of_a_wrong_password_against_an_outdated_hash(
        self, counted: Callable[[Hasher], Hasher], work: Any
    ) -> None:
        hasher = counted(PBKDF2Hasher(rounds=9))

        assert not hasher.verify_sync("wrong", GOOD[0])
        assert work.take() == [7]
        assert hasher.verify_and_update_sync("wrong", GOOD[0]) == (False, None)
        assert work.take() == [7]
        assert hasher.verify_sync("secret", GOOD[0])
        assert work.take() == [7]

    def test_of_a_stronger_hash_is_its_own(
        self, counted: Callable[[Hasher], Hasher], work: Any
    ) -> None:
        hasher = counted(PBKDF2Hasher(rounds=5))

        assert not hasher.verify_sync("wrong", GOOD[0])
        assert work.take() == [7]

    def test_legacy_hasher_alone(self) -> None:
        hasher = LegacyHasher("pbkdf2_sha256")

        assert hasher.verify_sync("secret", GOOD[0])
        assert not hasher.verify_sync("secret", "!")
        assert not hasher.verify_sync("secret", None)
        assert hasher.verify_and_update_sync("secret", GOOD[0]) == (True, None)


class TestCeilings:
    """A stored hash that would cost far beyond reason is refused, not computed."""

    @pytest.mark.parametrize(
        ("hasher", "hashed"),
        [
            (PBKDF2, "$pbkdf2-sha256$2147483648$c2FsdA$" + "A" * 43),
            (PBKDF2, "$pbkdf2-sha256$10000001$c2FsdA$" + "A" * 43),
            (ARGON2, "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43),
            (ARGON2, "$argon2id$v=19$m=65536,t=1000000,p=1$c2FsdHNhbHQ$" + "A" * 43),
            # Each setting by itself is one that somebody uses.
            (ARGON2, "$argon2id$v=19$m=2097152,t=32,p=64$c2FsdHNhbHQ$" + "A" * 43),
            (ARGON2, "$argon2id$v=19$m=1048576,t=5,p=1$c2FsdHNhbHQ$" + "A" * 43),
            (BCryptHasher(rounds=4), "$2b$31$" + "." * 53),
            (BCryptHasher(rounds=4), "$2b$17$" + "." * 53),
            (CryptHasher(rounds=1000), "$5$rounds=999999999$salt$" + "." * 43),
            (Hasher("scrypt", rounds=1), "$scrypt$ln=30,r=8,p=1$AAAA$" + "A" * 43),
            (Hasher("scrypt", rounds=1), "$scrypt$ln=17,r=800,p=1$AAAA$" + "A" * 43),
            (Hasher("scrypt", rounds=1), "$scrypt$ln=20,r=8,p=16$AAAA$" + "A" * 43),
            (Hasher("scrypt", rounds=1), "$scrypt$ln=20,r=8,p=2$AAAA$" + "A" * 43),
            (Hasher("phpass", rounds=7), "$P$Q12345678" + "." * 22),
            (Hasher("sun_md5_crypt", rounds=1), "$md5,rounds=4000000000$salt$$" + "." * 22),
            (Hasher("django_bcrypt", rounds=4), "bcrypt$$2b$31$" + "." * 53),
            (
                Hasher("django_pbkdf2_sha256", rounds=1),
                "pbkdf2_sha256$2147483648$salt$" + "A" * 43 + "=",
            ),
            (WERKZEUG, "scrypt:1073741824:8:1$salt$" + "0" * 128),
            (WERKZEUG, "scrypt:32768:8:100000$salt$" + "0" * 128),
            (WERKZEUG, "scrypt:2:1:1048577$salt$" + "0" * 128),
            (WERKZEUG, "scrypt:2:4194304:1$salt$" + "0" * 128),
            (WERKZEUG, "pbkdf2:sha256:999999999$salt$" + "0" * 64),
            (WERKZEUG, "pbkdf2:sha512:6000001$salt$" + "0" * 128),
            # Two blocks of SHA-256, and so all rounds twice.
            (LegacyHasher("keycloak"), "$keycloak$pbkdf2-sha256$5000001$AAAA$" + "A" * 86),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_dear_hash_is_refused(
        self, caplog: pytest.LogCaptureFixture, hasher: BaseHasher, hashed: str
    ) -> None:
        assert hasher.identify(hashed)
        assert not hasher.verify_sync("secret", hashed)
        assert not MultiHasher([PBKDF2, hasher]).verify_sync("secret", hashed)
        assert any("costs too much" in message for message in caplog.messages)

    def test_werkzeugs_scrypt_at_the_ceiling_is_computed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # OpenSSL is allowed what that takes (1 GiB), and Python's limit for it is 2 GiB.
        allowed: list[tuple[int, int]] = []

        def scrypt(*args: object, n: int, maxmem: int, **kwargs: object) -> bytes:
            allowed.append((n, maxmem))
            return bytes(64)

        monkeypatch.setattr(hashlib, "scrypt", scrypt)
        assert WERKZEUG.verify_sync("secret", "scrypt:1048576:8:1$salt$" + "0" * 128)
        ((n, limit),) = allowed
        assert n * 8 * 128 < limit < 2**31

    def test_ceiling_can_be_changed_in_a_subclass(self) -> None:
        class Careful(PBKDF2Hasher):
            max_costs = MappingProxyType({"rounds": 8})

        class CarefulLegacy(LegacyHasher):
            max_costs = MappingProxyType({"rounds": 30_000})

        eight, nine = (PBKDF2Hasher(rounds=n).make_sync("secret") for n in (8, 9))
        assert Careful(rounds=7).verify_sync("secret", eight)
        assert not Careful(rounds=7).verify_sync("secret", nine)
        dear = PBKDF2Hasher(rounds=30_001).make_sync("secret")
        assert LegacyHasher("pbkdf2_sha256").verify_sync("secret", dear)
        assert not CarefulLegacy("pbkdf2_sha256").verify_sync("secret", dear)
        digest = hashlib.pbkdf2_hmac("sha256", b"secret", b"salt", 30_001).hex()
        assert WERKZEUG.verify_sync("secret", f"pbkdf2:sha256:30001$salt${digest}")
        werkzeug = CarefulLegacy("werkzeug")
        assert not werkzeug.verify_sync("secret", f"pbkdf2:sha256:30001$salt${digest}")

    def test_who_asks_for_more_gets_it(self) -> None:
        class Careful(PBKDF2Hasher):
            max_costs = MappingProxyType({"rounds": 8})

        hasher = Careful(rounds=9)

        assert hasher.verify_sync("secret", hasher.make_sync("secret"))

    @pytest.mark.parametrize(
        ("stored", "expensive"),
        [
            ("$argon2id$v=19$m=1048576,t=4,p=1$c2FsdHNhbHQ$" + "A" * 43, False),  # libsodium's
            ("$argon2id$v=19$m=2097152,t=1,p=4$c2FsdHNhbHQ$" + "A" * 43, False),  # RFC 9106's
            ("$argon2id$v=19$m=65536,t=64,p=65$c2FsdHNhbHQ$" + "A" * 43, False),
            ("$argon2id$v=19$m=65536,t=65,p=1$c2FsdHNhbHQ$" + "A" * 43, True),
            ("$argon2id$v=19$m=2097153,t=1,p=1$c2FsdHNhbHQ$" + "A" * 43, True),
            # libxcrypt's mkpasswd: little memory in large blocks.
            ("$7$BU..../....2Q9obwLhin8qvQl6sisAO/$" + "A" * 43, False),
            ("$scrypt$ln=13,r=32,p=1$AAAA$" + "A" * 43, False),
            ("$scrypt$ln=20,r=8,p=1$AAAA$" + "A" * 43, False),
            ("$scrypt$ln=20,r=8,p=2$AAAA$" + "A" * 43, True),
            ("$scrypt$ln=14,r=8,p=64$AAAA$" + "A" * 43, False),
            # Where N is low, the hashes around the mixing cost more than it does.
            ("$scrypt$ln=1,r=1,p=1048576$AAAA$" + "A" * 43, False),
            ("$scrypt$ln=1,r=1,p=1048577$AAAA$" + "A" * 43, True),
            # It takes 2.5 GiB, which Python's hashlib refuses.
            ("$scrypt$ln=3,r=1048576,p=1$AAAA$" + "A" * 43, False),
            ("$scrypt$ln=1,r=4194304,p=1$AAAA$" + "A" * 43, True),
            ("$pbkdf2-sha512$6000000$AAAA$" + "A" * 86, False),
            ("$pbkdf2-sha512$6000001$AAAA$" + "A" * 86, True),
            ("grub.pbkdf2.sha512.6000000.AB." + "0" * 128, False),
            ("grub.pbkdf2.sha512.6000001.AB." + "0" * 128, True),
            ("$2b$31$" + "." * 53, True),
            ("$P$T" + "." * 30, True),
        ],
    )
    def test_product_of_the_settings_counts(self, stored: str, expensive: bool) -> None:
        names = {
            "argon2": "argon2",
            "sha512$": "pbkdf2_sha512",
            "grub": "grub_pbkdf2_sha512",
            "$2b$": "bcrypt",
            "$P$": "phpass",
        }
        name = next((names[part] for part in names if part in stored), "scrypt")
        algorithm = Hasher(name)._algorithm

        assert (algorithm._parse(stored) is None) is expensive

    def test_product_can_be_changed_in_a_subclass(self) -> None:
        class Careful(Argon2Hasher):
            max_costs = MappingProxyType({"work": 100})

        cheap = Argon2Hasher(memory_cost=50, time_cost=2, parallelism=1).make_sync("secret")
        dear = Argon2Hasher(memory_cost=50, time_cost=3, parallelism=1).make_sync("secret")
        careful = Careful(memory_cost=20, time_cost=1, parallelism=1)
        assert careful.verify_sync("secret", cheap)
        assert not careful.verify_sync("secret", dear)
        # Whoever asks for more gets it.
        assert Careful(memory_cost=50, time_cost=3, parallelism=1).verify_sync("secret", dear)

    def test_password_counts_where_the_work_grows_with_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        hasher = CryptHasher(rounds=1000)
        expensive = "$5$rounds=9000000$salt$" + "." * 43

        assert not hasher._algorithm._is_too_expensive("x" * 8, hasher._algorithm._parse(expensive))  # type: ignore[arg-type]
        assert not hasher.verify_sync("x" * 500, expensive)
        assert caplog.messages == ["A stored hash of sha256_crypt costs too much"]


class TestLongPasswords:
    """The work of these grows with the password, so that a long one is never computed."""

    NAMES = ("phpass", "md5_crypt", "apr_md5_crypt", "bigcrypt", "sha256_crypt")

    @pytest.mark.parametrize("name", NAMES)
    def test_it_is_a_wrong_one_at_the_cost_of_a_short_one(self, name: str) -> None:
        hasher = LegacyHasher(name)
        algorithm: Any = hasher._verifier
        computed: list[int] = []
        handler = algorithm.handler

        class Noting:
            def __getattr__(self, attribute: str) -> Any:
                return getattr(handler, attribute)

            def verify(self, secret: str, hashed: str) -> bool:
                computed.append(len(secret))
                return bool(handler.verify("", hashed))

        hashed = handler.using(**({"rounds": 1000} if "sha" in name else {})).hash("x" * 511)
        object.__setattr__(algorithm, "handler", Noting())
        for size in (512, 4096):
            assert not hasher.verify_sync("x" * size, hashed)
            hasher.dummy_verify_sync("x" * size)
        assert computed == [0, 0, 0, 0]
        with pytest.raises(ValueError, match="more than 511 bytes"):
            Hasher(name).make_sync("x" * 512)
