import gc
import traceback
import weakref
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
)
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import starlette_auth_multi
from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    AuthenticationUnavailable,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    Challenge,
    InvalidCredentials,
    requires,
)
from starlette_auth_multi import AnyOf, MultiAuth

pytestmark = pytest.mark.anyio

Result = tuple[AuthCredentials, Any] | None


class Scripted(AuthenticationBackend):
    """A plain Starlette backend that answers as it is told, and counts how often it is asked."""

    def __init__(self, answer: Result | BaseException = None) -> None:
        self.answer = answer
        self.asked = 0

    async def authenticate(self, conn: HTTPConnection) -> Result:
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class TokenAuth(BaseTokenAuth[SimpleUser]):
    def __init__(self, token: str, scopes: Iterable[str] = ("authenticated",)) -> None:
        self.token = token
        self.scopes = tuple(scopes)

    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser(f"owner of {token}") if token == self.token else None


class BearerAuth(BaseBearerAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser("bearer") if token == "good" else None


class BasicAuth(BaseBasicAuth[SimpleUser]):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        return SimpleUser(username) if password == "good" else None


def success(*scopes: str) -> tuple[AuthCredentials, SimpleUser]:
    return AuthCredentials(scopes), SimpleUser(scopes[0])


def connection(**headers: str) -> HTTPConnection:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw})


def client(backend: AuthenticationBackend) -> TestClient:
    @requires("authenticated")
    async def whoami(request: Request) -> JSONResponse:
        return JSONResponse({"user": request.user.username, "scopes": request.auth.scopes})

    @requires("via:token")
    async def machines(request: Request) -> JSONResponse:
        return JSONResponse({"user": request.user.username})

    return TestClient(
        Starlette(
            routes=[Route("/", whoami), Route("/machines", machines)],
            middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
        )
    )


both = pytest.mark.parametrize("kind", [MultiAuth, AnyOf])


class TestMakingOne:
    @both
    @pytest.mark.parametrize("iterable", [list, tuple, iter, lambda them: (one for one in them)])
    def test_takes_any_iterable_and_keeps_its_order(
        self,
        kind: type[MultiAuth],
        iterable: Callable[[Iterable[AuthenticationBackend]], Iterable[AuthenticationBackend]],
    ) -> None:
        first, second = Scripted(), Scripted()
        assert kind(iterable([first, second])).backends == (first, second)

    @both
    def test_later_changes_of_the_list_change_nothing(self, kind: type[MultiAuth]) -> None:
        backends: list[AuthenticationBackend] = [Scripted()]
        backend = kind(backends)
        backends.clear()
        assert len(backend.backends) == 1
        assert isinstance(backend.backends, tuple)

    @both
    def test_refuses_none_at_all(self, kind: type[MultiAuth]) -> None:
        with pytest.raises(ValueError, match=f"{kind.__name__} needs at least one backend"):
            kind([])

    @both
    @pytest.mark.parametrize("nonsense", [None, "token", object(), lambda conn: None])
    def test_says_at_which_position_there_is_no_backend(
        self, kind: type[MultiAuth], nonsense: Any
    ) -> None:
        message = f"Backend number 2 of {kind.__name__} has no method authenticate"
        with pytest.raises(TypeError, match=message):
            kind([Scripted(), nonsense])

    @both
    def test_does_not_show_what_may_be_a_secret(self, kind: type[MultiAuth]) -> None:
        secret: Any = "s3kr3t"
        with pytest.raises(TypeError, match="it is a str") as caught:
            kind([secret])
        assert "s3kr3t" not in str(caught.value)

    @both
    def test_says_where_a_class_should_be_an_instance(self, kind: type[MultiAuth]) -> None:
        message = f"Backend number 2 of {kind.__name__} is the class BasicAuth: make an instance"
        with pytest.raises(TypeError, match=message):
            kind([Scripted(), BasicAuth])  # type: ignore[list-item]  # that is the mistake

    @both
    def test_is_a_backend_like_all_others(self, kind: type[MultiAuth]) -> None:
        assert isinstance(kind([Scripted()]), AuthBackend)

    def test_the_package_offers_the_two(self) -> None:
        assert starlette_auth_multi.__all__ == ["AnyOf", "MultiAuth"]


class TestTryingBackendsInOrder:
    @both
    async def test_first_success_wins(self, kind: type[MultiAuth]) -> None:
        answer = success("first")
        first, second = Scripted(answer), Scripted(success("second"))
        assert await kind([first, second]).authenticate(connection()) is answer
        assert second.asked == 0

    @both
    async def test_a_backend_without_credentials_passes_to_the_next(
        self, kind: type[MultiAuth]
    ) -> None:
        answer = success("second", "and more")
        result = await kind([Scripted(), Scripted(answer)]).authenticate(connection())
        assert result is answer
        assert answer[0].scopes == ["second", "and more"]

    @both
    async def test_credentials_for_none_are_an_anonymous_request(
        self, kind: type[MultiAuth]
    ) -> None:
        backends = [Scripted(), Scripted()]
        assert await kind(backends).authenticate(connection()) is None
        assert [backend.asked for backend in backends] == [1, 1]

    @pytest.mark.parametrize(
        "error", [AuthenticationError("plain"), InvalidCredentials(), AuthenticationUnavailable()]
    )
    async def test_an_error_is_propagated_unchanged_and_ends_it(
        self, error: AuthenticationError
    ) -> None:
        later = Scripted(success("later"))
        with pytest.raises(AuthenticationError) as caught:
            await MultiAuth([Scripted(), Scripted(error), later]).authenticate(connection())
        assert caught.value is error
        assert error.__context__ is None
        # The backend that raised it is where the traceback ends.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        assert frame.line == "raise self.answer"
        assert later.asked == 0

    @both
    @pytest.mark.parametrize("bug", [KeyError("x"), ValueError(), RuntimeError()])
    async def test_a_bug_in_a_backend_is_not_swallowed(
        self, kind: type[MultiAuth], bug: Exception
    ) -> None:
        later = Scripted(success("later"))
        with pytest.raises(type(bug)) as caught:
            await kind([Scripted(bug), later]).authenticate(connection())
        assert caught.value is bug
        assert later.asked == 0

    async def test_two_backends_of_one_scheme_do_not_get_along(self) -> None:
        backend = MultiAuth([TokenAuth("one"), TokenAuth("two")])
        assert await backend.authenticate(connection(authorization="Token one")) is not None
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connection(authorization="Token two"))


class TestAnyOf:
    async def test_wrong_credentials_pass_to_the_next(self) -> None:
        backend = AnyOf([TokenAuth("one"), TokenAuth("two"), TokenAuth("three")])
        result = await backend.authenticate(connection(authorization="Token two"))
        assert result is not None
        assert result[1].username == "owner of two"

    async def test_the_first_error_is_raised_where_none_accepts(self) -> None:
        first, second = InvalidCredentials("first"), InvalidCredentials("second")
        backends = [Scripted(first), Scripted(second), Scripted()]
        with pytest.raises(InvalidCredentials) as caught:
            await AnyOf(backends).authenticate(connection())
        assert caught.value is first
        assert first.__context__ is None
        assert [backend.asked for backend in backends] == [1, 1, 1]

    @pytest.mark.parametrize("error", [AuthenticationError("plain"), AuthenticationUnavailable()])
    async def test_any_other_error_ends_it(self, error: AuthenticationError) -> None:
        later = Scripted(success("later"))
        with pytest.raises(AuthenticationError) as caught:
            await AnyOf([Scripted(InvalidCredentials()), Scripted(error), later]).authenticate(
                connection()
            )
        assert caught.value is error
        assert later.asked == 0

    async def test_it_may_be_one_of_a_multi_auth(self) -> None:
        backend = MultiAuth([AnyOf([TokenAuth("one"), TokenAuth("two")]), BasicAuth()])
        for header, expected in [
            ("Token two", "owner of two"),
            ("Basic YWxpY2U6Z29vZA==", "alice"),
        ]:
            result = await backend.authenticate(connection(authorization=header))
            assert result is not None
            assert result[1].username == expected
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connection(authorization="Token three"))

    async def test_an_error_goes_away_with_its_last_user(self) -> None:
        backend = AnyOf([TokenAuth("one"), TokenAuth("two")])
        gc.disable()
        try:
            with pytest.raises(InvalidCredentials) as caught:
                await backend.authenticate(connection(authorization="Token three"))
            error = weakref.ref(caught.value)
            del caught
            assert error() is None
        finally:
            gc.enable()

    @pytest.mark.parametrize("username", ["in both", "in the first", "in the second", "in none"])
    async def test_what_a_failure_costs_does_not_tell_which_backend_knew_the_user(
        self, username: str
    ) -> None:
        work: list[str] = []
        backend = AnyOf(
            [
                DirectoryAuth("A", {"in both", "in the first"}, work),
                DirectoryAuth("B", {"in both", "in the second"}, work),
            ]
        )
        with pytest.raises(InvalidCredentials) as caught:
            await backend.authenticate(basic(username, "wrong"))
        assert work == ["A", "B"]
        assert caught.value.username == username
        assert str(caught.value) == "Invalid credentials"


class CountingHasher:
    """A hasher that notes each piece of hash work by its name."""

    def __init__(self, name: str, work: list[str]) -> None:
        self.name = name
        self.work = work

    async def verify(self, secret: str, hashed: str | None) -> bool:
        self.work.append(self.name)
        return secret == hashed

    async def verify_and_update(self, secret: str, hashed: str | None) -> tuple[bool, str | None]:
        return await self.verify(secret, hashed), None

    async def dummy_verify(self, secret: str, username: str) -> None:
        self.work.append(self.name)


class Account(SimpleUser):
    password = "right"


class DirectoryAuth(BaseBasicAuth[Account]):
    def __init__(self, name: str, usernames: set[str], work: list[str]) -> None:
        self.hasher = CountingHasher(name, work)
        self.usernames = usernames

    async def find_user(self, username: str) -> Account | None:
        return Account(username) if username in self.usernames else None


def basic(username: str, password: str) -> HTTPConnection:
    encoded = b64encode(f"{username}:{password}".encode()).decode()
    return connection(authorization=f"Basic {encoded}")


class TestChallenges:
    def test_are_those_of_all_backends_in_order(self) -> None:
        backend = MultiAuth([BearerAuth(), TokenAuth("x"), BasicAuth()])
        assert backend.challenges(connection()) == (
            Challenge("Bearer", realm="Restricted"),
            Challenge("Token", realm="Restricted"),
            Challenge("Basic", realm="Restricted", charset="UTF-8"),
        )

    def test_occur_once(self) -> None:
        backend = MultiAuth([TokenAuth("one"), BasicAuth(), TokenAuth("two")])
        schemes = [challenge.scheme for challenge in backend.challenges(connection())]
        assert schemes == ["Token", "Basic"]

    def test_of_nested_ones_are_flattened(self) -> None:
        inner = AnyOf([TokenAuth("one"), BearerAuth()])
        backend = MultiAuth([MultiAuth([inner]), TokenAuth("two"), BasicAuth()])
        schemes = [challenge.scheme for challenge in backend.challenges(connection())]
        assert schemes == ["Token", "Bearer", "Basic"]

    def test_of_plain_starlette_backends_are_none(self) -> None:
        backend = MultiAuth([Scripted(), BasicAuth()])
        assert backend.challenges(connection()) == BasicAuth().challenges(connection())
        assert MultiAuth([Scripted()]).challenges(connection()) == ()

    def test_are_those_for_this_request(self) -> None:
        class ForPeople(BasicAuth):
            def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
                return super().challenges(conn) if "x-person" in conn.headers else ()

        backend = MultiAuth([ForPeople(), TokenAuth("x")])
        assert len(backend.challenges(connection())) == 1
        assert len(backend.challenges(connection(**{"x-person": "yes"}))) == 2


class TestInAnApp:
    @pytest.fixture
    def app(self) -> TestClient:
        return client(MultiAuth([BearerAuth(), BasicAuth()]))

    def test_anonymous_request_is_asked_for_any_of_them(self, app: TestClient) -> None:
        response = app.get("/")
        assert response.status_code == 401
        assert response.headers.get_list("WWW-Authenticate") == [
            'Bearer realm="Restricted"',
            'Basic realm="Restricted", charset="UTF-8"',
        ]

    def test_failed_scheme_says_why_among_all_challenges(self, app: TestClient) -> None:
        response = app.get("/", headers={"Authorization": "Bearer wrong"})
        assert response.status_code == 401
        assert response.headers.get_list("WWW-Authenticate") == [
            'Bearer realm="Restricted", error="invalid_token"',
            'Basic realm="Restricted", charset="UTF-8"',
        ]

    @pytest.mark.parametrize(
        ("header", "username"),
        [("Bearer good", "bearer"), ("Basic YWxpY2U6Z29vZA==", "alice")],
    )
    def test_either_is_let_in(self, app: TestClient, header: str, username: str) -> None:
        response = app.get("/", headers={"Authorization": header})
        assert response.json() == {"user": username, "scopes": ["authenticated"]}

    def test_a_malformed_header_is_refused_by_the_first_that_it_is_meant_for(
        self, app: TestClient
    ) -> None:
        response = app.get("/", headers={"Authorization": "Basic !"})
        assert response.status_code == 401
        assert len(response.headers.get_list("WWW-Authenticate")) == 2

    def test_scopes_tell_which_backend_it_was(self) -> None:
        token = TokenAuth("good", scopes=("authenticated", "via:token"))
        app = client(MultiAuth([token, BasicAuth()]))

        by_token = {"Authorization": "Token good"}
        assert app.get("/", headers=by_token).json()["scopes"] == ["authenticated", "via:token"]
        assert app.get("/machines", headers=by_token).status_code == 200

        by_password = {"Authorization": "Basic YWxpY2U6Z29vZA=="}
        assert app.get("/", headers=by_password).json()["scopes"] == ["authenticated"]
        assert app.get("/machines", headers=by_password).status_code == 403

    def test_schemes_in_different_headers_are_asked_in_order(self) -> None:
        class APIKeyAuth(BaseAPIKeyAuth[SimpleUser]):
            async def verify(self, token: str) -> SimpleUser | None:
                return SimpleUser("key") if token == "good" else None

        app = client(MultiAuth([APIKeyAuth(), BasicAuth()]))
        both_sent = {"X-API-Key": "good", "Authorization": "Basic YWxpY2U6Z29vZA=="}
        assert app.get("/", headers=both_sent).json()["user"] == "key"
        # One that is sent and wrong ends it, as documented.
        assert app.get("/", headers=both_sent | {"X-API-Key": "bad"}).status_code == 401


class KeyAuth(BaseAPIKeyAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return None


class OtherKeyAuth(KeyAuth):
    header = "X-Other"


class ShoutingKeyAuth(KeyAuth):
    header = "X-API-KEY"


@pytest.mark.parametrize("several", [MultiAuth, AnyOf])
class TestVary:
    def test_it_is_the_union_of_the_backends_own(self, several: type[MultiAuth]) -> None:
        backend = several([KeyAuth(), Scripted(), OtherKeyAuth(), several([ShoutingKeyAuth()])])
        assert backend.vary == ("X-API-Key", "X-Other")

    def test_it_is_in_every_response(self, several: type[MultiAuth]) -> None:
        async def hello(request: Request) -> JSONResponse:
            return JSONResponse("Hello")

        backend = several([several([KeyAuth()]), OtherKeyAuth()])
        app = Starlette(
            routes=[Route("/", hello)],
            middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
        )
        with TestClient(app) as client:
            for headers in ({}, {"X-API-Key": "wrong"}, {"X-Other": "wrong"}):
                response = client.get("/", headers=headers)
                assert response.headers.get_list("vary") == ["X-API-Key, X-Other"]
