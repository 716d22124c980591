"""Which algorithms a stored string may be of: by how it begins, and then by parsing it."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ._algorithms import max_costs_of
from ._formats import FORMATS, Format, Parsed
from ._formats._format import Borrowed
from ._passlib import (
    _accepted,
    _parse,
    _quietly,
    _work,
    cost_kind,
    exceeds,
    get_handler,
    is_unsalted,
    is_wrapper,
)
from ._verifier import MAX_HASH_SIZE

__all__ = ["Match", "find_matches", "is_disabled"]

# passlib's handlers that don't say how their hashes begin.
_BEGINNINGS: Mapping[str, tuple[str, ...]] = {
    "argon2": ("$argon2",),
    "bsdi_crypt": ("_",),
    "django_argon2": ("argon2$",),
    "django_bcrypt_sha256": ("bcrypt_sha256$",),
    "mssql2000": ("0x0100",),
    "mssql2005": ("0x0100",),
    "mysql41": ("*",),
    "oracle11": ("S:",),
}
# Formats that begin with something, or whose parser is as strict as if they did.
_STRICT = ("aspnet_identity", "werkzeug")
# Flask-Bcrypt's strings are bcrypt's, and bcrypt is what they nearly always are.
_UNMARKED = frozenset({"flask_bcrypt"})
# Django and old Werkzeug both write `sha1$salt$…`. Django's salts have had 5, 12 and 22 characters,
# Werkzeug's 8 and 16.
_DJANGO_NOT_WERKZEUG = re.compile(r"(?:md5|sha1)\$(?:\w{5}|\w{12}|\w{22})\$[0-9a-f]+", re.ASCII)
_UNSALTED = frozenset({"md5", "sha1", "sha256", "sha512"})
# A locked account of `passwd -l` and `usermod -L`, a Solaris one, one of Django, and shadow(5).
_DISABLED = ("!", "*LK*", "*NP*")


@dataclass(frozen=True, slots=True)
class Match:
    """An algorithm that a stored string may be of.

    Attributes:
        label: What it is called.
        kind: The algorithm whose recommendation holds for it.
        costs: What the string costs, by the names of the settings.
        unsalted: Whether equal passwords have equal hashes.
        variant: Whether it is of a weaker kind than the algorithm makes today.
        too_expensive: Whether a check of it is refused.
    """

    label: str
    kind: str
    costs: Mapping[str, int]
    unsalted: bool
    variant: bool
    too_expensive: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    beginnings: tuple[str, ...]
    strict: bool
    match: Callable[[str], Match | None]

    def excludes(self, hashed: str) -> bool:
        return self.name == "werkzeug" and _DJANGO_NOT_WERKZEUG.fullmatch(hashed) is not None


def is_disabled(hashed: str) -> bool:
    """Return whether a stored string stands for "no password": nobody can log in with it."""
    return hashed == "*" or hashed.startswith(_DISABLED)


def find_matches(hashed: str) -> list[Match]:
    """Return the algorithms that *hashed* may be of: those with a name in passlib come first.

    A string that begins as those of an algorithm do is of that one, although bigcrypt and others
    take almost any letters. It is parsed and not computed; only Argon2 needs its extra for that.
    """
    if len(hashed) > MAX_HASH_SIZE:
        return []
    strict: list[Match] = []
    loose: list[Match] = []
    with _quietly():
        for candidate in _candidates().get(hashed[:1], _candidates()[""]):
            if hashed.startswith(candidate.beginnings) and not candidate.excludes(hashed):
                match = candidate.match(hashed)
                if match is not None:
                    (strict if candidate.strict else loose).append(match)
    return strict or loose


@functools.cache
def _candidates() -> Mapping[str, list[_Candidate]]:
    """Return the candidates by the first character; "" stands for all other characters."""
    everything = sorted(
        [*_candidates_of_formats(), *_candidates_of_passlib()],
        key=lambda candidate: (candidate.name not in _accepted(), candidate.name),
    )
    first = {beginning[:1] for each in everything for beginning in each.beginnings}
    return {
        character: [
            each
            for each in everything
            if "" in each.beginnings
            or any(each_.startswith(character) for each_ in each.beginnings)
        ]
        if character
        else [each for each in everything if "" in each.beginnings]
        for character in {*first, ""}
    }


def _candidates_of_formats() -> Iterator[_Candidate]:
    for name, build in FORMATS.items():
        if name in _UNMARKED:
            continue
        parser = _parser(name, build)
        beginnings = parser.prefixes
        if not beginnings or name in _STRICT:
            beginnings = ("{",) if name.startswith("ldap_") else ("",)
        match = functools.partial(_match_format, parser)
        yield _Candidate(name, beginnings, name in _STRICT or "" not in beginnings, match)


def _parser(name: str, build: Any) -> Format:
    """Return a format that parses, whether or not what computes it is installed."""
    parser: Format = build.__new__(build)
    parser._max_costs = {}
    return parser


def _candidates_of_passlib() -> Iterator[_Candidate]:
    for name, handler in _accepted().items():
        if name not in FORMATS:
            beginnings = _BEGINNINGS.get(name) or tuple(_idents_of(handler))
            match = functools.partial(_match_passlib, name, handler)
            yield _Candidate(name, beginnings or ("",), bool(beginnings), match)


def _idents_of(handler: Any) -> Iterator[str]:
    if is_wrapper(handler):
        yield handler.prefix
    elif getattr(handler, "ident_values", None):
        prefix = getattr(handler, "prefix", None)
        yield from [prefix] if prefix else handler.ident_values
    elif getattr(handler, "ident", None):
        yield handler.ident


def _match_format(parser: Format, hashed: str) -> Match | None:
    parsed: Parsed | None = parser.parse(hashed)
    if parsed is None:
        return None
    unsalted = parsed.kind in _UNSALTED or parser.name.startswith("ldap_hex_")
    variant = False
    if isinstance(parsed, Borrowed):
        stored = _parse(get_handler(parsed.kind), parsed.stored)
        variant = stored is not None and stored.variant
    too_expensive = parser.costs_too_much(parsed)
    return Match(parser.label(parsed), parsed.kind, parsed.costs, unsalted, variant, too_expensive)


def _match_passlib(name: str, handler: Any, hashed: str) -> Match | None:
    stored = _parse(handler, hashed)
    if stored is None:
        return None
    limits = max_costs_of(cost_kind(name))
    costs = {**stored.costs, "work": _work(handler, stored.costs)}
    too_expensive = exceeds(costs, limits)
    return Match(name, name, stored.costs, is_unsalted(name), stored.variant, too_expensive)
