"""A programmer's slip opens no door: it is a refusal, or an error that names the place."""

import asyncio
import collections
import dataclasses
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from starlette_auth_core import (
    AuthenticationMiddleware,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    InvalidCredentials,
    requires,
)

pytestmark = pytest.mark.anyio

Connect = Callable[..., HTTPConnection]
Fetch = Callable[..., Awaitable[httpx.Response]]

BASIC = b"Basic YWxpY2U6c2VjcmV0"  # alice:secret


class User:
    """A user of an app's own class, false and empty."""

    username = "alice"
    password = "hash(secret)"
    is_active: Any = True

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


class Hasher:
    def __init__(self) -> None:
        self.work: list[str] = []

    async def verify(self, secret: str, hashed: str | None) -> bool:
        self.work.append("verify")
        return hashed == f"hash({secret})"

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        self.work.append("verify_and_update")
        return hashed == f"hash({secret})", f"new({secret})"

    async def dummy_verify(self, secret: str, username: str) -> None:
        self.work.append("dummy_verify")


class PasswordAuth(BaseBasicAuth[Any]):
    def __init__(self, user: Any = None) -> None:
        self.hasher = self.counting = Hasher()
        self.user = User() if user is None else user

    async def find_user(self, username: str) -> Any:
        return self.user if username == "alice" else None


class LookupAuth(BaseTokenAuth[Any]):
    async def verify(self, token: str) -> Any:
        return User()


class LazyQuery:
    """A query of an ORM, which runs once it is awaited."""

    def __await__(self) -> Iterator[Any]:
        yield from ()


class LazyCursor:
    def __aiter__(self) -> "LazyCursor":
        return self

    async def __anext__(self) -> Any:
        raise StopAsyncIteration


async def coroutine() -> None:
    return None


async def async_generator() -> AsyncIterator[int]:
    yield 1


def future() -> Any:
    loop = asyncio.new_event_loop()
    loop.close()
    return loop.create_future()


UNFINISHED: dict[str, Callable[[], Any]] = {
    "a coroutine": coroutine,
    "a future": future,
    "a lazy query": LazyQuery,
    "a cursor": LazyCursor,
    "an async generator": async_generator,
    "a generator": lambda: (number for number in (1,)),
    "a filter": lambda: filter(None, [1]),
    "an iterator": lambda: iter([1]),
}

NOTHING: list[Any] = [
    None, False, 0, 0.0, "", b"", (), [], {}, set(), frozenset(), range(0),
    collections.OrderedDict(), collections.defaultdict(list), collections.deque(),
]  # fmt: skip


def returning(value: Any) -> Callable[..., Any]:
    async def hook(*args: Any) -> Any:
        return value() if callable(value) else value

    return hook


class TestForgottenAwaits:
    @pytest.mark.parametrize("kind", UNFINISHED)
    @pytest.mark.parametrize("hook", ["verify", "find_user", "verify_password"])
    async def test_a_result_that_is_not_there_yet_is_no_user(
        self, hook: str, kind: str, connect: Connect
    ) -> None:
        backend = type("Auth", (PasswordAuth,), {hook: returning(UNFINISHED[kind])})()
        with pytest.raises(TypeError, match=hook):
            await backend.authenticate(connect(BASIC))

    @pytest.mark.parametrize("kind", UNFINISHED)
    @pytest.mark.parametrize("hook", ["verify", "resolve", "the user of resolve"])
    async def test_nor_is_it_one_for_a_token(self, hook: str, kind: str, connect: Connect) -> None:
        value = UNFINISHED[kind]
        if hook == "the user of resolve":
            methods = {"resolve": returning(lambda: (value(), ("authenticated",)))}
        else:
            methods = {hook: returning(value)}
        backend = type("Auth", (LookupAuth,), methods)()
        with pytest.raises(TypeError, match=r"verify|resolve"):
            await backend.authenticate(connect(b"Token abcd"))

    @pytest.mark.parametrize("kind", UNFINISHED)
    async def test_nor_out_of_a_backend_of_the_apps_own(self, kind: str, fetch: Fetch) -> None:
        class OwnAuth(AuthenticationBackend):
            async def authenticate(self, conn: HTTPConnection) -> Any:
                return AuthCredentials(["authenticated"]), UNFINISHED[kind]()

        app = AuthenticationMiddleware(PlainTextResponse("Hello"), OwnAuth())
        with pytest.raises(TypeError, match="authenticate"):
            await fetch(app)

    @pytest.mark.parametrize("kind", UNFINISHED)
    async def test_nor_is_a_whole_result_that_is_not_there_yet(
        self, kind: str, fetch: Fetch
    ) -> None:
        class OwnAuth(AuthenticationBackend):
            async def authenticate(self, conn: HTTPConnection) -> Any:
                return UNFINISHED[kind]()

        with pytest.raises(TypeError, match="authenticate"):
            await fetch(AuthenticationMiddleware(PlainTextResponse("Hello"), OwnAuth()))

    @pytest.mark.parametrize("hook", ["verify", "find_user", "verify_password"])
    async def test_a_hook_that_is_not_async_is_named(self, hook: str, connect: Connect) -> None:
        backend = type("Auth", (PasswordAuth,), {hook: lambda *args: User()})()
        with pytest.raises(TypeError, match=f"{hook} returned .* can't be awaited"):
            await backend.authenticate(connect(BASIC))

    @pytest.mark.parametrize("hook", ["verify", "resolve"])
    async def test_so_is_one_for_tokens(self, hook: str, connect: Connect) -> None:
        backend = type("Auth", (LookupAuth,), {hook: lambda *args: (User(), ())})()
        with pytest.raises(TypeError, match=f"{hook} returned .* can't be awaited"):
            await backend.authenticate(connect(b"Token abcd"))

    async def test_so_is_one_that_stores_an_upgrade(self, connect: Connect) -> None:
        class SyncUpgradeAuth(PasswordAuth):
            def replace_password_hash(self, user: Any, old: str, new: str) -> Any:
                return None

        with pytest.raises(TypeError, match="replace_password_hash"):
            await SyncUpgradeAuth().authenticate(connect(BASIC))

    @pytest.mark.parametrize(
        ("method", "base"),
        [
            ("verify", PasswordAuth),
            (
                "verify_and_update",
                type("Up", (PasswordAuth,), {"replace_password_hash": returning(None)}),
            ),
        ],
    )
    async def test_so_is_a_hasher_that_is_not_async(
        self, method: str, base: type[PasswordAuth], connect: Connect
    ) -> None:
        backend = base()
        backend.hasher = type("SyncHasher", (Hasher,), {method: lambda *args: True})()
        with pytest.raises(TypeError, match=f"hasher.{method} returned"):
            await backend.authenticate(connect(BASIC))

    async def test_so_is_a_backend_that_is_not_async(self, fetch: Fetch) -> None:
        class SyncAuth(AuthenticationBackend):
            def authenticate(self, conn: HTTPConnection) -> Any:
                return AuthCredentials(["authenticated"]), SimpleUser("alice")

        with pytest.raises(TypeError, match="authenticate returned"):
            await fetch(AuthenticationMiddleware(PlainTextResponse("Hello"), SyncAuth()))

    async def test_a_hash_that_still_has_to_be_awaited_is_named(self, connect: Connect) -> None:
        backend = type("Auth", (PasswordAuth,), {"get_password_hash": returning("hash(secret)")})()
        with pytest.raises(TypeError, match="get_password_hash"):
            await backend.authenticate(connect(BASIC))

    async def test_scopes_that_still_have_to_be_awaited_grant_nothing(
        self, connect: Connect
    ) -> None:
        backend = type("Auth", (PasswordAuth,), {"get_scopes": returning(["admin"])})()
        with pytest.raises(TypeError, match="scopes"):
            await backend.authenticate(connect(BASIC))


class TestNothingFound:
    @pytest.mark.parametrize("nothing", NOTHING, ids=repr)
    @pytest.mark.parametrize("hook", ["verify", "find_user"])
    async def test_it_is_nobody(self, hook: str, nothing: Any, connect: Connect) -> None:
        backend = type("Auth", (PasswordAuth,), {hook: returning(nothing)})()
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(BASIC))
        assert backend.counting.work == (["dummy_verify"] if hook == "find_user" else [])

    @pytest.mark.parametrize("nothing", NOTHING, ids=repr)
    @pytest.mark.parametrize("hook", ["verify", "resolve", "the user of resolve"])
    async def test_nor_is_it_anybody_for_a_token(
        self, hook: str, nothing: Any, connect: Connect
    ) -> None:
        if hook == "the user of resolve":
            methods = {"resolve": returning((nothing, ("authenticated",)))}
        else:
            methods = {hook: returning(nothing)}
        backend = type("Auth", (LookupAuth,), methods)()
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(b"Token abcd"))

    @pytest.mark.parametrize("nothing", NOTHING, ids=repr)
    async def test_nor_for_a_backend_of_the_apps_own(self, nothing: Any, fetch: Fetch) -> None:
        class OwnAuth(AuthenticationBackend):
            async def authenticate(self, conn: HTTPConnection) -> Any:
                return AuthCredentials(["authenticated"]), nothing

        response = await fetch(AuthenticationMiddleware(PlainTextResponse("Hello"), OwnAuth()))
        assert response.status_code == 401

    @pytest.mark.parametrize("result", [(), {}, (AuthCredentials(), None), (AuthCredentials(), {})])
    async def test_a_backend_of_the_apps_own_that_grants_nothing_leaves_it_anonymous(
        self, result: Any, fetch: Fetch
    ) -> None:
        class OwnAuth(AuthenticationBackend):
            async def authenticate(self, conn: HTTPConnection) -> Any:
                return result

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse(repr(scope["user"].is_authenticated))(scope, receive, send)

        assert (await fetch(AuthenticationMiddleware(app, OwnAuth()))).text == "False"

    @pytest.mark.parametrize("user", [User(), {"name": "alice"}, ["alice"], 1, "alice"])
    async def test_all_else_is_a_user(self, user: Any, connect: Connect) -> None:
        backend = type("Auth", (LookupAuth,), {"verify": returning(lambda: user)})()
        result = await backend.authenticate(connect(b"Token abcd"))
        assert result is not None
        assert result[1] is user

    @pytest.mark.parametrize("found", [User(), "alice", ("a", "b", "c"), [User(), ()]])
    async def test_a_resolve_that_returns_something_else_is_named(
        self, found: Any, connect: Connect
    ) -> None:
        backend = type("Auth", (LookupAuth,), {"resolve": returning(lambda: found)})()
        with pytest.raises(TypeError, match="resolve must return a tuple"):
            await backend.authenticate(connect(b"Token abcd"))


async def returning_inactive(*args: Any) -> User:
    return inactive()


class TestActiveField:
    async def test_an_inactive_user_costs_a_hash_and_gets_no_upgrade(
        self, connect: Connect
    ) -> None:
        class UpgradingAuth(PasswordAuth):
            active_field = "is_active"
            stored: list[str] = []

            async def replace_password_hash(self, user: Any, old: str, new: str) -> None:
                self.stored.append(new)

        backend = UpgradingAuth()
        assert await backend.verify("alice", "secret") is backend.user
        assert backend.stored == ["new(secret)"]
        backend.stored.clear()
        backend.counting.work.clear()
        user: Any = backend.user
        user.is_active = False
        assert await backend.verify("alice", "secret") is None
        assert (backend.counting.work, backend.stored) == (["verify"], [])
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(BASIC))

    @pytest.mark.parametrize(
        "methods",
        [
            {"get_password_hash": lambda self, user: "hash(secret)"},
            {"verify_password": returning(True)},
            {"find_user": returning_inactive},
            {"verify": returning_inactive},
        ],
        ids=lambda methods: next(iter(methods)),
    )
    async def test_it_is_asked_whatever_is_overridden(
        self, methods: dict[str, Any], connect: Connect
    ) -> None:
        backend = type("Auth", (PasswordAuth,), {"active_field": "is_active", **methods})(
            inactive()
        )
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(BASIC))

    @pytest.mark.parametrize("active", [False, None, 0, "", "a method", "a coroutine"])
    async def test_only_a_true_value_is_active(
        self, active: Any, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        user = User()
        user.is_active = {"a method": lambda: True, "a coroutine": LazyQuery()}.get(active, active)
        backend = type("Auth", (PasswordAuth,), {"active_field": "is_active"})(user)
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(BASIC))
        assert ("active_field 'is_active' of User is a method" in caplog.text) is bool(active)


def inactive() -> User:
    user = User()
    user.is_active = False
    return user


class TestWrongNames:
    @pytest.mark.parametrize("setting", ["password_field", "active_field"])
    async def test_all_users_get_the_same_status_and_the_log_names_the_setting(
        self, setting: str, connect: Connect, caplog: pytest.LogCaptureFixture
    ) -> None:
        backend = type("Auth", (PasswordAuth,), {setting: "pasword"})()
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(BASIC))
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(b"Basic Ym9iOnNlY3JldA=="))
        (record,) = {record.getMessage() for record in caplog.records}
        assert record == (
            f"Login refused: User has no attribute 'pasword'; correct the setting {setting}"
        )
        assert backend.counting.work == ["verify", "dummy_verify"]
        assert {record.name for record in caplog.records} == {"starlette_auth_core"}
        assert {record.levelno for record in caplog.records} == {logging.ERROR}


class TestConstruction:
    async def test_a_verify_password_that_is_called_without_a_hasher(self) -> None:
        class OwnAuth(BaseBasicAuth[Any]):
            async def verify(self, username: str, password: str) -> Any:
                return await self.verify_password(User(), password)

        with pytest.raises(TypeError, match=r"OwnAuth.*set its hasher"):
            await OwnAuth().verify("alice", "secret")

    @pytest.mark.parametrize("scheme", ["xBasic", "Token", ""])
    def test_a_basic_backend_of_another_scheme(self, scheme: str) -> None:
        with pytest.raises(ValueError, match=r"scheme must be Basic.*challenges"):
            type("Auth", (PasswordAuth,), {"scheme": scheme})()

    @pytest.mark.parametrize("size", [0, -1])
    @pytest.mark.parametrize("base", [PasswordAuth, LookupAuth])
    def test_a_size_that_no_credentials_have(self, base: type[Any], size: int) -> None:
        with pytest.raises(ValueError, match="max_credentials_size"):
            type("Auth", (base,), {"max_credentials_size": size})()

    @pytest.mark.parametrize("size", [None, "8192", True, 8.5])
    def test_a_size_that_is_not_a_number(self, size: Any) -> None:
        with pytest.raises(TypeError, match="max_credentials_size"):
            type("Auth", (LookupAuth,), {"max_credentials_size": size})()

    @pytest.mark.parametrize("vary", ["Cookie", None, b"Cookie"])
    def test_names_of_headers_that_are_not_a_sequence(self, vary: Any) -> None:
        with pytest.raises(TypeError, match="vary"):
            type("Auth", (LookupAuth,), {"vary": vary})()

    def test_a_name_that_no_header_has(self) -> None:
        with pytest.raises(ValueError, match="invalid header name 'X Y'"):
            type("Auth", (LookupAuth,), {"vary": ["X Y"]})()

    def test_settings_out_of_an_init_are_checked_once_all_have_run(self) -> None:
        class Base(LookupAuth):
            def __init__(self, realm: str) -> None:
                self.realm = realm

        class Careless(Base):
            def __init__(self) -> None:
                super().__init__("a\nb")
                self.realm = "harmless"

        class Mixin:
            def __init__(self) -> None:
                self.realm = "a\nb"

        class Mixed(Mixin, LookupAuth):
            pass

        Careless()
        with pytest.raises(ValueError, match="realm"):
            Base("a\nb")
        with pytest.raises(ValueError, match="realm"):
            Mixed()

    def test_so_are_those_of_a_dataclass(self) -> None:
        @dataclasses.dataclass
        class DataAuth(LookupAuth):
            realm: str = "Restricted"

        assert list(inspect.signature(DataAuth).parameters) == ["realm"]
        assert DataAuth("mine").realm == "mine"
        with pytest.raises(ValueError, match="realm"):
            DataAuth("a\nb")

    def test_so_are_those_of_one_with_an_own_post_init(self) -> None:
        @dataclasses.dataclass
        class DataAuth(LookupAuth):
            realm: str = "Restricted"

            def __post_init__(self) -> None:
                self.realm = f"{self.realm}!"

        assert DataAuth("mine").realm == "mine!"
        with pytest.raises(ValueError, match="realm"):
            DataAuth("a\nb")

    def test_a_signature_is_that_of_the_init(self) -> None:
        class WithInit(LookupAuth):
            def __init__(self, store: str, *, size: int = 5) -> None:
                self.store = store

        class Below(WithInit):
            pass

        for backend in (BaseBasicAuth, BaseTokenAuth, BaseBearerAuth, BaseAPIKeyAuth, LookupAuth):
            assert list(inspect.signature(backend).parameters) == []
        for own in (WithInit, Below):
            assert str(inspect.signature(own)).startswith("(store: str, *, size: int = 5)")

    def test_an_argument_that_nobody_takes(self) -> None:
        auth_class: Any = LookupAuth
        with pytest.raises(TypeError, match="argument"):
            auth_class("shop")


class Body:
    """What a client may send to an endpoint of FastAPI: anything, `auth` too."""

    auth = AuthCredentials(["admin"])
    user = SimpleUser("mallory")
    scope = {"type": "http", "auth": auth, "user": user}


class TestRequires:
    @pytest.mark.parametrize("forged", [Body(), {"auth": {"scopes": ["admin"]}}, None, "request"])
    def test_scopes_come_from_a_connection_only(self, forged: Any) -> None:
        called: list[str] = []

        @requires("admin")
        def endpoint(request: Any) -> None:
            called.append("called")

        with pytest.raises(TypeError, match="scopes are read from a Request"):
            endpoint(forged)
        with pytest.raises(TypeError, match="scopes are read from a Request"):
            endpoint(request=forged)
        assert called == []

    def test_an_argument_that_is_left_out_is_no_connection(self) -> None:
        @requires("admin")
        def endpoint(request: Any = None) -> str:
            return "called"

        with pytest.raises(TypeError, match="NoneType"):
            endpoint()

    def test_a_connection_that_nothing_has_authenticated(self) -> None:
        @requires("admin")
        def endpoint(request: Any) -> str:
            return "called"

        with pytest.raises(RuntimeError, match="AuthenticationMiddleware"):
            endpoint(Request({"type": "http", "headers": []}))

    @pytest.mark.parametrize("redirect", [None, "login"])
    async def test_nothing_runs_after_a_refusal_in_a_helper(
        self, redirect: str | None, fetch: Fetch
    ) -> None:
        reached: list[str] = []

        @requires("admin", redirect=redirect)
        async def helper(request: Request) -> str:
            return "allowed"

        async def endpoint(request: Request) -> Response:
            await helper(request)
            reached.append("after the helper")
            return PlainTextResponse("secret")

        app = Starlette(
            routes=[Route("/", endpoint), Route("/login", endpoint, name="login")],
            middleware=[Middleware(AuthenticationMiddleware, backend=PasswordAuth())],
        )
        response = await fetch(app)
        assert response.status_code == (303 if redirect else 401)
        assert response.headers["cache-control"] == "no-store"
        assert reached == []

    async def test_a_partial_of_an_object_with_an_async_call_is_awaited(
        self, connect: Connect
    ) -> None:
        class Endpoint:
            async def __call__(self, word: str, request: Request) -> str:
                return word

        protected = requires("read")(functools.partial(functools.partial(Endpoint()), "Hello"))
        assert inspect.iscoroutinefunction(protected)
        conn: Any = connect()
        conn.scope.update(auth=AuthCredentials(["read"]), user=SimpleUser("a"))
        assert await protected(conn) == "Hello"
