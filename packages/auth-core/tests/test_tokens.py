"""Token authentication, and the API tokens that we make."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from starlette_auth_core import (
    AuthBackend,
    AuthenticationUnavailable,
    BaseAPIKeyAuth,
    BaseBearerAuth,
    BaseTokenAuth,
    Challenge,
    InvalidCredentials,
    authenticate,
)
from starlette_auth_core.tokens import digest_token, generate_token, is_well_formed

pytestmark = pytest.mark.anyio

Connect = Callable[..., HTTPConnection]


async def challenges(backend: AuthBackend[Any], conn: HTTPConnection) -> list[str]:
    """Return the challenges that the refusal of *conn* carries."""
    with pytest.raises(HTTPException) as caught:
        await authenticate(conn, backend)
    assert isinstance(caught.value.headers, Headers)
    return caught.value.headers.getlist("www-authenticate")


class Lookup(BaseTokenAuth[str]):
    """Knows one token, and notes what it is asked."""

    known = "abcd"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def verify(self, token: str) -> str | None:
        self.asked.append(token)
        return "bob" if token == self.known else None


class BearerLookup(Lookup, BaseBearerAuth[str]):
    pass


class APIKeyLookup(Lookup, BaseAPIKeyAuth[str]):
    pass


class TestLoggingIn:
    @pytest.mark.parametrize(
        ("backend_class", "header"),
        [
            (Lookup, (b"authorization", b"Token abcd")),
            (BearerLookup, (b"authorization", b"Bearer abcd")),
            (APIKeyLookup, (b"x-api-key", b"abcd")),
        ],
    )
    async def test_a_valid_token(
        self, backend_class: type[Lookup], header: tuple[bytes, bytes], connect: Connect
    ) -> None:
        backend = backend_class()
        result = await backend.authenticate(connect(header))
        assert result is not None
        assert (result[0].scopes, result[1]) == (["authenticated"], "bob")
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect((header[0], header[1] + b"e")))

    @pytest.mark.parametrize("header", [b"Token", b"Token ", b"Token a b", b"Token \xff"])
    async def test_what_is_malformed_never_reaches_verify(
        self, header: bytes, connect: Connect
    ) -> None:
        backend = Lookup()
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect(header))
        assert backend.asked == []

    async def test_a_token_may_have_scopes_of_its_own(self, connect: Connect) -> None:
        class ScopedLookup(Lookup):
            async def resolve(self, token: str) -> tuple[str, Sequence[str]] | None:
                user = await self.verify(token)
                return None if user is None else (user, [*self.scopes, "read"])

        result = await ScopedLookup().authenticate(connect(b"Token abcd"))
        assert result is not None
        assert result[0].scopes == ["authenticated", "read"]
        with pytest.raises(InvalidCredentials):
            await ScopedLookup().authenticate(connect(b"Token abc"))

    async def test_a_user_may_have_scopes(self, connect: Connect) -> None:
        class ScopedLookup(Lookup):
            def get_scopes(self, user: str) -> Sequence[str]:
                return ["authenticated", f"user:{user}"]

        result = await ScopedLookup().authenticate(connect(b"Token abcd"))
        assert result is not None
        assert result[0].scopes == ["authenticated", "user:bob"]

    @pytest.mark.parametrize("place", ["verify", "resolve"])
    async def test_a_timeout_means_unavailable(self, place: str, connect: Connect) -> None:
        async def time_out(*args: object) -> None:
            raise TimeoutError

        backend = type("SlowLookup", (Lookup,), {place: time_out})()
        with pytest.raises(AuthenticationUnavailable) as caught:
            await backend.authenticate(connect(b"Token abcd"))
        assert isinstance(caught.value.__cause__, TimeoutError)

    async def test_a_forgotten_await_lets_nobody_in(self, connect: Connect) -> None:
        class HastyLookup(Lookup):
            async def verify(self, token: str) -> Any:
                return super().verify(token)

        with pytest.raises(TypeError, match="verify was not awaited"):
            await HastyLookup().authenticate(connect(b"Token abcd"))

    async def test_false_is_no_user(self, connect: Connect) -> None:
        class BooleanLookup(Lookup):
            async def verify(self, token: str) -> Any:
                return token == self.known and "bob"

        with pytest.raises(InvalidCredentials):
            await BooleanLookup().authenticate(connect(b"Token abc"))

    @pytest.mark.parametrize("user", [None, False])
    async def test_scopes_without_a_user_let_nobody_in(self, user: Any, connect: Connect) -> None:
        class HastyLookup(Lookup):
            async def resolve(self, token: str) -> Any:
                return user, ["admin"]

        with pytest.raises(InvalidCredentials):
            await HastyLookup().authenticate(connect(b"Token abcd"))

    async def test_scopes_in_a_string_grant_no_letters(self, connect: Connect) -> None:
        class HastyLookup(Lookup):
            async def resolve(self, token: str) -> tuple[str, Sequence[str]] | None:
                return "bob", "admin"

        with pytest.raises(TypeError, match="scopes"):
            await HastyLookup().authenticate(connect(b"Token abcd"))

    def test_verify_has_to_be_written(self) -> None:
        bases: list[Any] = [BaseTokenAuth, BaseBearerAuth, BaseAPIKeyAuth]
        for base in bases:
            with pytest.raises(TypeError, match="verify"):
                base()

    def test_an_argument_that_nobody_takes(self) -> None:
        with pytest.raises(TypeError, match="argument"):
            BearerLookup(prefix="shop")  # type: ignore[call-arg]  # what this is about


class OnlyResolves(BaseTokenAuth[str]):
    """For tokens with scopes of their own, which needs no `verify`."""

    async def resolve(self, token: str) -> tuple[str, Sequence[str]] | None:
        return ("bob", ["read"]) if token == "abcd" else None


class TestVerifyAndResolve:
    async def test_either_is_made_of_the_other(self) -> None:
        assert await OnlyResolves().verify("abcd") == "bob"
        assert await OnlyResolves().verify("wrong") is None
        assert await Lookup().resolve("abcd") == ("bob", ("authenticated",))
        assert await Lookup().resolve("wrong") is None

    async def test_resolve_alone_authenticates(self, connect: Connect) -> None:
        result = await OnlyResolves().authenticate(connect(b"Token abcd"))
        assert result is not None
        assert (result[0].scopes, result[1]) == (["read"], "bob")


class TestTheChallengeOfAFailure:
    """RFC 6750 section 3.1."""

    INVALID = 'Bearer realm="Restricted", error="invalid_token"'

    @pytest.mark.parametrize("header", [b"Bearer wrong", b"Bearer", b"Bearer a b", b"Bearer \xff"])
    async def test_a_failed_bearer_token_is_invalid(self, header: bytes, connect: Connect) -> None:
        assert await challenges(BearerLookup(), connect(header)) == [self.INVALID]

    @pytest.mark.parametrize("header", [b"", b"@", b"Bearer\tabcd"])
    async def test_no_scheme_was_tried_where_the_header_names_none(
        self, header: bytes, connect: Connect
    ) -> None:
        assert await challenges(BearerLookup(), connect(header)) == ['Bearer realm="Restricted"']

    async def test_so_is_one_that_verify_raises_for(self, connect: Connect) -> None:
        class ExpiredLookup(BearerLookup):
            async def verify(self, token: str) -> str | None:
                raise InvalidCredentials("The token has expired")

        with pytest.raises(InvalidCredentials, match="has expired"):
            await ExpiredLookup().authenticate(connect(b"Bearer abcd"))
        assert await challenges(ExpiredLookup(), connect(b"Bearer abcd")) == [self.INVALID]

    async def test_parameters_of_its_own_are_kept(self, connect: Connect) -> None:
        own = {"error": "invalid_token", "error_description": "expired"}

        class ExpiredLookup(BearerLookup):
            async def verify(self, token: str) -> str | None:
                raise InvalidCredentials(parameters=own)

        assert await challenges(ExpiredLookup(), connect(b"Bearer abcd")) == [
            'Bearer realm="Restricted", error="invalid_token", error_description="expired"'
        ]

    async def test_it_extends_what_the_backend_asks_for(self, connect: Connect) -> None:
        class DetailedLookup(BearerLookup):
            def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
                return Challenge("Other"), Challenge("bearer", scope="read", Error="none")

        assert await challenges(DetailedLookup(), connect(b"Bearer wrong")) == [
            "Other",
            'bearer scope="read", Error="invalid_token"',
        ]

    async def test_it_asks_for_nothing_that_the_backend_does_not(self, connect: Connect) -> None:
        class SilentLookup(BearerLookup):
            def challenges(self, conn: HTTPConnection) -> tuple[Challenge, ...]:
                return (Challenge("X-Bearer"),)

        assert await challenges(SilentLookup(), connect(b"Bearer wrong")) == ["X-Bearer"]

    async def test_other_schemes_have_no_errors(self, connect: Connect) -> None:
        assert await challenges(Lookup(), connect(b"Token wrong")) == ['Token realm="Restricted"']


class TestAPITokens:
    @pytest.mark.parametrize("prefix", ["shop", "a", "Shop_live", "x" * 32])
    def test_the_form_is_what_the_documentation_says(self, prefix: str) -> None:
        token = generate_token(prefix)
        assert re.fullmatch(rf"\b{prefix}_[0-9A-Za-z]{{49}}\b", token)
        assert is_well_formed(token, prefix)

    def test_the_documented_pattern_finds_them_in_a_text(self) -> None:
        pattern = r"\bshop_[0-9A-Za-z]{49}\b"
        token = generate_token("shop")
        assert re.findall(pattern, f'{{"key": "{token}"}} and {token}.') == [token, token]
        assert not re.search(pattern, f"work{token} {token}a")

    def test_every_one_is_new(self) -> None:
        assert len({generate_token("shop") for _ in range(1000)}) == 1000

    def test_all_256_bits_are_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []
        for number in 0, 2**256 - 1:

            def randbits(bits: int, number: int = number) -> int:
                assert bits == 256
                return number

            monkeypatch.setattr("secrets.randbits", randbits)
            token = generate_token("shop")
            assert is_well_formed(token, "shop")
            seen.append(token)
        assert seen[0].startswith("shop_" + "0" * 43)
        assert seen[0] != seen[1]

    def test_a_known_one_stays_valid(self) -> None:
        # Made by the first release: the form of tokens that are out there never changes.
        assert is_well_formed("shop_" + "0" * 43 + "1gr7bA", "shop")

    def test_any_mistyped_character_shows(self) -> None:
        token = generate_token("shop")
        for position, right in enumerate(token):
            for wrong in "aZ0_-é\n":
                if wrong != right:
                    mistyped = token[:position] + wrong + token[position + 1 :]
                    assert not is_well_formed(mistyped, "shop")

    def test_so_does_any_other_damage(self) -> None:
        token = generate_token("shop")
        damaged = ["", "shop", "shop_", token[:-1], token + "0", token + "\n", " " + token]
        damaged += [token[1:], token.upper(), token.swapcase(), token * 2, token[5:]]
        for text in damaged:
            assert not is_well_formed(text, "shop")

    def test_no_token_has_a_prefix_like_that(self) -> None:
        assert not is_well_formed("é_" + "a" * 49, "é")

    def test_it_belongs_to_its_prefix(self) -> None:
        token = generate_token("shop_live")
        assert not is_well_formed(token, "shop")
        assert not is_well_formed(token, "Shop_live")
        assert not is_well_formed(token.replace("live", "test"), "shop_test")

    @settings(max_examples=200)
    @given(st.text(), st.text())
    def test_any_text_is_well_formed_or_not(self, token: str, prefix: str) -> None:
        assert not is_well_formed(token, prefix)
        assert not is_well_formed(f"{prefix}_{token}", prefix)

    @pytest.mark.parametrize("prefix", ["", "1a", "_a", "a-b", "a b", "é", "x" * 33, "a\n"])
    def test_a_bad_prefix_fails_at_once(self, prefix: str) -> None:
        with pytest.raises(ValueError, match="prefix"):
            generate_token(prefix)
        with pytest.raises(ValueError, match="prefix"):
            type("Auth", (Lookup,), {"prefix": prefix})()

    def test_the_digest_is_sha_256_in_hexadecimal(self) -> None:
        # FIPS 180-2, appendix B.1.
        assert digest_token("abc") == (
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        )

    @settings(max_examples=200)
    @given(st.text())
    def test_any_text_has_a_digest(self, text: str) -> None:
        assert re.fullmatch("[0-9a-f]{64}", digest_token(text))

    def test_lone_surrogates_have_one_too(self) -> None:
        assert digest_token("\ud800") != digest_token("\ud801")


class TestPrefix:
    @pytest.mark.parametrize(
        ("backend_class", "name", "scheme"),
        [
            (Lookup, b"authorization", b"Token "),
            (BearerLookup, b"authorization", b"Bearer "),
            (APIKeyLookup, b"x-api-key", b""),
        ],
    )
    async def test_only_a_well_formed_token_reaches_verify(
        self, backend_class: type[Lookup], name: bytes, scheme: bytes, connect: Connect
    ) -> None:
        token = generate_token("shop")
        backend = type("PrefixedLookup", (backend_class,), {"prefix": "shop", "known": token})()
        wrong = [token[:-1] + ("a" if token[-1] != "a" else "b"), generate_token("other"), "abcd"]
        for text in wrong:
            with pytest.raises(InvalidCredentials):
                await backend.authenticate(connect((name, scheme + text.encode())))
        assert backend.asked == []

        result = await backend.authenticate(connect((name, scheme + token.encode())))
        assert result is not None
        assert result[1] == "bob"
        with pytest.raises(InvalidCredentials):
            await backend.authenticate(connect((name, scheme + generate_token("shop").encode())))
