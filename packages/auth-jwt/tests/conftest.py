"""What the tests share: an issuer on a socket of its own, and a clock to turn on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from jwt_issuer import Issuer, running_issuer

import starlette_auth_jwt._jwks

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("quick", deadline=None, max_examples=200)
settings.register_profile(
    "slow", deadline=None, max_examples=100_000, suppress_health_check=list(HealthCheck)
)
settings.load_profile("quick")


class Clock:
    """The clock by which keys grow old, in the place of the module `time`."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(starlette_auth_jwt._jwks, "time", clock)
    return clock


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer
