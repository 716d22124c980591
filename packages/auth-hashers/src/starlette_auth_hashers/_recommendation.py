"""What kind of hash a stored string is, and how it stands against today's recommendation.

That is the OWASP Password Storage Cheat Sheet, as of November 2026.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ._kinds import Match, find_matches, is_disabled

__all__ = ["MINIMUM", "NO_PASSWORD", "UNKNOWN", "Finding", "inspect"]

#: What a hash must cost at least, by algorithm: one of these, in all of its settings.
MINIMUM: Mapping[str, tuple[Mapping[str, int], ...]] = MappingProxyType(
    {
        "argon2": (
            {"memory_cost": 47_104, "time_cost": 1},
            {"memory_cost": 19_456, "time_cost": 2},
            {"memory_cost": 12_288, "time_cost": 3},
            {"memory_cost": 9_216, "time_cost": 4},
            {"memory_cost": 7_168, "time_cost": 5},
        ),
        "bcrypt": ({"rounds": 10},),
        "pbkdf2_sha1": ({"rounds": 1_400_000},),
        "pbkdf2_sha256": ({"rounds": 600_000},),
        "pbkdf2_sha512": ({"rounds": 220_000},),
        "scrypt": (
            {"rounds": 17, "block_size": 8, "parallelism": 1},
            {"rounds": 16, "block_size": 8, "parallelism": 2},
            {"rounds": 15, "block_size": 8, "parallelism": 3},
            {"rounds": 14, "block_size": 8, "parallelism": 5},
            {"rounds": 13, "block_size": 8, "parallelism": 10},
        ),
    }
)
# yescrypt is not scrypt, and OWASP does not name it.
_KIND = re.compile(f"(?<!ye)(?:{'|'.join(MINIMUM)})")
# What PepperedHasher and WrappedHasher put before a hash.
_AROUND = re.compile(
    r"\$pepper\$[A-Za-z0-9._-]{1,32}\$|\$wrapped\$(?P<inner>[a-z0-9_]{1,40})\$[A-Za-z0-9_-]*\$"
)


@dataclass(frozen=True, order=True)
class Finding:
    """What is known of a stored string, without the string.

    Attributes:
        algorithm: The name of its algorithm; of all that it may be of, if there are several.
        settings: What it costs, in words.
        verdict: How it stands: `"good"`, or what is wrong with it.
    """

    algorithm: str
    settings: str
    verdict: str


#: A marker of an account that has no password.
NO_PASSWORD = Finding("no password", "", "no password")
#: A string that is of no kind known here.
UNKNOWN = Finding("unknown", "", "of no kind known here")


def inspect(hashed: str) -> Finding:
    """Return what *hashed* is.

    White space around a hash is told apart: a column of a fixed width pads it, and then it does not
    verify.
    """
    if is_disabled(hashed):
        return NO_PASSWORD
    around = _AROUND.match(hashed)
    if around is not None:
        within = inspect(hashed[around.end() :])
        if within is UNKNOWN or within is NO_PASSWORD:
            return UNKNOWN
        name = f"over {around['inner']}" if around["inner"] else "with a pepper"
        return Finding(f"{within.algorithm} {name}", within.settings, within.verdict)
    bare = hashed.strip()
    matches = find_matches(bare)
    if not matches:
        return UNKNOWN
    verdicts = set(map(_judge_match, matches))
    settings = dict.fromkeys(_in_words(match.costs) for match in matches)
    return Finding(
        " or ".join(match.label for match in matches),
        " or ".join(filter(None, settings)),
        " or ".join(sorted(verdicts)) if hashed == bare else "padded with white space",
    )


def _judge_match(match: Match) -> str:
    if match.unsalted:
        return "no salt"
    verdict = "too weak" if match.variant else _judge(match.kind, match.costs)
    return "too expensive" if verdict == "good" and match.too_expensive else verdict


def _judge(name: str, costs: Mapping[str, int]) -> str:
    kind = _KIND.search(name)
    if kind is None:
        return "not recommended"
    return "good" if _reaches(costs, MINIMUM[kind[0]]) else "too weak"


def _reaches(costs: Mapping[str, int], minimums: Iterable[Mapping[str, int]]) -> bool:
    return any(
        all(costs.get(name, 0) >= least for name, least in minimum.items()) for minimum in minimums
    )


def _in_words(costs: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={cost}" for name, cost in costs.items())
