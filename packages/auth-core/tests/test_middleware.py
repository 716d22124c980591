"""How requests are answered, with our middleware and with Starlette's own."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
)
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import (
    AuthenticationMiddleware as StarletteAuthenticationMiddleware,
)
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    AuthenticationUnavailable,
    BaseBasicAuth,
    BaseBearerAuth,
    Challenge,
    InvalidCredentials,
    requires,
)

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[httpx.Response]]

BASIC = 'Basic realm="Restricted", charset="UTF-8"'
BEARER = 'Bearer realm="Restricted"'
INVALID_TOKEN = 'Bearer realm="Restricted", error="invalid_token"'
GOOD, WRONG = ("alice", "secret"), ("alice", "wrong")


class BasicAuth(BaseBasicAuth[SimpleUser]):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        return SimpleUser(username) if (username, password) == GOOD else None


class BearerAuth(BaseBearerAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser("bob") if token == "good" else None


class EitherAuth(AuthBackend[SimpleUser]):
    """Two schemes in one, the way that MultiAuth does it."""

    backends = (BearerAuth(), BasicAuth())

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        for backend in self.backends:
            result = await backend.authenticate(conn)
            if result is not None:
                return result
        return None

    def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
        return tuple(c for backend in self.backends for c in backend.challenges(conn))


class UnavailableAuth(BasicAuth):
    async def verify(self, username: str, password: str) -> SimpleUser | None:
        raise TimeoutError


async def whoami(request: Request) -> Response:
    return PlainTextResponse(request.user.display_name or "anonymous")


async def app_401(request: Request) -> Response:
    return PlainTextResponse("Please log in", 401)


async def own_401(request: Request) -> Response:
    return PlainTextResponse("Please", 401, {"WWW-Authenticate": 'Custom realm="own"'})


async def raised_401(request: Request) -> Response:
    raise HTTPException(401)


async def unavailable(request: Request) -> Response:
    raise AuthenticationUnavailable("The queue is full", retry_after=7)


async def invalid(request: Request) -> Response:
    raise InvalidCredentials("No such account", scheme="Basic", parameters={"realm": "login"})


async def foreign(request: Request) -> Response:
    raise AuthenticationError("Foreign")


ROUTES = [
    Route("/", whoami, methods=["GET", "POST"]),
    Route("/app-401", app_401),
    Route("/own-401", own_401),
    Route("/raised-401", raised_401),
    Route("/protected", requires("authenticated")(whoami)),
    Route("/unavailable", unavailable),
    Route("/invalid", invalid),
    Route("/foreign", foreign),
]


def app_with(
    backend: AuthenticationBackend,
    middleware: Any = AuthenticationMiddleware,
    more: list[Middleware] | None = None,
    **options: Any,
) -> Starlette:
    return Starlette(
        routes=ROUTES,
        middleware=[Middleware(middleware, backend=backend, **options), *(more or ())],
    )


def challenges(response: httpx.Response) -> list[str]:
    """Return the lines, not what they would be when joined."""
    return [
        value.decode()
        for name, value in response.headers.raw
        if name.lower() == b"www-authenticate"
    ]


class TestRequests:
    async def test_anonymous(self, fetch: Fetch) -> None:
        response = await fetch(app_with(BasicAuth()))
        assert (response.status_code, response.text) == (200, "anonymous")
        assert challenges(response) == []

    async def test_authenticated(self, fetch: Fetch) -> None:
        response = await fetch(app_with(BasicAuth()), auth=GOOD)
        assert (response.status_code, response.text) == (200, "alice")

    @pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic YQ==", "basic YWxpY2U6d3Jvbmc="])
    async def test_failed_credentials_are_401(self, header: str, fetch: Fetch) -> None:
        response = await fetch(app_with(BasicAuth()), headers={"Authorization": header})
        assert response.status_code == 401
        assert response.text == "Invalid credentials"
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert challenges(response) == [BASIC]

    async def test_each_challenge_has_a_line_of_its_own(self, fetch: Fetch) -> None:
        response = await fetch(app_with(EitherAuth()), auth=WRONG)
        assert challenges(response) == [BEARER, BASIC]

    async def test_the_failed_scheme_has_the_challenge_of_the_error(self, fetch: Fetch) -> None:
        response = await fetch(app_with(EitherAuth()), bearer="wrong")
        assert challenges(response) == [INVALID_TOKEN, BASIC]

    async def test_an_unavailable_check_is_503(self, fetch: Fetch) -> None:
        response = await fetch(app_with(UnavailableAuth()), auth=GOOD)
        assert (response.status_code, response.text) == (503, "Authentication is unavailable")
        assert response.headers["retry-after"] == "1"
        assert response.headers["cache-control"] == "no-store"
        assert challenges(response) == []

    async def test_a_bug_comes_through(self, fetch: Fetch) -> None:
        class BuggyAuth(BasicAuth):
            async def verify(self, username: str, password: str) -> SimpleUser | None:
                raise KeyError("bug")

        with pytest.raises(KeyError):
            await fetch(app_with(BuggyAuth()), auth=GOOD)


class TestA401OfTheApp:
    @pytest.mark.parametrize("path", ["/app-401", "/raised-401", "/protected"])
    async def test_it_gets_the_challenges(self, path: str, fetch: Fetch) -> None:
        response = await fetch(app_with(EitherAuth()), path)
        assert response.status_code == 401
        assert challenges(response) == [BEARER, BASIC]

    async def test_its_own_challenge_is_left_alone(self, fetch: Fetch) -> None:
        response = await fetch(app_with(EitherAuth()), "/own-401")
        assert challenges(response) == ['Custom realm="own"']

    async def test_so_is_one_that_is_spelt_in_capitals(self, fetch: Fetch) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            headers = [(b"WWW-Authenticate", b"Custom")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

        response = await fetch(AuthenticationMiddleware(app, BasicAuth()))
        assert challenges(response) == ["Custom"]

    async def test_it_may_come_without_headers(self, fetch: Fetch) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 401})
            await send({"type": "http.response.body"})

        response = await fetch(AuthenticationMiddleware(app, BasicAuth()))
        assert challenges(response) == [BASIC]

    @pytest.mark.parametrize("mode", ["cors", "navigate"])
    @pytest.mark.parametrize("auth", [None, WRONG])
    async def test_what_is_asked_for_may_depend_on_the_request(
        self, auth: tuple[str, str] | None, mode: str, fetch: Fetch
    ) -> None:
        class QuietAuth(BasicAuth):
            def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
                if conn.headers["Sec-Fetch-Mode"] != "navigate":
                    return (Challenge("FormBased", realm=self.realm),)
                return super().challenges(conn)

        headers = {"Sec-Fetch-Mode": mode}
        response = await fetch(app_with(QuietAuth()), "/protected", auth=auth, headers=headers)
        expected = BASIC if mode == "navigate" else 'FormBased realm="Restricted"'
        assert (response.status_code, challenges(response)) == (401, [expected])

    async def test_a_backend_that_asks_for_nothing_adds_nothing(self, fetch: Fetch) -> None:
        class StarlettesOwn(AuthenticationBackend):
            async def authenticate(
                self, conn: HTTPConnection
            ) -> tuple[AuthCredentials, BaseUser] | None:
                if "Authorization" in conn.headers:
                    raise AuthenticationError("Wrong")
                return None

        app = app_with(StarlettesOwn())
        assert challenges(await fetch(app, "/app-401")) == []
        response = await fetch(app, auth=GOOD)
        assert (response.status_code, response.text) == (401, "Wrong")


class TestErrorsFromBeneath:
    async def test_unavailable_is_503(self, fetch: Fetch) -> None:
        response = await fetch(app_with(BasicAuth()), "/unavailable")
        assert (response.status_code, response.text) == (503, "The queue is full")
        assert response.headers["retry-after"] == "7"

    async def test_a_login_view_whose_check_is_unavailable_is_503(self, fetch: Fetch) -> None:
        async def log_in(request: Request) -> Response:
            await SlowLookupAuth().verify("alice", "secret")
            raise AssertionError

        class SlowLookupAuth(BaseBasicAuth[str]):
            async def find_user(self, username: str) -> str | None:
                raise TimeoutError

            async def verify_password(self, user: str, password: str) -> bool:
                raise NotImplementedError

        app = Starlette(
            routes=[Route("/login", log_in)],
            middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth())],
        )
        response = await fetch(app, "/login")
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")

    async def test_invalid_credentials_are_401(self, fetch: Fetch) -> None:
        response = await fetch(app_with(EitherAuth()), "/invalid")
        assert (response.status_code, response.text) == (401, "No such account")
        assert challenges(response) == [BEARER, 'Basic realm="login", charset="UTF-8"']

    async def test_its_parameters_are_left_out_where_the_backend_has_none_of_the_scheme(
        self, fetch: Fetch
    ) -> None:
        response = await fetch(app_with(BearerAuth()), "/invalid")
        assert challenges(response) == [BEARER]

    async def test_so_is_any_authentication_error(self, fetch: Fetch) -> None:
        response = await fetch(app_with(BasicAuth()), "/foreign")
        assert (response.status_code, response.text) == (401, "Foreign")
        assert challenges(response) == [BASIC]

    # Starlette's BaseHTTPMiddleware left a stream open then, at least up to 0.40.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    async def test_they_come_through_middleware_in_between(self, fetch: Fetch) -> None:
        async def dispatch(request: Request, call_next: RequestResponseEndpoint) -> Response:
            return await call_next(request)

        between = [Middleware(BaseHTTPMiddleware, dispatch=dispatch)]
        response = await fetch(app_with(BasicAuth(), more=between), "/invalid")
        assert response.status_code == 401
        gc.collect()

    async def test_not_once_a_response_has_started(self, fetch: Fetch) -> None:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            raise InvalidCredentials("Too late")

        with pytest.raises(InvalidCredentials, match="Too late"):
            await fetch(AuthenticationMiddleware(app, BasicAuth()))


class TestOnError:
    async def test_it_decides(self, fetch: Fetch) -> None:
        def on_error(conn: HTTPConnection, error: AuthenticationError) -> Response:
            return JSONResponse({"error": str(error), "path": conn.url.path}, 400)

        response = await fetch(app_with(BasicAuth(), on_error=on_error), auth=WRONG)
        assert response.status_code == 400
        assert response.json() == {"error": "Invalid credentials", "path": "/"}
        assert challenges(response) == []

    async def test_the_challenge_is_added_to_its_401(self, fetch: Fetch) -> None:
        app = app_with(
            EitherAuth(), on_error=lambda _, exc: PlainTextResponse(str(exc), status_code=401)
        )
        response = await fetch(app, bearer="wrong")
        assert (response.status_code, response.text) == (401, "Invalid credentials")
        assert challenges(response) == [INVALID_TOKEN, BASIC]

    async def test_its_own_challenge_is_left_alone(self, fetch: Fetch) -> None:
        app = app_with(
            BasicAuth(),
            on_error=lambda _, exc: Response(status_code=401, headers={"WWW-Authenticate": "Own"}),
        )
        assert challenges(await fetch(app, auth=WRONG)) == ["Own"]

    async def test_it_answers_errors_from_beneath_too(self, fetch: Fetch) -> None:
        app = app_with(BasicAuth(), on_error=lambda _, exc: PlainTextResponse("mine", 418))
        assert (await fetch(app, "/unavailable")).status_code == 418


class TestOnInvalid:
    def app(self, backend: AuthBackend | None = None) -> Starlette:
        return app_with(backend or EitherAuth(), on_invalid="anonymous")

    async def test_public_pages_stay_readable(self, fetch: Fetch) -> None:
        response = await fetch(self.app(), bearer="expired")
        assert (response.status_code, response.text) == (200, "anonymous")
        assert challenges(response) == []

    async def test_malformed_credentials_are_invalid_ones(self, fetch: Fetch) -> None:
        response = await fetch(self.app(), headers={"Authorization": "Basic !"})
        assert (response.status_code, response.text) == (200, "anonymous")

    async def test_protected_pages_say_what_was_wrong(self, fetch: Fetch) -> None:
        response = await fetch(self.app(), "/protected", bearer="expired")
        assert response.status_code == 401
        assert challenges(response) == [INVALID_TOKEN, BASIC]

    async def test_they_do_not_where_nothing_was(self, fetch: Fetch) -> None:
        response = await fetch(self.app(), "/protected")
        assert challenges(response) == [BEARER, BASIC]
        response = await fetch(self.app(), "/protected", bearer="good")
        assert (response.status_code, response.text) == (200, "bob")

    async def test_an_unavailable_check_is_503_all_the_same(self, fetch: Fetch) -> None:
        response = await fetch(self.app(UnavailableAuth()), auth=GOOD)
        assert response.status_code == 503


class TestMistakes:
    @pytest.mark.parametrize("backend", [None, BasicAuth, object(), "basic"])
    def test_a_backend_that_is_none(self, backend: Any) -> None:
        with pytest.raises(TypeError, match="backend must be an object"):
            AuthenticationMiddleware(app_with(BasicAuth()), backend)

    def test_it_is_not_shown(self) -> None:
        # It may be a secret, or hold one.
        backend: Any = ("alice", "secret")
        with pytest.raises(TypeError, match="got a tuple") as caught:
            AuthenticationMiddleware(app_with(BasicAuth()), backend)
        assert "secret" not in str(caught.value)

    def test_an_on_invalid_that_is_none(self) -> None:
        app = app_with(BasicAuth())
        with pytest.raises(ValueError, match='"reject" or "anonymous"'):
            AuthenticationMiddleware(app, BasicAuth(), on_invalid="ignore")  # type: ignore[arg-type]  # what this is about


class TestPartsOfAnApp:
    async def health(self, request: Request) -> Response:
        assert "user" not in request.scope
        return PlainTextResponse("OK")

    async def test_only_a_mounted_part_is_authenticated(self, fetch: Fetch) -> None:
        app = Starlette(
            routes=[
                Route("/health", self.health),
                Mount(
                    "/api",
                    routes=[Route("/me", requires("authenticated")(whoami))],
                    middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth())],
                ),
            ]
        )
        assert (await fetch(app, "/health", auth=WRONG)).text == "OK"
        assert (await fetch(app, "/api/me", auth=GOOD)).text == "alice"
        response = await fetch(app, "/api/me", auth=WRONG)
        assert (response.status_code, challenges(response)) == (401, [BASIC])
        response = await fetch(app, "/api/me")
        assert (response.status_code, challenges(response)) == (401, [BASIC])

    @pytest.mark.parametrize("path", ["/mounted", "/alone"])
    @pytest.mark.parametrize("method", ["GET", "POST"])
    async def test_an_endpoint_that_is_a_class_is_answered_outside_of_it(
        self, path: str, method: str, fetch: Fetch
    ) -> None:
        # What it raises passes the part's middleware, on its way to the handlers of the app.
        class Endpoint(HTTPEndpoint):
            @requires("authenticated")
            async def get(self, request: Request) -> Response:
                return PlainTextResponse(request.user.display_name)

            async def post(self, request: Request) -> Response:
                raise HTTPException(401, headers={"X-More": "1"})

        part = [Middleware(AuthenticationMiddleware, backend=EitherAuth(), on_invalid="anonymous")]
        app = Starlette(
            routes=[
                Mount("/mounted", routes=[Route("/", Endpoint)], middleware=part),
                Route("/alone/", Endpoint, middleware=part),
            ]
        )
        response = await fetch(app, f"{path}/", method=method)
        assert (response.status_code, challenges(response)) == (401, [BEARER, BASIC])
        assert response.headers.get("x-more") == (None if method == "GET" else "1")
        response = await fetch(app, f"{path}/", method=method, bearer="expired")
        assert (response.status_code, challenges(response)) == (401, [INVALID_TOKEN, BASIC])

    @pytest.mark.parametrize("headers", [None, {"WWW-Authenticate": "Own"}])
    async def test_nothing_else_that_it_raises_is_changed(
        self, headers: dict[str, str] | None, fetch: Fetch
    ) -> None:
        raised = HTTPException(401 if headers else 403, headers=headers)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            raise raised

        with pytest.raises(HTTPException) as caught:
            await fetch(AuthenticationMiddleware(app, BasicAuth()))
        assert caught.value is raised
        assert raised.headers == headers

    async def test_a_part_may_have_a_backend_of_its_own(self, fetch: Fetch) -> None:
        app = Starlette(
            routes=[
                Mount(
                    "/api",
                    routes=[
                        Route("/me", requires("authenticated")(whoami)),
                        Route("/admin", requires("admin")(whoami)),
                    ],
                    middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuth())],
                ),
                Route("/me", requires("authenticated")(whoami)),
            ],
            middleware=[
                Middleware(AuthenticationMiddleware, backend=BasicAuth(), on_invalid="anonymous")
            ],
        )
        assert challenges(await fetch(app, "/me")) == [BASIC]
        assert challenges(await fetch(app, "/api/me")) == [BEARER]
        assert (await fetch(app, "/api/me", bearer="good")).text == "bob"
        response = await fetch(app, "/api/admin", bearer="good")
        assert response.status_code == 403
        assert challenges(response) == [
            'Bearer realm="Restricted", error="insufficient_scope", scope="admin"'
        ]


class TestCORS:
    ORIGIN = "https://app.example"

    @pytest.fixture
    def app(self) -> Starlette:
        # The documented order: CORS outside, so that it answers the preflight and marks each 401.
        return Starlette(
            routes=ROUTES,
            middleware=[
                Middleware(
                    CORSMiddleware, allow_origins=[self.ORIGIN], allow_headers=["Authorization"]
                ),
                Middleware(AuthenticationMiddleware, backend=BasicAuth()),
            ],
        )

    async def test_a_preflight_needs_no_credentials(self, app: Starlette, fetch: Fetch) -> None:
        response = await fetch(
            app,
            "/protected",
            method="OPTIONS",
            headers={
                "Origin": self.ORIGIN,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "authorization",
            },
        )
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == self.ORIGIN
        assert "authorization" in response.headers["access-control-allow-headers"].lower()

    async def test_a_script_may_read_a_401(self, app: Starlette, fetch: Fetch) -> None:
        response = await fetch(app, auth=WRONG, headers={"Origin": self.ORIGIN})
        assert response.status_code == 401
        assert response.headers["access-control-allow-origin"] == self.ORIGIN

    async def test_options_without_credentials_reach_the_app(self, fetch: Fetch) -> None:
        app = Starlette(
            routes=[Route("/", whoami, methods=["OPTIONS"])],
            middleware=[Middleware(AuthenticationMiddleware, backend=BasicAuth())],
        )
        assert (await fetch(app, method="OPTIONS")).status_code == 200


def test_lifespan_passes_through() -> None:
    seen = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        seen.append("start")
        yield
        seen.append("stop")

    app = AuthenticationMiddleware(Starlette(routes=ROUTES, lifespan=lifespan), BasicAuth())
    with TestClient(app) as client:
        assert client.get("/").text == "anonymous"
        assert seen == ["start"]
    assert seen == ["start", "stop"]


async def test_requests_at_once_do_not_meet(fetch: Fetch) -> None:
    app = app_with(EitherAuth(), on_invalid="anonymous")
    seen: list[tuple[str, list[str]]] = []

    async def ask(bearer: str | None) -> None:
        response = await fetch(app, "/protected", bearer=bearer)
        seen.append((bearer or "", challenges(response)))

    async with anyio.create_task_group() as tasks:
        for bearer in ("good", "expired", None) * 10:
            tasks.start_soon(ask, bearer)
    expected = {"good": [], "expired": [INVALID_TOKEN, BASIC], "": [BEARER, BASIC]}
    assert len(seen) == 30
    assert all(found == expected[bearer] for bearer, found in seen)


class TestStarlettesOwnMiddleware:
    async def test_the_error_says_what_on_error_needs(self, fetch: Fetch) -> None:
        def on_error(conn: HTTPConnection, exc: AuthenticationError) -> Response:
            if isinstance(exc, AuthenticationUnavailable):
                return PlainTextResponse(str(exc), 503, {"Retry-After": str(exc.retry_after)})
            response = PlainTextResponse(str(exc), 401)
            for challenge in BasicAuth().challenges(conn):
                response.headers.append("WWW-Authenticate", challenge.to_header())
            return response

        def app(backend: AuthBackend) -> ASGIApp:
            return app_with(backend, StarletteAuthenticationMiddleware, on_error=on_error)

        assert (await fetch(app(BasicAuth()), auth=GOOD)).text == "alice"
        response = await fetch(app(BasicAuth()), auth=WRONG)
        assert (response.status_code, challenges(response)) == (401, [BASIC])
        response = await fetch(app(UnavailableAuth()), auth=GOOD)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")

    async def test_without_on_error_it_is_a_400(self, fetch: Fetch) -> None:
        app = app_with(BasicAuth(), StarletteAuthenticationMiddleware)
        response = await fetch(app, auth=WRONG)
        assert (response.status_code, response.text) == (400, "Invalid credentials")

    async def test_our_requires_has_no_challenge_to_send(self, fetch: Fetch) -> None:
        app = app_with(BasicAuth(), StarletteAuthenticationMiddleware)
        response = await fetch(app, "/protected")
        assert (response.status_code, challenges(response)) == (401, [])
