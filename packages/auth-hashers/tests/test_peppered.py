"""Passwords are hashed under a key that is not in the database, and keys can be changed."""

import logging
import pickle
import traceback
from typing import Any

import pytest

from starlette_auth_hashers import (
    Argon2Hasher,
    BaseHasher,
    BCryptHasher,
    LegacyHasher,
    MultiHasher,
    PBKDF2Hasher,
    PepperedHasher,
)

pytestmark = pytest.mark.anyio

PLAIN = PBKDF2Hasher(rounds=1)
OLD_KEY, NEW_KEY = b"o" * 32, b"n" * 32
OLD = PepperedHasher(PLAIN, {"2025": OLD_KEY}, current="2025")
BOTH = PepperedHasher(PLAIN, {"2025": OLD_KEY, "2026": NEW_KEY}, current="2026")
NEW = PepperedHasher(PLAIN, {"2026": NEW_KEY}, current="2026")


class TestHashing:
    async def test_right_and_wrong_passwords(self) -> None:
        stored = await NEW.make("secret")

        assert await NEW.verify("secret", stored)
        assert not await NEW.verify("wrong", stored)
        assert await NEW.verify_and_update("secret", stored) == (True, None)
        assert NEW.identify(stored)
        assert not NEW.needs_update(stored)

    def test_stored_string_names_the_id_and_never_the_key(self) -> None:
        stored = NEW.make_sync("secret")

        assert stored.startswith("$pepper$2026$")
        assert NEW_KEY.decode() not in stored

    def test_key_decides(self) -> None:
        other = PepperedHasher(PLAIN, {"2026": OLD_KEY}, current="2026")

        assert not other.verify_sync("secret", NEW.make_sync("secret"))

    def test_hash_within_is_none_of_the_password(self) -> None:
        assert not PLAIN.verify_sync("secret", NEW.make_sync("secret").split("$", 3)[3])

    def test_bcrypt_cuts_no_more(self) -> None:
        hasher = PepperedHasher(BCryptHasher(rounds=4), {"2026": NEW_KEY}, current="2026")
        stored = hasher.make_sync("x" * 100)

        assert hasher.verify_sync("x" * 100, stored)
        assert not hasher.verify_sync("x" * 99, stored)
        assert not hasher.verify_sync("x" * 101, stored)

    @pytest.mark.parametrize("secret", ["a\0b", "\ud800", "x" * 4097])
    def test_what_is_no_password(self, secret: str) -> None:
        with pytest.raises(ValueError, match="can't hash this password"):
            NEW.make_sync(secret)
        assert not NEW.verify_sync(secret, NEW.make_sync("secret"))
        NEW.dummy_verify_sync(secret)

    @pytest.mark.parametrize(
        "hashed", [None, "", "!", "$pepper$", "$pepper$2026$", "$pepper$2026$x", "$pepper$ $x"]
    )
    def test_what_is_no_hash(self, hashed: str | None) -> None:
        assert not NEW.verify_sync("secret", hashed)
        assert NEW.verify_and_update_sync("secret", hashed) == (False, None)
        if hashed is not None:
            assert not NEW.needs_update(hashed) or hashed == "$pepper$2026$x"

    def test_bytes_are_a_mistake(self) -> None:
        with pytest.raises(TypeError, match="secret"):
            NEW.make_sync(b"secret")  # type: ignore[arg-type] # the mistake


class TestChangingTheKey:
    async def test_old_ids_verify_and_are_outdated(self) -> None:
        stored = OLD.make_sync("secret")

        assert BOTH.needs_update(stored)
        valid, new = await BOTH.verify_and_update("secret", stored)
        assert valid
        assert new is not None
        assert NEW.verify_sync("secret", new)
        assert BOTH.verify_and_update_sync("wrong", stored) == (False, None)

    async def test_hashes_without_a_pepper_are_outdated(self) -> None:
        hasher = MultiHasher([NEW, PLAIN])

        valid, new = await hasher.verify_and_update("secret", PLAIN.make_sync("secret"))
        assert valid
        assert new is not None
        assert NEW.verify_sync("secret", new)
        assert hasher.verify_and_update_sync("secret", new) == (True, None)

    def test_outdated_settings_within(self) -> None:
        stronger = PepperedHasher(PBKDF2Hasher(rounds=2), {"2026": NEW_KEY}, current="2026")
        stored = NEW.make_sync("secret")

        assert stronger.needs_update(stored)
        assert stronger.verify_and_update_sync("secret", stored)[1] is not None

    def test_unknown_id_is_a_wrong_password_and_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        stored = OLD.make_sync("secret")

        assert NEW.identify(stored)
        assert not NEW.verify_sync("secret", stored)
        assert "pepper that is not configured" in caplog.text
        assert stored not in caplog.text


class TestConstruction:
    @pytest.mark.parametrize(
        ("peppers", "current", "error", "named"),
        [
            ({"a": b"x" * 31}, "a", ValueError, "32 bytes"),
            ({"a": "x" * 32}, "a", TypeError, "bytes"),
            ({"a": b"x" * 32}, "b", ValueError, "current"),
            ({"a": b"x" * 32}, None, ValueError, "current"),
            ({}, "a", ValueError, "current"),
            ({"": b"x" * 32}, "", ValueError, "1 to 32"),
            ({"a$b": b"x" * 32}, "a$b", ValueError, "1 to 32"),
            ({"a" * 33: b"x" * 32}, "a", ValueError, "1 to 32"),
            ({"é": b"x" * 32}, "é", ValueError, "1 to 32"),
            ({"a\n": b"x" * 32}, "a", ValueError, "1 to 32"),
            ({5: b"x" * 32}, 5, ValueError, "1 to 32"),
            ([b"x" * 32], "a", TypeError, "mapping"),
            # A key in the place of an id is not repeated.
            ({b"x" * 32: "2026"}, "2026", ValueError, "number 1"),
            ({"a": b"y" * 32}, b"x" * 32, ValueError, "peppers: a"),
            ({"a": b"y" * 32}, ["xxxxxxxx"], ValueError, "peppers: a"),
        ],
        ids=str,
    )
    def test_refused(self, peppers: Any, current: Any, error: type[Exception], named: str) -> None:
        with pytest.raises(error, match=named) as caught:
            PepperedHasher(PLAIN, peppers, current=current)
        assert "xxxxxxxx" not in str(caught.value)
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        for frame in shown.stack:
            if frame.filename != __file__:
                assert "xxxxxxxx" not in str(frame.locals)

    @pytest.mark.parametrize("id_", ["a", "A-1_b.c", "x" * 32])
    def test_ids(self, id_: str) -> None:
        hasher = PepperedHasher(PLAIN, {id_: NEW_KEY}, current=id_)

        assert hasher.verify_sync("secret", hasher.make_sync("secret"))

    def test_hasher_that_makes_none(self) -> None:
        with pytest.raises(ValueError, match="makes hashes"):
            PepperedHasher(LegacyHasher("hex_md5"), {"a": NEW_KEY}, current="a")
        with pytest.raises(TypeError, match="hasher"):
            PepperedHasher("argon2", {"a": NEW_KEY}, current="a")  # type: ignore[arg-type] # the mistake

    def test_no_key_in_repr_or_logs(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        for hasher in (NEW, MultiHasher([NEW])):
            assert "2026" in repr(hasher)
            assert "nnn" not in repr(hasher)
            hasher.verify_sync("secret", "$pepper$2026$junk")
        assert "nnn" not in caplog.text

    def test_no_key_in_frames(self) -> None:
        class Broken(PBKDF2Hasher):
            def make_sync(self, secret: str) -> str:
                raise RuntimeError

        hasher = PepperedHasher(Broken(), {"2026": NEW_KEY}, current="2026")
        with pytest.raises(RuntimeError) as caught:
            hasher.make_sync("secret")
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert all("nnnnn" not in str(frame.locals) for frame in shown.stack)

    def test_pickles(self) -> None:
        hasher = pickle.loads(pickle.dumps(NEW))

        assert hasher.verify_sync("secret", NEW.make_sync("secret"))

    def test_nested(self) -> None:
        inner: BaseHasher = MultiHasher(
            [PLAIN, Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1)]
        )
        hasher = PepperedHasher(inner, {"2026": NEW_KEY}, current="2026")

        assert hasher.verify_and_update_sync("secret", hasher.make_sync("secret")) == (True, None)
