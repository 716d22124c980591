"""Refusals as calls: for frameworks that have dependencies instead of decorators and middleware."""

import gc
import weakref
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
    UnauthenticatedUser,
)
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from starlette_auth_core import (
    AuthenticationMiddleware,
    AuthenticationUnavailable,
    BaseAPIKeyAuth,
    BaseBasicAuth,
    BaseBearerAuth,
    InvalidCredentials,
    RequiresMiddleware,
    TooManyAttempts,
    authenticate,
    authorize,
    refusal,
)

pytestmark = pytest.mark.anyio

Connect = Callable[..., HTTPConnection]
Fetch = Callable[..., Awaitable[httpx.Response]]

BEARER = 'Bearer realm="Restricted"'
INVALID = f'{BEARER}, error="invalid_token"'


class BearerAuth(BaseBearerAuth[SimpleUser]):
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def verify(self, token: str) -> SimpleUser | None:
        self.asked.append(token)
        if token == "slow":
            raise TimeoutError
        return SimpleUser("bob") if token == "good" else None


class BasicAuth(BaseBasicAuth[SimpleUser]):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        return SimpleUser(username) if password == "secret" else None


class KeyAuth(BaseAPIKeyAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser("key") if token == "good" else None


class ForeignAuth(AuthenticationBackend):
    """As Starlette's documentation has it."""

    async def authenticate(self, conn: HTTPConnection) -> Any:
        if "Authorization" not in conn.headers:
            return None
        if conn.headers["Authorization"] != "Bearer good":
            raise AuthenticationError("Foreign")
        return AuthCredentials(["authenticated"]), SimpleUser("foreign")


class Payment(AuthenticationError):
    status_code = 402


def lines(error: HTTPException | WebSocketException, name: str = "www-authenticate") -> list[str]:
    assert isinstance(error, HTTPException)
    assert isinstance(error.headers, Headers)
    return error.headers.getlist(name)


def websocket(*, denial: bool, headers: Sequence[tuple[bytes, bytes]] = ()) -> HTTPConnection:
    extensions: dict[str, Any] = {"websocket.http.response": {}} if denial else {}
    return HTTPConnection({"type": "websocket", "headers": list(headers), "extensions": extensions})


class TestAuthenticate:
    async def test_it_sets_the_user_and_the_scopes(self, connect: Connect) -> None:
        conn = connect(b"Bearer good")
        await authenticate(conn, BearerAuth())
        assert conn.user.username == "bob"
        assert conn.auth.scopes == ["authenticated"]

    async def test_without_credentials_the_connection_is_anonymous(self, connect: Connect) -> None:
        conn = connect()
        await authenticate(conn, BearerAuth())
        assert isinstance(conn.user, UnauthenticatedUser)
        assert conn.auth.scopes == []

    async def test_a_refusal_is_what_refusal_makes(self, connect: Connect) -> None:
        conn = connect(b"Bearer wrong")
        with pytest.raises(HTTPException) as caught:
            await authenticate(conn, BearerAuth())
        assert (caught.value.status_code, caught.value.detail) == (401, "Invalid credentials")
        assert lines(caught.value) == [INVALID]
        assert lines(caught.value, "cache-control") == ["no-store"]
        assert isinstance(conn.user, UnauthenticatedUser)

    @pytest.mark.parametrize("header", [None, b"Bearer good", b"Bearer wrong"])
    async def test_a_backend_is_asked_once_a_connection(
        self, header: bytes | None, connect: Connect
    ) -> None:
        backend, other = BearerAuth(), BearerAuth()
        conn = connect(*([header] if header else []))
        answers = []
        for _ in range(3):
            # A route of Starlette may hand on a copy of the scope.
            conn = Request(dict(conn.scope))
            try:
                await authenticate(conn, backend)
            except HTTPException as error:
                answers.append((error.status_code, lines(error)))
            else:
                answers.append((conn.user.display_name, conn.auth.scopes))
        assert answers == [answers[0]] * 3
        assert len(backend.asked) == (1 if header else 0)
        with suppress(HTTPException):
            await authenticate(conn, other)
        assert len(other.asked) == len(backend.asked)

    async def test_what_is_remembered_of_a_failure_holds_no_credentials(
        self, connect: Connect
    ) -> None:
        class Secret:
            pass

        kept: list[weakref.ref[Secret]] = []

        class TellingAuth(BasicAuth):
            async def verify(self, username: str, password: str) -> SimpleUser | None:
                token = Secret()
                kept.append(weakref.ref(token))
                error = InvalidCredentials("Wrong", username=username)
                error.note = token  # type: ignore[attr-defined]  # an app may add anything
                try:
                    raise error
                finally:
                    del error, token  # Otherwise this frame and the error hold each other.

        conn = connect(b"Basic YWxpY2U6c2VjcmV0")
        backend = TellingAuth()
        gc.disable()
        try:
            for _ in range(2):
                with pytest.raises(HTTPException, match="Wrong"):
                    await authenticate(conn, backend)
            assert [secret() for secret in kept] == [None]
        finally:
            gc.enable()

    async def test_those_who_ask_at_once_share_one_answer(self, connect: Connect) -> None:
        class Slow(BearerAuth):
            async def verify(self, token: str) -> SimpleUser | None:
                await anyio.wait_all_tasks_blocked()
                return await super().verify(token)

        for token, asked in (b"good", 1), (b"wrong", 1):
            backend = Slow()
            conn = connect(b"Bearer " + token)
            answers: list[str] = []

            async def ask() -> None:
                try:
                    await authenticate(conn, backend)  # noqa: B023 - it ends within the loop
                except HTTPException as error:
                    answers.append(str(error.status_code))  # noqa: B023
                else:
                    answers.append(conn.user.username)  # noqa: B023

            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(ask)
            assert answers == [answers[0]] * 3
            assert len(backend.asked) == asked

    async def test_one_that_is_broken_off_is_asked_again(self, connect: Connect) -> None:
        class Broken(BearerAuth):
            async def verify(self, token: str) -> SimpleUser | None:
                await super().verify(token)
                if len(self.asked) == 1:
                    await anyio.wait_all_tasks_blocked()
                    raise ConnectionError
                return SimpleUser("bob")

        backend = Broken()
        conn = connect(b"Bearer good")
        errors: list[Exception] = []

        async def ask() -> None:
            try:
                await authenticate(conn, backend)
            except ConnectionError as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            group.start_soon(ask)
        assert (len(errors), len(backend.asked), conn.user.username) == (1, 2, "bob")

    async def test_the_memory_does_not_grow(self, connect: Connect) -> None:
        one, two = BearerAuth(), KeyAuth()
        conn = connect()
        for _ in range(100):
            await authenticate(conn, one)
            await authenticate(conn, two)
        assert len(conn.scope["starlette_auth_core.asked"]) == 2

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (AuthenticationUnavailable("Down", retry_after=7), 503),
            (TooManyAttempts("Slowly", retry_after=8), 429),
            (Payment("Pay"), 402),
        ],
    )
    async def test_a_refusal_is_remembered_whole(
        self, error: AuthenticationError, status: int, connect: Connect
    ) -> None:
        class Failing(BearerAuth):
            async def verify(self, token: str) -> SimpleUser | None:
                raise error

        conn, backend = connect(b"Bearer good"), Failing()
        refusals = []
        for _ in range(2):
            with pytest.raises(HTTPException) as caught:
                await authenticate(conn, backend)
            refusals.append((caught.value.detail, lines(caught.value, "retry-after")))
            assert caught.value.status_code == status
        assert refusals[0] == refusals[1]

    async def test_an_error_of_any_form_is_remembered(self, connect: Connect) -> None:
        class Locked(AuthenticationError):
            def __new__(cls, until: str) -> "Locked":
                return super().__new__(cls)

            def __init__(self, until: str) -> None:
                super().__init__()
                self.until = until

            def __str__(self) -> str:
                return f"Locked until {self.until}"

            @property
            def status_code(self) -> int:
                return 423 if self.until else 401

        class LockedAuth(BearerAuth):
            async def verify(self, token: str) -> SimpleUser | None:
                raise Locked("noon")

        conn, backend = connect(b"Bearer good"), LockedAuth()
        for _ in range(2):
            with pytest.raises(HTTPException) as caught:
                await authenticate(conn, backend)
            assert (caught.value.status_code, caught.value.detail) == (423, "Locked until noon")

    async def test_an_error_that_is_raised_for_everybody_is_not_written_to(
        self, connect: Connect
    ) -> None:
        expired = InvalidCredentials("Expired")

        class ExpiredBearer(BearerAuth):
            async def verify(self, token: str) -> SimpleUser | None:
                raise expired

        class ExpiredKey(KeyAuth):
            async def verify(self, token: str) -> SimpleUser | None:
                raise expired

        for backend, header, sent in (
            (ExpiredKey(), (b"x-api-key", b"a"), ['ApiKey realm="Restricted"']),
            (ExpiredBearer(), (b"authorization", b"Bearer a"), [INVALID]),
        ):
            with pytest.raises(HTTPException, match="Expired") as caught:
                await authenticate(connect(header), backend)
            assert lines(caught.value) == sent
        assert (expired.scheme, expired.parameters) == (None, None)

    @pytest.mark.parametrize("user", [None, {}, 0])
    async def test_a_user_that_a_subclass_loses_is_nobody(
        self, user: Any, connect: Connect
    ) -> None:
        class Loading(BearerAuth):
            async def authenticate(self, conn: HTTPConnection) -> Any:
                result = await super().authenticate(conn)
                return result and (result[0], user)

        with pytest.raises(HTTPException) as caught:
            await authenticate(connect(b"Bearer good"), Loading())
        assert caught.value.status_code == 401

    async def test_the_user_is_that_of_the_backend_asked_last(self, connect: Connect) -> None:
        bearer, key = BearerAuth(), KeyAuth()
        conn = connect(b"Bearer good", (b"x-api-key", b"good"))
        await authenticate(conn, bearer)
        await authenticate(conn, key)
        assert conn.user.username == "key"
        await authenticate(conn, bearer)
        assert conn.user.username == "bob"
        assert bearer.asked == ["good"]

    async def test_backends_are_told_apart_by_identity(self, connect: Connect) -> None:
        class EqualAuth(BearerAuth):
            def __eq__(self, other: object) -> bool:
                return True

            __hash__ = None  # type: ignore[assignment]  # it can't be a key of a dict

        one, two = EqualAuth(), EqualAuth()
        conn = connect(b"Bearer good")
        await authenticate(conn, one)
        await authenticate(conn, two)
        assert (one.asked, two.asked) == (["good"], ["good"])

    async def test_starlettes_own_backends_work(self, connect: Connect) -> None:
        backend = ForeignAuth()
        conn = connect(b"Bearer good")
        await authenticate(conn, backend)
        assert conn.user.username == "foreign"
        conn = connect(b"Bearer wrong")
        for _ in range(2):
            with pytest.raises(HTTPException) as caught:
                await authenticate(conn, backend)
            assert (caught.value.status_code, caught.value.detail) == (401, "Foreign")
            assert lines(caught.value) == []

    async def test_a_middleware_and_a_call_ask_once(self, fetch: Fetch) -> None:
        backend = BearerAuth()

        async def endpoint(request: Request) -> Response:
            await authenticate(request, backend)
            return PlainTextResponse(request.user.display_name)

        app = Starlette(
            routes=[Route("/", endpoint)],
            middleware=[Middleware(AuthenticationMiddleware, backend=backend)],
        )
        assert (await fetch(app, bearer="good")).text == "bob"
        assert backend.asked == ["good"]

    async def test_a_middleware_within_the_same_middleware_asks_once(self, fetch: Fetch) -> None:
        backend = BearerAuth()
        inner = AuthenticationMiddleware(PlainTextResponse("Hello"), backend)
        app = AuthenticationMiddleware(inner, backend, on_invalid="anonymous")
        response = await fetch(app, bearer="wrong")
        assert (response.status_code, backend.asked) == (401, ["wrong"])

    @pytest.mark.parametrize("backend", [BearerAuth, None, "bearer"])
    async def test_a_backend_has_to_be_one(self, backend: Any, connect: Connect) -> None:
        with pytest.raises(TypeError, match="backend must be an object"):
            await authenticate(connect(), backend)

    async def test_a_connection_has_to_be_one(self) -> None:
        conn: Any = {"type": "http", "headers": []}
        with pytest.raises(TypeError, match="HTTPConnection"):
            await authenticate(conn, BearerAuth())


class TestAuthorize:
    async def test_who_has_the_scopes_passes(self, connect: Connect) -> None:
        conn = connect(b"Bearer good")
        await authenticate(conn, BearerAuth())
        authorize(conn, "authenticated")
        authorize(conn, ["authenticated"], any_of=["authenticated", "admin"])
        authorize(conn, [], any_of=["authenticated"])

    async def test_the_anonymous_get_the_challenges_of_the_backend_asked_last(
        self, connect: Connect
    ) -> None:
        conn = connect()
        await authenticate(conn, BearerAuth())
        await authenticate(conn, BasicAuth())
        with pytest.raises(HTTPException) as caught:
            authorize(conn, "admin")
        assert caught.value.status_code == 401
        assert lines(caught.value) == ['Basic realm="Restricted", charset="UTF-8"']
        assert lines(caught.value, "cache-control") == ["no-store"]

    async def test_wrong_credentials_that_were_passed_over_are_still_named(
        self, connect: Connect
    ) -> None:
        conn = connect(b"Bearer wrong")
        with pytest.raises(HTTPException):
            await authenticate(conn, BearerAuth())
        with pytest.raises(HTTPException) as caught:
            authorize(conn, "admin")
        assert lines(caught.value) == [INVALID]

    async def test_who_lacks_a_scope_is_told_which(self, connect: Connect) -> None:
        conn = connect(b"Bearer good")
        await authenticate(conn, BearerAuth())
        with pytest.raises(HTTPException) as caught:
            authorize(conn, "write", any_of=["a", "b"])
        assert caught.value.status_code == 403
        assert lines(caught.value) == [f'{BEARER}, error="insufficient_scope", scope="write a b"']
        assert lines(caught.value, "cache-control") == ["no-store"]

    async def test_so_is_one_whose_backend_is_wrapped(self, connect: Connect) -> None:
        class Wrapper(AuthenticationBackend):
            def __init__(self) -> None:
                self.backend = BearerAuth()

            async def authenticate(self, conn: HTTPConnection) -> Any:
                return await self.backend.authenticate(conn)

            def challenges(self, conn: HTTPConnection) -> Any:
                shown = BasicAuth().challenges(conn), self.backend.challenges(conn)
                return (*shown[0], *shown[1], *shown[1]) if conn is not None else ()

        conn = connect(b"Bearer good")
        await authenticate(conn, Wrapper())
        with pytest.raises(HTTPException) as caught:
            authorize(conn, "write")
        assert lines(caught.value) == [f'{BEARER}, error="insufficient_scope", scope="write"']

    async def test_a_backend_of_starlettes_has_no_scheme(self, connect: Connect) -> None:
        conn = connect(b"Bearer good")
        await authenticate(conn, ForeignAuth())
        with pytest.raises(HTTPException) as caught:
            authorize(conn, "write")
        assert (caught.value.status_code, lines(caught.value)) == (403, [])

    async def test_a_403_varies_with_what_the_backend_reads(self, connect: Connect) -> None:
        conn = connect((b"x-api-key", b"good"))
        await authenticate(conn, KeyAuth())
        with pytest.raises(HTTPException) as caught:
            authorize(conn, "write")
        assert caught.value.status_code == 403
        assert lines(caught.value, "vary") == ["X-API-Key"]

    async def test_a_user_of_another_scheme_gets_no_challenge(self, connect: Connect) -> None:
        conn = connect(b"Basic YWxpY2U6c2VjcmV0")
        await authenticate(conn, BasicAuth())
        with pytest.raises(HTTPException) as caught:
            authorize(conn, "admin")
        assert (caught.value.status_code, lines(caught.value)) == (403, [])

    def test_beneath_another_middleware_there_is_no_backend_to_ask(self, connect: Connect) -> None:
        conn = connect()
        conn.scope.update(auth=AuthCredentials(["read"]), user=SimpleUser("a"))
        for user, status in ((SimpleUser("a"), 403), (UnauthenticatedUser(), 401)):
            conn.scope["user"] = user
            with pytest.raises(HTTPException) as caught:
                authorize(conn, "admin")
            assert (caught.value.status_code, lines(caught.value)) == (status, [])
            assert lines(caught.value, "cache-control") == ["no-store"]

    @pytest.mark.parametrize(
        ("scopes", "any_of"), [([], None), ((), None), ("read", []), ([], []), ("read", ())]
    )
    def test_asking_for_nothing_is_a_mistake(
        self, scopes: Any, any_of: Any, connect: Connect
    ) -> None:
        conn = connect()
        conn.scope.update(auth=AuthCredentials(["read"]), user=SimpleUser("a"))
        with pytest.raises(ValueError, match=r"nobody could|everybody"):
            authorize(conn, scopes, any_of=any_of)
        with pytest.raises(ValueError, match=r"nobody could|everybody"):
            RequiresMiddleware(PlainTextResponse("Hello"), scopes, any_of=any_of)

    def test_nothing_has_authenticated_the_connection(self, connect: Connect) -> None:
        with pytest.raises(RuntimeError, match=r"authenticate\(conn, backend\)"):
            authorize(connect(), "admin")

    def test_a_connection_has_to_be_one(self) -> None:
        class Forged:
            auth = AuthCredentials(["admin"])
            user = SimpleUser("mallory")
            scope = {"auth": auth}

        forged: Any = Forged()
        with pytest.raises(TypeError, match="HTTPConnection"):
            authorize(forged, "admin")


class TestRefusal:
    @pytest.mark.parametrize(
        ("error", "status", "retry_after", "challenged"),
        [
            (InvalidCredentials(), 401, [], True),
            (AuthenticationError("Foreign"), 401, [], True),
            (AuthenticationUnavailable(retry_after=7), 503, ["7"], False),
            (TooManyAttempts(retry_after=30), 429, ["30"], False),
            (Payment("Pay first"), 402, [], False),
        ],
    )
    async def test_a_response_has_the_errors_status_and_only_a_401_challenges(
        self,
        error: AuthenticationError,
        status: int,
        retry_after: list[str],
        challenged: bool,
        connect: Connect,
    ) -> None:
        conn = connect()
        await authenticate(conn, BearerAuth())
        made = refusal(conn, error)
        assert isinstance(made, HTTPException)
        assert (made.status_code, made.detail) == (status, str(error))
        assert lines(made, "retry-after") == retry_after
        assert lines(made) == ([BEARER] if challenged else [])
        assert lines(made, "cache-control") == ["no-store"]

    @pytest.mark.parametrize("status", [None, 200, 302, 42, 1000, "403", 403.0])
    def test_a_status_that_no_error_has_is_401(self, status: Any, connect: Connect) -> None:
        error = AuthenticationError("Foreign")
        error.status_code = status  # type: ignore[attr-defined]  # an app's own may be anything
        made = refusal(connect(), error)
        assert isinstance(made, HTTPException)
        assert made.status_code == 401

    def test_seconds_to_wait_are_whole(self, connect: Connect) -> None:
        error: Any = AuthenticationUnavailable()
        odd: list[Any] = ["soon", None, float("inf"), float("nan")]
        for given, sent in [(0.2, ["1"]), (2.0, ["2"]), (-3, ["0"]), *((each, []) for each in odd)]:
            error.retry_after = given
            assert lines(refusal(connect(), error), "retry-after") == sent

    @pytest.mark.parametrize("error_class", [AuthenticationUnavailable, TooManyAttempts])
    def test_seconds_that_cannot_be_are_a_mistake(self, error_class: Any) -> None:
        assert error_class(retry_after=1.2).retry_after == 2
        for odd in "1", None, timedelta(seconds=1):
            with pytest.raises(TypeError, match="retry_after"):
                error_class(retry_after=odd)
        for number in -1, float("inf"), float("nan"):
            with pytest.raises(ValueError, match="retry_after"):
                error_class(retry_after=number)

    async def test_each_challenge_has_a_line_of_its_own(self, connect: Connect) -> None:
        class BothAuth(BearerAuth):
            def challenges(self, conn: HTTPConnection) -> Any:
                return *super().challenges(conn), *BasicAuth().challenges(conn)

        conn = connect()
        await authenticate(conn, BothAuth())
        made = refusal(conn, InvalidCredentials(scheme="bearer", parameters={"error": "x"}))
        assert lines(made) == [
            f'{BEARER}, error="x"',
            'Basic realm="Restricted", charset="UTF-8"',
        ]

    async def test_it_varies_with_what_the_backend_reads(self, connect: Connect) -> None:
        conn = connect((b"x-api-key", b"wrong"))
        with pytest.raises(HTTPException) as caught:
            await authenticate(conn, KeyAuth())
        assert lines(caught.value, "vary") == ["X-API-Key"]

    async def test_a_websocket_is_denied_by_a_response_where_the_server_offers_it(self) -> None:
        made = refusal(websocket(denial=True), TooManyAttempts(retry_after=3))
        assert isinstance(made, HTTPException)
        assert (made.status_code, lines(made, "retry-after")) == (429, ["3"])
        made = refusal(websocket(denial=False), TooManyAttempts())
        assert isinstance(made, WebSocketException)
        assert made.code == 1008

    async def test_a_websocket_that_was_accepted_can_only_be_closed(self) -> None:
        scope = dict(websocket(denial=True).scope)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            return None

        conn = WebSocket(scope, receive, send)
        assert isinstance(refusal(conn, InvalidCredentials()), HTTPException)
        await conn.accept()
        assert isinstance(refusal(conn, InvalidCredentials()), WebSocketException)


class TestAnErrorsStatus:
    @pytest.mark.parametrize("on_invalid", ["reject", "anonymous"])
    @pytest.mark.parametrize(
        ("error", "status"),
        [(TooManyAttempts(), 429), (AuthenticationUnavailable(), 503), (Payment("Pay"), 402)],
    )
    async def test_only_a_401_goes_on_as_anonymous(
        self, error: AuthenticationError, status: int, on_invalid: Any, fetch: Fetch
    ) -> None:
        class FailingAuth(BearerAuth):
            async def verify(self, token: str) -> SimpleUser | None:
                raise error

        app = AuthenticationMiddleware(
            PlainTextResponse("Hello"), FailingAuth(), on_invalid=on_invalid
        )
        response = await fetch(app, bearer="abcd")
        assert (response.status_code, response.text) == (status, str(error))
        assert "www-authenticate" not in response.headers
        assert response.headers["cache-control"] == "no-store"

    async def test_one_that_an_endpoint_raises_is_honoured(self, fetch: Fetch) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise TooManyAttempts(retry_after=9)

        response = await fetch(AuthenticationMiddleware(app, BearerAuth()))
        assert (response.status_code, response.headers["retry-after"]) == (429, "9")

    async def test_the_401_after_a_wrong_token_is_not_stored(self, fetch: Fetch) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers = {"Cache-Control": "public, max-age=60"}
            await PlainTextResponse("Log in", 401, headers)(scope, receive, send)

        guarded = AuthenticationMiddleware(app, BearerAuth(), on_invalid="anonymous")
        response = await fetch(guarded, bearer="wrong")
        assert response.headers.get_list("cache-control") == ["no-store"]
        assert response.headers["www-authenticate"] == INVALID
        response = await fetch(guarded)
        assert response.headers.get_list("cache-control") == ["public, max-age=60"]


class TestRequiresMiddleware:
    @pytest.mark.parametrize(
        ("bearer", "status"), [(None, 401), ("wrong", 401), ("good", 200), ("slow", 503)]
    )
    async def test_it_guards_an_app_that_cannot_be_decorated(
        self, bearer: str | None, status: int, fetch: Fetch
    ) -> None:
        guarded = RequiresMiddleware(PlainTextResponse("Hello"), "authenticated")
        response = await fetch(AuthenticationMiddleware(guarded, BearerAuth()), bearer=bearer)
        assert response.status_code == status
        if status == 401:
            assert response.headers["cache-control"] == "no-store"

    async def test_who_lacks_a_scope_is_told_which(self, fetch: Fetch) -> None:
        guarded = RequiresMiddleware(PlainTextResponse("Hello"), [], any_of=["a", "b"])
        response = await fetch(AuthenticationMiddleware(guarded, BearerAuth()), bearer="good")
        assert response.status_code == 403
        assert response.headers["www-authenticate"] == (
            f'{BEARER}, error="insufficient_scope", scope="a b"'
        )

    @pytest.mark.parametrize("outer", [True, False])
    async def test_it_answers_wherever_it_stands(self, outer: bool, fetch: Fetch) -> None:
        async def hello(request: Request) -> Response:
            return PlainTextResponse("Hello")

        authentication = Middleware(AuthenticationMiddleware, backend=BearerAuth())
        guard = Middleware(RequiresMiddleware, scopes="authenticated")
        inner = Starlette(
            routes=[Route("/", hello)],
            middleware=[guard] if outer else [authentication, guard],
        )
        app = Starlette(
            routes=[Mount("/mcp", app=inner)], middleware=[authentication] if outer else []
        )
        response = await fetch(app, "/mcp/")
        assert (response.status_code, response.text) == (401, "Unauthorized")
        assert response.headers["www-authenticate"] == BEARER
        assert (await fetch(app, "/mcp/", bearer="good")).text == "Hello"

    @pytest.mark.parametrize("denial", [True, False])
    async def test_a_websocket_is_refused_too(self, denial: bool) -> None:
        async def never(scope: Scope, receive: Receive, send: Send) -> None:
            raise NotImplementedError

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        app = AuthenticationMiddleware(RequiresMiddleware(never, "authenticated"), BearerAuth())
        scope = websocket(denial=denial).scope

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        await app(scope, receive, send)
        if denial:
            assert sent[0]["status"] == 401
            assert (b"www-authenticate", BEARER.encode()) in sent[0]["headers"]
        else:
            assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]

    async def test_inside_an_app_a_websocket_is_refused_by_its_handlers(self) -> None:
        async def never(scope: Scope, receive: Receive, send: Send) -> None:
            raise NotImplementedError

        app = Starlette(
            routes=[Mount("/", app=RequiresMiddleware(never, "authenticated"))],
            middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuth())],
        )
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        await app({**websocket(denial=False).scope, "path": "/"}, receive, send)
        assert [message["code"] for message in sent] == [1008]

    async def test_the_body_reaches_the_app(self, fetch: Fetch) -> None:
        async def echo(scope: Scope, receive: Receive, send: Send) -> None:
            body = await Request(scope, receive).body()
            await PlainTextResponse(f"{len(body)} bytes")(scope, receive, send)

        guarded = RequiresMiddleware(echo, "authenticated")
        app = AuthenticationMiddleware(guarded, BearerAuth())
        assert (await fetch(app, method="POST", bearer="good")).text == "0 bytes"

    async def test_what_is_neither_passes(self) -> None:
        seen: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["type"])

        async def nothing(*args: Any) -> Any:
            return None

        await RequiresMiddleware(app, "admin")({"type": "lifespan"}, nothing, nothing)
        assert seen == ["lifespan"]


async def test_an_exception_that_is_raised_for_everybody_is_not_written_to(fetch: Fetch) -> None:
    # The second client was given the first one's challenges.
    class EchoAuth(BearerAuth):
        def challenges(self, conn: HTTPConnection) -> Any:
            return (*super().challenges(conn),)[: 0 if "X-Quiet" in conn.headers else 1]

    raised = HTTPException(status_code=401, detail="Log in")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise raised

    guarded = AuthenticationMiddleware(app, EchoAuth())
    for headers, expected in [({}, [BEARER]), ({"X-Quiet": "1"}, [])]:
        with pytest.raises(HTTPException) as caught:
            await fetch(guarded, headers=headers)
        assert Headers(caught.value.headers).getlist("www-authenticate") == expected
        assert (caught.value.status_code, caught.value.detail) == (401, "Log in")
    assert raised.headers is None
