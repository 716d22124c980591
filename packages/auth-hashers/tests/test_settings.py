"""A hasher is made of a name and settings, which are checked at once."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from passlib import registry

import starlette_auth_hashers
from starlette_auth_hashers import (
    Argon2Hasher,
    BCryptHasher,
    CryptHasher,
    Hasher,
    LegacyHasher,
    PBKDF2Hasher,
    generate_random_string,
)
from starlette_auth_hashers._recommendation import _judge

# The cheapest settings of each algorithm that has any.
CHEAPEST: dict[str, dict[str, int]] = {
    "argon2": {"memory_cost": 8, "time_cost": 1, "parallelism": 1},
    "bcrypt": {"rounds": 4},
    "bcrypt_sha256": {"rounds": 4},
    "bsdi_crypt": {"rounds": 1},
    "cta_pbkdf2_sha1": {"rounds": 1},
    "django_argon2": {"memory_cost": 8, "time_cost": 1, "parallelism": 1},
    "django_bcrypt": {"rounds": 4},
    "django_bcrypt_sha256": {"rounds": 4},
    "django_pbkdf2_sha1": {"rounds": 1},
    "django_pbkdf2_sha256": {"rounds": 1},
    "dlitz_pbkdf2_sha1": {"rounds": 1},
    "fshp": {"rounds": 1},
    "grub_pbkdf2_sha512": {"rounds": 1},
    "ldap_bcrypt": {"rounds": 4},
    "ldap_bsdi_crypt": {"rounds": 1},
    "ldap_pbkdf2_sha1": {"rounds": 1},
    "ldap_pbkdf2_sha256": {"rounds": 1},
    "ldap_pbkdf2_sha512": {"rounds": 1},
    "ldap_sha1_crypt": {"rounds": 1},
    "ldap_sha256_crypt": {"rounds": 1000},
    "ldap_sha512_crypt": {"rounds": 1000},
    "pbkdf2_sha1": {"rounds": 1},
    "pbkdf2_sha256": {"rounds": 1},
    "pbkdf2_sha512": {"rounds": 1},
    "phpass": {"rounds": 7},
    "scram": {"rounds": 1},
    "scrypt": {"rounds": 1, "block_size": 1, "parallelism": 1},
    "sha1_crypt": {"rounds": 1},
    "sha256_crypt": {"rounds": 1000},
    "sha512_crypt": {"rounds": 1000},
    "sun_md5_crypt": {"rounds": 1},
}
FIXED = [
    *("apr_md5_crypt", "atlassian_pbkdf2_sha1", "bigcrypt", "crypt16", "des_crypt"),
    *("django_des_crypt", "django_salted_md5", "django_salted_sha1", "ldap_des_crypt"),
    *("ldap_md5_crypt", "ldap_salted_md5", "ldap_salted_sha1", "ldap_salted_sha256"),
    *("ldap_salted_sha512", "md5_crypt", "mssql2000", "mssql2005", "oracle11"),
]
UNSALTED = [
    *("bsd_nthash", "hex_md4", "hex_md5", "hex_sha1", "hex_sha256", "hex_sha512", "ldap_hex_md5"),
    *("ldap_hex_sha1", "ldap_md5", "ldap_sha1", "lmhash", "mysql323", "mysql41", "nthash"),
]
NEVER = [
    *("plaintext", "ldap_plaintext", "roundup_plaintext", "cisco_type7"),
    *("unix_disabled", "unix_fallback", "django_disabled"),
    *("htdigest", "postgres_md5", "oracle10", "msdcc", "msdcc2", "cisco_asa", "cisco_pix"),
]


def registered() -> set[str]:
    return set(registry.list_crypt_handlers())


def cheap(name: str) -> Hasher:
    return Hasher(name, **CHEAPEST.get(name, {}))


@pytest.fixture(params=sorted([*CHEAPEST, *FIXED]))
def salted(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name not in registered():
        pytest.skip("not in this passlib")
    return name


class TestAlgorithms:
    def test_every_algorithm_of_passlib_is_here(self) -> None:
        assert registered() <= {*CHEAPEST, *FIXED, *UNSALTED, *NEVER}

    def test_salted_algorithm_makes_and_verifies(self, salted: str) -> None:
        hasher = cheap(salted)

        hashed = hasher.make_sync("sEcret1")

        assert hasher.verify_sync("sEcret1", hashed)
        assert hasher.make_sync("sEcret1") != hashed
        assert hasher.identify(hashed)
        assert not hasher.needs_update(hashed)

    @pytest.mark.parametrize("wrong", ["secret1", "SECRET1", "sEcret", "sEcret1 ", "", "sEcret1\0"])
    def test_another_password_is_wrong(self, salted: str, wrong: str) -> None:
        hasher = cheap(salted)

        assert not hasher.verify_sync(wrong, hasher.make_sync("sEcret1"))

    def test_unsalted_algorithm_verifies_only(self) -> None:
        for name in registered() & set(UNSALTED):
            with pytest.raises(ValueError, match=f"LegacyHasher\\('{name}'\\)"):
                Hasher(name)
            hasher = LegacyHasher(name)
            with pytest.raises(NotImplementedError, match="MultiHasher"):
                hasher.make_sync("secret")

    @pytest.mark.parametrize("make", [Hasher, LegacyHasher])
    @pytest.mark.parametrize("name", NEVER)
    def test_what_is_no_password_hash_is_refused(
        self, make: Callable[[str], Any], name: str
    ) -> None:
        with pytest.raises(ValueError, match=name):
            make(name)

    @pytest.mark.parametrize("make", [Hasher, LegacyHasher])
    @pytest.mark.parametrize(
        "name", ["__name__", "__doc__", "_", "", "nothing", "Argon2", "argon2 ", "passlib", "md5"]
    )
    def test_what_is_no_name_is_refused(self, make: Callable[[str], Any], name: str) -> None:
        with pytest.raises(ValueError, match=r"passlib\.hash"):
            make(name)

    def test_message_tells_which_was_meant(self) -> None:
        with pytest.raises(ValueError, match=r"unknown algorithm .* did you mean pbkdf2_sha256"):
            Hasher("pbkdf2-sha256")

    @pytest.mark.parametrize("name", [None, 1, b"argon2", ["argon2"]])
    def test_name_must_be_text(self, name: Any) -> None:
        with pytest.raises(TypeError, match="algorithm"):
            Hasher(name)

    @pytest.mark.parametrize(
        ("hasher", "name"),
        [
            (PBKDF2Hasher(), "pbkdf2_sha256"),
            (CryptHasher(), "sha256_crypt"),
            (BCryptHasher(), "bcrypt"),
            (Argon2Hasher(), "argon2"),
        ],
    )
    def test_four_have_classes(self, hasher: Hasher, name: str) -> None:
        assert hasher._algorithm.name == name


class TestDefaults:
    @pytest.mark.parametrize(
        ("hasher", "shown"),
        [
            (PBKDF2Hasher(), "PBKDF2Hasher(rounds=600000)"),
            (CryptHasher(), "CryptHasher(rounds=535000)"),
            (BCryptHasher(), "BCryptHasher(rounds=12)"),
            (Argon2Hasher(), "Argon2Hasher(memory_cost=65536, time_cost=3, parallelism=4)"),
            (Hasher("argon2"), "Hasher('argon2', memory_cost=65536, time_cost=3, parallelism=4)"),
            (Hasher("scrypt"), "Hasher('scrypt', rounds=17, block_size=8, parallelism=1)"),
            (Hasher("pbkdf2_sha512"), "Hasher('pbkdf2_sha512', rounds=220000)"),
            (Hasher("pbkdf2_sha1"), "Hasher('pbkdf2_sha1', rounds=1400000)"),
            (Hasher("scram"), "Hasher('scram', rounds=1400000)"),
            (Hasher("des_crypt"), "Hasher('des_crypt')"),
        ],
    )
    def test_hasher_shows_how_to_make_it(self, hasher: Hasher, shown: str) -> None:
        assert repr(hasher) == shown

    def test_all_reach_the_recommendation_where_there_is_one(self) -> None:
        for name in set(CHEAPEST) & registered():
            verdict = _judge(name, Hasher(name)._algorithm.costs)
            assert verdict in {"good", "not recommended"}, name

    @pytest.mark.parametrize("cls", [PBKDF2Hasher, BCryptHasher, Argon2Hasher])
    def test_docstring_names_source_and_date(self, cls: type[Hasher]) -> None:
        documentation = inspect.getdoc(cls) or ""

        assert "OWASP" in documentation
        assert "November" in documentation
        assert "2026" in documentation


class TestSettings:
    def test_any_value_that_the_algorithm_allows(self) -> None:
        for name in set(CHEAPEST) & registered():
            assert dict(cheap(name)._algorithm.costs) == CHEAPEST[name]

    def test_some_may_be_given_and_others_not(self) -> None:
        assert repr(Argon2Hasher(time_cost=9)) == (
            "Argon2Hasher(memory_cost=65536, time_cost=9, parallelism=4)"
        )

    @pytest.mark.parametrize(
        ("name", "settings", "message"),
        [
            ("pbkdf2_sha256", {"rounds": 0}, "rounds"),
            ("pbkdf2_sha256", {"rounds": -1}, "rounds"),
            ("pbkdf2_sha256", {"rounds": 2**32}, "rounds"),
            ("sha256_crypt", {"rounds": 999}, "rounds"),
            ("sha256_crypt", {"rounds": 10**9}, "rounds"),
            ("bcrypt", {"rounds": 3}, "rounds"),
            ("bcrypt", {"rounds": 32}, "rounds"),
            ("argon2", {"memory_cost": 7}, "memory_cost"),
            ("argon2", {"memory_cost": 16}, "memory_cost"),
            ("argon2", {"memory_cost": 2**32}, "memory_cost"),
            ("argon2", {"time_cost": 0}, "time_cost"),
            ("argon2", {"parallelism": 0}, "parallelism"),
            ("scrypt", {"rounds": 21, "block_size": 8}, "2 GiB"),
            ("argon2", {"parallelism": 2**24, "memory_cost": 2**31}, "parallelism"),
            ("scrypt", {"rounds": 0}, "rounds"),
            ("scrypt", {"block_size": 0}, "block_size"),
            ("scrypt", {"parallelism": 2**27}, "parallelism"),
        ],
    )
    def test_any_other_value_is_refused(
        self, name: str, settings: dict[str, int], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            Hasher(name, **settings)

    @pytest.mark.parametrize(
        ("name", "settings", "message"),
        [
            ("pbkdf2_sha256", {"memory_cost": 8}, "rounds, not memory_cost"),
            ("argon2", {"rounds": 3}, "memory_cost, time_cost, parallelism, not rounds"),
            ("des_crypt", {"rounds": 3}, "no settings"),
            ("pbkdf2_sha256", {"salt": 1}, "not salt"),
            ("pbkdf2_sha256", {"rounds": "1000"}, "rounds must be an int"),
            ("pbkdf2_sha256", {"rounds": 1000.0}, "rounds must be an int"),
            ("pbkdf2_sha256", {"rounds": True}, "rounds must be an int"),
            ("pbkdf2_sha256", {"rounds": None}, "rounds must be an int"),
        ],
    )
    def test_what_is_no_setting_is_refused(
        self, name: str, settings: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(TypeError, match=message):
            Hasher(name, **settings)

    @pytest.mark.parametrize("cls", [PBKDF2Hasher, CryptHasher, BCryptHasher, Argon2Hasher])
    def test_settings_are_keywords(self, cls: Callable[..., Hasher]) -> None:
        with pytest.raises(TypeError):
            cls(12)

    def test_constructing_hashes_nothing(self, run_python: Callable[..., str]) -> None:
        code = """
            import hashlib, ctypes
            from starlette_auth_hashers import *
            import argon2, bcrypt, passlib.crypto.digest
            from starlette_auth_hashers import _libcrypt

            def fail(*args, **kwargs):
                raise SystemExit("hashed")

            for name in ("PBKDF2Hasher", "CryptHasher", "BCryptHasher", "Argon2Hasher"):
                globals()[name]()  # loads passlib's part of it
            hashlib.pbkdf2_hmac = hashlib.scrypt = bcrypt.hashpw = ctypes.CDLL = fail
            argon2.low_level.hash_secret = argon2.low_level.core = fail
            passlib.crypto.digest.pbkdf2_hmac = fail
            hashers = [PBKDF2Hasher(), CryptHasher(), BCryptHasher(), Argon2Hasher()]
            CachingHasher(MultiHasher(hashers + [LegacyHasher("werkzeug")]), ttl=1, max_entries=1)
            assert _libcrypt.load_crypt.cache_info().currsize == 0
        """
        run_python(code)


class TestRandomStrings:
    def test_letters_and_digits(self) -> None:
        text = "".join(generate_random_string() for _ in range(200))

        assert len(text) == 200 * 32
        assert text.isascii()
        assert text.isalnum()
        assert len(set(text)) == 62

    @pytest.mark.parametrize("size", [1, 5, 100])
    def test_of_any_size(self, size: int) -> None:
        assert len(generate_random_string(size)) == len(generate_random_string(size=size)) == size

    @pytest.mark.parametrize("size", [0, -1])
    def test_but_not_empty(self, size: int) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            generate_random_string(size)

    @pytest.mark.parametrize("size", [None, "32", 3.2, True])
    def test_size_is_an_integer(self, size: Any) -> None:
        with pytest.raises(TypeError, match="int"):
            generate_random_string(size)


def test_everything_public_is_named() -> None:
    assert starlette_auth_hashers.__all__ == sorted(starlette_auth_hashers.__all__)
    for name in starlette_auth_hashers.__all__:
        assert inspect.getdoc(getattr(starlette_auth_hashers, name))
