"""The strings of other programs verify, and whatever else is stored in their place is wrong.

`known_hashes.json` holds strings that the programs themselves made, with the source of each.
"""

import base64
import hashlib
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import ScryptPasswordHasher
from flask_bcrypt import Bcrypt
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.security import generate_password_hash

from starlette_auth_hashers import (
    BCryptHasher,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
    from_firebase,
    from_keycloak,
)
from starlette_auth_hashers._formats import FORMATS, _yescrypt
from starlette_auth_hashers._libcrypt import load_crypt
from starlette_auth_hashers._recommendation import inspect

KNOWN: list[tuple[str, str, str]] = [
    (known["name"], known["password"], stored)
    for known in json.loads((Path(__file__).parent / "known_hashes.json").read_text("utf-8"))
    for stored in known["stored"]
]
KNOWN_IDS = [f"{number}-{name}" for number, (name, _, _) in enumerate(KNOWN)]
each_known = pytest.mark.parametrize(("name", "password", "stored"), KNOWN, ids=KNOWN_IDS)
each_format = pytest.mark.parametrize("name", FORMATS)
NEW = PBKDF2Hasher(rounds=1)
PASSWORD = "pässwörd"


class TestKnownHashes:
    @each_known
    def test_right_and_wrong_passwords(self, name: str, password: str, stored: str) -> None:
        hasher = MultiHasher([NEW, LegacyHasher(name)])

        valid, new = hasher.verify_and_update_sync(password, stored)
        assert valid
        # des_crypt takes seven bits of each byte, so that another password may be the right one.
        if "DES-CRYPT" not in stored:
            assert new is not None
            assert NEW.verify_sync(password, new)
        assert not LegacyHasher(name).verify_sync(password.swapcase(), stored)

    @each_known
    def test_string_itself_is_no_password(self, name: str, password: str, stored: str) -> None:
        if any(costly in stored for costly in (":1000000$", "$16384$", "m=102400", "$2a$10$")):
            pytest.skip("it takes long, and the others are enough")
        assert not LegacyHasher(name).verify_sync(stored, stored)

    @each_known
    def test_is_audited_under_its_name(self, name: str, password: str, stored: str) -> None:
        # Nothing marks the strings of Flask-Bcrypt: they are bcrypt's.
        assert name.removeprefix("flask_") in inspect(stored).algorithm

    @each_known
    def test_damaged(self, name: str, password: str, stored: str) -> None:
        hasher = LegacyHasher(name)

        for damaged in (stored[:-1], stored[1:], stored + "\n", " " + stored, stored + "x" * 5000):
            # A password that is never right is not computed.
            assert hasher._verifier.check("\0", damaged) is None
            assert hasher.identify(damaged) in {True, False}
            assert inspect(damaged)

    def test_every_format_is_known(self) -> None:
        names = {name for name, _, _ in KNOWN}

        assert {name for name in FORMATS if not name.startswith("ldap_")} <= names


class TestAnything:
    @each_format
    def test_imitates_a_check(self, name: str) -> None:
        hasher = LegacyHasher(name)

        hasher.dummy_verify_sync("\0")

    @each_format
    @given(data=st.data())
    def test_any_damage(self, name: str, data: st.DataObject) -> None:
        hasher = LegacyHasher(name)
        good = FORMATS[name].today
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(good))] * 2)))
        # Digits would make some that take long.
        middle = data.draw(st.text(st.characters(exclude_categories=["N"]), max_size=3))

        hashed = good[:start] + middle + good[end:]
        assert hasher.identify(hashed) in {True, False}
        assert inspect(hashed)
        assert hasher._verifier.check("\0", hashed) is None

    @each_format
    @given(hashed=st.text(st.characters()))
    def test_any_text(self, name: str, hashed: str) -> None:
        assert LegacyHasher(name)._verifier.check("secret", hashed) is None

    @pytest.mark.parametrize(
        ("name", "stored"),
        [
            ("werkzeug", "scrypt:1073741824:8:1$salt$" + "00" * 64),
            ("werkzeug", "pbkdf2:sha256:2000000000$salt$" + "00" * 32),
            ("werkzeug", "pbkdf2:sha256:9999999999$salt$" + "00" * 32),
            ("django_scrypt", "scrypt$16777216$salt$8$1$" + 86 * "0" + "=="),
            ("dovecot", "{PBKDF2}$1$salt$2000000000$" + 40 * "0"),
            ("dovecot", "{SCRAM-SHA-1}2000000000,AAAA," + 27 * "A" + "=," + 27 * "A" + "="),
            ("dovecot", "{BLF-CRYPT}$2y$31$" + 53 * "."),
            (
                "dovecot",
                "{ARGON2ID}$argon2id$v=19$m=4294967295,t=9,p=1$" + 22 * "A" + "$" + 43 * "A",
            ),
            ("spring", "{scrypt}$1e0801$AAAAAAAA$" + 43 * "A" + "="),
            ("spring", "{bcrypt}$2a$31$" + 53 * "."),
            ("wordpress", "$wp$2y$31$" + 53 * "."),
            ("wordpress", "$P$Tabcdefgh" + 22 * "."),
            ("flask_bcrypt", "$2b$31$" + 53 * "."),
            (
                "aspnet_identity",
                base64.b64encode(bytes.fromhex("01000000027fffffff00000010") + bytes(48)).decode(),
            ),
            ("yescrypt", "$y$jMT$abcdefgh$" + 43 * "."),
            ("keycloak", "$keycloak$pbkdf2-sha512$2000000000$AAAA$" + 43 * "A"),
            # All rounds are done for each block of a digest.
            ("keycloak", "$keycloak$pbkdf2-sha512$2000000$AAAA$" + 683 * "A"),
            ("keycloak", "$keycloak$pbkdf2$1000000$AAAA$" + 683 * "A"),
            (
                "aspnet_identity",
                base64.b64encode(
                    bytes.fromhex("0100000000000f424000000010") + bytes(1040)
                ).decode(),
            ),
            # SHA-3 takes six times as long as SHA-256.
            ("werkzeug", "pbkdf2:sha3_256:9000000$salt$" + "00" * 32),
            # PBKDF2 of 512 MiB, although the product of the settings is small.
            ("werkzeug", "scrypt:2:4096:1024$salt$" + "00" * 64),
            ("werkzeug", "scrypt:2:4194304:1$salt$" + "00" * 64),
            ("ldap_pbkdf2_sha256", "{PBKDF2-SHA256}2000000000$AAAA$" + 43 * "A"),
            ("ldap_sha512_crypt", "{crypt}$6$rounds=999999999$abc$" + 86 * "."),
        ],
    )
    def test_costs_beyond_reason_are_refused(
        self, name: str, stored: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert not LegacyHasher(name).verify_sync(PASSWORD, stored)
        assert name in caplog.text
        assert stored not in caplog.text

    @pytest.mark.parametrize("settings", ["1048576:8:1", "32768:256:1"])
    def test_scrypt_at_its_ceiling_is_asked_for_memory_that_openssl_can_count(
        self, settings: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []

        def scrypt(secret: bytes, *, maxmem: int, **_: object) -> bytes:
            asked.append(maxmem)
            return b""

        monkeypatch.setattr(hashlib, "scrypt", scrypt)

        stored = f"scrypt:{settings}$salt$" + "00" * 64
        assert not LegacyHasher("werkzeug").verify_sync(PASSWORD, stored)
        assert 2**30 < asked[0] < 2**31

    def test_firebase_at_its_highest_is_refused(self) -> None:
        stored = "$firebase-scrypt$m=40,r=8$AAAA$" + 86 * "A"

        assert not LegacyHasher("firebase_scrypt").verify_sync(PASSWORD, stored)


class TestNames:
    @pytest.mark.parametrize(
        ("typo", "meant"),
        [
            ("werkzueg", "werkzeug"),
            ("Werkzeug", "werkzeug"),
            ("django-scrypt", "django_scrypt"),
            ("wordpres", "wordpress"),
            ("aspnet_identiy", "aspnet_identity"),
            ("yesscrypt", "yescrypt"),
            ("dovcot", "dovecot"),
            ("sprnig", "spring"),
            ("flask-bcrypt", "flask_bcrypt"),
            ("keyclaok", "keycloak"),
            ("firebase-scrypt", "firebase_scrypt"),
            ("ldap_salted_sha", "ldap_salted_sha1"),
        ],
    )
    def test_typo_names_the_nearest(self, typo: str, meant: str) -> None:
        with pytest.raises(ValueError, match=f"did you mean .*{meant}"):
            LegacyHasher(typo)

    @each_format
    def test_repr(self, name: str) -> None:
        assert repr(LegacyHasher(name)) == f"LegacyHasher({name!r})"

    def test_missing_cryptography(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)

        with pytest.raises(ImportError) as caught:
            LegacyHasher("firebase_scrypt")
        assert 'pip install "starlette-auth-hashers[firebase]"' in str(caught.value)

    @pytest.mark.parametrize("missing", [True, False])
    def test_no_yescrypt(self, missing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(secret: bytes, config: bytes) -> bytes:
            raise ValueError

        monkeypatch.setattr(_yescrypt, "load_crypt", lambda: None if missing else refuse)
        _yescrypt.has_yescrypt.cache_clear()
        try:
            with pytest.raises(ImportError, match=r"libxcrypt 4\.3 or later"):
                LegacyHasher("yescrypt")
            stored = "{CRYPT}$y$j75$y0Y7wseOCyJhSoM7/JMcK/$" + 43 * "."
            assert not LegacyHasher("dovecot").identify(stored)
        finally:
            _yescrypt.has_yescrypt.cache_clear()


class TestWerkzeug:
    @pytest.mark.parametrize("salt_length", [1, 4, 16, 300])
    def test_salts_of_any_length(self, salt_length: int) -> None:
        stored = generate_password_hash(PASSWORD, "pbkdf2:sha256:2", salt_length)

        assert LegacyHasher("werkzeug").verify_sync(PASSWORD, stored)

    @pytest.mark.parametrize("digest", sorted(hashlib.algorithms_available))
    def test_digests_that_it_takes(self, digest: str) -> None:
        try:
            stored = generate_password_hash(PASSWORD, f"pbkdf2:{digest}:2")
        except ValueError:
            pytest.skip("Werkzeug does not take it")

        assert LegacyHasher("werkzeug").verify_sync(PASSWORD, stored)

    def test_digests_in_capitals(self) -> None:
        stored = generate_password_hash(PASSWORD, "pbkdf2:SHA256:2")

        assert LegacyHasher("werkzeug").verify_sync(PASSWORD, stored)

    @pytest.mark.parametrize(
        "stored",
        [
            "plain$$secret",
            "plain$salt$secret",
            "md5$$" + hashlib.md5(b"secret").hexdigest(),
            "shake_128$salt$" + "00" * 16,
            "nonsense$salt$" + "00" * 16,
            "pbkdf2:nonsense:1$salt$" + "00" * 16,
            "pbkdf2:sha256:0$salt$" + "00" * 32,
            "pbkdf2:sha256:1$salt$" + "00" * 16,
            "scrypt:2:1:1$salt$" + "00" * 32,
            "scrypt:2:1:1$salt$" + "00" * 600,
        ],
    )
    def test_what_it_never_made(self, stored: str) -> None:
        assert not LegacyHasher("werkzeug").verify_sync("secret", stored)


class TestLdap:
    @pytest.mark.parametrize("size", [1, 3, 4, 8, 16, 17, 64])
    @pytest.mark.parametrize(
        ("name", "scheme", "digest"),
        [
            ("ldap_salted_md5", "SMD5", "md5"),
            ("ldap_salted_sha1", "SSHA", "sha1"),
            ("ldap_salted_sha256", "SSHA256", "sha256"),
            ("ldap_salted_sha512", "SSHA512", "sha512"),
        ],
    )
    def test_salts_of_1_to_64_bytes(self, name: str, scheme: str, digest: str, size: int) -> None:
        salt = random.Random(size).randbytes(size)
        raw = hashlib.new(digest, PASSWORD.encode() + salt).digest() + salt
        hasher = LegacyHasher(name)

        for written in (scheme, scheme.lower(), scheme.title()):
            assert hasher.verify_sync(PASSWORD, f"{{{written}}}{base64.b64encode(raw).decode()}")
        assert not hasher.verify_sync("wrong", f"{{{scheme}}}{base64.b64encode(raw).decode()}")

    @pytest.mark.parametrize("size", [0, 65])
    def test_other_salts_are_refused(self, size: int) -> None:
        raw = hashlib.sha1(PASSWORD.encode() + bytes(size)).digest() + bytes(size)
        stored = "{SSHA}" + base64.b64encode(raw).decode()

        assert not LegacyHasher("ldap_salted_sha1").verify_sync(PASSWORD, stored)

    @pytest.mark.parametrize("name", [name for name in FORMATS if name.startswith("ldap_")])
    def test_scheme_in_any_case(self, name: str) -> None:
        hasher = LegacyHasher(name)
        today: str = FORMATS[name].today
        scheme, brace, rest = today.partition("}")

        assert hasher.identify(scheme.lower() + brace + rest)
        assert not hasher.identify("{NONE}" + rest)
        assert not hasher.identify(rest)


class TestFlaskBcrypt:
    PLAIN = BCryptHasher(rounds=4)
    OLD = LegacyHasher("flask_bcrypt")

    @pytest.fixture
    def flask(self) -> Bcrypt:
        bcrypt = Bcrypt()
        bcrypt._handle_long_passwords = True
        return bcrypt

    @pytest.mark.parametrize(
        "hasher",
        [
            MultiHasher([PLAIN, OLD]),
            MultiHasher([NEW, OLD, PLAIN]),
            MultiHasher([NEW, PLAIN, OLD]),
        ],
        ids=["first", "last", "between"],
    )
    @pytest.mark.parametrize("password", ["secret", "x" * 100])
    def test_beside_plain_bcrypt(self, hasher: MultiHasher, password: str, flask: Bcrypt) -> None:
        stored = flask.generate_password_hash(password, 4).decode()
        plain = self.PLAIN.make_sync("secret")

        valid, new = hasher.verify_and_update_sync(password, stored)
        assert valid
        if len(password) < 72 or hasher.hashers[0] is NEW:
            assert new is not None
            assert hasher.hashers[0].verify_sync(password, new)
        assert hasher.verify_sync("secret", plain)
        assert not hasher.verify_sync("wrong", stored)
        assert not hasher.verify_sync("wrong", plain)

    def test_plain_bcrypt_is_not_replaced(self) -> None:
        hasher = MultiHasher([self.PLAIN, self.OLD])

        plain = self.PLAIN.make_sync("secret")
        assert hasher.verify_and_update_sync("secret", plain) == (True, None)
        assert hasher.verify_sync("secret", plain)
        assert not hasher.needs_update(plain)

    def test_needs_update_after_a_check(self, flask: Bcrypt) -> None:
        hasher = MultiHasher([self.PLAIN, self.OLD])
        stored = flask.generate_password_hash("secret", 4).decode()

        assert hasher.verify_sync("secret", stored)
        assert hasher.needs_update(stored)


class TestDjango:
    def test_scrypt_at_other_settings(self) -> None:
        stored = ScryptPasswordHasher().encode(PASSWORD, "NaCl", n=2, r=1, p=3)

        assert LegacyHasher("django_scrypt").verify_sync(PASSWORD, stored)

    @pytest.mark.parametrize(
        "stored",
        [
            "scrypt$3$NaCl$8$1$" + 86 * "0" + "==",
            "scrypt$2$NaCl$0$1$" + 86 * "0" + "==",
            "scrypt$2$NaCl$8$1$" + 88 * "0",
        ],
    )
    def test_impossible_settings(self, stored: str) -> None:
        assert not LegacyHasher("django_scrypt").verify_sync(PASSWORD, stored)


class TestWordPress:
    def test_surrounding_white_space_is_trimmed_as_wordpress_does(self) -> None:
        stored = next(stored for name, _, stored in KNOWN if stored.startswith("$wp$2y$04"))

        assert LegacyHasher("wordpress").verify_sync(f" {PASSWORD}\n", stored)


class TestAspNet:
    @pytest.mark.parametrize(
        "decoded",
        [
            bytes(48),
            bytes(50),
            bytes.fromhex("01000000030000000100000010") + bytes(48),
            bytes.fromhex("01000000010000000000000010") + bytes(48),
            bytes.fromhex("0100000001000000010000000f") + bytes(48),
            bytes.fromhex("01000000010000000100000010") + bytes(31),
            bytes.fromhex("01000000010000000100000010") + bytes(3),
        ],
    )
    def test_what_it_never_made(self, decoded: bytes) -> None:
        stored = base64.b64encode(decoded).decode()

        assert not LegacyHasher("aspnet_identity").identify(stored)
        assert not LegacyHasher("aspnet_identity").verify_sync(PASSWORD, stored)


class TestSpring:
    def test_never_plain_text(self) -> None:
        assert not LegacyHasher("spring").identify("{noop}secret")
        assert not LegacyHasher("spring").verify_sync("secret", "{noop}secret")

    @pytest.mark.parametrize(
        "stored",
        [
            "{}x",
            "{other}x",
            "{pbkdf2}00",
            "{sha256}00",
            "{ldap}{OTHER}x",
            "{SHA-1}{salt}00",
            "{scrypt}$e0801$AAAA$AAAA",
            "{scrypt}$000801$AAAA$" + 43 * "A" + "=",
            "{scrypt}nonsense",
        ],
    )
    def test_what_it_never_made(self, stored: str) -> None:
        assert not LegacyHasher("spring").verify_sync("secret", stored)

    def test_sha_of_ldap(self) -> None:
        digest = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()

        assert LegacyHasher("spring").verify_sync("secret", "{ldap}{SHA}" + digest)


class TestDovecot:
    @pytest.mark.parametrize(
        "stored",
        [
            "{PLAIN}secret",
            "{CLEARTEXT}secret",
            "{CLEAR}secret",
            "{PLAIN-MD5}zz",
            "{PLAIN-MD5.NONE}" + 32 * "0",
            "{MD5-CRYPT.HEX}00",
            "{PBKDF2}nonsense",
            "{SCRAM-SHA-1}nonsense",
            "{CRYPT}nonsense",
            "{CRYPT}$y$nonsense",
            "secret",
        ],
    )
    def test_what_is_no_hash(self, stored: str) -> None:
        assert not LegacyHasher("dovecot").identify(stored)
        assert not LegacyHasher("dovecot").verify_sync("secret", stored)

    def test_schemes_in_lower_case(self) -> None:
        stored = "{plain-md5}" + hashlib.md5(b"secret").hexdigest().upper()

        assert LegacyHasher("dovecot").verify_sync("secret", stored)


class TestYescrypt:
    @pytest.mark.parametrize(
        "params",
        ["j", "j9", "zzzzzzzzz", "j9T0abc", "j9T6..", "z9T", "jzz9T", "j9T.", "j.5", "jzz"],
    )
    def test_settings_that_it_never_has(self, params: str) -> None:
        stored = f"$y${params}$abcdefgh$" + 43 * "."

        assert not LegacyHasher("yescrypt").verify_sync(PASSWORD, stored)

    @pytest.mark.parametrize("salt", ["a", "aa", "aaE", "aaaaa", 85 * "a", 87 * "a", 88 * "a"])
    def test_salts_that_libcrypt_refuses(self, salt: str) -> None:
        assert not LegacyHasher("yescrypt").verify_sync(PASSWORD, f"$y$j75${salt}$" + 43 * ".")

    @pytest.mark.parametrize("salt", ["", "a.", "aaD", "aaaa", 84 * "a", 84 * "a" + "a/"])
    @pytest.mark.parametrize("params", ["j75", "j/5", ".75", "/75", "j5/"])
    def test_all_that_libcrypt_takes(self, params: str, salt: str) -> None:
        crypt = load_crypt()
        assert crypt is not None
        stored = crypt(PASSWORD.encode(), f"$y${params}${salt}$".encode()).decode()

        assert LegacyHasher("yescrypt").verify_sync(PASSWORD, stored)

    def test_password_over_the_limit_of_libcrypt(self) -> None:
        stored = next(stored for _, _, stored in KNOWN if stored.startswith("$y$j75"))

        assert not LegacyHasher("yescrypt").verify_sync("x" * 512, stored)
        assert not LegacyHasher("yescrypt").verify_sync("x" * 511, stored)


class TestKeycloak:
    DATA = {"hashIterations": 5, "algorithm": "pbkdf2-sha256", "additionalParameters": {}}
    SECRET = {"value": base64.b64encode(bytes(64)).decode(), "salt": "AAAAAAAAAAAAAAAAAAAAAA=="}

    @pytest.mark.parametrize("algorithm", ["pbkdf2", "pbkdf2-sha256", "pbkdf2-sha512"])
    @pytest.mark.parametrize("size", [20, 32, 64])
    def test_pbkdf2(self, algorithm: str, size: int) -> None:
        digest = algorithm.partition("-")[2] or "sha1"
        value = hashlib.pbkdf2_hmac(digest, PASSWORD.encode(), b"0123456789abcdef", 5, size)
        stored = from_keycloak(
            json.dumps(self.DATA | {"algorithm": algorithm}),
            json.dumps(
                {
                    "value": base64.b64encode(value).decode(),
                    "salt": base64.b64encode(b"0123456789abcdef").decode(),
                }
            ),
        )

        assert LegacyHasher("keycloak").verify_sync(PASSWORD, stored)
        assert not LegacyHasher("keycloak").verify_sync("wrong", stored)

    def test_argon2(self) -> None:
        # A realm's export of Keycloak 26, of a user with the password iceberg.
        stored = from_keycloak(
            '{"hashIterations":5,"algorithm":"argon2","additionalParameters":{"hashLength":["32"],'
            '"memory":["7168"],"type":["id"],"version":["1.3"],"parallelism":["1"]}}',
            '{"value":"BuViHNDGmCq80fvpty/QoggTI8NSt0CuNDGgeoa5f5A=",'
            '"salt":"RJ0aLMQ2qKbZuROs7qQhcA==","additionalParameters":{}}',
        )

        assert LegacyHasher("keycloak").verify_sync("iceberg", stored)

    def test_defaults_of_argon2(self) -> None:
        data = {"memory": 7168, "parallelism": "1"}
        stored = from_keycloak(
            json.dumps(self.DATA | {"algorithm": "argon2", "additionalParameters": data}),
            json.dumps(self.SECRET),
        )

        assert "argon2id$v=19$m=7168,t=5,p=1$" in stored

    @pytest.mark.parametrize(
        "change",
        [
            {"algorithm": "bcrypt"},
            {"algorithm": "argon2"},
            {"algorithm": ["argon2"]},
            {"hashIterations": "many"},
            {"hashIterations": 0},
            {"additionalParameters": [], "algorithm": "argon2"},
            {"additionalParameters": {"memory": []}, "algorithm": "argon2"},
            {"value": "!"},
            {"value": ""},
            {"salt": 5},
            {"salt": None},
        ],
        ids=str,
    )
    def test_what_is_no_credential(self, change: dict[str, Any]) -> None:
        data, secret = ({**fields, **change} for fields in (self.DATA, self.SECRET))

        with pytest.raises(ValueError, match="from_keycloak takes") as caught:
            from_keycloak(json.dumps(data), json.dumps(secret))
        assert caught.value.__cause__ is None
        assert self.SECRET["value"] not in str(caught.value)

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '"x"'])
    def test_what_is_no_json(self, text: str) -> None:
        for arguments in ((text, json.dumps(self.SECRET)), (json.dumps(self.DATA), text)):
            with pytest.raises(ValueError, match="from_keycloak takes"):
                from_keycloak(*arguments)

    @pytest.mark.parametrize(
        "stored",
        ["$keycloak$pbkdf2$0$AAAA$" + 43 * "A", "$keycloak$pbkdf2$1$A$" + 43 * "A", "$keycloak$x"],
    )
    def test_damaged(self, stored: str) -> None:
        assert not LegacyHasher("keycloak").verify_sync(PASSWORD, stored)


class TestFirebase:
    # The README of github.com/firebase/scrypt.
    KEY = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
    HASH = (
        "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
    )
    PROJECT: dict[str, Any] = {
        "signer_key": KEY,
        "salt_separator": "Bw==",
        "rounds": 8,
        "mem_cost": 14,
    }

    def test_readme(self) -> None:
        stored = from_firebase(self.HASH, "42xEC+ixf3L2lw==", **self.PROJECT)

        assert LegacyHasher("firebase_scrypt").verify_sync("user1password", stored)
        assert not LegacyHasher("firebase_scrypt").verify_sync("user2password", stored)

    def test_base64_of_the_admin_sdk(self) -> None:
        urlsafe = self.HASH.replace("+", "-").replace("/", "_")

        assert from_firebase(urlsafe, "42xEC-ixf3L2lw==", **self.PROJECT) == from_firebase(
            self.HASH, "42xEC+ixf3L2lw==", **self.PROJECT
        )

    def test_signer_key_is_not_in_the_string(self) -> None:
        stored = from_firebase(self.HASH, "42xEC+ixf3L2lw==", **self.PROJECT)

        assert self.KEY[:40] not in stored
        assert self.HASH[:40] not in stored

    @pytest.mark.parametrize(
        ("change", "error", "named"),
        [
            ({"rounds": 0}, ValueError, "rounds"),
            ({"rounds": 9}, ValueError, "rounds"),
            ({"rounds": "8"}, TypeError, "rounds"),
            ({"mem_cost": 15}, ValueError, "mem_cost"),
            ({"mem_cost": True}, TypeError, "mem_cost"),
            ({"signer_key": "!"}, ValueError, "signer_key"),
            ({"signer_key": "AAAA"}, ValueError, "same length"),
            ({"salt_separator": "!"}, ValueError, "salt_separator"),
            ({"salt": "A"}, ValueError, "salt"),
            ({"hash": "A==="}, ValueError, "hash"),
        ],
        ids=str,
    )
    def test_what_no_project_has(
        self, change: dict[str, Any], error: type[Exception], named: str
    ) -> None:
        arguments = {"hash": self.HASH, "salt": "AAAA", **self.PROJECT, **change}

        with pytest.raises(error, match=named):
            from_firebase(**arguments)

    @pytest.mark.parametrize(
        "stored",
        [
            "$firebase-scrypt$m=0,r=8$AAAA$" + 86 * "A",
            "$firebase-scrypt$m=1,r=1$A$" + 86 * "A",
            "$firebase-scrypt$m=1,r=1$AAAA$" + 85 * "A",
            "$firebase-scrypt$x",
        ],
    )
    def test_damaged(self, stored: str) -> None:
        assert not LegacyHasher("firebase_scrypt").verify_sync(PASSWORD, stored)


def test_no_format_is_first_in_a_multi_hasher() -> None:
    for name in FORMATS:
        with pytest.raises(ValueError, match="LegacyHasher"):
            MultiHasher([LegacyHasher(name)])
