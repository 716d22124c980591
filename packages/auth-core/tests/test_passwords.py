"""Logging in with a password: the hash work, the upgrade of old hashes, and what goes wrong."""

import base64
import functools
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from starlette.authentication import SimpleUser
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    AuthenticationUnavailable,
    BaseBasicAuth,
    InvalidCredentials,
    PasswordHasher,
)

pytestmark = pytest.mark.anyio

Connect = Callable[..., HTTPConnection]


class CountingHasher:
    """Hashes `secret` to `new(secret)`, takes `old(secret)` too, and notes all of its work."""

    def __init__(self) -> None:
        self.work: list[tuple[object, ...]] = []

    async def verify(self, secret: str, hashed: str | None) -> bool:
        self.work.append(("verify", secret, hashed))
        return hashed in (f"new({secret})", f"old({secret})")

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        self.work.append(("verify_and_update", secret, hashed))
        if hashed == f"old({secret})":
            return True, f"new({secret})"
        return hashed == f"new({secret})", None

    async def dummy_verify(self, secret: str, username: str = "") -> None:
        self.work.append(("dummy_verify", secret, username))


@dataclass
class User:
    username: str
    password: str | None
    active: bool = True


class BasicAuth(BaseBasicAuth[User]):
    """The recommended form, without a place to store new hashes."""

    def __init__(self, *users: User) -> None:
        self.hasher = self.counting = CountingHasher()
        self.users = {user.username: user for user in users}
        self.asked: list[str] = []

    async def find_user(self, username: str) -> User | None:
        self.asked.append(username)
        user = self.users.get(username)
        return user if user is not None and user.active else None


class UpgradingBasicAuth(BasicAuth):
    """The same, with one."""

    async def replace_password_hash(self, user: User, old: str, new: str) -> None:
        assert user.password == old
        user.password = new


def alice(hashed: str | None = "new(secret)") -> User:
    return User("alice", hashed)


class TestTheFlow:
    @pytest.mark.parametrize("auth_class", [BasicAuth, UpgradingBasicAuth])
    async def test_the_right_password(self, auth_class: type[BasicAuth]) -> None:
        user = alice()
        assert await auth_class(user).verify("alice", "secret") is user

    @pytest.mark.parametrize("auth_class", [BasicAuth, UpgradingBasicAuth])
    async def test_every_failure_costs_one_hash(self, auth_class: type[BasicAuth]) -> None:
        auth = auth_class(
            alice(),
            User("bob", "new(secret)", active=False),
            User("carol", None),
            User("dave", "!"),
        )
        for username, password in [
            ("alice", "wrong"),
            ("alice", ""),
            ("nobody", "secret"),
            ("", "secret"),
            ("bob", "secret"),  # may not log in
            ("carol", "secret"),  # has no password
            ("dave", "secret"),  # disabled
            ("alice\x00", "secret"),  # what no header could carry
            ("alice", "secret\ud800"),
        ]:
            auth.counting.work.clear()
            assert await auth.verify(username, password) is None
            assert len(auth.counting.work) == 1, (username, auth.counting.work)

    async def test_an_unknown_user_costs_a_dummy_verify(self) -> None:
        auth = BasicAuth()
        assert await auth.verify("nobody", "secret") is None
        assert auth.counting.work == [("dummy_verify", "secret", "nobody")]

    async def test_the_hash_may_be_somewhere_else(self) -> None:
        class Account(NamedTuple):
            digest: str

        class ByField(BaseBasicAuth[Account]):
            hasher: PasswordHasher | None = CountingHasher()
            password_field = "digest"

            async def find_user(self, username: str) -> Account | None:
                return Account("new(secret)")

        class ByMethod(ByField):
            password_field = "nothing"

            def get_password_hash(self, user: Account) -> str | None:
                return user.digest

        assert await ByField().verify("alice", "secret") == Account("new(secret)")
        assert await ByMethod().verify("alice", "secret") == Account("new(secret)")
        assert await ByMethod().verify("alice", "wrong") is None

    async def test_scopes_may_depend_on_the_user(self, connect: Connect) -> None:
        class ScopedAuth(BasicAuth):
            def get_scopes(self, user: User) -> list[str]:
                return [*self.scopes, f"user:{user.username}"]

        result = await ScopedAuth(alice()).authenticate(connect(header("alice", "secret")))
        assert result is not None
        assert result[0].scopes == ["authenticated", "user:alice"]


class TestUpgrades:
    async def test_an_outdated_hash_is_replaced(self) -> None:
        user = alice("old(secret)")
        auth = UpgradingBasicAuth(user)
        assert await auth.verify("alice", "secret") is user
        assert user.password == "new(secret)"
        assert await auth.verify("alice", "secret") is user

    async def test_a_wrong_password_replaces_nothing(self) -> None:
        user = alice("old(secret)")
        assert await UpgradingBasicAuth(user).verify("alice", "wrong") is None
        assert user.password == "old(secret)"

    async def test_not_even_where_a_hasher_makes_a_new_hash_of_it(self) -> None:
        class CarelessHasher(CountingHasher):
            async def verify_and_update(
                self, secret: str, hashed: str | None
            ) -> tuple[bool, str | None]:
                return False, f"new({secret})"

        user = alice()
        auth = UpgradingBasicAuth(user)
        auth.hasher = CarelessHasher()
        assert await auth.verify("alice", "wrong") is None
        assert user.password == "new(secret)"

    async def test_no_new_hash_is_computed_where_none_can_be_stored(self) -> None:
        auth = BasicAuth(alice("old(secret)"))
        assert await auth.verify("alice", "secret")
        assert auth.counting.work == [("verify", "secret", "old(secret)")]

    @pytest.mark.parametrize(
        "error",
        [RuntimeError("UPDATE … 'new(secret)'"), TimeoutError(), AuthenticationUnavailable()],
    )
    async def test_a_failing_upgrade_is_logged_and_the_login_succeeds(
        self, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        class FailingAuth(BasicAuth):
            async def replace_password_hash(self, user: User, old: str, new: str) -> None:
                raise error

        user = alice("old(secret)")
        with caplog.at_level(logging.DEBUG):
            assert await FailingAuth(user).verify("alice", "secret") is user
        (record,) = caplog.records
        assert record.name == "starlette_auth_core"
        assert record.levelno == logging.WARNING
        assert type(error).__name__ in record.getMessage()
        assert user.password == "old(secret)"


def header(username: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{username}:{password}".encode())


UNFIT = ["\x00", "a\x00", "a\n", "\x7f", "\x85", "a\ud800", "\udfff"]


class TestFromAView:
    @pytest.mark.parametrize("text", [*UNFIT, None, 1, b"alice", ["alice"], {"$ne": ""}])
    async def test_what_no_header_could_carry_never_reaches_find_user(self, text: Any) -> None:
        auth = BasicAuth(alice())
        assert await auth.verify(text, "secret") is None
        assert await auth.verify("alice", text) is None
        assert auth.asked == []

    @pytest.mark.parametrize("text", [*UNFIT, None, 1])
    async def test_nor_does_it_reach_a_hasher_that_could_stumble(self, text: Any) -> None:
        auth = BasicAuth(alice())
        await auth.verify(text, "secret")
        await auth.verify("alice", text)
        assert auth.counting.work == [("dummy_verify", "", "")] * 2

    async def test_all_other_text_is_handed_on_as_it_came(self) -> None:
        auth = BasicAuth()
        await auth.verify("e\u0301:\u2028 ", "p")
        assert auth.asked == ["e\u0301:\u2028 "]


class TestTheDocumentedForms:
    """Those of release 0.5.0."""

    async def test_find_user_and_verify_password(self, connect: Connect) -> None:
        class PlainUser(NamedTuple):
            username: str
            password: str

        users = {"alice": PlainUser("alice", "alicepwd")}

        class PlainAuth(BaseBasicAuth):
            async def find_user(self, username: str):  # type: ignore[no-untyped-def]  # as printed
                return users.get(username)

            async def verify_password(self, user: PlainUser, password: str):  # type: ignore[no-untyped-def]  # as printed
                return user.password == password

        auth = PlainAuth()
        assert await auth.verify("alice", "alicepwd") == users["alice"]
        assert await auth.verify("alice", "wrong") is None
        assert await auth.verify("bob", "alicepwd") is None
        result = await auth.authenticate(connect(header("alice", "alicepwd")))
        assert result is not None
        assert result[1] == users["alice"]

    async def test_verify_alone(self, connect: Connect) -> None:
        class VerifyAuth(BaseBasicAuth):
            async def verify(self, username: str, password: str):  # type: ignore[no-untyped-def]  # as printed
                if (username, password) != ("bob", "s3kr3t"):
                    return None
                return SimpleUser(username)

        result = await VerifyAuth().authenticate(connect(header("bob", "s3kr3t")))
        assert result is not None
        assert result[1].username == "bob"
        with pytest.raises(InvalidCredentials):
            await VerifyAuth().authenticate(connect(header("bob", "wrong")))

    @pytest.mark.parametrize("falsy", [None, "", 0, False])
    async def test_a_password_is_wrong_where_verify_password_says_nothing(self, falsy: Any) -> None:
        class FalsyAuth(BaseBasicAuth):
            async def find_user(self, username: str) -> str:
                return username

            async def verify_password(self, user: str, password: str) -> Any:
                return falsy

        assert await FalsyAuth().verify("alice", "secret") is None

    async def test_an_own_verify_password_is_equalised_too_where_there_is_a_hasher(self) -> None:
        class OwnAuth(BasicAuth):
            async def verify_password(self, user: User, password: str) -> bool:
                return await self.counting.verify(password, user.password)

        auth = OwnAuth(alice())
        for username in "alice", "nobody":
            auth.counting.work.clear()
            assert await auth.verify(username, "wrong") is None
            assert len(auth.counting.work) == 1


class TestFailures:
    async def test_the_error_carries_the_claimed_user_id(self, connect: Connect) -> None:
        with pytest.raises(InvalidCredentials) as caught:
            await BasicAuth().authenticate(connect(header("alice", "wrong")))
        assert caught.value.username == "alice"
        assert "alice" not in f"{caught.value!r} {caught.value} {caught.value.args}"

    @pytest.mark.parametrize("place", ["find_user", "verify_password", "verify"])
    async def test_a_timeout_means_unavailable(self, place: str, connect: Connect) -> None:
        async def time_out(*args: object) -> None:
            raise TimeoutError

        auth = type("SlowAuth", (BasicAuth,), {place: time_out})(alice())
        with pytest.raises(AuthenticationUnavailable) as caught:
            await auth.authenticate(connect(header("alice", "secret")))
        assert isinstance(caught.value.__cause__, TimeoutError)
        if place != "verify":
            with pytest.raises(AuthenticationUnavailable):
                await auth.verify("alice", "secret")

    @pytest.mark.parametrize("username", ["alice", "nobody", "\x00"])
    async def test_a_busy_hasher_means_unavailable_whoever_asks(self, username: str) -> None:
        class BusyHasher(CountingHasher):
            async def verify(self, secret: str, hashed: str | None) -> bool:
                raise TimeoutError

            async def dummy_verify(self, secret: str, username: str = "") -> None:
                raise TimeoutError

        auth = BasicAuth(alice())
        auth.hasher = BusyHasher()
        with pytest.raises(AuthenticationUnavailable):
            await auth.verify(username, "secret")

    async def test_a_bug_is_not_hidden(self, connect: Connect) -> None:
        class BuggyAuth(BasicAuth):
            async def find_user(self, username: str) -> User | None:
                raise KeyError("email")

        with pytest.raises(KeyError):
            await BuggyAuth().authenticate(connect(header("alice", "secret")))


async def nothing(*args: object) -> None:
    return None


async def false(*args: object) -> bool:
    return False


async def nothing_true() -> bool:
    return True


async def forgets_to_await(*args: object) -> Coroutine[Any, Any, bool]:
    return nothing_true()


class TestMistakes:
    def test_nobody_to_find(self) -> None:
        with pytest.raises(TypeError, match=r"find_user.*verify"):
            BaseBasicAuth()
        with pytest.raises(TypeError, match=r"NobodyAuth.*find_user.*verify"):
            type("NobodyAuth", (BaseBasicAuth,), {"verify_password": false})()

    async def test_a_method_that_is_not_written(self) -> None:
        auth = type("Auth", (BaseBasicAuth,), {"verify": nothing})()
        with pytest.raises(NotImplementedError):
            await auth.find_user("alice")
        with pytest.raises(NotImplementedError):
            await auth.replace_password_hash("alice", "old", "new")

    def test_nothing_to_check_a_password_by(self) -> None:
        auth_class = type("CarelessAuth", (BaseBasicAuth,), {"find_user": nothing})
        with pytest.raises(TypeError, match=r"CarelessAuth.*hasher.*verify_password"):
            auth_class()

    @pytest.mark.parametrize("hasher", [CountingHasher, object(), "argon2", lambda: None])
    def test_a_hasher_that_is_none(self, hasher: object) -> None:
        auth_class = type("Auth", (BaseBasicAuth,), {"find_user": nothing, "hasher": hasher})
        with pytest.raises(TypeError, match="hasher must be an object"):
            auth_class()

    def test_an_argument_that_nobody_takes(self) -> None:
        auth_class = type("Auth", (BaseBasicAuth,), {"find_user": nothing})
        arguments: dict[str, Any] = {"hasher": CountingHasher()}
        with pytest.raises(TypeError, match="argument"):
            auth_class(**arguments)

    def test_scopes_in_a_string(self) -> None:
        auth_class = type("Auth", (BaseBasicAuth,), {"verify": nothing, "scopes": "authenticated"})
        with pytest.raises(TypeError, match="scopes"):
            auth_class()

    @pytest.mark.parametrize("place", ["verify", "find_user", "verify_password"])
    async def test_a_forgotten_await_lets_nobody_in(self, place: str, connect: Connect) -> None:
        auth = type("Auth", (BasicAuth,), {place: forgets_to_await})(alice())
        with pytest.raises(TypeError, match="nothing_true was not awaited"):
            await auth.authenticate(connect(header("alice", "secret")))

    @pytest.mark.parametrize("place", ["verify", "find_user"])
    async def test_false_is_no_user(self, place: str, connect: Connect) -> None:
        auth = type("Auth", (BasicAuth,), {place: false})(alice())
        with pytest.raises(InvalidCredentials):
            await auth.authenticate(connect(header("alice", "secret")))

    @pytest.mark.parametrize("answer", [(False, None), "no", object()])
    async def test_what_is_true_without_being_a_bool_lets_nobody_in(
        self, answer: object, connect: Connect
    ) -> None:
        # `return await hasher.verify_and_update(…)` is a tuple, and true whatever it says.
        async def answers(*args: object) -> object:
            return answer

        auth = type("Auth", (BasicAuth,), {"verify_password": answers})(alice())
        with pytest.raises(TypeError, match="verify_password must return a bool"):
            await auth.authenticate(connect(header("alice", "secret")))

    async def test_a_database_may_spell_true_as_1(self) -> None:
        async def one(*args: object) -> int:
            return 1

        auth = type("Auth", (BasicAuth,), {"verify_password": one})(alice())
        assert await auth.verify("alice", "secret") is not None

    async def test_scopes_of_a_user_in_a_string(self, connect: Connect) -> None:
        def string(*args: object) -> str:
            return "admin"

        auth = type("Auth", (BasicAuth,), {"get_scopes": string})(alice())
        with pytest.raises(TypeError, match="scopes"):
            await auth.authenticate(connect(header("alice", "secret")))


class TestBytesInThePasswordColumn:
    """Some drivers return them for a column that was once binary."""

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    async def test_ascii_is_a_hash(self, kind: Callable[[bytes], Any]) -> None:
        auth = BasicAuth(User("alice", kind(b"new(secret)")))

        assert await auth.verify("alice", "secret") is not None
        assert await auth.verify("alice", "wrong") is None
        assert auth.counting.work[0] == ("verify", "secret", "new(secret)")

    @pytest.mark.parametrize("stored", [b"new(secret)", b"old(secret)"])
    async def test_login_makes_them_text(self, stored: Any) -> None:
        user = User("alice", stored)
        auth = UpgradingBasicAuth(user)

        assert await auth.verify("alice", "wrong") is None
        assert user.password == stored
        assert await auth.verify("alice", "secret") is user
        # It compares the old one, as stored, with the column.
        assert user.password == "new(secret)"

    @pytest.mark.parametrize("auth_class", [BasicAuth, UpgradingBasicAuth])
    async def test_others_are_a_wrong_password(
        self, auth_class: type[BasicAuth], caplog: pytest.LogCaptureFixture
    ) -> None:
        stored: Any = b"new(secret)\xff"
        auth = auth_class(User("alice", stored))

        assert await auth.verify("alice", "secret") is None
        assert auth.counting.work == [("verify", "secret", None)]
        assert caplog.messages == ["The bytes in User.password are not a password hash."]


class Telling(CountingHasher):
    """A hasher that wants to know who asks."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_by: list[tuple[str | None, object]] = []

    async def verify(
        self,
        secret: str,
        hashed: str | None,
        *,
        username: str | None = None,
        backend: object = None,
    ) -> bool:
        self.asked_by.append((username, backend))
        return await super().verify(secret, hashed)

    async def verify_and_update(
        self,
        secret: str,
        hashed: str | None,
        *,
        username: str | None = None,
        backend: object = None,
    ) -> tuple[bool, str | None]:
        self.asked_by.append((username, backend))
        return await super().verify_and_update(secret, hashed)

    async def dummy_verify(
        self, secret: str, username: str = "", *, backend: object = None
    ) -> None:
        self.asked_by.append((username, backend))
        await super().dummy_verify(secret, username)


class TestWhoAsks:
    """A hasher that shares work among requests has to know, and no other hasher has to take it."""

    @pytest.mark.parametrize("auth_class", [BasicAuth, UpgradingBasicAuth])
    async def test_hasher_gets_the_user_id_as_it_was_claimed(
        self, auth_class: type[BasicAuth]
    ) -> None:
        class AnySpelling(auth_class):  # type: ignore[misc, valid-type]  # made at run time
            async def find_user(self, username: str) -> User | None:
                user: User | None = self.users.get(username.lower())
                return user

        auth = AnySpelling(alice())
        auth.hasher = hasher = Telling()

        for username in ("alice", "ALICE", "bob"):
            await auth.verify(username, "secret")
        assert hasher.asked_by == [("alice", auth), ("ALICE", auth), ("bob", auth)]

    async def test_user_without_a_password_is_asked_about_in_the_same_way(self) -> None:
        auth = UpgradingBasicAuth(User("alice", None))
        auth.hasher = hasher = Telling()

        assert await auth.verify("alice", "secret") is None
        assert hasher.asked_by == [("alice", auth)]

    async def test_password_that_is_checked_by_itself_has_no_user_id(self) -> None:
        auth = BasicAuth(alice())
        auth.hasher = hasher = Telling()

        await auth.verify("alice", "secret")
        assert await auth.verify_password(alice(), "secret")
        assert hasher.asked_by == [("alice", auth), (None, auth)]

    async def test_hasher_that_takes_the_user_id_alone(self) -> None:
        class Half(CountingHasher):
            async def verify(
                self, secret: str, hashed: str | None, username: str | None = None
            ) -> bool:
                self.work.append(("asked by", username))
                return await super().verify(secret, hashed)

        auth = BasicAuth(alice())
        auth.hasher = hasher = Half()

        assert await auth.verify("alice", "secret") is not None
        assert hasher.work[0] == ("asked by", "alice")

    async def test_decorator_that_hands_nothing_on(self) -> None:
        class Decorated(Telling):
            @functools.wraps(Telling.verify)
            async def verify(self, secret: str, hashed: str | None) -> bool:  # type: ignore[override]
                return await super().verify(secret, hashed)

        auth = BasicAuth(alice())
        auth.hasher = hasher = Decorated()  # type: ignore[assignment]  # it has fewer keywords

        assert await auth.verify("alice", "secret") is not None
        assert hasher.asked_by == [(None, None)]

    async def test_method_of_an_unusual_kind(self) -> None:
        class Unhashable:
            __hash__ = None  # type: ignore[assignment]  # on purpose

            async def __call__(self, secret: str, hashed: str | None) -> bool:
                return True

        class BuiltIn:
            __signature__ = "none"

            async def __call__(self, secret: str, hashed: str | None) -> bool:
                return True

        for method in (Unhashable(), BuiltIn()):
            auth = BasicAuth(alice())
            hasher: Any = CountingHasher()
            hasher.verify = method
            auth.hasher = hasher
            assert await auth.verify("alice", "secret") is not None
