"""The metadata of RFC 9728, and the challenges that lead there."""

from __future__ import annotations

from typing import Any

import pytest
from jwt_tokens import AUDIENCE, ISSUER, good_claims, key_for, make_token, public_jwk
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from starlette_auth_core import AuthenticationMiddleware, RequiresMiddleware, requires
from starlette_auth_jwt import JWTAuth, StaticKeys, protected_resource

WELL_KNOWN = "/.well-known/oauth-protected-resource"
CHALLENGE = f'Bearer realm="Restricted", resource_metadata="https://api.example{WELL_KNOWN}/mcp"'


def make(resource: str = "https://api.example/mcp", **changes: Any) -> Any:
    return protected_resource(resource, **{"authorization_servers": [ISSUER], **changes})


def client(route: Route) -> TestClient:
    return TestClient(Starlette(routes=[route]), base_url="https://api.example")


class TestTheMetadata:
    @pytest.mark.parametrize(
        ("resource", "url"),
        [
            ("https://api.example", f"https://api.example{WELL_KNOWN}"),
            ("https://api.example/", f"https://api.example{WELL_KNOWN}"),
            ("https://api.example/mcp", f"https://api.example{WELL_KNOWN}/mcp"),
            ("https://api.example/mcp/", f"https://api.example{WELL_KNOWN}/mcp/"),
            ("https://api.example//", f"https://api.example{WELL_KNOWN}//"),
            ("https://api.example:8443/a/b", f"https://api.example:8443{WELL_KNOWN}/a/b"),
            ("https://api.example/a%20b/%C3%BC", f"https://api.example{WELL_KNOWN}/a%20b/%C3%BC"),
            ("http://localhost:8000/mcp", f"http://localhost:8000{WELL_KNOWN}/mcp"),
        ],
    )
    def test_is_where_clients_look(self, resource: str, url: str) -> None:
        route = make(resource)
        assert route.url == url
        assert isinstance(route, Route)
        response = client(route).get(url, follow_redirects=False)
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.json() == {
            "resource": resource,
            "authorization_servers": [ISSUER],
            "bearer_methods_supported": ["header"],
        }

    def test_is_only_there(self) -> None:
        there = client(make())
        for path in (WELL_KNOWN, f"{WELL_KNOWN}/mcp/", f"{WELL_KNOWN}/other"):
            assert there.get(path, follow_redirects=False).status_code in (307, 404)

    def test_names_scopes_where_there_are_any(self) -> None:
        route = make(scopes=["read", "write"], authorization_servers=(ISSUER, "https://b.example"))
        assert client(route).get(route.url).json() == {
            "resource": "https://api.example/mcp",
            "authorization_servers": [ISSUER, "https://b.example"],
            "scopes_supported": ["read", "write"],
            "bearer_methods_supported": ["header"],
        }

    def test_can_only_be_read(self) -> None:
        route = make()
        for method in ("POST", "PUT", "DELETE"):
            response = client(route).request(method, route.url)
            assert response.status_code == 405
            assert "GET" in response.headers["allow"]
        head = client(route).head(route.url)
        assert head.status_code == 200
        assert client(route).options(route.url).status_code == 204

    def test_can_be_read_from_any_origin(self) -> None:
        route = make()
        origin = {"Origin": "https://inspector.example"}
        response = client(route).get(route.url, headers=origin)
        assert response.headers["access-control-allow-origin"] == "*"
        asked = {
            **origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "mcp-protocol-version",
        }
        response = client(route).options(route.url, headers=asked)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == "*"
        assert "GET" in response.headers["access-control-allow-methods"]
        assert "mcp-protocol-version" in response.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in response.headers


WRONG: list[tuple[str, dict[str, Any], type[Exception]]] = [
    ("resource", {"resource": "http://api.example"}, ValueError),
    ("resource", {"resource": "api.example/mcp"}, ValueError),
    ("resource", {"resource": "https://api.example/mcp?x=1"}, ValueError),
    ("resource", {"resource": "https://api.example/mcp?"}, ValueError),
    ("resource", {"resource": "https://api.example/mcp#x"}, ValueError),
    ("resource", {"resource": "https://api.example/mcp#"}, ValueError),
    ("resource", {"resource": "https://user@api.example/mcp"}, ValueError),
    ("resource", {"resource": "https://api.example/{name}"}, ValueError),
    ("resource", {"resource": "https://api.example/%7Bname%7D"}, ValueError),
    ("resource", {"resource": ""}, ValueError),
    ("resource", {"resource": None}, TypeError),
    ("authorization_servers", {"authorization_servers": ISSUER}, TypeError),
    ("authorization_servers", {"authorization_servers": None}, TypeError),
    ("authorization_servers", {"authorization_servers": []}, ValueError),
    ("authorization_servers", {"authorization_servers": [""]}, ValueError),
    ("authorization_servers", {"authorization_servers": [None]}, TypeError),
    ("authorization_servers", {"authorization_servers": ["http://issuer.example"]}, ValueError),
    ("authorization_servers", {"authorization_servers": [ISSUER, "issuer"]}, ValueError),
    ("authorization_servers", {"authorization_servers": [ISSUER + "?x"]}, ValueError),
    ("scopes", {"scopes": "read"}, TypeError),
    ("scopes", {"scopes": ""}, TypeError),
    ("scopes", {"scopes": ["two words"]}, ValueError),
    ("scopes", {"scopes": [""]}, ValueError),
    ("scopes", {"scopes": ['"']}, ValueError),
    ("scopes", {"scopes": [5]}, TypeError),
]


@pytest.mark.parametrize(
    ("argument", "changes", "error"),
    WRONG,
    ids=[f"{argument}-{number}" for number, (argument, _, _) in enumerate(WRONG)],
)
def test_wrong_arguments_are_named(
    argument: str, changes: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=f"^{argument}"):
        make(**changes)


@requires(["authenticated", "write"])
async def write(request: Request) -> Response:
    return PlainTextResponse("ok")


class TestTheChallenge:
    @pytest.fixture
    def app(self) -> TestClient:
        route = make()
        auth = JWTAuth(
            keys=StaticKeys(public_jwk(key_for("ES256"))),
            issuer=ISSUER,
            audience=AUDIENCE,
            algorithms=["ES256"],
            resource_metadata=route.url,
        )
        mounted = RequiresMiddleware(
            Starlette(routes=[Route("/", write)]), ["authenticated", "write"]
        )
        app = Starlette(
            routes=[route, Route("/write", write), Mount("/mcp", mounted)],
            middleware=[Middleware(AuthenticationMiddleware, backend=auth)],
        )
        return TestClient(app)

    @pytest.fixture(params=["/write", "/mcp/"])
    def path(self, request: pytest.FixtureRequest) -> Any:
        return request.param

    def test_of_no_token_has_no_error(self, app: TestClient, path: str) -> None:
        response = app.get(path)
        assert response.status_code == 401
        assert response.headers.get_list("www-authenticate") == [CHALLENGE]

    def test_of_a_wrong_token(self, app: TestClient, path: str) -> None:
        for token in ("x", make_token(claims=good_claims(exp=1))):
            response = app.get(path, headers={"Authorization": f"Bearer {token}"})
            assert response.status_code == 401
            assert response.headers.get_list("www-authenticate") == [
                f'{CHALLENGE}, error="invalid_token"'
            ]

    def test_of_a_missing_scope(self, app: TestClient, path: str) -> None:
        token = make_token(claims=good_claims(scope="read"))
        response = app.get(path, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 403
        assert response.headers.get_list("www-authenticate") == [
            f'{CHALLENGE}, error="insufficient_scope", scope="authenticated write"'
        ]

    def test_is_not_there_with_the_scope(self, app: TestClient, path: str) -> None:
        token = make_token(claims=good_claims(scope="read write"))
        response = app.get(path, headers={"Authorization": f"Bearer {token}"})
        assert (response.status_code, response.text) == (200, "ok")

    def test_is_not_in_the_way_of_the_metadata(self, app: TestClient) -> None:
        assert app.get(f"{WELL_KNOWN}/mcp").status_code == 200
