"""Where equal time can't hold is said in the same words wherever equal time is promised."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SENTENCE = (
    "That does not hold for a stored hash that costs more than all configured hashers, which takes "
    "longer to refuse, nor for the first checks of a process, before it has learned what each "
    "hasher costs."
)


@pytest.mark.parametrize(
    "page",
    [
        "SECURITY.md",
        "docs/pages/guides/hashes.md",
        "docs/pages/security.md",
        "packages/auth-hashers/README.md",
    ],
)
def test_it_is_there_once(page: str) -> None:
    assert (ROOT / page).read_text().count(SENTENCE) == 1
