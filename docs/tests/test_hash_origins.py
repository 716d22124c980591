"""The table "Where do my hashes come from?" is what the hashers do with known hashes."""

import json
from collections import defaultdict

from pages import PAGES, ROOT

from starlette_auth_hashers import LegacyHasher, MultiHasher, PBKDF2Hasher

KNOWN = ROOT / "packages" / "auth-hashers" / "tests" / "known_hashes.json"


def make_table() -> str:
    """Verify and upgrade each known hash, and count by origin and name."""
    new = PBKDF2Hasher(rounds=1)
    counts: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    for known in json.loads(KNOWN.read_text("utf-8")):
        hasher = MultiHasher([new, LegacyHasher(known["name"])])
        for stored in known["stored"]:
            valid, new_hash = hasher.verify_and_update_sync(known["password"], stored)
            counts[known["origin"], known["name"]].append((valid, new_hash is not None))
    lines = ["| Where from | Name | Verified | Upgraded |", "| --- | --- | --- | --- |"]
    for (origin, name), outcomes in sorted(counts.items(), key=lambda item: item[0][0].lower()):
        verified, upgraded = (sum(column) for column in zip(*outcomes, strict=True))
        of = len(outcomes)
        lines.append(f"| {origin} | `{name}` | {verified} of {of} | {upgraded} of {of} |")
    return "\n".join(lines)


def test_table_of_origins() -> None:
    table = make_table()

    assert table in (PAGES / "guides" / "hashes.md").read_text(), table
