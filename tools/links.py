"""Checks that the links between the files of this repository lead somewhere.

Links to the project's own pages on GitHub count: a package's README is read elsewhere too, so it
has to use them.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

REPOSITORY = "https://github.com/starlette-auth-toolkit/starlette-auth-toolkit"
PAGE = re.compile(rf"{re.escape(REPOSITORY)}/(?:blob|tree|edit)/main/")
CODE = re.compile(r"^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)`*\s*$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(
    r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE
)
URL_IN_TOML = re.compile(rf'"({re.escape(REPOSITORY)}/[^"]*)"')
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def main() -> None:
    """Check the files of the repository around the working directory."""
    root = Path(git("rev-parse", "--show-toplevel"))
    # New files count before they are committed.
    listed = git("ls-files", "--full-name", "--cached", "--others", "--exclude-standard", f"{root}")
    files = {root / name for name in listed.splitlines() if (root / name).is_file()}
    broken = [
        f"{path.relative_to(root)}: {link}"
        for path in sorted(files)
        for link in links(path)
        if not leads_somewhere(root, path, link, files)
    ]
    if broken:
        sys.exit("These links lead nowhere:\n" + "\n".join(broken))


def links(path: Path) -> list[str]:
    """Return the links in a Markdown page, or the URLs in a package's metadata."""
    if path.name == "pyproject.toml":
        return URL_IN_TOML.findall(path.read_text("utf-8"))
    if path.suffix != ".md":
        return []
    prose = CODE.sub("", path.read_text("utf-8"))
    return [inline or reference for inline, reference in LINK.findall(INLINE_CODE.sub("`", prose))]


def leads_somewhere(root: Path, path: Path, link: str, files: set[Path]) -> bool:
    """Tell whether *link* in *path* names a file, or a heading, or somebody else's page."""
    page = PAGE.match(link)
    if page:
        start, link = root, link[page.end() :]
    elif re.match(r"[a-z][a-z0-9+.-]*:", link):
        return True
    else:
        start = path.parent
    target, _, anchor = unquote(link).partition("#")
    found = (start / target).resolve() if target else path
    if found not in files and not any(found in file.parents for file in files):
        return False
    if not anchor or found.suffix != ".md":
        return True
    return anchor in anchors(found)


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    seen: dict[str, int] = {}
    found = set()
    for heading in HEADING.findall(CODE.sub("", path.read_text("utf-8"))):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        count = seen.get(anchor, 0)
        seen[anchor] = count + 1
        found.add(f"{anchor}-{count}" if count else anchor)
    return found


def git(*arguments: str) -> str:
    """Return what git prints."""
    return subprocess.run(  # noqa: S603 - no shell, and arguments of ours
        ["git", *arguments],  # noqa: S607 - whichever git the developer has
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


if __name__ == "__main__":
    main()
