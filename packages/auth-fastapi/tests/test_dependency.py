"""Declaring the user of an endpoint lets in whom the backend lets in, and nobody else."""

import traceback
from typing import Annotated, Any

import anyio
import pytest
from fastapi import APIRouter, Depends, FastAPI, Response, Security
from fastapi_backends import Client, Passwords, Several, User, Wrapper
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
)
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.responses import Response as AnyResponse
from starlette.testclient import TestClient

from starlette_auth_core import (
    AuthenticationMiddleware,
    AuthenticationUnavailable,
    BaseAPIKeyAuth,
    InvalidCredentials,
    TooManyAttempts,
)
from starlette_auth_core.tokens import Tokens
from starlette_auth_fastapi import Authenticated

ALICE = ("alice", "alicepwd")
BOB = ("bob", "bobpwd")
CHALLENGES = ['Bearer realm="Restricted"', 'Basic realm="Restricted", charset="UTF-8"']
# What one server says of itself, and not of who asks.
SAME = ("content-length", "content-type")


def challenges(response: Any) -> list[str]:
    lines: list[str] = response.headers.get_list("www-authenticate")
    return lines


def varies(response: Any) -> list[str]:
    return [name.strip() for name in response.headers.get("vary", "").split(",") if name]


class Answer(AuthenticationBackend):
    """A backend of Starlette's own kind, which answers as it is told."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    async def authenticate(self, conn: HTTPConnection) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class APIKey(BaseAPIKeyAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser | None:
        return SimpleUser("machine") if token == "key" else None


@pytest.fixture
def articles(app: FastAPI, auth: Authenticated[Any], client: Client) -> TestClient:
    """An app with an endpoint of each kind."""

    @app.get("/me")
    async def me(user: Annotated[User, Security(auth)]) -> str:
        return user.username

    @app.get("/sync")
    def sync(user: Annotated[User, Depends(auth)]) -> str:
        return user.username

    @app.get("/read")
    async def read(user: Annotated[User, Security(auth, scopes=["articles:read"])]) -> str:
        return user.username

    @app.get("/write")
    async def write(user: Annotated[User, Security(auth, scopes=["articles:write"])]) -> str:
        return user.username

    @app.get("/maybe")
    async def maybe(user: Annotated[User | None, Depends(auth.optional)]) -> str:
        return "nobody" if user is None else user.username

    return client(app)


class TestWhoIsLetIn:
    @pytest.mark.parametrize("path", ["/me", "/sync", "/read", "/maybe"])
    def test_user_is_what_the_endpoint_gets(self, articles: TestClient, path: str) -> None:
        assert articles.get(path, auth=ALICE).json() == "alice"

    @pytest.mark.parametrize("path", ["/me", "/sync", "/read", "/write"])
    def test_anonymous_is_asked_by_every_challenge(self, articles: TestClient, path: str) -> None:
        response = articles.get(path)
        assert (response.status_code, response.json()) == (401, {"detail": "Unauthorized"})
        assert challenges(response) == CHALLENGES
        assert response.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("path", ["/me", "/sync", "/read", "/write", "/maybe"])
    def test_wrong_credentials_are_refused(self, articles: TestClient, path: str) -> None:
        response = articles.get(path, auth=("alice", "wrong"))
        assert (response.status_code, response.json()) == (401, {"detail": "Invalid credentials"})
        assert challenges(response) == CHALLENGES
        assert response.headers["cache-control"] == "no-store"

    def test_wrong_token_is_named_as_such(self, articles: TestClient) -> None:
        response = articles.get("/maybe", headers={"Authorization": "Bearer wrong"})
        assert challenges(response)[0] == 'Bearer realm="Restricted", error="invalid_token"'

    def test_optional_is_open_to_the_anonymous(self, articles: TestClient) -> None:
        assert articles.get("/maybe").json() == "nobody"

    def test_without_scopes_users_need_none(self, articles: TestClient) -> None:
        assert articles.get("/me", auth=BOB).json() == "bob"
        assert articles.get("/maybe", auth=BOB).json() == "bob"

    def test_missing_scope(self, articles: TestClient) -> None:
        response = articles.get("/write", auth=ALICE)
        assert (response.status_code, response.json()) == (403, {"detail": "Forbidden"})
        assert response.headers["cache-control"] == "no-store"

    def test_missing_scope_of_a_token_is_named(
        self, articles: TestClient, tokens: Tokens[User, Any], alice: User
    ) -> None:
        token, _ = anyio.run(tokens.issue, alice)
        response = articles.get("/write", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 403
        assert challenges(response) == [
            'Bearer realm="Restricted", error="insufficient_scope", scope="articles:write"'
        ]

    def test_scopes_of_optional_are_for_users(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        @app.get("/")
        async def home(
            user: Annotated[User | None, Security(auth.optional, scopes=["articles:write"])],
        ) -> None:
            pass

        client = TestClient(app)
        assert client.get("/").status_code == 200
        assert client.get("/", auth=ALICE).status_code == 403

    @pytest.mark.parametrize(
        ("error", "status", "retry_after"),
        [(TooManyAttempts(retry_after=7), 429, "7"), (AuthenticationUnavailable(), 503, "1")],
    )
    @pytest.mark.parametrize("installed", [False, True])
    @pytest.mark.parametrize("path", ["/", "/maybe"])
    def test_other_refusals(
        self, error: Exception, status: int, retry_after: str, installed: bool, path: str
    ) -> None:
        auth: Authenticated[Any] = Authenticated(Answer(error))
        app = FastAPI()
        if installed:
            auth.install(app)
        app.get("/", dependencies=[Security(auth)])(lambda: None)
        app.get("/maybe", dependencies=[Depends(auth.optional)])(lambda: None)
        response = TestClient(app).get(path)
        assert (response.status_code, response.json()) == (status, {"detail": str(error)})
        assert response.headers["retry-after"] == retry_after
        assert response.headers["cache-control"] == "no-store"
        assert challenges(response) == []


class Nameless(BaseUser):
    """Overrides nothing, so that Starlette's properties raise."""


class TestBackendsOfOnesOwn:
    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            ((AuthCredentials([]), SimpleUser("a")), 200),
            ((AuthCredentials([]), object()), 200),
            ((AuthCredentials([]), Nameless()), 200),
            ((AuthCredentials(["guest"]), UnauthenticatedUser()), 401),
            ((AuthCredentials([]), UnauthenticatedUser()), 401),
            ((AuthCredentials([]), {}), 401),
            (None, 401),
            (AuthenticationError("no"), 401),
        ],
    )
    def test_without_scopes_it_takes_a_user(self, answer: Any, status: int) -> None:
        app = FastAPI(dependencies=[Security(Authenticated[Any](Answer(answer)))])
        app.get("/")(lambda: None)
        assert TestClient(app).get("/").status_code == status

    def test_scopes_are_enough_where_they_are_asked_for(self) -> None:
        auth = Authenticated[Any](Answer((AuthCredentials(["guest"]), UnauthenticatedUser())))
        app = FastAPI(dependencies=[Security(auth, scopes=["guest"])])
        app.get("/")(lambda: None)
        assert TestClient(app).get("/").status_code == 200

    @pytest.mark.parametrize("backend", [object(), Passwords, None])
    def test_what_is_not_a_backend_is_refused(self, backend: Any) -> None:
        with pytest.raises(TypeError, match="authenticate"):
            Authenticated(backend)


class TestWhereItStands:
    def check(self, app: FastAPI, path: str = "/") -> None:
        client = TestClient(app)
        assert client.get(path).status_code == 401
        assert client.get(path, auth=("alice", "wrong")).status_code == 401
        assert client.get(path, auth=ALICE).status_code == 200

    def test_app(self, auth: Authenticated[Any]) -> None:
        app = FastAPI(dependencies=[Security(auth)])
        app.get("/")(lambda: None)
        self.check(app)

    def test_router_within_a_router(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        inner = APIRouter(prefix="/inner")
        inner.get("/")(lambda: None)
        outer = APIRouter(prefix="/outer", dependencies=[Security(auth)])
        outer.include_router(inner)
        app.include_router(outer)
        self.check(app, "/outer/inner/")

    def test_where_a_router_is_included(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        router = APIRouter()
        router.get("/")(lambda: None)
        app.include_router(router, dependencies=[Security(auth)])
        self.check(app)

    def test_route(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        app.get("/", dependencies=[Security(auth)])(lambda: None)
        self.check(app)

    def test_scopes_of_router_and_route_are_both_needed(
        self, app: FastAPI, auth: Authenticated[Any]
    ) -> None:
        router = APIRouter(dependencies=[Security(auth, scopes=["articles:read"])])
        write = Security(auth, scopes=["articles:write"])
        router.get("/read")(lambda: None)
        router.get("/write", dependencies=[write])(lambda: None)
        app.include_router(router)
        client = TestClient(app)
        assert client.get("/read", auth=ALICE).status_code == 200
        assert client.get("/write", auth=ALICE).status_code == 403
        assert client.get("/read", auth=BOB).status_code == 403

    def test_dependency_of_a_dependency(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        def name(user: Annotated[User, Security(auth)]) -> str:
            return user.username

        @app.get("/")
        async def home(name: Annotated[str, Security(name, scopes=["articles:write"])]) -> str:
            return name

        @app.get("/me")
        async def me(name: Annotated[str, Depends(name)]) -> str:
            return name

        client = TestClient(app)
        assert client.get("/me", auth=ALICE).json() == "alice"
        assert client.get("/", auth=ALICE).status_code == 403

    def test_mounted_app(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        mounted = FastAPI(dependencies=[Security(auth)])
        mounted.get("/me")(lambda: None)
        app.mount("/part", mounted)
        self.check(app, "/part/me")

    def test_two_backends_are_both_needed(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        machine = Authenticated(APIKey())

        @app.get("/")
        async def both(
            user: Annotated[User, Security(auth)],
            key: Annotated[SimpleUser, Security(machine)],
            again: Annotated[User, Security(auth, scopes=["articles:read"])],
        ) -> list[str]:
            return [user.username, key.username, again.username]

        client = TestClient(app)
        key = {"X-API-Key": "key"}
        assert client.get("/", auth=ALICE, headers=key).json() == ["alice", "machine", "alice"]
        assert challenges(client.get("/", auth=ALICE)) == ['ApiKey realm="Restricted"']
        assert challenges(client.get("/", headers=key)) == CHALLENGES


class TestOverrides:
    def test_of_the_dependency(
        self, articles: TestClient, app: FastAPI, auth: Authenticated[Any]
    ) -> None:
        app.dependency_overrides[auth] = lambda: User("tester", "")
        assert articles.get("/me").json() == "tester"
        assert articles.get("/write").json() == "tester"
        assert articles.get("/maybe").json() == "nobody"

    def test_of_optional(
        self, articles: TestClient, app: FastAPI, auth: Authenticated[Any]
    ) -> None:
        assert auth.optional is auth.optional
        app.dependency_overrides[auth.optional] = lambda: User("tester", "")
        assert articles.get("/maybe").json() == "tester"
        assert articles.get("/me").status_code == 401


class TestErrorsOfWhatComesAfter:
    @pytest.mark.parametrize(
        ("error", "status", "sent"),
        [
            (InvalidCredentials(), 401, CHALLENGES),
            (TooManyAttempts(retry_after=7), 429, []),
        ],
    )
    @pytest.mark.parametrize("optional", [False, True])
    def test_are_answered(  # noqa: PLR0917 - two fixtures and two tables
        self,
        app: FastAPI,
        auth: Authenticated[Any],
        error: Exception,
        status: int,
        sent: list[str],
        optional: bool,
    ) -> None:
        first = auth.optional if optional else auth

        def second(user: Annotated[User, Depends(first)]) -> None:
            raise error

        app.get("/dependency", dependencies=[Depends(second)])(lambda: None)

        @app.get("/endpoint")
        async def endpoint(user: Annotated[User, Depends(first)]) -> None:
            raise error

        for path in ("/dependency", "/endpoint"):
            response = TestClient(app).get(path, auth=ALICE)
            assert (response.status_code, response.json()) == (status, {"detail": str(error)})
            assert challenges(response) == sent
            assert response.headers["cache-control"] == "no-store"

    def test_error_reporters_see_the_answer_only(
        self, app: FastAPI, auth: Authenticated[Any]
    ) -> None:
        # They send the local variables of the frames of an error and of those behind it.
        shown: list[str] = []

        @app.exception_handler(HTTPException)
        async def report(request: Request, error: HTTPException) -> AnyResponse:
            shown.extend(traceback.format_exception(error))
            return PlainTextResponse(status_code=error.status_code)

        @app.get("/", dependencies=[Security(auth)])
        async def endpoint() -> None:
            raise AuthenticationUnavailable

        assert TestClient(app).get("/", auth=ALICE).status_code == 503
        assert "in endpoint" not in "".join(shown)

    def test_other_errors_pass(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        @app.get("/", dependencies=[Security(auth)])
        async def fails() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            TestClient(app).get("/", auth=ALICE)


class TestVary:
    @pytest.fixture
    def auth(self, passwords: Passwords) -> Authenticated[Any]:
        return Authenticated(Several(Wrapper(APIKey()), passwords))

    @pytest.mark.parametrize("auth_", [None, ALICE, ("alice", "wrong")])
    @pytest.mark.parametrize("path", ["/me", "/read", "/write", "/maybe"])
    def test_every_response_names_the_header(
        self, articles: TestClient, path: str, auth_: tuple[str, str] | None
    ) -> None:
        assert varies(articles.get(path, auth=auth_)) == ["X-API-Key"]

    def test_once_beside_others(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        def language(response: Response) -> None:
            response.headers.append("Vary", "Accept-Language, x-api-key")

        dependencies = [Depends(language), Security(auth), Depends(auth.optional)]
        app.get("/", dependencies=dependencies)(lambda: None)
        response = TestClient(app).get("/", auth=ALICE)
        assert varies(response) == ["Accept-Language", "x-api-key"]

    def test_response_of_the_endpoint_when_installed(self, auth: Authenticated[Any]) -> None:
        app = FastAPI(dependencies=[Security(auth)])
        auth.install(app)

        @app.get("/")
        async def home() -> PlainTextResponse:
            return PlainTextResponse()

        assert varies(TestClient(app).get("/", auth=ALICE)) == ["X-API-Key"]


class TestCost:
    """One hash for a request, right or wrong."""

    @pytest.fixture
    def busy(self, app: FastAPI, auth: Authenticated[Any]) -> TestClient:
        class Between(BaseHTTPMiddleware):
            async def dispatch(
                self, request: Request, call_next: RequestResponseEndpoint
            ) -> AnyResponse:
                return await call_next(request)

        def name(user: Annotated[User, Security(auth, scopes=["authenticated"])]) -> str:
            return user.username

        router = APIRouter(dependencies=[Security(auth), Depends(auth.optional)])

        @router.get("/")
        async def home(
            user: Annotated[User, Security(auth, scopes=["articles:read"])],
            again: Annotated[User, Depends(auth, use_cache=False)],
            name: Annotated[str, Depends(name)],
            maybe: Annotated[User | None, Depends(auth.optional, use_cache=False)],
        ) -> str:
            return name

        mounted = FastAPI(dependencies=[Security(auth)])
        mounted.add_middleware(Between)
        mounted.include_router(router)
        app.mount("/mounted", mounted)
        app.include_router(router, prefix="/routed")
        # Inside the middleware of the app.
        app.user_middleware.append(mounted.user_middleware[0])
        return TestClient(app)

    @pytest.mark.parametrize("path", ["/routed/", "/mounted/"])
    @pytest.mark.parametrize(("password", "status"), [("alicepwd", 200), ("wrong", 401)])
    def test_one_hash(
        self, busy: TestClient, passwords: Passwords, path: str, password: str, status: int
    ) -> None:
        assert busy.get(path, auth=("alice", password)).status_code == status
        assert passwords.hashes == 1

    @pytest.mark.parametrize(("password", "status"), [("alicepwd", 200), ("wrong", 401)])
    def test_one_hash_where_wrong_is_anonymous(
        self, auth: Authenticated[Any], passwords: Passwords, password: str, status: int
    ) -> None:
        app = FastAPI(dependencies=[Depends(auth.optional)])
        auth.install(app, on_invalid="anonymous")
        app.get("/")(lambda: None)
        assert TestClient(app).get("/", auth=("alice", password)).status_code == status
        assert passwords.hashes == 1

    def test_one_hash_beside_the_middleware_of_core(
        self, auth: Authenticated[Any], backend: Several, passwords: Passwords
    ) -> None:
        app = FastAPI(dependencies=[Security(auth)])
        app.add_middleware(AuthenticationMiddleware, backend=backend)
        app.get("/")(lambda: None)
        assert TestClient(app).get("/", auth=ALICE).status_code == 200
        assert passwords.hashes == 1
