"""Hashes are those of everybody else, and a password is right only if it is the same one."""

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import argon2
import bcrypt
import pytest
from argon2.low_level import Type
from hypothesis import given, settings
from hypothesis import strategies as st

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    CryptHasher,
    Hasher,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
)

pytestmark = pytest.mark.anyio

pbkdf2 = PBKDF2Hasher(rounds=10)
crypt = CryptHasher(rounds=1000)
blowfish = BCryptHasher(rounds=4)
argon = Argon2Hasher(memory_cost=32, time_cost=1)
scrypt = Hasher("scrypt", rounds=4)
ALL = [pbkdf2, crypt, blowfish, argon, scrypt]
each = pytest.mark.parametrize("hasher", ALL, ids=lambda hasher: hasher._algorithm.name)

# What every hasher takes.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=18)
openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


def b64(data: bytes) -> str:
    """Encode as passlib writes salts and digests of PBKDF2."""
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")


def unb64(text: str, altchars: bytes = b"+/") -> bytes:
    text = text.replace(".", "+") if altchars == b"+/" else text
    return base64.b64decode(text + "=" * (-len(text) % 4))


class TestTwoWays:
    @each
    async def test_awaitable_and_blocking_methods_agree(self, hasher: Hasher) -> None:
        hashed = await hasher.make("secret")

        assert await hasher.verify("secret", hashed)
        assert hasher.verify_sync("secret", hashed)
        assert await hasher.verify("secret", hasher.make_sync("secret"))
        assert not await hasher.verify("wrong", hashed)
        assert not hasher.verify_sync("wrong", hashed)
        assert await hasher.verify_and_update("secret", hashed) == (True, None)
        assert await hasher.verify_and_update("wrong", hashed) == (False, None)
        await hasher.dummy_verify("secret", "alice")
        hasher.dummy_verify_sync("secret", "alice")

    @given(password=texts, other=texts)
    @pytest.mark.parametrize("hasher", [pbkdf2, argon, scrypt], ids=str)
    def test_any_text_is_a_password(self, hasher: Hasher, password: str, other: str) -> None:
        hashed = hasher.make_sync(password)

        assert hasher.verify_sync(password, hashed)
        assert hasher.verify_sync(other, hashed) == (other == password)

    @settings(max_examples=15)
    @given(password=texts)
    @pytest.mark.parametrize("hasher", [crypt, blowfish], ids=str)
    def test_any_short_text_is_a_password(self, hasher: Hasher, password: str) -> None:
        assert hasher.verify_sync(password, hasher.make_sync(password))


class TestOthersAgree:
    """Each algorithm against an implementation of its own, in both directions."""

    @given(password=texts, salt=st.binary(min_size=1, max_size=64), rounds=st.integers(1, 50))
    def test_pbkdf2_and_hashlib(self, password: str, salt: bytes, rounds: int) -> None:
        digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
        assert pbkdf2.verify_sync(password, f"$pbkdf2-sha256${rounds}${b64(salt)}${b64(digest)}")

        *_, ours, salted, hashed = PBKDF2Hasher(rounds=rounds).make_sync(password).split("$")
        assert int(ours) == rounds
        assert unb64(hashed) == hashlib.pbkdf2_hmac(
            "sha256", password.encode(), unb64(salted), rounds
        )

    @given(password=texts)
    def test_argon2_and_argon2_cffi(self, password: str) -> None:
        other = argon2.PasswordHasher(time_cost=2, memory_cost=64, parallelism=2)

        assert argon.verify_sync(password, other.hash(password))
        assert other.verify(argon.make_sync(password), password)

    @pytest.mark.parametrize("kind", [Type.ID, Type.I, Type.D])
    def test_argon2_of_all_types_verifies(self, kind: Type) -> None:
        other = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1, type=kind)

        assert argon.verify_sync("secret", other.hash("secret"))
        assert not argon.verify_sync("Secret", other.hash("secret"))

    def test_argon2_makes_type_id(self) -> None:
        assert argon.make_sync("secret").startswith("$argon2id$v=19$m=32,t=1,p=4$")

    @settings(max_examples=15)
    @given(password=texts)
    def test_bcrypt_and_bcrypt(self, password: str) -> None:
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4))

        assert blowfish.verify_sync(password, hashed.decode())
        assert bcrypt.checkpw(password.encode(), blowfish.make_sync(password).encode())

    @pytest.mark.parametrize("ident", ["$2a$", "$2b$", "$2y$"])
    def test_bcrypt_of_all_idents_verifies(self, ident: str) -> None:
        hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode().replace("$2b$", ident)

        assert blowfish.verify_sync("secret", hashed)
        assert not blowfish.verify_sync("Secret", hashed)
        assert not blowfish.needs_update(hashed)

    @given(password=texts, salt=st.binary(max_size=32))
    def test_scrypt_and_hashlib(self, password: str, salt: bytes) -> None:
        digest = hashlib.scrypt(password.encode(), salt=salt, n=16, r=8, p=1, dklen=32)
        salted, hashed = (base64.b64encode(data).decode().rstrip("=") for data in (salt, digest))
        assert scrypt.verify_sync(password, f"$scrypt$ln=4,r=8,p=1${salted}${hashed}")

        *_, salted, hashed = scrypt.make_sync(password).split("$")
        assert unb64(hashed) == hashlib.scrypt(
            password.encode(), salt=unb64(salted), n=16, r=8, p=1, dklen=32
        )

    @openssl
    @pytest.mark.parametrize(("name", "option"), [("sha256_crypt", "-5"), ("sha512_crypt", "-6")])
    @pytest.mark.parametrize("password", ["secret", "pässwörd €", "x" * 200, "a b\tc"])
    def test_crypt_and_openssl(self, name: str, option: str, password: str) -> None:
        hasher = Hasher(name, rounds=5000)
        theirs = _openssl(option, "saltsalt", password)
        assert hasher.verify_sync(password, theirs)
        assert not hasher.verify_sync(password + "x", theirs)

        ours = hasher.make_sync(password)
        assert _openssl(option, ours.split("$")[-2], password) == ours

    @openssl
    @pytest.mark.parametrize(("name", "option"), [("md5_crypt", "-1"), ("apr_md5_crypt", "-apr1")])
    def test_md5_crypt_and_openssl(self, name: str, option: str) -> None:
        hasher = Hasher(name)

        assert hasher.verify_sync("secret", _openssl(option, "saltsalt", "secret"))
        assert _openssl(option, hasher.make_sync("secret").split("$")[2], "secret")


def _openssl(option: str, salt: str, password: str) -> str:
    done = subprocess.run(
        ["openssl", "passwd", option, "-salt", salt, "-stdin"],
        input=password,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout.strip()


SCRYPT = [
    (
        *("", "", (16, 1, 1)),
        (
            "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
            "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"
        ),
    ),
    (
        *("password", "NaCl", (1024, 8, 16)),
        (
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
            "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
        ),
    ),
    (
        *("pleaseletmein", "SodiumChloride", (16384, 8, 1)),
        (
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
            "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
        ),
    ),
]


class TestPublishedVectors:
    # RFC 7914 section 12: N, r and p of scrypt. passlib's format has the first 32 bytes of 64,
    # Werkzeug's all.
    @pytest.mark.parametrize(("password", "salt", "costs", "expected"), SCRYPT)
    def test_scrypt(
        self, password: str, salt: str, costs: tuple[int, int, int], expected: str
    ) -> None:
        n, r, p = costs
        salted, digest = (
            base64.b64encode(data).decode().rstrip("=")
            for data in (salt.encode(), bytes.fromhex(expected)[:32])
        )

        hashed = f"$scrypt$ln={n.bit_length() - 1},r={r},p={p}${salted}${digest}"
        assert scrypt.verify_sync(password, hashed)
        if salt:
            werkzeug = LegacyHasher("werkzeug")
            assert werkzeug.verify_sync(password, f"scrypt:{n}:{r}:{p}${salt}${expected}")

    # RFC 7914 section 11: PBKDF2 with HMAC-SHA-256 and 64 bytes of output, of which passlib's
    # format has the first 32.
    @pytest.mark.parametrize(
        ("password", "salt", "rounds", "expected"),
        [
            (
                "passwd",
                "salt",
                1,
                "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
            ),
            (
                "Password",
                "NaCl",
                80000,
                "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56",
            ),
        ],
    )
    def test_pbkdf2(self, password: str, salt: str, rounds: int, expected: str) -> None:
        hashed = f"$pbkdf2-sha256${rounds}${b64(salt.encode())}${b64(bytes.fromhex(expected))}"

        assert pbkdf2.verify_sync(password, hashed)
        assert not pbkdf2.verify_sync(password.upper(), hashed)

    # RFC 9106 section 5 has a key and associated data, which a password hash does not: the library
    # is checked with them, and ours against the library without.
    @pytest.mark.parametrize(
        ("kind", "tag"),
        [
            (Type.D, "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb"),
            (Type.I, "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8"),
            (Type.ID, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"),
        ],
    )
    def test_argon2(self, kind: Type, tag: str) -> None:
        assert _argon2_with_key(kind) == tag

        password, salt = "\x01" * 32, b"\x02" * 16
        raw = argon2.low_level.hash_secret_raw(password.encode(), salt, 3, 32, 4, 32, kind)
        salted, digest = (base64.b64encode(data).decode().rstrip("=") for data in (salt, raw))
        name = {Type.D: "d", Type.I: "i", Type.ID: "id"}[kind]
        hashed = f"$argon2{name}$v=19$m=32,t=3,p=4${salted}${digest}"
        assert argon.verify_sync(password, hashed)

    # U. Drepper, "Unix crypt using SHA-256 and SHA-512". Those of more than 16 characters of salt
    # are here as they are written.
    @pytest.mark.parametrize(
        ("password", "hashed"),
        [
            ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            (
                "Hello world!",
                "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
            ),
            (
                "we have a short salt string but not a short password",
                "$5$rounds=77777$short$JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/",
            ),
        ],
    )
    def test_sha256_crypt(self, password: str, hashed: str) -> None:
        assert crypt.verify_sync(password, hashed)
        assert not crypt.verify_sync(password + "!", hashed)

    # The tests of bcrypt in OpenBSD and jBCrypt.
    @pytest.mark.parametrize(
        ("password", "hashed"),
        [
            ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
        ],
    )
    def test_bcrypt(self, password: str, hashed: str) -> None:
        assert blowfish.verify_sync(password, hashed)
        assert not blowfish.verify_sync(password + "b", hashed)


def _argon2_with_key(kind: Type) -> str:
    # A compiled module has no types.
    from argon2.low_level import core, ffi  # pyright: ignore[reportAttributeAccessIssue]

    buffers: list[Any] = []

    def buffer(data: bytes) -> Any:
        buffers.append(ffi.new("uint8_t[]", data))
        return buffers[-1]

    out = ffi.new("uint8_t[32]")
    context = ffi.new("argon2_context *")
    context.version = 0x13
    context.t_cost, context.m_cost, context.lanes, context.threads = 3, 32, 4, 4
    context.out, context.outlen = out, 32
    context.pwd, context.pwdlen = buffer(b"\x01" * 32), 32
    context.salt, context.saltlen = buffer(b"\x02" * 16), 16
    context.secret, context.secretlen = buffer(b"\x03" * 8), 8
    context.ad, context.adlen = buffer(b"\x04" * 12), 12
    assert core(context, kind.value) == 0
    return bytes(out).hex()


class TestLimits:
    """What can't be hashed faithfully is refused, and never right."""

    @pytest.mark.parametrize(
        ("hasher", "longest", "limit"),
        [
            (blowfish, "x" * 72, "72 bytes"),
            (blowfish, "é" * 36, "72 bytes"),
            (Hasher("django_bcrypt", rounds=4), "x" * 72, "72 bytes"),
            (Hasher("ldap_bcrypt", rounds=4), "x" * 72, "72 bytes"),
            (crypt, "x" * 511, "511 bytes"),
            (crypt, "é" * 255, "511 bytes"),
            (Hasher("sha512_crypt", rounds=1000), "x" * 511, "511 bytes"),
            (Hasher("ldap_sha256_crypt", rounds=1000), "x" * 511, "511 bytes"),
            (Hasher("des_crypt"), "x" * 8, "8 bytes"),
            (Hasher("crypt16"), "x" * 16, "16 bytes"),
            (pbkdf2, "x" * 4096, "4096 characters"),
            (argon, "x" * 4096, "4096 characters"),
            (Hasher("bcrypt_sha256", rounds=4), "é" * 4096, "4096 characters"),
        ],
        ids=str,
    )
    def test_length(self, hasher: Hasher, longest: str, limit: str) -> None:
        assert hasher.verify_sync(longest, hasher.make_sync(longest))

        with pytest.raises(ValueError, match=f"more than {limit}") as caught:
            hasher.make_sync(longest + "xx")
        assert longest not in str(caught.value)
        assert caught.value.__cause__ is caught.value.__context__ is None

    @each
    @pytest.mark.parametrize("secret", ["\0", "secret\0", "se\0cret", "\ud800", "secret\udfff"])
    async def test_nul_and_lone_surrogates(self, hasher: Hasher, secret: str) -> None:
        hashed = hasher.make_sync("secret")

        with pytest.raises(ValueError, match=r"NUL|surrogate"):
            hasher.make_sync(secret)
        with pytest.raises(ValueError, match=r"NUL|surrogate"):
            await hasher.make(secret)
        assert not hasher.verify_sync(secret, hashed)
        assert not await hasher.verify(secret, hashed)
        assert hasher.verify_and_update_sync(secret, hashed) == (False, None)
        hasher.dummy_verify_sync(secret)

    @pytest.mark.parametrize("name", ["des_crypt", "bsdi_crypt", "bigcrypt", "crypt16"])
    def test_des_drops_the_eighth_bit(self, name: str) -> None:
        hasher = Hasher(name)

        with pytest.raises(ValueError, match="ASCII"):
            hasher.make_sync("pä")

    def test_mssql_2000_ignores_case_and_we_do_not(self) -> None:
        hasher = Hasher("mssql2000")

        assert not hasher.verify_sync("secret", hasher.make_sync("Secret"))

    def test_scram_forbids_some_characters(self) -> None:
        hasher = Hasher("scram", rounds=1)

        with pytest.raises(ValueError, match="SASLprep") as caught:
            hasher.make_sync("\u0007")
        assert caught.value.__cause__ is caught.value.__context__ is None
        assert not hasher.verify_sync("\u0007", hasher.make_sync("secret"))
        hasher.dummy_verify_sync("\u0007")

    def test_character_that_the_algorithm_lacks(self) -> None:
        lan_manager = LegacyHasher("lmhash")

        assert lan_manager.verify_sync("welcome", "c23413a8a1e7665faad3b435b51404ee")
        assert not lan_manager.verify_sync("€", "c23413a8a1e7665faad3b435b51404ee")
        lan_manager.dummy_verify_sync("€")

    def test_bcrypt_verifies_old_hashes_of_longer_passwords(self) -> None:
        long = "x" * 80
        hashed = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()

        assert blowfish.verify_sync(long, hashed)
        assert not blowfish.verify_sync("y" + long, hashed)
        # The new one can't take it, and the login succeeds all the same.
        assert BCryptHasher(rounds=5).verify_and_update_sync(long, hashed) == (True, None)
        with pytest.raises(ValueError, match="72 bytes"):
            blowfish.make_sync(long)

    def test_cut_inside_of_a_character(self) -> None:
        long = "x" * 71 + "é"
        hashed = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()

        assert blowfish.verify_sync(long, hashed)

    def test_long_password_against_sha256_crypt_costs_a_wrong_one(
        self, counted: Callable[[Hasher], Hasher], work: Any
    ) -> None:
        hashed = crypt.make_sync("secret")
        hasher = counted(CryptHasher(rounds=1000))

        assert not hasher.verify_sync("x" * 512, hashed)
        assert work.take() == [1000]


class TestWrongTypes:
    """A programmer's mistake, not a user's."""

    @pytest.mark.parametrize(
        "hasher",
        [
            *ALL,
            MultiHasher([pbkdf2, argon]),
            LegacyHasher("hex_md5"),
            LegacyHasher("werkzeug"),
            MultiHasher([argon, LegacyHasher("werkzeug")]),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("secret", [b"secret", None, 1, ["secret"]])
    async def test_of_the_password(self, hasher: BaseHasher, secret: Any) -> None:
        hashed = pbkdf2.make_sync("secret")

        for arguments in ((secret, hashed), (secret, None)):
            with pytest.raises(TypeError, match="secret must be a str"):
                hasher.verify_sync(*arguments)
            with pytest.raises(TypeError, match="secret must be a str"):
                await hasher.verify(*arguments)
            with pytest.raises(TypeError, match="secret must be a str"):
                hasher.verify_and_update_sync(*arguments)
            with pytest.raises(TypeError, match="secret must be a str"):
                await hasher.verify_and_update(*arguments)
        with pytest.raises(TypeError, match="secret must be a str"):
            await hasher.dummy_verify(secret)
        if not isinstance(hasher, LegacyHasher):
            with pytest.raises(TypeError, match="secret must be a str"):
                await hasher.make(secret)

    @pytest.mark.parametrize(
        "hasher", [*ALL, MultiHasher([pbkdf2, argon]), LegacyHasher("werkzeug")], ids=str
    )
    @pytest.mark.parametrize("hashed", [b"$argon2id$", 1, ["x"]])
    async def test_of_the_hash(self, hasher: BaseHasher, hashed: Any) -> None:
        with pytest.raises(TypeError, match="hashed must be a str or None"):
            hasher.verify_sync("secret", hashed)
        with pytest.raises(TypeError, match="hashed must be a str or None"):
            await hasher.verify("secret", hashed)
        with pytest.raises(TypeError, match="hashed must be a str or None"):
            await hasher.verify_and_update("secret", hashed)

    @pytest.mark.parametrize(
        "hasher", [*ALL, MultiHasher([pbkdf2, argon]), LegacyHasher("werkzeug")], ids=str
    )
    def test_of_a_hash_to_identify(self, hasher: BaseHasher) -> None:
        unusual: Any = b"scrypt:32768:8:1$0$0"
        with pytest.raises(TypeError, match="hashed must be a str"):
            hasher.identify(unusual)
        if not isinstance(hasher, MultiHasher | LegacyHasher):
            with pytest.raises(TypeError, match="hashed must be a str"):
                hasher.needs_update(unusual)
        unusual = None
        assert not hasher.identify(unusual)
