"""Endpoints that ask for scopes."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, BaseUser, SimpleUser
from starlette.authentication import requires as starlette_requires
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    BaseBasicAuth,
    BaseBearerAuth,
    Challenge,
    requires,
)

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[httpx.Response]]

BASIC = 'Basic realm="Restricted", charset="UTF-8"'
BEARER = 'Bearer realm="Restricted"'


class ScopesAuth(BaseBearerAuth[SimpleUser]):
    """A token is the list of its scopes: `authenticated+read+write`."""

    async def verify(self, token: str) -> SimpleUser | None:
        raise NotImplementedError

    async def resolve(self, token: str) -> tuple[SimpleUser, Sequence[str]] | None:
        return SimpleUser("bob"), token.split("+")


class BasicAuth(BaseBasicAuth[SimpleUser]):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        return SimpleUser(username)


async def hello(request: Request) -> Response:
    return PlainTextResponse("Hello")


def app_with(endpoint: Any, backend: Any = None) -> Starlette:
    return Starlette(
        routes=[Route("/", endpoint), Route("/log/in", hello, name="login")],
        middleware=[Middleware(AuthenticationMiddleware, backend=backend or ScopesAuth())],
    )


def challenges(response: httpx.Response) -> list[str]:
    return response.headers.get_list("www-authenticate")


class TestWho:
    async def test_the_anonymous_are_asked_to_log_in(self, fetch: Fetch) -> None:
        response = await fetch(app_with(requires("authenticated")(hello)))
        assert response.status_code == 401
        assert challenges(response) == [BEARER]

    async def test_who_has_the_scope_may_come_in(self, fetch: Fetch) -> None:
        app = app_with(requires("authenticated")(hello))
        assert (await fetch(app, bearer="authenticated")).text == "Hello"

    async def test_who_lacks_one_is_told_which(self, fetch: Fetch) -> None:
        app = app_with(requires(["authenticated", "write"])(hello))
        response = await fetch(app, bearer="authenticated+read")
        assert response.status_code == 403
        assert challenges(response) == [
            f'{BEARER}, error="insufficient_scope", scope="authenticated write"'
        ]
        assert (await fetch(app, bearer="write+authenticated")).status_code == 200

    async def test_a_user_of_another_scheme_gets_a_plain_403(self, fetch: Fetch) -> None:
        app = app_with(requires("admin")(hello), BasicAuth())
        response = await fetch(app, auth=("alice", "secret"))
        assert (response.status_code, challenges(response)) == (403, [])

    async def test_so_does_one_whose_backend_asks_for_another_scheme_too(
        self, fetch: Fetch
    ) -> None:
        class BothAuth(BasicAuth):
            def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
                return Challenge("Bearer"), *super().challenges(conn)

        app = app_with(requires("admin")(hello), BothAuth())
        response = await fetch(app, auth=("alice", "secret"))
        assert (response.status_code, challenges(response)) == (403, [])

    async def test_the_scheme_that_counts_is_the_backends_and_not_the_headers(
        self, fetch: Fetch
    ) -> None:
        class CookieAuth(BasicAuth):
            async def authenticate(self, conn: HTTPConnection) -> Any:
                return AuthCredentials(["authenticated"]), SimpleUser("by cookie")

            def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
                return (Challenge("Bearer"),)

        app = app_with(requires("admin")(hello), CookieAuth())
        for header in "", "Bearer", "Bearer abcd", "Digest a", "@":
            response = await fetch(app, headers={"Authorization": header} if header else {})
            assert (response.status_code, challenges(response)) == (403, [])

    async def test_an_own_backend_of_the_scheme_counts_too(self, fetch: Fetch) -> None:
        class OwnBearerAuth(AuthBackend[SimpleUser]):
            scheme = "Bearer"

            async def authenticate(self, conn: HTTPConnection) -> Any:
                return AuthCredentials(["authenticated"]), SimpleUser("bob")

        response = await fetch(app_with(requires("admin")(hello), OwnBearerAuth()))
        assert challenges(response) == [f'{BEARER}, error="insufficient_scope", scope="admin"']

    @pytest.mark.parametrize("scope", ["läs", "read write", 'a"b', "a\\b", "a\nb", ""])
    async def test_a_scope_that_no_challenge_can_name_is_left_out(
        self, scope: str, fetch: Fetch
    ) -> None:
        # Starlette's decorator takes any text: RFC 6750 section 3 does not.
        response = await fetch(app_with(requires(scope)(hello)), bearer="read")
        assert challenges(response) == [f'{BEARER}, error="insufficient_scope"']

    async def test_a_user_that_does_not_say_is_authenticated(self, fetch: Fetch) -> None:
        class NamedAuth(BaseBasicAuth[str]):
            async def verify(self, username: str, password: str) -> str | None:
                return username

        app = app_with(requires("admin")(hello), NamedAuth())
        assert (await fetch(app, auth=("alice", "secret"))).status_code == 403

    @pytest.mark.parametrize("scopes", [[], ["authenticated"]])
    async def test_a_user_that_does_not_override_is_authenticated(
        self, scopes: list[str], fetch: Fetch
    ) -> None:
        class SilentUser(BaseUser):
            """Its `is_authenticated` raises `NotImplementedError`."""

        class OwnAuth(AuthBackend[SilentUser]):
            async def authenticate(self, conn: HTTPConnection) -> Any:
                return AuthCredentials(scopes), SilentUser()

        app = app_with(requires("admin")(hello), OwnAuth())
        assert (await fetch(app)).status_code == 403


class TestAnyOf:
    @pytest.mark.parametrize(
        ("token", "status"),
        [
            ("authenticated+admin", 200),
            ("authenticated+owner", 200),
            ("authenticated", 403),
            ("admin", 403),
        ],
    )
    async def test_one_of_them_is_enough_beside_the_others(
        self, token: str, status: int, fetch: Fetch
    ) -> None:
        app = app_with(requires("authenticated", any_of=["admin", "owner"])(hello))
        response = await fetch(app, bearer=token)
        assert response.status_code == status
        if status == 403:
            assert challenges(response) == [
                f'{BEARER}, error="insufficient_scope", scope="authenticated admin owner"'
            ]

    async def test_a_single_name_is_one_scope(self, fetch: Fetch) -> None:
        app = app_with(requires([], any_of="admin")(hello))
        assert (await fetch(app, bearer="a")).status_code == 403
        assert (await fetch(app, bearer="admin")).status_code == 200

    @pytest.mark.parametrize("arguments", [([],), ((),), ([], None, None)])
    def test_nothing_asked_for_is_a_mistake(self, arguments: tuple[Any, ...]) -> None:
        with pytest.raises(ValueError, match="no scope is asked for"):
            requires(*arguments)

    def test_so_is_one_of_none(self) -> None:
        with pytest.raises(ValueError, match="any_of is empty"):
            requires("authenticated", any_of=[])

    @pytest.mark.parametrize("scopes", [None, 5, [None], [b"admin"]])
    def test_so_is_a_scope_that_is_not_a_string(self, scopes: Any) -> None:
        with pytest.raises(TypeError):
            requires(scopes)


class TestExplicitAnswers:
    @pytest.mark.parametrize("bearer", [None, "read"])
    async def test_a_status_code_wins(self, bearer: str | None, fetch: Fetch) -> None:
        response = await fetch(app_with(requires("admin", 404)(hello)), bearer=bearer)
        assert (response.status_code, challenges(response)) == (404, [])

    async def test_an_explicit_401_has_a_challenge(self, fetch: Fetch) -> None:
        response = await fetch(app_with(requires("admin", status_code=401)(hello)), bearer="read")
        assert (response.status_code, challenges(response)) == (401, [BEARER])

    @pytest.mark.parametrize("bearer", [None, "read"])
    async def test_a_redirect_wins(self, bearer: str | None, fetch: Fetch) -> None:
        app = app_with(requires("admin", 404, "login")(hello))
        response = await fetch(app, "/?a=b&c=d", bearer=bearer)
        assert response.status_code == 303
        assert response.headers["location"] == (
            "http://testserver/log/in?next=http%3A%2F%2Ftestserver%2F%3Fa%3Db%26c%3Dd"
        )


def connection(scopes: Sequence[str] = ("read",)) -> Request:
    scope = {"type": "http", "headers": [], "user": SimpleUser("a")}
    return Request({**scope, "auth": AuthCredentials(scopes)})


class Plain:
    def __call__(self, request: Request) -> Response:
        return PlainTextResponse("Hello")


class Async:
    async def __call__(self, request: Request) -> Response:
        return PlainTextResponse("Hello")


class Endpoint(HTTPEndpoint):
    @requires("read")
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("Hello")


class SyncEndpoint(HTTPEndpoint):
    @requires("read")
    def get(self, request: Request) -> Response:
        return PlainTextResponse("Hello")


@requires("read")
def sync(request: Request) -> Response:
    return PlainTextResponse("Hello")


async def more(word: str, request: Request) -> Response:
    return PlainTextResponse(word)


class TestWhatItGoesOn:
    @pytest.mark.parametrize(
        "endpoint",
        [
            requires("read")(hello),
            sync,
            Endpoint,
            SyncEndpoint,
            functools.partial(requires("read")(more), "Hello"),
            requires("read")(functools.partial(more, "Hello")),
        ],
    )
    async def test_functions_and_methods(self, endpoint: Any, fetch: Fetch) -> None:
        app = app_with(endpoint)
        assert (await fetch(app)).status_code == 401
        assert (await fetch(app, bearer="write")).status_code == 403
        assert (await fetch(app, bearer="read")).text == "Hello"

    @pytest.mark.parametrize("endpoint", [Plain(), Async()])
    async def test_objects_that_can_be_called(self, endpoint: Any) -> None:
        # As FastAPI's dependencies may be; a route of Starlette takes them for ASGI apps.
        request = connection()
        protected = requires("read")(endpoint)
        assert inspect.iscoroutinefunction(protected) is isinstance(endpoint, Async)
        response = protected(request)
        if inspect.isawaitable(response):
            response = await response
        assert response.body == b"Hello"

    async def test_by_keyword_and_by_position(self) -> None:
        request = connection()
        protected = requires("read")(more)
        assert (await protected("one", request)).body == b"one"
        assert (await protected("one", request=request)).body == b"one"
        assert (await protected(word="one", request=request)).body == b"one"

    def test_the_function_keeps_its_name_and_signature(self) -> None:
        protected = requires("read")(more)
        assert protected.__name__ == "more"
        assert list(inspect.signature(protected).parameters) == ["word", "request"]

    def test_it_takes_what_starlettes_does(self) -> None:
        ours = inspect.signature(requires).parameters
        theirs = inspect.signature(starlette_requires).parameters
        assert list(ours)[: len(theirs)] == list(theirs)


class TestStarlettesOwn:
    async def test_it_stays_as_it_is(self, fetch: Fetch) -> None:
        app = app_with(starlette_requires("authenticated")(hello), BasicAuth())
        response = await fetch(app)
        assert (response.status_code, response.text) == (403, "Forbidden")
        assert (await fetch(app, auth=("alice", "secret"))).text == "Hello"
