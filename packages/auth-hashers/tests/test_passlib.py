"""What is odd about passlib is put right, and a user's own passlib code sees nothing of it."""

import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator

import bcrypt
import pytest
from passlib import registry
from passlib.exc import MissingBackendError

from starlette_auth_hashers import BCryptHasher, Hasher, LegacyHasher, _passlib

ALL = """
    import logging
    logging.basicConfig(level=logging.WARNING)
    from starlette_auth_hashers import *

    def use(hasher):
        hashed = hasher.make_sync("secret")
        assert hasher.verify_sync("secret", hashed)
        assert not hasher.verify_sync("wrong", hashed)
        assert hasher.verify_and_update_sync("secret", hashed) == (True, None)
        assert not hasher.needs_update(hashed)
        hasher.dummy_verify_sync("secret")

    hashers = [
        PBKDF2Hasher(rounds=1), CryptHasher(rounds=1000), BCryptHasher(rounds=4),
        Argon2Hasher(memory_cost=32, time_cost=1), Hasher("scrypt", rounds=1),
        Hasher("bcrypt_sha256", rounds=4), Hasher("django_bcrypt_sha256", rounds=4),
        Hasher("bsdi_crypt", rounds=4), Hasher("fshp", rounds=1), Hasher("scram", rounds=1),
    ]
"""


class TestWarnings:
    """Each in a Python where warnings are errors and nothing may be written to stderr."""

    def test_none_from_any_method(self, run_python: Callable[..., str]) -> None:
        run_python(ALL + "    [use(hasher) for hasher in hashers]")

    def test_none_in_threads(self, run_python: Callable[..., str]) -> None:
        code = """
    import threading
    failures = []
    def run(hasher):
        try:
            use(hasher)
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=run, args=(hasher,)) for hasher in hashers * 2]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failures, failures
        """
        run_python(ALL + code)

    def test_none_from_workers(self, run_python: Callable[..., str]) -> None:
        code = """
    import asyncio
    async def main():
        await asyncio.gather(*(hasher.make("secret") for hasher in hashers))
    asyncio.run(main())
        """
        run_python(ALL + code)

    def test_filters_are_as_they_were(self, run_python: Callable[..., str]) -> None:
        code = """
            import warnings
            before = list(warnings.filters)
            import starlette_auth_hashers
            starlette_auth_hashers.BCryptHasher(rounds=4).make_sync("secret")
            assert warnings.filters == before
        """
        run_python(code)

    def test_constructing_in_threads(self, run_python: Callable[..., str]) -> None:
        code = """
            import threading
            from starlette_auth_hashers import *

            start = threading.Barrier(12)
            failures = []

            def run(make):
                start.wait()
                try:
                    hasher = make()
                    assert hasher.verify_sync("a", hasher.make_sync("a"))
                except BaseException as error:
                    failures.append(error)

            makes = [
                lambda: Argon2Hasher(memory_cost=32, time_cost=1), lambda: BCryptHasher(rounds=4),
                lambda: Hasher("scrypt", rounds=1), lambda: CryptHasher(rounds=1000),
            ]
            threads = [threading.Thread(target=run, args=(make,)) for make in makes * 3]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            assert not failures, failures
        """
        run_python(code)

    def test_bcrypt_with_bits_set_in_error(self) -> None:
        # The last character of a salt has two bits of use; old libraries set others too.
        good = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
        digits = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        position = digits.index(good[28])
        damaged = good[:28] + digits[position | 1] + good[29:]

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert BCryptHasher(rounds=4).verify_sync("secret", damaged)
            assert not BCryptHasher(rounds=4).verify_sync("wrong", damaged)
        assert caught == []

    def test_bcrypt_leaves_no_trapped_line(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        hasher = BCryptHasher(rounds=4)
        assert hasher.verify_sync("secret", hasher.make_sync("secret"))
        assert caplog.messages == []


class TestOthersSeeNothing:
    def test_passlib_is_untouched(self, run_python: Callable[..., str]) -> None:
        code = """
            import warnings
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import passlib.hash
                from passlib import registry

            def look():
                seen = {}
                for name in registry.list_crypt_handlers():
                    handler = registry.get_crypt_handler(name)
                    seen[name] = handler, {**vars(handler)}
                return seen

            before = look()
            from starlette_auth_hashers import *
            for name in ("bcrypt", "bcrypt_sha256", "sha256_crypt", "django_bcrypt"):
                hasher = Hasher(name)
                hasher.dummy_verify_sync("x")
            assert look() == before
            assert "load_crypt" not in repr(vars(passlib.hash.sha256_crypt))
        """
        run_python(code)


class TestBcrypt:
    @pytest.mark.parametrize(
        "name",
        ["bcrypt", "bcrypt_sha256", "django_bcrypt", "django_bcrypt_sha256", "ldap_bcrypt"],
    )
    @pytest.mark.parametrize("password", ["", "secret", "x" * 72, "é" * 36])
    def test_all_variants(self, name: str, password: str) -> None:
        hasher = Hasher(name, rounds=4)

        hashed = hasher.make_sync(password)
        assert hasher.verify_sync(password, hashed)
        assert not hasher.verify_sync("y" + password, hashed)

    @pytest.mark.parametrize("name", ["bcrypt_sha256", "django_bcrypt_sha256"])
    def test_with_sha256_longer_passwords_differ(self, name: str) -> None:
        hasher = Hasher(name, rounds=4)

        hashed = hasher.make_sync("x" * 80)
        assert hasher.verify_sync("x" * 80, hashed)
        assert not hasher.verify_sync("x" * 81, hashed)

    def test_hashes_of_passlib_1_7(self) -> None:
        # From passlib's own tests of bcrypt_sha256, versions 1 and 2.
        hasher = LegacyHasher("bcrypt_sha256")

        assert hasher.verify_sync(
            "password",
            "$bcrypt-sha256$2a,5$5Hg1DKFqPE8C2aflZ5vVoe$12BjNE0p7axMg55.Y/mHsYiVuFBDQyu",
        )
        assert hasher.verify_sync(
            "password",
            "$bcrypt-sha256$v=2,t=2b,r=5$5Hg1DKFqPE8C2aflZ5vVoe$wOK1VFFtS8IGTrGa7.h5fs0u84qyPbS",
        )


class TestMissingExtras:
    """The message names the `pip install`, at construction."""

    @pytest.mark.parametrize(
        ("call", "blocked", "extra"),
        [
            ("Argon2Hasher()", "argon2", "argon2"),
            ("Hasher('django_argon2')", "argon2", "argon2"),
            ("LegacyHasher('argon2')", "argon2", "argon2"),
            ("BCryptHasher()", "bcrypt", "bcrypt"),
            ("Hasher('bcrypt_sha256')", "bcrypt", "bcrypt"),
            ("Hasher('django_bcrypt')", "bcrypt", "bcrypt"),
        ],
    )
    def test_names_the_extra(
        self, run_python: Callable[..., str], call: str, blocked: str, extra: str
    ) -> None:
        code = f"""
            import sys
            for name in ({blocked!r}, "_argon2_cffi_bindings"):
                sys.modules[name] = None  # as if not installed
            from starlette_auth_hashers import *
            for _ in range(2):
                try:
                    {call}
                except ImportError as error:
                    assert 'pip install "starlette-auth-hashers[{extra}]"' in str(error), error
                else:
                    raise SystemExit("no error")
            for hasher in (PBKDF2Hasher(rounds=1), CryptHasher(rounds=1000)):
                assert hasher.verify_sync("secret", hasher.make_sync("secret"))
        """
        run_python(code)

    @pytest.fixture
    def _afresh(self) -> Iterator[None]:
        _passlib._mended.cache_clear()
        yield
        _passlib._mended.cache_clear()

    @pytest.mark.usefixtures("_afresh")
    def test_in_this_process(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise MissingBackendError

        monkeypatch.setitem(sys.modules, "bcrypt", None)
        monkeypatch.setattr(registry.get_crypt_handler("argon2"), "get_backend", fail)
        for name in ("argon2", "bcrypt"):
            with pytest.raises(ImportError, match=f"hashers\\[{name}\\]"):
                Hasher(name)

    def test_importing_needs_neither(self, run_python: Callable[..., str]) -> None:
        code = """
            import sys
            import starlette_auth_hashers
            loaded = {"argon2", "bcrypt", "typer", "rich", "starlette", "trio"} & set(sys.modules)
            print(sorted(loaded))
        """
        assert run_python(code) == "[]"


def test_construction_is_safe_beside_itself() -> None:
    made: list[Hasher] = []
    threads = [
        threading.Thread(target=lambda: made.append(BCryptHasher(rounds=4))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({type(hasher._algorithm.handler) for hasher in made}) == 1
    assert sys.getswitchinterval() > 0
