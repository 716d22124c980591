"""The users of all programs that are shown: their repr, which gets into logs, hides the hash."""

import ast
import textwrap
from collections.abc import Iterator

from pages import PAGES, PROGRAMS, ROOT, blocks


def sources() -> Iterator[tuple[str, str]]:
    """Yield the programs of the guides, examples and READMEs, and where each of them stands."""
    for folder in (PROGRAMS, ROOT / "examples"):
        for path in sorted(folder.rglob("*.py")):
            yield str(path), path.read_text()
    readmes = [ROOT / "README.md", *ROOT.glob("packages/*/README.md")]
    for page in [*readmes, *PAGES.rglob("*.md")]:
        for block in blocks(page):
            if block.language == "python" and block.included is None:
                yield str(page), textwrap.dedent(block.body)


def test_their_repr_hides_the_hash() -> None:
    users = set()
    for where, source in sources():
        for node in ast.walk(ast.parse(source)):
            match node:
                # Dataclasses and named tuples write `str`; models of databases do not.
                case ast.AnnAssign(ast.Name("password"), ast.Name("str"), value):
                    shown = value is None or "repr=False" not in ast.unparse(value)
                    assert not shown, f"{where}, line {node.lineno}"
                    users.add(where)
    assert {str(ROOT / "README.md"), str(PROGRAMS / "start" / "app.py")} <= users
