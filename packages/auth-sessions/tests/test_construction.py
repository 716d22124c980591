"""Wrong settings fail at construction, with a message that names the setting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sessions_world import NOON

from starlette_auth_core.tokens import MemoryTokenStore, Tokens
from starlette_auth_sessions import SessionAuth, Sessions

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class WithoutLastUse(MemoryTokenStore[Any]):
    records_use = False


@pytest.mark.parametrize(
    "store",
    [MemoryTokenStore, None, "store", {}, Tokens(MemoryTokenStore(), prefix="x")],
    ids=["class", "None", "str", "dict", "Tokens"],
)
def test_store_must_be_one(store: Any) -> None:
    with pytest.raises(TypeError, match="store must be a TokenStore object"):
        Sessions(store)


def test_store_must_have_last_used_at() -> None:
    with pytest.raises(ValueError, match=r"last_used_at.*add that column"):
        Sessions(WithoutLastUse())


@pytest.mark.parametrize(
    ("setting", "value", "error", "text"),
    [
        ("idle", MINUTE, ValueError, "idle must be more than a minute"),
        ("idle", SECOND, ValueError, "idle must be more than a minute"),
        ("idle", timedelta(), ValueError, "idle must be more than a minute"),
        ("idle", -MINUTE, ValueError, "idle must be more than a minute"),
        ("idle", 3600, TypeError, "idle must be a timedelta"),
        ("idle", None, TypeError, "idle must be a timedelta"),
        ("absolute", timedelta(), ValueError, "absolute must be at least a second"),
        ("absolute", -SECOND, ValueError, "absolute must be at least a second"),
        ("absolute", timedelta.max, ValueError, "absolute is too long"),
        ("absolute", 3600, TypeError, "absolute must be a timedelta"),
        ("fresh", -SECOND, ValueError, "fresh must not be negative"),
        ("fresh", None, TypeError, "fresh must be a timedelta"),
        ("insecure", "false", TypeError, "insecure must be a bool"),
        ("insecure", None, TypeError, "insecure must be a bool"),
        ("trusted_origins", "https://app.example.org", TypeError, "sequence of origins"),
        ("trusted_origins", b"https://app.example.org", TypeError, "sequence of origins"),
        (
            "trusted_origins",
            bytearray(b"https://app.example.org"),
            TypeError,
            "sequence of origins",
        ),
        ("trusted_origins", [None], TypeError, "NoneType"),
        ("trusted_origins", None, TypeError, "trusted_origins must be a sequence of origins"),
        ("trusted_origins", True, TypeError, "trusted_origins must be a sequence of origins"),
        ("now", None, TypeError, "now must be a function"),
        ("now", NOON, TypeError, "now must be a function"),
    ],
)
def test_settings(setting: str, value: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Sessions(MemoryTokenStore(), **{setting: value})


@pytest.mark.parametrize(
    "origin",
    [
        *("", "*", "null", "app.example.org", "//app.example.org", "https://", "https://*"),
        *("https://*.example.org", "https://app.example.org/", "https://app.example.org/path"),
        *("https://user@app.example.org", "https://user:x@app.example.org"),
        *("https://app.example.org?x", "https://app.example.org#x", "https://app.example.org:x"),
        *("https://app.example.org:", "https://app.example.org:99999", " https://app.example.org"),
        *("https://app.example.org\n", "https://äpp.example.org", "https://a b", "https:app"),
        *("javascript://", "https://[::1", "https://::1"),
    ],
)
def test_trusted_origin_must_be_one(origin: str) -> None:
    with pytest.raises(ValueError, match=r"trusted_origins: .* is not an origin"):
        Sessions(MemoryTokenStore(), trusted_origins=["https://ok.example.org", origin])


@pytest.mark.parametrize(
    "origin",
    [
        *("https://app.example.org", "http://localhost:3000", "https://[::1]:8443"),
        *("capacitor://localhost", "chrome-extension://abcdef", "https://a_b.example.org"),
    ],
)
def test_trusted_origins(origin: str) -> None:
    Sessions(MemoryTokenStore(), trusted_origins=(origin,))


def test_shortest_times() -> None:
    Sessions(
        MemoryTokenStore(),
        idle=MINUTE + timedelta(microseconds=1),
        absolute=SECOND,
        fresh=timedelta(),
    )


@pytest.mark.parametrize(
    "sessions", [None, MemoryTokenStore(), Sessions], ids=["None", "store", "class"]
)
def test_backend_takes_sessions(sessions: Any) -> None:
    with pytest.raises(TypeError, match="sessions must be a Sessions object"):
        SessionAuth(sessions)
