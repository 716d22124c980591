"""Weak hashes are made strong without the password, and stay right for it alone."""

import hashlib
import json
import pickle
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path

import pytest

from starlette_auth_hashers import (
    BaseHasher,
    BCryptHasher,
    Hasher,
    HasherUnavailable,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
    WrappedHasher,
    _wrapped,
)

pytestmark = pytest.mark.anyio

OUTER = PBKDF2Hasher(rounds=1)
MD5 = LegacyHasher("hex_md5")
WRAPPED = WrappedHasher(OUTER, MD5)
WEAK = hashlib.md5(b"secret").hexdigest()
# Too expensive for a table.
COSTLY = (":1000000$", "$1000000$", "m=102400", "m=65536", "m=32768", "$2a$10$", "$2y$10$", "$2b$")
# The inner hasher, a password and its hash: passlib's, and those of other programs.
KINDS = [
    ("hex_md5", "secret", WEAK),
    ("hex_sha1", "secret", hashlib.sha1(b"secret").hexdigest()),
    ("hex_sha256", "secret", hashlib.sha256(b"secret").hexdigest().upper()),
    ("mysql41", "mypass", "*6C8989366EAF75BB670AD8EA7A7FC1176A95CEF4"),
    ("sha512_crypt", "a", Hasher("sha512_crypt", rounds=1000).make_sync("a")),
    ("bcrypt", "a", BCryptHasher(rounds=4).make_sync("a")),
    ("oracle11", "SHAlala", "S:2BFCFDF5895014EE9BB2B9BA067B01E0389BB5711B7B5F82B7235E9E182C"),
    ("mssql2005", "password", "0x01006ACDF9FF5D2E211B392EEF1175EFFE13B3A368CE2F94038B"),
    ("scram", "a", Hasher("scram", rounds=1).make_sync("a")),
    ("argon2", "a", Hasher("argon2", memory_cost=8, time_cost=1, parallelism=1).make_sync("a")),
    *(
        (known["name"], known["password"], stored)
        for known in json.loads((Path(__file__).parent / "known_hashes.json").read_text("utf-8"))
        for stored in known["stored"]
        if not any(costly in stored for costly in COSTLY) and "DES-CRYPT" not in stored
    ),
]
each = pytest.mark.parametrize(
    ("name", "password", "weak"), KINDS, ids=[f"{i}-{kind[0]}" for i, kind in enumerate(KINDS)]
)


class TestKinds:
    @each
    def test_wrapped_hash_and_weak_one(self, name: str, password: str, weak: str) -> None:
        # bcrypt cuts what is long, and what has a NUL in it.
        outer: BaseHasher = OUTER if name == "bcrypt" else BCryptHasher(rounds=4)
        hasher = WrappedHasher(outer, LegacyHasher(name))
        stored = hasher.wrap_sync(weak)

        assert weak[-20:] not in stored
        assert weak[-20:].lower() not in stored
        assert hasher.identify(stored)
        assert hasher.needs_update(stored)
        assert not hasher.verify_sync(password.swapcase(), stored)
        assert not hasher.verify_sync(weak, stored)
        valid, new = hasher.verify_and_update_sync(password, stored)
        assert valid
        assert new is not None
        assert hasher.verify_and_update_sync(password, new) == (True, None)

    def test_surrogates_in_a_salt(self) -> None:
        hasher = WrappedHasher(OUTER, LegacyHasher("django_scrypt"))
        compute = hashlib.scrypt(b"secret", salt=b"\xed\xa0\x80", n=2, r=1, p=1, dklen=64)
        stored = hasher.wrap_sync(f"scrypt$2$\ud800$1$1${b64encode(compute).decode()}")

        assert hasher.verify_sync("secret", stored)
        assert not hasher.verify_sync("wrong", stored)


class TestWrapping:
    async def test_awaited(self) -> None:
        stored = await WRAPPED.wrap(WEAK)

        assert await WRAPPED.verify("secret", stored)
        assert not await WRAPPED.verify("wrong", stored)
        assert await WRAPPED.verify_and_update("wrong", stored) == (False, None)

    @pytest.mark.parametrize(
        "hashed",
        ["", "!", "secret", WEAK + "0", OUTER.make_sync("secret"), WRAPPED.wrap_sync(WEAK)],
        ids=["empty", "unusable", "plain", "long", "outer", "wrapped"],
    )
    def test_other_kinds_are_refused_without_the_hash(self, hashed: str) -> None:
        with pytest.raises(ValueError, match="wrap takes") as caught:
            WRAPPED.wrap_sync(hashed)
        assert not hashed or hashed not in str(caught.value)

    def test_hash_without_a_digest(self) -> None:
        with pytest.raises(ValueError, match="wrap takes"):
            WrappedHasher(OUTER, LegacyHasher("md5_crypt")).wrap_sync("$1$salt")

    @pytest.mark.parametrize("hashed", [None, b"x", 5])
    def test_what_is_no_text(self, hashed: object) -> None:
        with pytest.raises(TypeError, match="hashed"):
            WRAPPED.wrap_sync(hashed)  # type: ignore[arg-type] # the mistake

    def test_makes_plain_hashes(self) -> None:
        stored = WRAPPED.make_sync("secret")

        assert OUTER.verify_sync("secret", stored)
        assert WRAPPED.verify_sync("secret", stored)
        assert not WRAPPED.needs_update(stored)

    def test_outdated_outer_hash(self) -> None:
        hasher = WrappedHasher(PBKDF2Hasher(rounds=2), MD5)
        valid, new = hasher.verify_and_update_sync("secret", OUTER.make_sync("secret"))

        assert valid
        assert new is not None

    def test_behind_others(self) -> None:
        sha1 = WrappedHasher(OUTER, LegacyHasher("hex_sha1"))
        hasher = MultiHasher([OUTER, WRAPPED, sha1, MD5])
        weak_sha1 = hashlib.sha1(b"secret").hexdigest()

        for stored in (WRAPPED.wrap_sync(WEAK), sha1.wrap_sync(weak_sha1), WEAK):
            valid, new = hasher.verify_and_update_sync("secret", stored)
            assert valid
            assert new is not None
            assert OUTER.verify_sync("secret", new)
            assert not hasher.verify_sync("wrong", stored)

    def test_no_new_hash_where_the_inner_one_cuts(self) -> None:
        for inner, weak in (
            (LegacyHasher("bcrypt"), BCryptHasher(rounds=4).make_sync("x" * 72)),
            (LegacyHasher("des_crypt"), Hasher("des_crypt").make_sync("x" * 8)),
        ):
            hasher = WrappedHasher(OUTER, inner)
            assert hasher.verify_and_update_sync("x" * 80, hasher.wrap_sync(weak)) == (True, None)

    def test_trimmed_by_wordpress(self) -> None:
        hasher = WrappedHasher(OUTER, LegacyHasher("wordpress"))
        stored = hasher.wrap_sync("$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0")

        assert hasher.verify_and_update_sync(" test12345", stored) == (True, None)


class TestDamage:
    @pytest.mark.parametrize(
        "stored",
        [
            "$wrapped$",
            "$wrapped$hex_md5$",
            "$wrapped$hex_sha1$$x",
            "$wrapped$hex_md5$!$x",
            "$wrapped$hex_md5$_w$x",
            "$wrapped$hex_md5$A$x",
        ],
    )
    def test_malformed(self, stored: str, caplog: pytest.LogCaptureFixture) -> None:
        assert not WRAPPED.verify_sync("secret", stored)
        assert stored not in caplog.text

    @pytest.mark.parametrize(
        ("name", "config"),
        [
            ("md5_crypt", ""),
            ("md5_crypt", "$5$x"),
            ("sha512_crypt", "$6$rounds=999999999$x$"),
            ("werkzeug", "64.pbkdf2:sha256:2000000000$x$"),
            ("werkzeug", "x.y"),
            ("werkzeug", "99999999999.y"),
            ("dovecot", "lmhash x"),
            ("dovecot", "bcrypt $2y$31$" + 53 * "."),
            ("dovecot", "bcrypt x"),
            ("dovecot", "nonsense!zz"),
            ("aspnet_identity", "x"),
        ],
    )
    def test_config_that_no_wrap_made(self, name: str, config: str) -> None:

        encoded = urlsafe_b64encode(config.encode()).decode().rstrip("=")
        hasher = WrappedHasher(OUTER, LegacyHasher(name))

        assert not hasher.verify_sync("secret", f"$wrapped${name}${encoded}${OUTER.make_sync('x')}")

    def test_machine_in_trouble_is_no_verdict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> str:
            raise MemoryError

        stored = WRAPPED.wrap_sync(WEAK)
        monkeypatch.setattr(_wrapped, "repeat", fail)
        with pytest.raises(HasherUnavailable) as caught:
            WRAPPED.verify_sync("secret", stored)
        assert caught.value.__context__ is None

    @pytest.mark.parametrize("secret", ["a\0b", "\ud800", "x" * 5000])
    def test_what_is_no_password(self, secret: str) -> None:
        assert not WRAPPED.verify_sync(secret, WRAPPED.wrap_sync(WEAK))
        WRAPPED.dummy_verify_sync("secret")

    @pytest.mark.parametrize("hashed", [None, "", "!"])
    def test_what_is_no_hash(self, hashed: str | None) -> None:
        assert WRAPPED.verify_and_update_sync("secret", hashed) == (False, None)


class TestConstruction:
    def test_refused(self) -> None:
        with pytest.raises(TypeError, match="outer"):
            WrappedHasher("argon2", MD5)  # type: ignore[arg-type] # the mistake
        with pytest.raises(TypeError, match="inner"):
            WrappedHasher(OUTER, WRAPPED)  # type: ignore[arg-type] # the mistake
        with pytest.raises(ValueError, match="makes hashes"):
            WrappedHasher(MD5, MD5)

    def test_inner_hasher_with_settings(self) -> None:
        inner = PBKDF2Hasher(rounds=1)
        hasher = WrappedHasher(BCryptHasher(rounds=4), inner)

        assert hasher.verify_sync("secret", hasher.wrap_sync(inner.make_sync("secret")))

    def test_repr_and_pickle(self) -> None:
        assert repr(WRAPPED) == "WrappedHasher(PBKDF2Hasher(rounds=1), LegacyHasher('hex_md5'))"
        for name in ("hex_md5", "werkzeug", "ldap_md5", "firebase_scrypt"):
            hasher = pickle.loads(pickle.dumps(WrappedHasher(OUTER, LegacyHasher(name))))
            assert repr(hasher) == repr(WrappedHasher(OUTER, LegacyHasher(name)))
