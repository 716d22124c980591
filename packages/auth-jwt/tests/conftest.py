"""What the tests share: an issuer on a socket of its own, and a clock to turn on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from jwt_issuer import Clock, Issuer, Server, running_server

import starlette_auth_jwt._jwks
import starlette_auth_jwt._single_flight

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("quick", deadline=None, max_examples=200)
settings.register_profile(
    "slow", deadline=None, max_examples=100_000, suppress_health_check=list(HealthCheck)
)
settings.load_profile("quick")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (starlette_auth_jwt._jwks, starlette_auth_jwt._single_flight):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def issuer(server: Server) -> Iterator[Issuer]:
    server.issuer = Issuer(server.url)
    yield server.issuer
    server.issuer.is_open.set()
