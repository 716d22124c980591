"""The schemes over `Tokens`: a token in `Authorization`, as a bearer token, or as an API key."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from starlette_auth_core import (
    APIKeyAuth,
    AuthenticationMiddleware,
    AuthenticationUnavailable,
    BaseBearerAuth,
    BearerAuth,
    InvalidCredentials,
    TokenAuth,
    TokenCredentials,
    requires,
)
from starlette_auth_core.tokens import MemoryTokenStore, Tokens, generate_token

pytestmark = pytest.mark.anyio

Connect = Callable[..., HTTPConnection]
Fetch = Callable[..., Awaitable[httpx.Response]]


@dataclass(eq=False)
class User:
    name: str
    rights: list[str] = field(default_factory=lambda: ["read"])
    is_active: bool = True


class RightsMixin:
    scopes: Sequence[str] = ("authenticated", "of-class")

    def get_scopes(self, user: User) -> Sequence[str]:
        return ("authenticated", *user.rights)


class TokenByRights(RightsMixin, TokenAuth[User]):
    pass


class BearerByRights(RightsMixin, BearerAuth[User]):
    pass


class KeyByRights(RightsMixin, APIKeyAuth[User]):
    pass


class Scheme(NamedTuple):
    backend_class: type[TokenAuth[User]]
    header: Callable[[str], tuple[bytes, bytes]]


SCHEMES = [
    Scheme(TokenByRights, lambda token: (b"authorization", f"Token {token}".encode())),
    Scheme(BearerByRights, lambda token: (b"authorization", f"Bearer {token}".encode())),
    Scheme(KeyByRights, lambda token: (b"x-api-key", token.encode())),
]


@pytest.fixture
def tokens() -> Tokens[User, Any]:
    store: MemoryTokenStore[User] = MemoryTokenStore(active_field="is_active")
    return Tokens(store, prefix="shop")


@pytest.mark.parametrize("scheme", SCHEMES)
class TestGranted:
    @pytest.mark.parametrize(
        ("scopes", "expected"),
        [
            (None, ["authenticated", "read"]),
            ((), ["authenticated", "of-class"]),
            (["write", "orders:read"], ["authenticated", "of-class", "write", "orders:read"]),
        ],
    )
    async def test_scopes_are_the_users_the_classs_or_the_tokens_own(
        self,
        scheme: Scheme,
        tokens: Tokens[User, Any],
        scopes: Any,
        expected: list[str],
        connect: Connect,
    ) -> None:
        user = User("alice")
        backend = scheme.backend_class(tokens)
        token, row = await tokens.issue(user, scopes=scopes)
        result = await backend.authenticate(connect(scheme.header(token)))
        assert result is not None
        assert result[1] is user
        assert result[0].scopes == expected
        assert isinstance(result[0], TokenCredentials)
        assert result[0].token.digest == row.digest

    async def test_rights_follow_the_user_at_each_use(
        self, scheme: Scheme, tokens: Tokens[User, Any], connect: Connect
    ) -> None:
        user = User("alice")
        backend = scheme.backend_class(tokens)
        token, _ = await tokens.issue(user)
        user.rights = ["write"]
        result = await backend.authenticate(connect(scheme.header(token)))
        assert result is not None
        assert result[0].scopes == ["authenticated", "write"]

    async def test_verify_and_resolve_say_the_same(
        self, scheme: Scheme, tokens: Tokens[User, Any]
    ) -> None:
        user = User("alice")
        backend = scheme.backend_class(tokens)
        token, _ = await tokens.issue(user, scopes=["write"])
        assert await backend.verify(token) is user
        resolved = await backend.resolve(token)
        assert resolved is not None
        assert resolved == (user, ("authenticated", "of-class", "write"))
        assert await backend.verify(generate_token("shop")) is None
        assert await backend.resolve(generate_token("shop")) is None

    @pytest.mark.parametrize("why", ["unknown", "mistyped", "revoked", "expired", "inactive"])
    async def test_a_token_that_is_not_valid_is_refused(
        self, scheme: Scheme, why: str, tokens: Tokens[User, Any], connect: Connect
    ) -> None:
        user = User("alice")
        backend = scheme.backend_class(tokens)
        token, row = await tokens.issue(user, expires_in=timedelta(hours=1))
        if why == "unknown":
            token = generate_token("shop")
        elif why == "mistyped":
            token = token[:-1]
        elif why == "revoked":
            await tokens.revoke(row)
        elif why == "expired":
            backend.tokens = Tokens(
                tokens._store,  # the same one, later
                prefix="shop",
                now=lambda: row.expires_at,
            )
        else:
            user.is_active = False
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(scheme.header(token)))

    async def test_a_subclass_may_refuse_more(
        self, scheme: Scheme, tokens: Tokens[User, Any], connect: Connect
    ) -> None:
        class Stricter(scheme.backend_class):  # type: ignore[name-defined,misc]  # of the case
            async def resolve(self, token: str) -> Any:
                found = await super().resolve(token)
                return None if found is None or found[0].name == "mallory" else found

        backend = Stricter(tokens)
        token, row = await tokens.issue(User("alice"))
        result: Any = await backend.authenticate(connect(scheme.header(token)))
        assert result[0].token == row
        token, _ = await tokens.issue(User("mallory"))
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(scheme.header(token)))

    async def test_a_subclass_may_grant_other_scopes(
        self, scheme: Scheme, tokens: Tokens[User, Any], connect: Connect
    ) -> None:
        class Other(scheme.backend_class):  # type: ignore[name-defined,misc]  # of the case
            async def resolve(self, token: str) -> Any:
                found = await super().resolve(token)
                return found and (found[0], ["less"])

        token, _ = await tokens.issue(User("alice"))
        result = await Other(tokens).authenticate(connect(scheme.header(token)))
        assert result is not None
        assert result[0].scopes == ["less"]

    async def test_a_store_that_does_not_answer_is_unavailable(
        self, scheme: Scheme, tokens: Tokens[User, Any], connect: Connect
    ) -> None:
        class Slow(MemoryTokenStore[User]):
            async def find(self, digest: str) -> Any:
                raise TimeoutError

        backend = scheme.backend_class(Tokens(Slow(), prefix="shop"))
        header = scheme.header(generate_token("shop"))
        with pytest.raises(AuthenticationUnavailable):
            await backend.authenticate(connect(header))

    @pytest.mark.parametrize("user", [{}, None, 0])
    async def test_a_row_whose_user_is_nobody_is_refused(
        self, scheme: Scheme, user: Any, tokens: Tokens[User, Any], connect: Connect
    ) -> None:
        _, row = await tokens.issue(User("alice"))

        class Careless(Tokens[User, Any]):
            async def find(self, token: str) -> Any:
                row.user = user
                return row

        backend = scheme.backend_class(Careless(MemoryTokenStore(), prefix="shop"))
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(scheme.header(generate_token("shop"))))


class TestConstruction:
    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_its_signature_is_that_of_its_init(self, scheme: Scheme) -> None:
        assert list(inspect.signature(scheme.backend_class).parameters) == ["tokens"]

    @pytest.mark.parametrize("tokens", [None, "shop", Tokens, MemoryTokenStore(), object()])
    def test_tokens_have_to_be_some(self, tokens: Any) -> None:
        with pytest.raises(TypeError, match="tokens must be a Tokens object"):
            TokenAuth(tokens)

    def test_an_own_verify_that_nobody_calls_is_a_mistake(self, tokens: Tokens[User, Any]) -> None:
        class BannedAuth(BearerAuth[User]):
            async def verify(self, token: str) -> User | None:
                raise NotImplementedError

        with pytest.raises(TypeError, match=r"BannedAuth overrides verify.*override resolve"):
            BannedAuth(tokens)


async def test_parameters_of_an_error_are_kept_with_its_scheme(connect: Connect) -> None:
    class Own(BaseBearerAuth[User]):
        async def verify(self, token: str) -> User | None:
            raise InvalidCredentials(scheme="Other", parameters={"error": "own"})

    with pytest.raises(InvalidCredentials) as caught:
        await Own().authenticate(connect(b"Bearer abcd"))
    assert (caught.value.scheme, caught.value.parameters) == ("Other", {"error": "own"})


class TestInAnApp:
    async def test_the_row_is_there_to_revoke_it(
        self, tokens: Tokens[User, Any], fetch: Fetch
    ) -> None:
        @requires("authenticated")
        async def whoami(request: Request) -> Response:
            return JSONResponse({"name": request.user.name, "of": request.auth.token.label})

        @requires("authenticated")
        async def log_out(request: Request) -> Response:
            await tokens.revoke(request.auth.token)
            return PlainTextResponse("bye")

        app = Starlette(
            routes=[Route("/", whoami), Route("/logout", log_out)],
            middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuth(tokens))],
        )
        token, _ = await tokens.issue(User("alice"), label="laptop")
        response = await fetch(app, bearer=token)
        assert response.json() == {"name": "alice", "of": "laptop"}
        assert (await fetch(app, "/logout", bearer=token)).text == "bye"
        response = await fetch(app, bearer=token)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].endswith('error="invalid_token"')

    async def test_a_missing_scope_is_named_to_a_bearer_token(
        self, tokens: Tokens[User, Any], fetch: Fetch
    ) -> None:
        @requires("write")
        async def write(request: Request) -> Response:
            raise NotImplementedError

        app = Starlette(
            routes=[Route("/", write)],
            middleware=[Middleware(AuthenticationMiddleware, backend=BearerAuth(tokens))],
        )
        token, _ = await tokens.issue(User("alice"), scopes=[])
        response = await fetch(app, bearer=token)
        assert response.status_code == 403
        assert 'error="insufficient_scope", scope="write"' in response.headers["www-authenticate"]
