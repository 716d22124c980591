"""What the tests share."""

import pytest
from sessions_world import World


@pytest.fixture
def world() -> World:
    return World()
