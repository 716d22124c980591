"""The middleware that `install` adds, and its answers."""

from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request, Security
from fastapi_backends import Client, Passwords, Several, User
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from starlette_auth_core import InvalidCredentials, requires
from starlette_auth_core.tokens import Tokens
from starlette_auth_fastapi import Authenticated

ALICE = ("alice", "alicepwd")
BASIC = 'Basic realm="Restricted", charset="UTF-8"'


def challenges(response: Any) -> list[str]:
    lines: list[str] = response.headers.get_list("www-authenticate")
    return lines


@pytest.fixture
def app(auth: Authenticated[Any]) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def home(request: Request) -> bool:
        return bool(request.user.is_authenticated)

    @app.get("/name")
    @requires("authenticated")
    async def name(request: Request) -> str:
        username: str = request.user.username
        return username

    @app.get("/mine")
    async def mine() -> None:
        raise HTTPException(401, "Mine")

    return app


class TestMiddleware:
    def test_every_request_is_authenticated(
        self, app: FastAPI, auth: Authenticated[Any], client: Client
    ) -> None:
        auth.install(app)
        assert client(app).get("/").json() is False
        assert client(app).get("/name", auth=ALICE).json() == "alice"
        response = client(app).get("/", auth=("alice", "wrong"))
        assert (response.status_code, response.json()) == (401, {"detail": "Invalid credentials"})

    def test_refusal_of_the_app_gets_challenges(
        self, app: FastAPI, auth: Authenticated[Any]
    ) -> None:
        auth.install(app)
        response = TestClient(app).get("/mine")
        assert (response.json(), challenges(response)[1]) == ({"detail": "Mine"}, BASIC)

    def test_wrong_may_be_anonymous(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        auth.install(app, on_invalid="anonymous")
        assert TestClient(app).get("/", auth=("alice", "wrong")).json() is False

    def test_observer_is_called_once(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        seen: list[Any] = []

        def observer(conn: Any, outcome: Any) -> None:
            seen.append(outcome)

        auth.install(app, observer=observer)

        @app.get("/me")
        async def me(user: Annotated[User, Security(auth)]) -> None:
            pass

        TestClient(app).get("/me")
        TestClient(app).get("/me", auth=ALICE)
        TestClient(app).get("/me", auth=("alice", "wrong"))
        assert [type(outcome) for outcome in seen[1:]] == [InvalidCredentials]
        assert isinstance(seen[0], AuthCredentials)

    def test_lifespan_reaches_the_app(self, auth: Authenticated[Any]) -> None:
        started: list[bool] = []

        async def start(scope: Scope, receive: Receive, send: Send) -> None:
            started.append(True)

        app = FastAPI()
        auth.install(app)
        app.router.lifespan = start  # type: ignore[method-assign]  # only whether it is reached
        stack = app.build_middleware_stack()

        async def run() -> None:
            async def nothing(*message: Message) -> Any:
                raise NotImplementedError

            await stack({"type": "lifespan", "app": app}, nothing, nothing)

        import anyio

        anyio.run(run)
        assert started == [True]


class TestMistakes:
    def test_are_refused_at_once(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        wrong: Any = "ignore"
        with pytest.raises(ValueError, match="on_invalid"):
            auth.install(app, on_invalid=wrong)

        async def observer(conn: Any, outcome: Any) -> None:
            raise NotImplementedError

        mistaken: Any = observer
        with pytest.raises(TypeError, match="observer"):
            auth.install(app, observer=mistaken)
        assert TestClient(app).get("/mine").headers.get("www-authenticate") is None

    @pytest.mark.parametrize("other", [Starlette(), APIRouter(), FastAPI, None])
    def test_what_is_not_an_app_is_left_alone(self, auth: Authenticated[Any], other: Any) -> None:
        with pytest.raises(TypeError, match="app must be a FastAPI app"):
            auth.install(other)
        assert not getattr(other, "user_middleware", [])

    def test_browser_dialog_is_a_bool(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        wrong: Any = "false"
        with pytest.raises(TypeError, match="browser_dialog must be a bool"):
            auth.install(app, browser_dialog=wrong)

    def test_too_late(self, app: FastAPI, auth: Authenticated[Any]) -> None:
        TestClient(app).get("/mine")
        with pytest.raises(RuntimeError):
            auth.install(app)


class TestBrowserDialog:
    """A browser opens its password dialogue for a challenge that it knows."""

    @pytest.fixture
    def answers(self, app: FastAPI, auth: Authenticated[Any]) -> FastAPI:
        app.get("/me", dependencies=[Security(auth)])(lambda: None)
        return app

    @pytest.mark.parametrize("path", ["/me", "/mine"])
    @pytest.mark.parametrize("mode", ["cors", "same-origin", "no-cors", "websocket"])
    def test_scripts_do_not_open_it(
        self, answers: FastAPI, auth: Authenticated[Any], path: str, mode: str
    ) -> None:
        auth.install(answers)
        for password in (None, ("alice", "wrong")):
            response = TestClient(answers).get(
                path, auth=password, headers={"Sec-Fetch-Mode": mode}
            )
            assert response.status_code == 401
            assert [line.split()[0] for line in challenges(response)] == ["Bearer", "XBasic"]

    @pytest.mark.parametrize(
        ("own", "sent"),
        [
            ("Bearer, Basic", "Bearer, XBasic"),
            ('Bearer realm="a",basic realm="b"', 'Bearer realm="a",Xbasic realm="b"'),
            ("Basic\trealm=a", "XBasic\trealm=a"),
            ("Negotiate", "XNegotiate"),
            ('Bearer realm="Basic", basic=a', 'Bearer realm="Basic", basic=a'),
            ("BasicX", "BasicX"),
        ],
    )
    def test_nor_do_challenges_in_one_line(
        self, app: FastAPI, auth: Authenticated[Any], own: str, sent: str
    ) -> None:
        # RFC 9110 section 11.6.1 allows several in a line. Some browsers read it so.
        auth.install(app)

        @app.get("/own")
        async def refuse() -> None:
            raise HTTPException(401, headers={"WWW-Authenticate": own})

        client = TestClient(app)
        assert challenges(client.get("/own", headers={"Sec-Fetch-Mode": "cors"})) == [sent]
        assert challenges(client.get("/own")) == [own]

    @pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Mode": "navigate"}])
    @pytest.mark.parametrize("path", ["/me", "/mine"])
    def test_pages_and_other_clients_do(
        self, answers: FastAPI, auth: Authenticated[Any], path: str, headers: dict[str, str]
    ) -> None:
        auth.install(answers)
        assert challenges(TestClient(answers).get(path, headers=headers))[1] == BASIC

    def test_scripts_do_if_the_app_says_so(
        self, answers: FastAPI, auth: Authenticated[Any]
    ) -> None:
        auth.install(answers, browser_dialog=True)
        for path in ("/me", "/mine"):
            response = TestClient(answers).get(path, headers={"Sec-Fetch-Mode": "cors"})
            assert challenges(response)[1] == BASIC

    def test_without_the_middleware(self, auth: Authenticated[Any], tokens: Tokens[User]) -> None:
        app = FastAPI(dependencies=[Security(auth)])
        app.get("/")(lambda: None)
        response = TestClient(app).get("/", headers={"Sec-Fetch-Mode": "cors"})
        assert (response.status_code, response.json()) == (401, {"detail": "Unauthorized"})
        assert challenges(response) == [
            'Bearer realm="Restricted"',
            'XBasic realm="Restricted", charset="UTF-8"',
        ]
        assert response.headers["cache-control"] == "no-store"

    def test_refusals_of_backends_are_not_written_to(self, passwords: Passwords) -> None:
        refused = HTTPException(401, headers={"WWW-Authenticate": "Basic"})

        class Raises(Several):
            async def authenticate(self, conn: Any) -> Any:
                raise refused

        app = FastAPI(dependencies=[Security(Authenticated[Any](Raises()))])
        app.get("/")(lambda: None)
        client = TestClient(app)
        assert challenges(client.get("/", headers={"Sec-Fetch-Mode": "cors"})) == ["XBasic"]
        assert challenges(client.get("/")) == ["Basic"]
