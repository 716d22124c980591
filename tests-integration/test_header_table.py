"""The table of `Authorization` headers in benchmarks/, and our servers' answers to all of it."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from headers import OURS, PEERS, Peer, answers_of, running
from headers_cases import CASES, TOKENS, USERS


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running(OURS) as port:
        yield port


def test_the_table_has_at_least_250_headers() -> None:
    assert len(CASES) >= 250


def test_each_row_has_an_id_of_its_own_that_names_its_scheme() -> None:
    assert [id_ for id_, times in Counter(case.id for case in CASES).items() if times > 1] == []
    assert all(case.id.startswith(f"{case.scheme}-") for case in CASES)


def test_no_header_is_sent_twice_to_the_same_server() -> None:
    sent = Counter((case.scheme, case.lines) for case in CASES)
    assert [header for header, times in sent.items() if times > 1] == []


def test_each_row_says_which_section_decides_it() -> None:
    section = re.compile(r"RFC \d{4} §[A-Z]?[\d.]+(, (RFC \d{4} )?§[A-Z]?[\d.]+)*")
    assert [case.id for case in CASES if not section.fullmatch(case.section)] == []
    assert {case.right for case in CASES} == {"in", "refused", "either"}


def test_every_place_in_a_template_is_filled() -> None:
    assert [case.id for case in CASES if re.search(rb"<[A-Za-z0-9]>", case.lines)] == []


def test_one_secret_belongs_to_one_user() -> None:
    # Otherwise a server that reads a header as another user's could seem right.
    assert len(set(USERS.values())) == len(USERS)
    assert len(set(TOKENS.values())) == len(TOKENS)


@pytest.mark.parametrize(
    "peer", [peer for peer in PEERS if peer.program == OURS], ids=["basic", "bearer"]
)
def test_our_servers_answer_every_header_rightly(peer: Peer, port: int) -> None:
    answers = answers_of(port, peer)
    wrong = [
        (case.id, answers[case.id].status, case.section)
        for case in CASES
        if case.scheme == peer.scheme and not answers[case.id].is_right(case)
    ]
    assert wrong == []
    # RFC 9110 section 15.5.2. h11 answers a malformed request with 400, before any app does.
    bare = [
        id_ for id_, answer in answers.items() if answer.status == 401 and not answer.challenged
    ]
    assert bare == []
