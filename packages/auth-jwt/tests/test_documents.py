"""What an issuer's answer may be: its size, its form, its keys, and how long it may take."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import httpx2
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint
from jwt_issuer import Issuer
from jwt_tokens import (
    ASYMMETRIC,
    AUDIENCE,
    ISSUER,
    MARK,
    as_json,
    encode,
    key_for,
    make_token,
    public_jwk,
)
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from starlette_auth_core import AuthenticationUnavailable
from starlette_auth_jwt import JWKS, JWTAuth

pytestmark = pytest.mark.anyio

KIB = 1024
GOOD = public_jwk(key_for("ES256"), kid="one")


def backend(keys: JWKS) -> JWTAuth:
    return JWTAuth(keys=keys, issuer=ISSUER, audience=AUDIENCE, algorithms=ASYMMETRIC)


async def is_refused(keys: JWKS) -> bool:
    refusal: AuthenticationUnavailable | None = None
    try:
        await keys.refresh()
    except AuthenticationUnavailable as error:
        refusal = error
    if refusal is None:
        return False
    assert refusal.__cause__ is None
    assert refusal.__context__ is None
    return True


class TestTheAnswer:
    @pytest.mark.parametrize("status", [201, 203, 204, 206, 304, 400, 401, 404, 429, 500, 503])
    async def test_has_the_status_200(self, issuer: Issuer, status: int) -> None:
        issuer.answer_with(Response(as_json({"keys": [GOOD]}), status))
        if status in (204, 304):
            issuer.fail(status)
        assert await is_refused(JWKS(issuer.keys_url))

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_is_no_redirect(self, issuer: Issuer, status: int) -> None:
        issuer.metadata["/moved"] = {"keys": [GOOD]}
        issuer.answer_with(RedirectResponse(f"{issuer.url}/moved", status))
        assert await is_refused(JWKS(issuer.keys_url))
        async with httpx2.AsyncClient(follow_redirects=True) as client:
            assert await is_refused(JWKS(issuer.keys_url, client=client))
        assert issuer.asked == ["/keys"] * 2

    @pytest.mark.parametrize("encoding", ["identity", "gzip", "X-GZIP"])
    async def test_has_256_kib_at_most(self, issuer: Issuer, encoding: str) -> None:
        body = as_json({"keys": [GOOD]})
        for size, refused in ((256 * KIB, False), (256 * KIB + 1, True), (5000 * KIB, True)):
            padded = body + b" " * (size - len(body))
            data = padded if encoding == "identity" else gzip.compress(padded)
            issuer.answer_with(Response(data, headers={"Content-Encoding": encoding}))
            assert await is_refused(JWKS(issuer.keys_url)) is refused

    async def test_is_not_read_to_an_end_that_does_not_come(self, issuer: Issuer) -> None:
        ended = threading.Event()

        async def forever() -> AsyncIterator[bytes]:
            try:
                while True:
                    # The server sends to nobody without ever waiting.
                    await checkpoint()
                    yield b" " * 64 * KIB
            finally:
                ended.set()

        issuer.answer_with(StreamingResponse(forever()))
        assert await is_refused(JWKS(issuer.keys_url, timeout=60))
        assert await to_thread.run_sync(ended.wait, 10)

    async def test_may_not_drip(self, issuer: Issuer) -> None:
        stopping = threading.Event()

        async def drip() -> AsyncIterator[bytes]:
            while not await to_thread.run_sync(stopping.wait, 0.01):
                yield b" "

        async def answer(request: Request) -> Response:
            return StreamingResponse(drip())

        issuer.answer = answer
        # The client's own limit is for each byte.
        async with httpx2.AsyncClient(timeout=60) as client:
            assert await is_refused(JWKS(issuer.keys_url, timeout=0.2))
            assert await is_refused(JWKS(issuer.keys_url, timeout=0.2, client=client))
        stopping.set()

    async def test_may_not_come_late(
        self, issuer: Issuer, caplog: pytest.LogCaptureFixture
    ) -> None:
        issuer.is_open.clear()
        assert await is_refused(JWKS(issuer.keys_url, timeout=0.1))
        issuer.is_open.set()
        assert "no answer in time" in caplog.text

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not JSON",
            b"<html></html>",
            b"null",
            b"[]",
            b'"keys"',
            b"{}",
            b'{"keys": null}',
            b'{"keys": {}}',
            b'{"keys": "x"}',
            b'{"keys": [], "keys": []}',
            b'{"keys": [{"kty": "EC", "kty": "EC"}]}',
            b'{"keys": [], "x": NaN}',
            b'\xef\xbb\xbf{"keys": []}',
            b'{"keys": []}\xff',
            '{"keys": []}'.encode("utf-16"),
            b'{"keys": []} {}',
            b'{"keys": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"keys": ' + b'[{"x":' * 20_000,
        ],
        ids=lambda body: f"{body[:30]!r}-{len(body)}",
    )
    async def test_is_a_set_of_keys(self, issuer: Issuer, body: bytes) -> None:
        issuer.answer_with(body)
        assert await is_refused(JWKS(issuer.keys_url))

    @pytest.mark.parametrize(
        ("encoding", "body"),
        [
            ("gzip", b"not gzip"),
            ("gzip", gzip.compress(as_json({"keys": [GOOD]}))[:-40]),
            ("gzip", gzip.compress(as_json({"keys": [GOOD]}))[:-1]),
            ("gzip", gzip.compress(as_json({"keys": [GOOD]})) + gzip.compress(b" ")),
            ("gzip, gzip", gzip.compress(gzip.compress(as_json({"keys": [GOOD]})))),
            ("br", b"x"),
            ("x", as_json({"keys": [GOOD]})),
        ],
    )
    async def test_is_not_spoiled_on_the_way(
        self, issuer: Issuer, encoding: str, body: bytes
    ) -> None:
        issuer.answer_with(Response(body, headers={"Content-Encoding": encoding}))
        assert await is_refused(JWKS(issuer.keys_url))

    async def test_may_come_from_a_transport_without_a_network(self) -> None:
        answers = [
            httpx2.Response(200, json={"keys": [GOOD]}),
            httpx2.Response(200, content=as_json({"keys": [GOOD]}) + b" " * 256 * KIB),
            httpx2.Response(
                200,
                content=gzip.compress(as_json({"keys": [GOOD]})),
                headers={"Content-Encoding": "gzip"},
            ),
        ]
        transport = httpx2.MockTransport(lambda request: answers.pop(0))
        async with httpx2.AsyncClient(transport=transport) as client:
            keys = JWKS("https://issuer.example/keys", client=client)
            for refused in (False, True, False):
                assert await is_refused(keys) is refused

    # Trio's, of the generators that are left: nothing else ends them.
    @pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
    async def test_is_not_read_on_from_a_transport_that_never_waits(self) -> None:
        chunks: list[int] = []

        class Endless(httpx2.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                for number in range(1000):
                    chunks.append(number)
                    yield b" " * 64 * KIB

        transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=Endless()))
        async with httpx2.AsyncClient(transport=transport) as client:
            assert await is_refused(JWKS("https://issuer.example/keys", client=client))
        assert len(chunks) < 10

    async def test_leaves_the_loop_free_however_many_chunks_it_has(self) -> None:
        class Crumbs(httpx2.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                for _ in range(5000):
                    yield b" "
                yield as_json({"keys": [GOOD]})

        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await checkpoint()
                turns += 1

        transport = httpx2.MockTransport(lambda request: httpx2.Response(200, stream=Crumbs()))
        async with (
            httpx2.AsyncClient(transport=transport) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(count)
            await JWKS("https://issuer.example/keys", client=client).refresh()
            group.cancel_scope.cancel()
        assert turns >= 40

    async def test_has_100_keys_at_most(self, issuer: Issuer) -> None:
        issuer.keys = [GOOD] + [{"kty": "oct", "k": "AAAA"}] * 99
        keys = JWKS(issuer.keys_url)
        await keys.refresh()
        assert await backend(keys).verify(make_token(kid="one"))
        issuer.keys.append(GOOD)
        assert await is_refused(keys)


def rsa(**changes: Any) -> dict[str, Any]:
    return public_jwk(key_for("RS256"), kid="bad", **changes)


def ec(**changes: Any) -> dict[str, Any]:
    return public_jwk(key_for("ES256"), kid="bad", **changes)


def okp(**changes: Any) -> dict[str, Any]:
    return public_jwk(key_for("EdDSA"), kid="bad", **changes)


UNUSABLE: dict[str, Any] = {
    "null": None,
    "list": [],
    "string": MARK,
    "number": 5,
    "empty": {},
    "kty-list": {"kty": []},
    "kty-null": {"kty": None},
    "kty-absent": ec(kty=None),
    "kid-number": ec() | {"kid": 5},
    "kid-null": ec() | {"kid": None},
    "alg-number": ec(alg=256),
    "alg-null": ec() | {"alg": None},
    "alg-list": ec(alg=["ES256"]),
    "n-absent": rsa(n=None),
    "n-number": rsa(n=5),
    "n-empty": rsa(n=""),
    "n-padded": rsa(n=rsa()["n"] + "=="),
    "n-base64": rsa(n=rsa()["n"][:-4] + "++++"),
    "n-words": rsa(n="not base64 at all"),
    "n-not-ascii": rsa(n="\u00e9" * 342),
    "e-absent": rsa(e=None),
    "e-list": rsa(e=["AQAB"]),
    "e-one": rsa(e="AQ"),
    "e-even": rsa(e="BA"),
    "rsa-1024": rsa(n=encode(b"\xc5" * 128)),
    "rsa-2047": rsa(n=encode(b"\x45" * 256)),
    "rsa-huge": rsa(n=encode(b"\xc5" * 4096)),
    "x-absent": ec(x=None),
    "y-absent": ec(y=None),
    "y-number": ec(y=5),
    "y-short": ec(y=encode(b"\1" * 31)),
    "off-the-curve": ec(y=ec()["x"]),
    "crv-absent": ec(crv=None),
    "crv-list": ec(crv=["P-256"]),
    "crv-other": ec(crv="P-384"),
    "crv-of-okp": ec(crv="Ed25519"),
    "okp-x-absent": okp(x=None),
    "okp-x-short": okp(x=encode(b"\1" * 31)),
    "okp-x-object": okp(x={}),
    "okp-off-the-curve": okp(x=encode(b"\2" + bytes(31))),
    "okp-zero": okp(x=encode(bytes(32))),
    "okp-crv-of-ec": okp(crv="P-256"),
}

FOR_SOMETHING_ELSE: dict[str, Any] = {
    "kty-unknown": {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    "secp256k1": ec(crv="secp256k1"),
    "x25519": okp(crv="X25519"),
    "ed448": okp(crv="Ed448"),
    "use-enc": rsa(use="enc"),
    "use-null": rsa() | {"use": None},
    "key-ops-sign": ec(key_ops=["sign"]),
    "key-ops-empty": ec(key_ops=[]),
    "key-ops-text": ec(key_ops="verify"),
    "oct": {"kty": "oct", "k": encode(b"k" * 64), "kid": "bad"},
    "oct-broken": {"kty": "oct", "k": 5},
}


class TestAKey:
    @pytest.mark.parametrize("name", UNUSABLE)
    async def test_that_cannot_be_used_is_skipped(
        self, issuer: Issuer, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        issuer.keys = [UNUSABLE[name], GOOD]
        keys = JWKS(issuer.keys_url)
        for _ in range(3):
            await keys.refresh()
        assert await backend(keys).verify(make_token(kid="one"))
        assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
            (
                logging.WARNING,
                f"Of the keys of {issuer.keys_url}, 1 can't be used, and are skipped",
            )
        ]
        assert MARK not in caplog.text

    @pytest.mark.parametrize("name", FOR_SOMETHING_ELSE)
    async def test_for_something_else_is_skipped_in_silence(
        self, issuer: Issuer, name: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        issuer.keys = [FOR_SOMETHING_ELSE[name], GOOD]
        keys = JWKS(issuer.keys_url)
        await keys.refresh()
        assert await backend(keys).verify(make_token(kid="one"))
        assert await backend(keys).verify(make_token("ES256", kid="bad")) is None
        assert caplog.records == []

    @pytest.mark.parametrize(
        "members",
        [
            {"use": "sig"},
            {"key_ops": ["verify"]},
            {"key_ops": ["sign", "verify"], "use": "sig"},
            {"alg": "ES256"},
            {"x5c": [MARK], "x5u": "http://127.0.0.1:9/", "x5t": 5, "ext": True},
        ],
    )
    async def test_may_say_more(self, issuer: Issuer, members: dict[str, Any]) -> None:
        issuer.keys = [{**GOOD, **members}]
        assert await backend(JWKS(issuer.keys_url)).verify(make_token(kid="one"))

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    async def test_that_is_private_is_taken_for_public(
        self, issuer: Issuer, algorithm: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        # Not even a broken private member is looked at.
        key = key_for(algorithm)
        issuer.keys = [
            {**key.as_dict(private=True), "kid": "one"},
            {**public_jwk(key), "kid": "two", "d": [MARK], "p": 5},
        ]
        auth = backend(JWKS(issuer.keys_url))
        for kid in ("one", "two"):
            assert await auth.verify(make_token(algorithm, kid=kid))
        assert caplog.records == []

    async def test_for_another_algorithm_verifies_nothing(self, issuer: Issuer) -> None:
        issuer.keys = [{**GOOD, "alg": "ECDH-ES"}]
        assert await backend(JWKS(issuer.keys_url)).verify(make_token(kid="one")) is None

    async def test_of_each_kind_works(self, issuer: Issuer) -> None:
        issuer.keys = [public_jwk(key_for(name), kid=name) for name in ASYMMETRIC]
        auth = backend(JWKS(issuer.keys_url))
        for name in ASYMMETRIC:
            assert await auth.verify(make_token(name, kid=name))
        assert issuer.fetches == 1


class TestDiscovery:
    def metadata(self, server: Issuer, path: str = "", **changes: Any) -> dict[str, Any]:
        found = {"issuer": server.url + path, "jwks_uri": server.keys_url, **changes}
        return {name: value for name, value in found.items() if value is not None}

    @pytest.mark.parametrize(
        ("path", "well_known"),
        [
            ("", "/.well-known/openid-configuration"),
            ("/", "/.well-known/openid-configuration"),
            ("/realms/x", "/realms/x/.well-known/openid-configuration"),
            ("/realms/x/", "/realms/x/.well-known/openid-configuration"),
            ("/realms/x//", "/realms/x//.well-known/openid-configuration"),
        ],
    )
    async def test_asks_openid_connect(self, issuer: Issuer, path: str, well_known: str) -> None:
        issuer.metadata[well_known] = self.metadata(issuer, path)
        keys = JWKS.discover(issuer.url + path)
        assert issuer.asked == []
        assert issuer.url in repr(keys)
        await keys.refresh()
        await keys.refresh()
        assert issuer.asked == [well_known, "/keys", "/keys"]

    @pytest.mark.parametrize(
        ("path", "suffix"), [("", ""), ("/", ""), ("/realms/x", "/realms/x"), ("/t/", "/t")]
    )
    @pytest.mark.parametrize("first", [404, 500, [], "text"])
    async def test_asks_rfc_8414_then(
        self, issuer: Issuer, path: str, suffix: str, first: Any
    ) -> None:
        issuer.metadata[f"{suffix}/.well-known/openid-configuration"] = first
        well_known = f"/.well-known/oauth-authorization-server{suffix}"
        issuer.metadata[well_known] = self.metadata(issuer, path)
        await JWKS.discover(issuer.url + path).refresh()
        assert issuer.asked[1:] == [well_known, "/keys"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"issuer": "https://other.example"},
            {"issuer": None},
            {"issuer": 5},
            {"jwks_uri": None},
            {"jwks_uri": 5},
            {"jwks_uri": "/keys"},
            {"jwks_uri": "http://issuer.example/keys"},
            {"jwks_uri": "https://user@127.0.0.1/keys"},
            {"jwks_uri": "file:///keys"},
        ],
    )
    async def test_takes_keys_from_nowhere_else(
        self, issuer: Issuer, changes: dict[str, Any]
    ) -> None:
        issuer.metadata["/.well-known/openid-configuration"] = self.metadata(issuer, **changes)
        assert await is_refused(JWKS.discover(issuer.url))
        assert issuer.asked == ["/.well-known/openid-configuration"]

    @pytest.mark.parametrize("end", ["/", "/x", ".", "?"])
    async def test_wants_the_issuer_to_the_character(self, issuer: Issuer, end: str) -> None:
        metadata = self.metadata(issuer, issuer=issuer.url + end)
        issuer.metadata["/.well-known/openid-configuration"] = metadata
        assert await is_refused(JWKS.discover(issuer.url))
        assert issuer.fetches == 0

    async def test_may_find_nothing(self, issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
        assert await is_refused(JWKS.discover(issuer.url))
        assert caplog.messages == [
            f"The keys of {issuer.url} could not be fetched: there is no metadata (status 404)"
        ]

    async def test_asks_anew_after_the_keys_could_not_be_had(self, issuer: Issuer) -> None:
        path = "/.well-known/openid-configuration"
        issuer.metadata[path] = self.metadata(issuer)
        keys = JWKS.discover(issuer.url)
        await keys.refresh()
        issuer.fail(404)
        assert await is_refused(keys)
        issuer.metadata["/new-keys"] = {"keys": [GOOD]}
        issuer.metadata[path] = self.metadata(issuer, jwks_uri=f"{issuer.url}/new-keys")
        await keys.refresh()
        await keys.refresh()
        assert issuer.asked == [
            *(path, "/keys"),
            "/keys",
            *(path, "/new-keys"),
            "/new-keys",
        ]

    async def test_is_part_of_the_time_limit(self, issuer: Issuer) -> None:
        issuer.metadata["/.well-known/openid-configuration"] = self.metadata(issuer)
        issuer.is_open.clear()
        assert await is_refused(JWKS.discover(issuer.url, timeout=0.2))
        issuer.is_open.set()

    @pytest.mark.parametrize("scheme", ["https", "HTTPS"])
    async def test_prepares_for_tls_where_metadata_alone_is_local(
        self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, scheme: str
    ) -> None:
        made: list[object] = []
        create = httpx2.create_ssl_context

        def counting() -> Any:
            made.append(None)
            return create()

        monkeypatch.setattr(httpx2, "create_ssl_context", counting)
        issuer.metadata["/.well-known/openid-configuration"] = self.metadata(
            issuer, jwks_uri=f"{scheme}://127.0.0.1:1/keys"
        )
        keys = JWKS.discover(issuer.url, cooldown=timedelta(0))
        assert made == []
        for _ in range(2):
            assert await is_refused(keys)
        assert made == [None]

    async def test_works_for_a_backend(self, issuer: Issuer) -> None:
        issuer.metadata["/.well-known/openid-configuration"] = self.metadata(issuer)
        auth = JWTAuth(
            keys=JWKS.discover(issuer.url),
            issuer=issuer.url,
            audience=AUDIENCE,
            algorithms=["ES256"],
        )
        claims = json.loads(as_json({"iss": issuer.url, "aud": AUDIENCE, "sub": "bob"}))
        token = make_token(kid="one", claims={**claims, "exp": 2**33})
        user = await auth.verify(token)
        assert user is not None
        assert user.username == "bob"
