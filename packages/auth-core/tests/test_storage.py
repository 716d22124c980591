"""The rules that storages share."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from starlette_auth_core import storage
from starlette_auth_core.storage import (
    check_hasher,
    exactly_one,
    has_room,
    is_active,
    is_stored,
    log_unavailable,
    read_hash,
)

LOGGER = logging.getLogger("a_storage")
COLUMN: dict[str, Any] = {"model": "User", "field": "password", "logger": LOGGER}


class Hasher:
    async def verify(self) -> None: ...
    async def verify_and_update(self) -> None: ...
    async def dummy_verify(self) -> None: ...


class HalfHasher:
    async def verify(self) -> None: ...


class User:
    active: Any = True


def one(stored: list[object], value: str, *, ignore_padding: bool = False) -> object | None:
    return exactly_one(
        stored,
        value,
        read=lambda row: row,
        model="User",
        field="username",
        logger=LOGGER,
        ignore_padding=ignore_padding,
    )


class TestHasher:
    def test_object_with_its_methods_is_one(self) -> None:
        check_hasher(Hasher())

    @pytest.mark.parametrize(
        ("hasher", "shown"),
        [
            (Hasher, "the class Hasher"),
            (HalfHasher(), "a HalfHasher"),
            (None, "a NoneType"),
        ],
    )
    def test_something_else_is_refused(self, hasher: object, shown: str) -> None:
        with pytest.raises(TypeError, match=rf"^hasher must be .*; got {shown}$"):
            check_hasher(hasher)


class TestExactlyOne:
    @pytest.mark.parametrize("lookalike", ["ALICE", "alicé", "alice ", " alice", b"alice", None, 1])
    def test_lookalike_is_not_the_one(self, lookalike: object) -> None:
        assert one([lookalike], "alice") is None
        assert one([lookalike, "alice"], "alice") == "alice"

    def test_none_is_not_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        assert one([], "alice") is None
        assert caplog.messages == []

    @pytest.mark.parametrize("number", [2, 3])
    def test_several_are_none_and_logged(
        self, caplog: pytest.LogCaptureFixture, number: int
    ) -> None:
        assert one(["alice"] * number, "alice") is None
        (record,) = caplog.records
        assert record.name == "a_storage"
        assert record.levelname == "ERROR"
        assert record.getMessage() == (
            f"Login refused: {number} rows of User share the same username; "
            "add a unique constraint."
        )

    def test_padding_may_be_ignored(self) -> None:
        for stored in ("alice", "alice   "):
            assert one([stored], "alice", ignore_padding=True) == stored
        for other in (" alice", "alice\t", "alicex  ", None):
            assert one([other], "alice", ignore_padding=True) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (1, True), (False, False), (None, False), (0, False), (lambda: False, False)],
)
def test_user_is_active_by_their_field(value: object, expected: bool) -> None:
    user = User()
    user.active = value

    assert is_active(user, "active") is expected
    assert is_active(user, None) is True
    with pytest.raises(AttributeError, match="enabled"):
        is_active(user, "enabled")


class TestHashes:
    @pytest.mark.parametrize(
        ("stored", "expected"),
        [
            ("hash", "hash"),
            ("hash   ", "hash"),
            (b"hash", "hash"),
            (b"hash  ", "hash"),
            ("", ""),
            (None, None),
            (1, None),
        ],
    )
    def test_stored_one_is_read_as_text(
        self, stored: object, expected: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert read_hash(stored, **COLUMN) == expected
        assert caplog.messages == []

    def test_bytes_that_are_not_ascii_are_not_one(self, caplog: pytest.LogCaptureFixture) -> None:
        assert read_hash(b"h\xffsh", **COLUMN) is None
        assert caplog.messages == ["The bytes in User.password are not a password hash."]

    def test_new_one_fits(self, caplog: pytest.LogCaptureFixture) -> None:
        assert has_room("hash", None, **COLUMN)
        assert has_room("hash", 4, **COLUMN)
        assert caplog.messages == []
        assert not has_room("hash", 3, **COLUMN)
        assert caplog.messages == [
            (
                "An outdated password hash was kept: a new one has 4 characters, "
                "User.password has room for 3."
            )
        ]

    @pytest.mark.parametrize("cut", ["has", "", None, b"has", "hash2"])
    def test_one_that_the_database_has_cut_is_logged(
        self, cut: object, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert is_stored("hash", "hash", **COLUMN)
        assert is_stored("hash", "hash  ", **COLUMN)
        assert is_stored("hash", b"hash", **COLUMN)
        assert caplog.messages == []
        assert not is_stored("hash", cut, **COLUMN)
        assert caplog.messages == [
            (
                "An outdated password hash was kept: the database cut the new one; "
                "make the column of User.password longer."
            )
        ]


def test_reason_of_an_unavailable_database_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = ConnectionRefusedError("no alice here")

    log_unavailable(error, logger=LOGGER)
    log_unavailable(error, logger=LOGGER, text="connection refused")

    assert caplog.messages == [
        "Authentication is unavailable, a query failed: builtins.ConnectionRefusedError",
        (
            "Authentication is unavailable, a query failed: builtins.ConnectionRefusedError: "
            "connection refused"
        ),
    ]


def test_names_are_sorted_and_documented() -> None:
    assert storage.__all__ == sorted(storage.__all__)
    assert all(getattr(storage, name).__doc__ for name in storage.__all__)
