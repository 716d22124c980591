"""The keys: accounts and addresses."""

import sys
import unicodedata

import pytest
from starlette.requests import HTTPConnection
from throttle_backends import connection

from starlette_auth_throttle import by_address, by_username


@pytest.mark.parametrize(
    ("username", "key"),
    [
        ("alice", "alice"),
        ("  Alice\t", "alice"),
        ("ALICE", "alice"),
        # NFKC: Unicode Standard Annex #15, figure 6.
        ("\ufb01", "fi"),
        ("\uff21lice", "alice"),
        ("Zoe\u0308", "zo\u00eb"),
        # Casefolding, not lower case: Unicode section 5.18.
        ("STRASSE", "strasse"),
        ("straße", "strasse"),
        ("\u3000alice\u00a0", "alice"),
        ("\ud800", "\ud800"),
        ("al\x00ice", "al\x00ice"),
        ("X" * 1_000_000, "x" * 1_000_000),
        (" " * 1_000_000 + "alice", "alice"),
        # Long names too: no other spelling of one is another account.
        ("\uff21\u3000" * 1_000 + "\u3000", "a " * 999 + "a"),
        ("Zoe\u0308" * 1_000, "zo\u00eb" * 1_000),
        (None, None),
        ("", None),
        (" \u3000", None),
    ],
    ids=map(str, range(19)),
)
def test_username(username: str | None, key: str | None) -> None:
    assert by_username(None, username) == key
    assert by_username(connection(), username) == key


@pytest.mark.parametrize(
    "mark",
    ["\u0323\u0301", "\u0f81", "\u0f75", "\u0f73\u0344", "\u0323\uff9e\uff9f"],
    ids=ascii,
)
def test_a_long_run_of_combining_characters_takes_no_quadratic_time(mark: str) -> None:
    # Unicode's canonical ordering would take minutes for it.
    assert by_username(None, "a" + mark * 500_000) is not None


def test_any_character_that_is_made_of_combining_ones_is_known() -> None:
    text = "".join(map(chr, range(sys.maxunicode + 1)))
    marks = [each for each in text if unicodedata.combining(unicodedata.normalize("NFKD", each)[0])]
    # Such a run is not normalised, whichever of them it is of.
    for each in marks:
        assert by_username(None, each * 2_000) == (each * 2_000).casefold()


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("fe80::2%eth1", "fe80::/64"),
        ("::1", "::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:c633:6401", "198.51.100.1"),
        ("64:ff9b::198.51.100.1", "198.51.100.1"),
        ("64:ff9b:1::1", "64:ff9b:1::/64"),
        ("testclient", "testclient"),
        ("198.51.100.1:50000", "198.51.100.1:50000"),
    ],
)
def test_address(host: str, key: str) -> None:
    assert by_address(connection(address=host), None) == key
    assert by_address(connection(address=host), "alice") == key


def test_clients_that_the_server_does_not_know_have_one_key() -> None:
    keys = {by_address(connection(address=address), None) for address in (None, "")}
    keys.add(by_address(HTTPConnection({"type": "http", "headers": []}), None))
    assert len(keys) == 1
    assert None not in keys


def test_without_a_connection_there_is_no_address() -> None:
    assert by_address(None, "alice") is None


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip"])
def test_no_header_is_read(header: str) -> None:
    conn = connection(address="198.51.100.1")
    conn.scope["headers"] = [(header.encode(), b"203.0.113.9")]
    assert by_address(conn, "alice") == "198.51.100.1"
