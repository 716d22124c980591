"""A login as RFC 6749 sections 4.3, 5.1 and 5.2 have it, by a form or by JSON."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import anyio
import fastapi.routing
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Security
from fastapi_backends import Bearer, Client, Hasher, Passwords, Several, User, Wrapper
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.routing import Host, Mount
from starlette.testclient import TestClient
from starlette.types import Message

from starlette_auth_core import (
    AuthBackend,
    AuthenticationMiddleware,
    BaseAPIKeyAuth,
    TooManyAttempts,
)
from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_fastapi import Authenticated, login_router

HOUR = timedelta(hours=1)
ALICE = {"grant_type": "password", "username": "alice", "password": "alicepwd"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
# What Swagger UI sends where no client is filled in.
SWAGGER = {"Authorization": "Basic Og=="}


@pytest.fixture
def app(app: FastAPI, passwords: Passwords, tokens: Tokens[User]) -> FastAPI:
    app.include_router(login_router(passwords, tokens, expires_in=HOUR))
    return app


@pytest.fixture
def site(app: FastAPI, client: Client) -> TestClient:
    return client(app)


def rows(tokens: Tokens[User], user: User) -> list[Any]:
    return list(anyio.run(tokens.list, user))


def refused(response: Any, error: str, status: int = 400) -> str:
    """Check a refusal, and return its text."""
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert set(response.json()) == {"error", "error_description"}
    assert "www-authenticate" not in response.headers
    assert response.headers["cache-control"] == "no-store"
    text: str = response.json()["error_description"]
    return text


class TestToken:
    @pytest.mark.parametrize("kind", ["data", "json"])
    def test_is_exchanged_for_a_password(
        self, site: TestClient, tokens: Tokens[User], alice: User, kind: str
    ) -> None:
        body: Any = {kind: ALICE}
        response = site.post("/token", **body)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["pragma"] == "no-cache"
        answer = response.json()
        token = answer.pop("access_token")
        assert answer == {"token_type": "Bearer", "expires_in": 3600}
        row = anyio.run(tokens.find, token)
        assert row is not None
        assert (row.user, row.scopes) == (alice, None)
        assert row.expires_at - row.created_at == HOUR

    def test_lets_its_user_in(
        self, app: FastAPI, site: TestClient, auth: Authenticated[Any]
    ) -> None:
        read = Security(auth, scopes=["articles:read"])
        app.get("/read", dependencies=[read])(lambda: "articles")
        token = site.post("/token", data=ALICE).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        assert site.get("/read", headers=headers).json() == "articles"

    def test_json_needs_no_grant_type(self, site: TestClient) -> None:
        response = site.post("/token", json={"username": "alice", "password": "alicepwd"})
        assert response.status_code == 200

    def test_text_beyond_ascii(self, site: TestClient, passwords: Passwords) -> None:
        passwords.users["zoë"] = User("zoë", "123£:+ &=%")
        zoe = {**ALICE, "username": "zoë", "password": "123£:+ &=%"}
        assert site.post("/token", data=zoe).status_code == 200
        assert site.post("/token", json=zoe).status_code == 200

    def test_media_type_may_have_parameters(self, site: TestClient) -> None:
        headers = {"content-type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}
        assert site.post("/token", content=urlencode(ALICE), headers=headers).status_code == 200


class TestScopes:
    @pytest.mark.parametrize("kind", ["data", "json"])
    def test_granted_ones_are_the_tokens_own(
        self, site: TestClient, tokens: Tokens[User], alice: User, kind: str
    ) -> None:
        body: Any = {kind: {**ALICE, "scope": "articles:read  articles:read"}}
        answer = site.post("/token", **body).json()
        assert answer["scope"] == "articles:read"
        assert [row.scopes for row in rows(tokens, alice)] == ["articles:read"]

    @pytest.mark.parametrize("scope", ["", " "])
    def test_none_is_what_the_user_may(
        self, site: TestClient, tokens: Tokens[User], alice: User, scope: str
    ) -> None:
        assert "scope" not in site.post("/token", data={**ALICE, "scope": scope}).json()
        assert [row.scopes for row in rows(tokens, alice)] == [None]

    @pytest.mark.parametrize("scope", ["admin", "articles:read admin", "articles:read\x00", '"'])
    def test_others_are_refused(
        self, site: TestClient, tokens: Tokens[User], alice: User, scope: str
    ) -> None:
        refused(site.post("/token", data={**ALICE, "scope": scope}), "invalid_scope")
        assert rows(tokens, alice) == []

    @pytest.mark.parametrize("scope", ["fresh", "via:password"])
    def test_those_that_say_how_somebody_logged_in_are_refused(
        self, site: TestClient, alice: User, scope: str
    ) -> None:
        alice.scopes = (scope,)
        refused(site.post("/token", data={**ALICE, "scope": scope}), "invalid_scope")


class TestWrongPasswords:
    @pytest.mark.parametrize(
        ("username", "password"),
        [
            ("alice", "wrong"),
            ("alice", ""),
            ("nobody", "wrong"),
            ("nobody", ""),
            ("", ""),
            ("gone", "gonepwd"),
        ],
    )
    def test_cost_a_hash_and_have_one_text(
        self, site: TestClient, passwords: Passwords, username: str, password: str
    ) -> None:
        login = {**ALICE, "username": username, "password": password}
        text = refused(site.post("/token", data=login), "invalid_grant")
        assert text == "The user name or the password is wrong"
        assert passwords.hashes == 1

    def test_colon_is_not_a_part_of_a_user_name(
        self, site: TestClient, passwords: Passwords
    ) -> None:
        passwords.users["alice"] = User("alice", "x:y")
        login = {**ALICE, "username": "alice:x", "password": "y"}
        refused(site.post("/token", data=login), "invalid_grant")
        assert site.post("/token", data={**ALICE, "password": "x:y"}).status_code == 200

    @pytest.mark.parametrize("text", ["\x00", "a\nb", "x" * 20_000])
    @pytest.mark.parametrize("field", ["username", "password"])
    def test_text_that_no_user_has(self, site: TestClient, field: str, text: str) -> None:
        login = {**ALICE, field: text}
        refused(site.post("/token", data=login), "invalid_grant")
        refused(site.post("/token", json=login), "invalid_grant")

    @pytest.mark.parametrize("field", ["username", "password"])
    def test_lone_surrogates(self, site: TestClient, field: str) -> None:
        body = json.dumps({**ALICE, field: "\ud800"})
        refused(site.post("/token", content=body, headers=JSON), "invalid_grant")
        form = urlencode({**ALICE, field: b"\xed\xa0\x80"})
        refused(site.post("/token", content=form, headers=FORM), "invalid_request")

    def test_user_who_goes_meanwhile(
        self,
        site: TestClient,
        passwords: Passwords,
        alice: User,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        class Leaving(User):
            # Is active when the password is checked, and not any more when the token is stored.
            asked: Iterator[bool] = iter([True, False])

            def __getattribute__(self, name: str) -> Any:
                return next(Leaving.asked) if name == "active" else super().__getattribute__(name)

        passwords.users["alice"] = Leaving("alice", "alicepwd")
        with caplog.at_level(logging.INFO, "starlette_auth_fastapi"):
            refused(site.post("/token", data=ALICE), "invalid_grant")
        assert [record.message for record in caplog.records if "auth" in record.name] == [
            "Login refused: no token can be issued for the user"
        ]


class TestRequests:
    @pytest.mark.parametrize("field", ["grant_type", "username", "password"])
    def test_missing_field(self, site: TestClient, field: str) -> None:
        login = {name: value for name, value in ALICE.items() if name != field}
        refused(site.post("/token", data=login), "invalid_request")
        if field != "grant_type":
            refused(site.post("/token", json=login), "invalid_request")

    def test_empty_grant_type(self, site: TestClient) -> None:
        refused(site.post("/token", data={**ALICE, "grant_type": ""}), "invalid_request")

    @pytest.mark.parametrize("field", ["grant_type", "username", "password", "scope", "other"])
    def test_repeated_field(self, site: TestClient, passwords: Passwords, field: str) -> None:
        twice = urlencode([*ALICE.items(), (field, "password"), (field, "password")])
        refused(site.post("/token", content=twice, headers=FORM), "invalid_request")
        body = '{"username": "a", "password": "b", "%s": "password", "%s": "password"}'
        response = site.post("/token", content=body % (field, field), headers=JSON)
        refused(response, "invalid_request")
        assert passwords.hashes == 0

    @pytest.mark.parametrize("value", [None, 1, True, [], ["alice"], {}, {"a": 1}])
    @pytest.mark.parametrize("field", ["grant_type", "username", "password", "scope"])
    def test_field_that_is_not_a_string(self, site: TestClient, field: str, value: Any) -> None:
        refused(site.post("/token", json={**ALICE, field: value}), "invalid_request")

    @pytest.mark.parametrize("grant_type", ["client_credentials", "Password", "password "])
    def test_other_grant_type(self, site: TestClient, grant_type: str) -> None:
        login = {**ALICE, "grant_type": grant_type}
        refused(site.post("/token", data=login), "unsupported_grant_type")
        refused(site.post("/token", json=login), "unsupported_grant_type")

    @pytest.mark.parametrize("kind", ["data", "json"])
    def test_fields_of_another_grant_type(self, site: TestClient, kind: str) -> None:
        # RFC 6749 sections 6 and 4.4.2: neither has a user name.
        for login in (
            {"grant_type": "refresh_token", "refresh_token": "a"},
            {"grant_type": "client_credentials"},
        ):
            body: Any = {kind: login}
            refused(site.post("/token", **body), "unsupported_grant_type")

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"", {}),
            (b"", FORM),
            (b"", JSON),
            (b"grant_type=password", {}),
            (b"grant_type=password&username=alice&password=alicepwd", JSON),
            (b"grant_type=password&username=%FF&password=b", FORM),
            (b"grant_type=password&username=\xff&password=b", FORM),
            (b"&".join(b"a%d=" % number for number in range(1000)), FORM),
            (b"[]", JSON),
            (b'"alice"', JSON),
            (b"null", JSON),
            (b"{", JSON),
            (b"\xff", JSON),
            (b"[" * 30_000, JSON),
            (b'{"a":' * 12_000, JSON),
            (b'{"username": ' + b"9" * 6000 + b"}", JSON),
            (b"x" * 70_000, FORM),
            (b"--x", {"content-type": "multipart/form-data; boundary=x"}),
            (b"a", {"content-type": "text/plain"}),
        ],
    )
    def test_body_that_can_not_be_read(
        self, site: TestClient, passwords: Passwords, body: bytes, headers: dict[str, str]
    ) -> None:
        refused(site.post("/token", content=body, headers=headers), "invalid_request")
        assert passwords.hashes == 0

    @pytest.mark.anyio
    async def test_client_that_leaves(self, app: FastAPI, passwords: Passwords) -> None:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"content-type", FORM["content-type"].encode())]
        scope = {"type": "http", "method": "POST", "path": "/token", "headers": headers}
        await app({**scope, "query_string": b"", "root_path": ""}, receive, send)
        assert sent[0]["status"] == 400
        assert passwords.hashes == 0

    @pytest.mark.anyio
    async def test_client_that_leaves_during_the_check(
        self, app: FastAPI, passwords: Passwords
    ) -> None:
        started, dropped = anyio.Event(), anyio.Event()

        class Endless(Hasher):
            async def verify(self, secret: str, hashed: str | None, /) -> bool:
                started.set()
                try:
                    await anyio.sleep_forever()
                finally:
                    dropped.set()
                raise NotImplementedError

        passwords.hasher = passwords.counted = Endless()
        body = urlencode(ALICE).encode()
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        statuses: list[int] = []

        async def receive() -> Message:
            if messages:
                return messages.pop()
            await started.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        headers = [(b"content-type", FORM["content-type"].encode())]
        scope = {"type": "http", "method": "POST", "path": "/token", "headers": headers}
        await app({**scope, "query_string": b"", "root_path": ""}, receive, send)
        assert dropped.is_set()
        assert statuses == [499]


class Cookie(AuthBackend[SimpleUser]):
    """Knows everybody who sends a cookie."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        if "session" not in conn.cookies:
            return None
        return AuthCredentials(["authenticated"]), SimpleUser("cookie")


class APIKey(BaseAPIKeyAuth[SimpleUser]):
    async def verify(self, token: str) -> SimpleUser:
        return SimpleUser("key")


class Limited(Wrapper):
    """Lets no header through after some wrong ones, as a throttle does."""

    left = 1

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        if "authorization" not in conn.headers:
            return None
        if not self.left:
            raise TooManyAttempts(retry_after=7)
        self.left -= 1
        return await super().authenticate(conn)


def site_of(backend: AuthenticationBackend, tokens: Tokens[Any], **options: Any) -> TestClient:
    app = FastAPI(**options)
    app.include_router(login_router(backend, tokens, expires_in=HOUR))
    return TestClient(app, raise_server_exceptions=False)


class TestBackends:
    def test_only_the_body_counts(self, tokens: Tokens[Any], passwords: Passwords) -> None:
        backend = Several(Cookie(), Wrapper(APIKey()), passwords)
        site = site_of(backend, tokens)
        headers = {"Cookie": "session=1", "X-API-Key": "key", **SWAGGER}
        wrong = {**ALICE, "password": "wrong"}
        refused(site.post("/token", data=wrong, headers=headers), "invalid_grant")
        assert site.post("/token", data=ALICE, headers=headers).status_code == 200

    def test_throttle(self, tokens: Tokens[Any], passwords: Passwords) -> None:
        site = site_of(Limited(passwords), tokens)
        refused(site.post("/token", data={**ALICE, "password": "wrong"}), "invalid_grant")
        response = site.post("/token", data=ALICE)
        assert (response.status_code, response.json()) == (429, {"detail": "Too many attempts"})
        assert response.headers["retry-after"] == "7"
        assert response.headers["cache-control"] == "no-store"
        assert "www-authenticate" not in response.headers
        assert passwords.hashes == 1

    @pytest.mark.parametrize("status", [401, 403])
    def test_backend_that_refuses_by_an_answer(self, tokens: Tokens[Any], status: int) -> None:
        class Refusing(Passwords):
            async def verify(self, username: str, password: str) -> User | None:
                doors = [(b"x-door", b"a"), (b"x-door", b"b"), (b"cache-control", b"public")]
                raise HTTPException(status, "Use the other door", headers=Headers(raw=doors))

        response = site_of(Refusing(), tokens).post("/token", data=ALICE)
        if status == 401:
            refused(response, "invalid_grant")
        else:
            assert (response.status_code, response.json()) == (
                403,
                {"detail": "Use the other door"},
            )
            assert response.headers.get_list("cache-control") == ["no-store"]
            assert response.headers.get_list("x-door") == ["a", "b"]

    def test_unavailable(self, tokens: Tokens[Any]) -> None:
        class Down(Passwords):
            async def find_user(self, username: str) -> User | None:
                raise TimeoutError

        response = site_of(Down(), tokens).post("/token", data=ALICE)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.headers["cache-control"] == "no-store"

    def test_unavailable_store(self, passwords: Passwords) -> None:
        class Down(MemoryTokenStore[User]):
            async def insert(self, user: User, **values: Any) -> Any:
                raise TimeoutError

        tokens: Tokens[User] = Tokens(Down(), prefix="test")
        response = site_of(passwords, tokens).post("/token", data=ALICE)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json() == {"detail": "Authentication is unavailable"}
        assert response.headers["cache-control"] == "no-store"

    def test_backend_that_takes_no_passwords(self, tokens: Tokens[Any]) -> None:
        refused(site_of(Bearer(tokens), tokens).post("/token", data=ALICE), "invalid_grant")

    def test_core_middleware_beside_it(self, tokens: Tokens[Any], passwords: Passwords) -> None:
        site = site_of(passwords, tokens)
        assert isinstance(site.app, FastAPI)
        site.app.add_middleware(AuthenticationMiddleware, backend=passwords)
        wrong = {**ALICE, "password": "wrong"}
        headers = {"Authorization": "Basic YWxpY2U6YWxpY2Vwd2Q="}
        refused(site.post("/token", data=wrong, headers=headers), "invalid_grant")


class TestInstalled:
    """The request of a login is not authenticated, wherever the router is included."""

    @pytest.fixture
    def limited(self, passwords: Passwords, tokens: Tokens[Any]) -> Limited:
        return Limited(Several(Bearer(tokens), passwords))

    @pytest.fixture
    def router(self, limited: Limited, tokens: Tokens[Any]) -> APIRouter:
        return login_router(limited, tokens, expires_in=HOUR)

    def check(self, app: Any, path: str, passwords: Passwords) -> None:
        for headers in (SWAGGER, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic"}):
            wrong = {**ALICE, "grant_type": "x"}
            response = TestClient(app).post(path, data=wrong, headers=headers)
            refused(response, "unsupported_grant_type")
        assert TestClient(app).post(path, data=ALICE, headers=SWAGGER).status_code == 200
        assert passwords.hashes == 1

    @pytest.mark.parametrize("protected", [False, True])
    def test_router(
        self, passwords: Passwords, limited: Limited, router: APIRouter, protected: bool
    ) -> None:
        auth = Authenticated[Any](limited)
        app = FastAPI(dependencies=[Security(auth)] if protected else [])
        auth.install(app)
        app.include_router(router)
        self.check(app, "/token", passwords)

    def test_other_routes_of_the_router_are_guarded(
        self, app: FastAPI, auth: Authenticated[Any], passwords: Passwords, router: APIRouter
    ) -> None:
        router.get("/own", dependencies=[Security(auth)])(lambda: "secret")
        router.post("/own", dependencies=[Security(auth)])(lambda: "secret")
        app.include_router(router, prefix="/more")
        for method in ("GET", "POST"):
            for headers in ({}, SWAGGER):
                response = TestClient(app).request(method, "/more/own", headers=headers)
                assert response.status_code == 401
        assert TestClient(app).get("/more/own", auth=("alice", "alicepwd")).json() == "secret"

    def test_router_within_a_router(
        self, passwords: Passwords, limited: Limited, router: APIRouter
    ) -> None:
        auth = Authenticated[Any](limited)
        inner, outer = APIRouter(prefix="/inner"), APIRouter(dependencies=[Security(auth)])
        inner.include_router(router, prefix="/{tenant}")
        outer.include_router(inner)
        app = FastAPI()
        app.include_router(outer, prefix="/outer")
        auth.install(app)
        self.check(app, "/outer/inner/here/token", passwords)

    def test_mounted_app(self, passwords: Passwords, limited: Limited, router: APIRouter) -> None:
        mounted, app = FastAPI(), FastAPI()
        mounted.include_router(router)
        app.mount("/part", Starlette(routes=[Mount("/deep", mounted)]))
        Authenticated[Any](limited).install(app)
        self.check(app, "/part/deep/token", passwords)

    def test_host(self, passwords: Passwords, limited: Limited, router: APIRouter) -> None:
        hosted, app = FastAPI(), FastAPI()
        hosted.include_router(router)
        app.router.routes.append(Host("testserver", hosted))
        Authenticated[Any](limited).install(app)
        self.check(app, "/token", passwords)

    @pytest.mark.skipif(
        not hasattr(fastapi.routing, "iter_route_contexts"),
        reason="FastAPI before 0.137 does not include the mounts of a router",
    )
    @pytest.mark.parametrize("kind", ["mount", "host"])
    def test_mounted_app_within_a_router(
        self, passwords: Passwords, limited: Limited, router: APIRouter, kind: str
    ) -> None:
        mounted, app = FastAPI(), FastAPI()
        mounted.include_router(router)
        inner, outer = APIRouter(), APIRouter()
        inner.get("/other")(lambda: None)
        route = Mount("/part", mounted) if kind == "mount" else Host("testserver", mounted)
        inner.routes.append(route)
        outer.include_router(inner)
        app.include_router(outer, prefix="/outer")
        Authenticated[Any](limited).install(app)
        part = "/part" if kind == "mount" else ""
        self.check(app, f"/outer{part}/token", passwords)
        limited.left = 0
        response = TestClient(app).post(f"/outer{part}/other", headers=SWAGGER)
        assert response.status_code == 429

    def test_app_that_is_mounted(
        self, passwords: Passwords, limited: Limited, router: APIRouter
    ) -> None:
        mounted, app = FastAPI(), FastAPI()
        mounted.include_router(router)
        Authenticated[Any](limited).install(mounted)
        app.mount("/part", mounted)
        self.check(app, "/part/token", passwords)

    def test_other_requests_are(
        self, passwords: Passwords, limited: Limited, router: APIRouter
    ) -> None:
        app = FastAPI()
        app.include_router(router)
        app.post("/other")(lambda: None)
        app.get("/token")(lambda: None)
        app.mount("/part", FastAPI())
        Authenticated[Any](limited).install(app)
        limited.left = 0
        for method, path in (
            ("POST", "/other"),
            ("GET", "/token"),
            ("PUT", "/token"),
            ("POST", "/part/token"),
            ("POST", "/token/"),
            ("POST", "/none"),
        ):
            response = TestClient(app).request(method, path, headers=SWAGGER)
            assert response.status_code == 429


class TestDocumentation:
    @pytest.mark.parametrize("protected", [False, True])
    @pytest.mark.parametrize("installed", [False, True])
    def test_of_the_operation(
        self,
        auth: Authenticated[Any],
        passwords: Passwords,
        tokens: Tokens[User],
        protected: bool,
        installed: bool,
    ) -> None:
        app = FastAPI(dependencies=[Security(auth, scopes=["a"])] if protected else [])
        if installed:
            auth.install(app)
        app.include_router(login_router(passwords, tokens, path="/login", expires_in=HOUR))
        operation = app.openapi()["paths"]["/login"]["post"]
        assert set(operation["responses"]) == {"200", "400", "429", "503"}
        assert "security" not in operation
        assert "parameters" not in operation
        body = operation["requestBody"]
        assert list(body["content"]) == ["application/x-www-form-urlencoded"]
        schema = body["content"]["application/x-www-form-urlencoded"]["schema"]
        assert set(schema["required"]) == {"grant_type", "username", "password"}
        assert "scope" in schema["properties"]


class TestMistakes:
    @pytest.mark.parametrize("seconds", [0, -1, 0.5])
    def test_life_that_is_not_positive(
        self, passwords: Passwords, tokens: Tokens[User], seconds: float
    ) -> None:
        with pytest.raises(ValueError, match="expires_in must be at least a second"):
            login_router(passwords, tokens, expires_in=timedelta(seconds=seconds))

    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            ({"expires_in": 3600}, "expires_in must be a timedelta"),
            ({"tokens": MemoryTokenStore()}, "tokens must be a Tokens object"),
            ({"passwords": object()}, "passwords must be an object with a method authenticate"),
            ({"passwords": Passwords}, "passwords must be an object with a method authenticate"),
            ({"path": None}, "path must be a string, not a NoneType"),
            ({"path": b"/token"}, "path must be a string, not a bytes"),
        ],
    )
    def test_wrong_types(
        self, passwords: Passwords, tokens: Tokens[User], wrong: dict[str, Any], error: str
    ) -> None:
        arguments = {"passwords": passwords, "tokens": tokens, "expires_in": HOUR, **wrong}
        with pytest.raises(TypeError, match=error):
            login_router(**arguments)

    def test_wrong_values(self, passwords: Passwords, tokens: Tokens[User]) -> None:
        with pytest.raises(ValueError, match="path must begin with a slash"):
            login_router(passwords, tokens, path="token", expires_in=HOUR)
        with pytest.raises(ValueError, match="expires_in is too long"):
            login_router(passwords, tokens, expires_in=timedelta.max)
        finding: Tokens[User] = Tokens(MemoryTokenStore(), prefix=None)
        with pytest.raises(ValueError, match="has no prefix"):
            login_router(passwords, finding, expires_in=HOUR)
