"""SHA-crypt runs in libcrypt without the GIL, or in Python; never in the `crypt` module."""

import ctypes
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from starlette_auth_hashers import CryptHasher, Hasher, _libcrypt, _passlib

VECTOR = "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
CRYPT = CryptHasher(rounds=1000)
needs_libcrypt = pytest.mark.skipif(
    _libcrypt.load_crypt() is None, reason="this system has no libcrypt"
)


@pytest.fixture
def afresh() -> Iterator[None]:
    _libcrypt.load_crypt.cache_clear()
    yield
    _libcrypt.load_crypt.cache_clear()


class Library:
    """A made-up libcrypt."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer

    @property
    def crypt_r(self) -> Any:
        def call(secret: bytes, config: bytes, buffer: Any) -> bytes | None:
            assert ctypes.sizeof(buffer) == 131_232
            assert bytes(buffer) == b"\0" * 131_232
            return self.answer

        return call


class TestLoading:
    @needs_libcrypt
    def test_this_system_has_it(self, afresh: None) -> None:
        crypt = _libcrypt.load_crypt()

        assert crypt is not None
        assert crypt(b"Hello world!", b"$5$saltstring") == VECTOR.encode()
        with pytest.raises(ValueError, match="refuses"):
            crypt(b"secret", b"*")

    def test_debian_has_it(self) -> None:
        # A known vector with a mistake in it would switch libcrypt off, and nobody would notice.
        try:
            ctypes.CDLL("libcrypt.so.1")
        except OSError:
            pytest.skip("no libcrypt.so.1")
        assert _libcrypt.load_crypt() is not None

    @pytest.mark.parametrize(
        ("libraries", "loaded"),
        [
            ({}, False),
            ({"libcrypt.so.1": Library(VECTOR.encode())}, True),
            ({"libcrypt.so.2": Library(VECTOR.encode())}, True),
            ({"libcrypt.so.1": object(), "libcrypt.so.2": Library(VECTOR.encode())}, True),
            ({"libcrypt.so.1": Library(b"$5$wrong"), "libcrypt.so.2": Library(None)}, False),
            ({"libcrypt.so.1": Library(b"*0"), "libcrypt.so.2": Library(VECTOR.encode())}, True),
            ({"libcrypt.so.1": Library(b"*1")}, False),
        ],
    )
    def test_only_what_works(
        self,
        monkeypatch: pytest.MonkeyPatch,
        afresh: None,
        libraries: dict[str, Any],
        loaded: bool,
    ) -> None:
        def load(name: str) -> Any:
            if name not in libraries:
                raise OSError(name)
            return libraries[name]

        monkeypatch.setattr(ctypes, "CDLL", load)

        assert (_libcrypt.load_crypt() is not None) is loaded


@pytest.mark.parametrize("name", ["sha256_crypt", "sha512_crypt", "ldap_sha512_crypt"])
@pytest.mark.parametrize("password", ["", "secret", "pässwörd", "x" * 511])
def test_python_makes_the_same(monkeypatch: pytest.MonkeyPatch, name: str, password: str) -> None:
    hasher = Hasher(name, rounds=1000)
    hashed = hasher.make_sync(password)

    monkeypatch.setattr(_passlib, "load_crypt", lambda: None)
    assert hasher.verify_sync(password, hashed)
    assert not hasher.verify_sync(password + "x", hashed)
    again = hasher.make_sync(password)
    monkeypatch.undo()
    assert hasher.verify_sync(password, again)


@needs_libcrypt
def test_other_threads_run_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count what this thread does while the other is within one call of libcrypt."""
    crypt = _libcrypt.load_crypt()
    assert crypt is not None
    count = 0
    during: list[int] = []

    def counted(secret: bytes, config: bytes) -> bytes:
        before = count
        hashed = crypt(secret, config)
        during.append(count - before)
        return hashed

    monkeypatch.setattr(_passlib, "load_crypt", lambda: counted)
    thread = threading.Thread(target=CryptHasher(rounds=1_000_000).make_sync, args=("secret",))
    thread.start()
    while thread.is_alive():
        count += 1
    thread.join()
    # With the GIL held it would be 0.
    assert during[0] > 100


@needs_libcrypt
def test_many_threads_at_once() -> None:
    hashed = CRYPT.make_sync("secret")
    answers: list[bool] = []

    def check(number: int) -> None:
        password = "secret" if number % 2 else "wrong"
        answers.extend(CRYPT.verify_sync(password, hashed) for _ in range(10))

    threads = [threading.Thread(target=check, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(True) == answers.count(False) == 40


def test_never_the_crypt_module(run_python: Callable[..., str]) -> None:
    code = """
        import sys, warnings
        warnings.simplefilter("ignore")
        import passlib.utils
        warnings.simplefilter("error")

        def fail(*args):
            raise SystemExit("the crypt module was asked")

        passlib.utils._crypt = fail
        if "crypt" in sys.modules:
            sys.modules["crypt"].crypt = fail
        from starlette_auth_hashers import Hasher
        from passlib import registry

        cheapest = {
            "sha256_crypt": 1000, "sha512_crypt": 1000, "ldap_sha256_crypt": 1000,
            "md5_crypt": 0, "ldap_md5_crypt": 0, "des_crypt": 0, "django_des_crypt": 0,
            "bsdi_crypt": 1, "sha1_crypt": 1,
        }
        for name, rounds in cheapest.items():
            if name in registry.list_crypt_handlers():
                costs = {"rounds": rounds} if rounds else {}
                hasher = Hasher(name, **costs)
                assert hasher.verify_sync("secret", hasher.make_sync("secret"))
    """
    run_python(code)
