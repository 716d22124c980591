"""Compares the mutants that survived with those that MUTATION.md judges.

Run it inside a package, after `mutmut run`: `python ../../tools/mutants.py`.
"""

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parent.parent / "MUTATION.md"
DETECTED = {"killed", "timeout"}

Change = tuple[tuple[str, ...], tuple[str, ...]]


def main() -> None:
    """Fail for mutants that nobody has judged."""
    judged = {
        change(block)
        for block in re.findall(
            r"^```diff\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
    }
    results = re.findall(r"^\s*(\S+): (.+)$", mutmut("results", "--all", "true"), re.MULTILINE)
    left = [(name, status) for name, status in results if status not in DETECTED]
    unjudged = []
    for name, status in left:
        shown = mutmut("show", name)
        if status != "survived" or change(shown) not in judged:
            unjudged.append(f"{name}: {status}\n{shown}")
    detected = len(results) - len(left)
    print(f"{detected} of {len(results)} mutants were detected, {len(left)} survived.")
    if unjudged or not results:
        sys.exit("\n".join(["Neither detected nor judged in MUTATION.md:", *unjudged]))


def change(diff: str) -> Change:
    """Return the lines that a diff removes, and those that it adds."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++"))]
    removed, added = (
        tuple(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+"
    )
    return removed, added


def mutmut(*arguments: str) -> str:
    """Return what mutmut prints."""
    return subprocess.run(  # noqa: S603 - no shell, and arguments of ours
        [sys.executable, "-m", "mutmut", *arguments], capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    main()
