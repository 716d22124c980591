"""No session id in an error, its frames, a log record or a repr."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from sessions_world import Auth, World, request
from starlette.responses import Response

from starlette_auth_sessions._cookie import SessionId

pytestmark = pytest.mark.anyio

# Error reporters do not show variables of these names.
HIDDEN = {"password", "secret", "token"}


async def fail(*args: Any, **options: Any) -> Any:
    raise TimeoutError


def shown(error: BaseException) -> Iterator[str]:
    """Return what an error reporter shows: texts, and the variables of frames."""
    captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    chained: traceback.TracebackException | None = captured
    while chained is not None:
        yield str(chained)
        for frame in chained.stack:
            if frame.filename != __file__:
                for name, value in (frame.locals or {}).items():
                    if name not in HIDDEN:
                        yield f"{frame.name}: {name}={value}"
        chained = chained.__cause__ or chained.__context__


@pytest.mark.parametrize("name", ["find", "insert", "delete", "origin"])
async def test_nothing_that_is_shown_holds_an_id(
    world: World, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    new = SessionId.generate()
    monkeypatch.setattr(SessionId, "generate", lambda: new)
    old = "A" * 42 + "B"
    row = await world.sessions._insert(world.alice, SessionId(old), world.clock(), {})
    assert row is not None
    world.store.instead[name] = fail
    lines = [("Sec-Fetch-Site", "cross-site")] if name == "origin" else []
    conn = request(old, *lines, method="POST")
    caught = []
    for call in (
        lambda: world.sessions.login(conn, Response(), world.bob),
        lambda: world.sessions.logout(conn, Response()),
        lambda: Auth(world.sessions).authenticate(conn),
    ):
        try:
            await call()
        except Exception as error:  # noqa: BLE001  # Any of them is looked at.
            caught.append(error)
    assert caught
    text = "\n".join([*(line for error in caught for line in shown(error)), caplog.text])
    assert old not in text
    assert new.secret not in text


def test_repr_shows_no_id() -> None:
    session_id = SessionId.generate()
    assert session_id.secret not in repr(session_id)
