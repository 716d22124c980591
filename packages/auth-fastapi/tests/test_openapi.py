"""The documentation of an app says how to authenticate, from the backends themselves."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi_backends import Passwords, Several, User, Wrapper
from starlette.applications import Starlette
from starlette.authentication import AuthenticationBackend
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

from starlette_auth_core import AuthBackend, BaseAPIKeyAuth, BaseBearerAuth, BaseTokenAuth
from starlette_auth_fastapi import Authenticated, login_router


class Tokens(BaseTokenAuth[Any]):
    async def verify(self, token: str) -> None:
        return None


class Bearer(Tokens, BaseBearerAuth[Any]):
    pass


class APIKey(Tokens, BaseAPIKeyAuth[Any]):
    def __init__(self, header: str = "X-API-Key") -> None:
        self.header = header


class Own(AuthBackend[Any]):
    """A backend that describes itself."""

    def __init__(self, described: Any) -> None:
        self.described = described

    async def authenticate(self, conn: HTTPConnection) -> None:
        return None

    def openapi_scheme(self) -> Mapping[str, Any] | None:
        described: Mapping[str, Any] | None = self.described
        return described


class Plain(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> None:
        return None


BASIC = {"type": "http", "scheme": "basic"}
BEARER = {"type": "http", "scheme": "bearer"}
COOKIE = {"type": "apiKey", "in": "cookie", "name": "__Host-session"}


def password_flow(url: str, *scopes: str) -> dict[str, Any]:
    flow = {"tokenUrl": url, "scopes": dict.fromkeys(scopes, "")}
    return {"type": "oauth2", "flows": {"password": flow}}


def schemes(*auths: Authenticated[Any], install: bool = False) -> dict[str, Any]:
    """Return the schemes of an app that has an endpoint for each of *auths*."""
    app = FastAPI()
    for position, auth in enumerate(auths):
        app.get(f"/{position}", dependencies=[Security(auth)])(lambda: None)
    if install:
        auths[0].install(app)
    found: dict[str, Any] = app.openapi().get("components", {}).get("securitySchemes", {})
    return found


class TestSchemes:
    @pytest.mark.parametrize(
        ("backend", "shown"),
        [
            (Passwords(), {"Basic": BASIC}),
            (Bearer(), {"Bearer": BEARER}),
            (
                Tokens(),
                {
                    "Authorization-Token": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "Authorization",
                        "description": "Authorization: Token <token>",
                    }
                },
            ),
            (
                APIKey(),
                {"Header-X-Api-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
            ),
            (Own(COOKIE), {"Cookie-__Host-session": COOKIE}),
            (Own(None), {}),
            (Plain(), {}),
        ],
    )
    def test_are_those_of_the_backend(
        self, backend: AuthenticationBackend, shown: dict[str, Any]
    ) -> None:
        assert schemes(Authenticated(backend)) == shown

    def test_bearer_with_a_login(self) -> None:
        auth = Authenticated(Several(Bearer(), Passwords()), token_url="/token")
        assert schemes(auth) == {"OAuth2-Password": password_flow("/token"), "Basic": BASIC}

    def test_alternatives_of_an_operation_are_in_order(self) -> None:
        inner = Several(Wrapper(Bearer()), Plain(), Own(COOKIE))
        auth = Authenticated[Any](Several(inner, Wrapper(Passwords()), Passwords()))
        app = FastAPI()

        @app.get("/")
        async def home(user: Annotated[User, Security(auth)]) -> None:
            pass

        @app.get("/maybe")
        async def maybe(user: Annotated[User | None, Depends(auth.optional)]) -> None:
            pass

        paths = app.openapi()["paths"]
        alternatives: list[dict[str, list[str]]] = [
            {"Bearer": []},
            {"Cookie-__Host-session": []},
            {"Basic": []},
        ]
        assert paths["/"]["get"]["security"] == alternatives
        assert paths["/maybe"]["get"]["security"] == alternatives
        assert "parameters" not in paths["/"]["get"]

    def test_wrapper_with_a_scheme_of_its_own(self) -> None:
        class Described(Own):
            backend = Passwords()

        assert schemes(Authenticated(Described(COOKIE))) == {"Cookie-__Host-session": COOKIE}

    def test_backends_may_hold_each_other(self) -> None:
        outer = Several(Passwords())
        outer.backends = (*outer.backends, outer)
        assert schemes(Authenticated(outer)) == {"Basic": BASIC}

    def test_scopes_stand_at_the_operation_and_in_the_flow(self) -> None:
        auth = Authenticated(Several(Bearer(), Passwords()), token_url="/token")
        app = FastAPI()
        auth.install(app)
        for scope in ("a", "b"):
            app.get(f"/{scope}", dependencies=[Security(auth, scopes=[scope, "c"])])(lambda: None)
        document = app.openapi()
        assert document["paths"]["/a"]["get"]["security"] == [
            {"OAuth2-Password": ["a", "c"]},
            {"Basic": ["a", "c"]},
        ]
        assert document["components"]["securitySchemes"] == {
            "OAuth2-Password": password_flow("/token", "a", "c", "b"),
            "Basic": BASIC,
        }


class TestLogin:
    """A login documents the scopes of an app that has started, `install` or not."""

    @pytest.mark.parametrize("installed", [False, True])
    def test_scopes_stand_in_the_flow(
        self, auth: Authenticated[Any], passwords: Passwords, tokens: Any, installed: bool
    ) -> None:
        app = FastAPI()
        for path in ("/token", "/other"):
            login = login_router(passwords, tokens, path=path, expires_in=timedelta(hours=1))
            app.include_router(login)
        app.get("/", dependencies=[Security(auth, scopes=["a", "b"])])(lambda: None)
        if installed:
            auth.install(app)
        generate = app.openapi
        for _ in range(2):
            with TestClient(app) as client:
                document = client.get("/openapi.json").json()
                flow = document["components"]["securitySchemes"]["OAuth2-Password"]
                assert flow == password_flow("/token", "a", "b")
                answers = document["paths"]["/"]["get"]["responses"]
                assert ("401" in answers) == installed
        assert app.openapi == generate

    def test_within_an_app_of_starlette(self, passwords: Passwords, tokens: Any) -> None:
        router = login_router(passwords, tokens, expires_in=timedelta(hours=1))
        app = Starlette(lifespan=router.lifespan_context)
        with TestClient(app) as client:
            assert client.get("/openapi.json").status_code == 404


OTHERS: list[dict[str, Any]] = [
    BASIC,
    BEARER,
    {"type": "http", "scheme": "digest"},
    {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    {"type": "http", "scheme": "basic", "description": "For staff."},
    {"type": "http", "scheme": "x!y"},
    {"type": "apiKey", "in": "header", "name": "Basic"},
    {"type": "apiKey", "in": "header", "name": "X-A"},
    {"type": "apiKey", "in": "header", "name": "X-B"},
    {"type": "apiKey", "in": "header", "name": "X-B", "description": "Another one."},
    {"type": "apiKey", "in": "header", "name": "X!B"},
    {"type": "apiKey", "in": "header", "name": "X*B"},
    {"type": "apiKey", "in": "query", "name": "X-A"},
    {"type": "apiKey", "in": "cookie", "name": "X-A"},
    {"type": "apiKey", "in": "cookie", "name": "x-a"},
    {"type": "apiKey", "in": "header", "name": "Authorization"},
    *(
        {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": f"Authorization: {scheme} <token>",
        }
        for scheme in ("Token", "Key", "Basic")
    ),
    password_flow("/token"),
    password_flow("token"),
    password_flow("/api/token"),
    password_flow("/token", "a"),
    {**password_flow("/token"), "description": "For people."},
    {"type": "openIdConnect", "openIdConnectUrl": "https://example.org/1"},
    {"type": "openIdConnect", "openIdConnectUrl": "https://example.org/2"},
]


class TestNames:
    def test_one_name_is_one_scheme(self) -> None:
        found = schemes(*(Authenticated(Own(each)) for each in OTHERS))
        assert list(found.values()) == OTHERS
        for name in found:
            assert re.fullmatch(r"[A-Za-z0-9._-]+", name)

    def test_one_scheme_has_one_name(self) -> None:
        first, second = Authenticated(APIKey("X-API-Key")), Authenticated(APIKey("x-api-key"))
        assert list(schemes(first, second)) == ["Header-X-Api-Key"]
        upper = Authenticated(Own({"type": "http", "scheme": "BASIC"}))
        assert list(schemes(Authenticated(Passwords()), upper)) == ["Basic"]

    def test_are_the_same_in_each_app(self) -> None:
        auths = [Authenticated(Own(each)) for each in OTHERS]
        again = [Authenticated(Own(dict(reversed(each.items())))) for each in reversed(OTHERS)]
        assert set(schemes(*auths)) == set(schemes(*again))

    def test_two_logins_and_a_bearer_token(self) -> None:
        found = schemes(
            Authenticated(Bearer()),
            Authenticated(Bearer(), token_url="/token"),
            Authenticated(Bearer(), token_url="/other/token"),
        )
        assert list(found)[:2] == ["Bearer", "OAuth2-Password"]
        assert list(found.values()) == [
            BEARER,
            password_flow("/token"),
            password_flow("/other/token"),
        ]


class TestMistakes:
    @pytest.mark.parametrize("token_url", [5, b"/token", True, object()])
    def test_token_url_that_is_not_a_string(self, token_url: Any) -> None:
        with pytest.raises(TypeError, match="token_url must be a string"):
            Authenticated(Bearer(), token_url=token_url)

    def test_empty_token_url(self) -> None:
        with pytest.raises(ValueError, match="token_url is empty"):
            Authenticated(Bearer(), token_url="")

    def test_what_is_not_a_mapping(self) -> None:
        with pytest.raises(TypeError, match="openapi_scheme of Own must return a mapping"):
            Authenticated(Own("basic"))

    def test_hook_that_is_async(self) -> None:
        class Later(Own):
            async def openapi_scheme(self) -> Any:  # type: ignore[override]  # the mistake
                raise NotImplementedError

        # Nor is it left with a warning that it was never awaited, which is an error here.
        with pytest.raises(TypeError, match="openapi_scheme of Later must return a mapping"):
            Authenticated(Later(BASIC))

    @pytest.mark.parametrize(
        "described",
        [{}, {"type": "http"}, {"type": "magic"}, {**BASIC, "x-made-by": object()}],
        ids=["empty", "half", "unknown", "not-json"],
    )
    def test_what_is_not_a_scheme(self, described: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="openapi_scheme of Own"):
            Authenticated(Own(described))


class TestInstalled:
    @pytest.fixture(params=["before", "after"])
    def paths(self, request: pytest.FixtureRequest, auth: Authenticated[Any]) -> dict[str, Any]:
        app = FastAPI()
        if request.param == "before":
            auth.install(app)
        own: dict[int | str, dict[str, Any]] = {401: {"description": "Who?"}}
        app.get("/open")(lambda: None)
        app.get("/me", dependencies=[Security(auth)])(lambda: None)
        router = APIRouter(dependencies=[Security(auth, scopes=["a"])])
        router.post("/write", responses=own)(lambda: None)
        router.get("/ranges", responses={"4XX": {"description": "Your fault"}})(lambda: None)
        router.get("/default", responses={"default": {"description": "Else"}})(lambda: None)
        outer = APIRouter()
        outer.include_router(router)
        app.include_router(outer)
        if request.param == "after":
            auth.install(app)
        app.openapi()
        # What FastAPI keeps is completed once.
        found: dict[str, Any] = app.openapi()["paths"]
        return found

    def test_answers_are_documented(self, paths: dict[str, Any]) -> None:
        assert list(paths["/open"]["get"]["responses"]) == ["200"]
        assert list(paths["/me"]["get"]["responses"]) == ["200", "401", "429", "503"]
        written = paths["/write"]["post"]["responses"]
        assert set(written) == {"200", "401", "403", "429", "503"}
        schema = written["403"]["content"]["application/json"]["schema"]
        assert schema["properties"] == {"detail": {"type": "string"}}

    def test_those_of_the_app_are_kept(self, paths: dict[str, Any]) -> None:
        assert paths["/write"]["post"]["responses"]["401"] == {"description": "Who?"}
        assert list(paths["/ranges"]["get"]["responses"]) == ["200", "4XX", "503"]
        assert list(paths["/default"]["get"]["responses"]) == ["200", "default"]

    def test_what_an_app_says_itself(self, auth: Authenticated[Any]) -> None:
        app = FastAPI()
        app.get("/me", dependencies=[Security(auth)])(lambda: None)
        generate = app.openapi

        def openapi() -> dict[str, Any]:
            return {**generate(), "x-logo": "ours"}

        app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation does it
        auth.install(app)
        assert app.openapi()["x-logo"] == "ours"
        assert "401" in app.openapi()["paths"]["/me"]["get"]["responses"]

    def test_what_an_app_writes_by_hand(self, auth: Authenticated[Any]) -> None:
        # All of these may be absent (OpenAPI Specification 3.1 sections 4.8.1, 4.8.9 and 4.8.10).
        app = FastAPI()
        operation: dict[str, Any] = {"security": [{"Basic": []}]}
        path = {"get": operation, "put": {}, "summary": "Mine"}
        app.openapi = lambda: {"paths": {"/me": path}}  # type: ignore[method-assign]  # as above
        auth.install(app)
        assert TestClient(app).get("/openapi.json").status_code == 200
        assert list(operation["responses"]) == ["401", "429", "503"]
