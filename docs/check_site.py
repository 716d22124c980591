"""Checks the built documentation for what the generator's strict mode does not see.

Broken links and images, absolute links, pages that are not in the navigation or not there, public
names without an entry in the reference, docstrings that name no parameter of theirs, and anything
that a page would load from another host.
"""

import ast
import logging
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import griffe
import yaml

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs/pages"
SITE = ROOT / "build/docs"
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))

# What makes a browser load something, by element. A plain link loads nothing.
LOADS = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
# The theme's script loads these, but only for elements that no page of ours has.
LOADED_ON_DEMAND = {
    "api.github.com": 'data-md-component="source"',
    "cdn.jsdelivr.net": "pyodide",
    "unpkg.com": r'class="mermaid"|class="glightbox"|pyodide',
}
NAMESPACES = {"www.w3.org"}
# Our own repository: what is linked to is here too.
REPOSITORY = "https://github.com/starlette-auth-toolkit/starlette-auth-toolkit/"
FILES = f"{REPOSITORY}blob/main/"
FOLDERS = f"{REPOSITORY}tree/main/"
# The text of a link to one is the name of the test, in words. Contracts hold tests to inherit.
TEST_FILE = re.compile(f"^{re.escape(FILES)}.*/(test_\\w+|_\\w+_contract)\\.py$")


class Page(HTMLParser):
    """What a built page links to, what it loads, which tests it names, and its anchors."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.links: list[str] = []
        self.loads: list[str] = []
        self.link_is_open = False
        self.tests: list[tuple[str, str]] = []
        self.anchors: set[str] = set()
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
            self.link_is_open = True
        loads = [values[name] for name in LOADS.get(tag, ()) if name in values]
        if tag == "link" and values.get("rel") in {"canonical", "prev", "next"}:
            self.links += loads
        else:
            self.loads += loads
        self.loads += urls_in_css(values.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self.link_is_open and TEST_FILE.search(self.links[-1]):
            self.tests.append((f"test_{data.replace(' ', '_')}", self.links[-1]))

    def handle_endtag(self, tag: str) -> None:
        self.link_is_open = self.link_is_open and tag != "a"


def urls_in_css(text: str) -> list[str]:
    return [
        match[2] for match in re.finditer(r"""(?:url\(|@import\s+)\s*(["']?)([^"')]+)\1""", text)
    ]


def complaints() -> Iterator[str]:
    pages = {file: Page(file) for file in sorted(SITE.rglob("*.html"))}
    if not pages:
        yield f"{SITE} has no pages: build them first"
    for file, page in pages.items():
        where = file.relative_to(SITE)
        yield from (f"{where}: {complaint}" for complaint in check_page(page, pages))
    yield from check_styles_and_scripts(pages)
    yield from check_navigation()
    yield from check_reference(pages)
    yield from check_docstrings()


def check_page(page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    for link in page.links:
        yield from check_link(link, page, pages)
    for url in page.loads:
        if not url.startswith("data:"):
            yield from check_load(url, page.file)
    for name, link in page.tests:
        file = ROOT / link.removeprefix(FILES)
        if file.is_file() and not re.search(rf"def {name}\b", file.read_text()):
            yield f"there is no {name} in {link}"


def check_link(link: str, page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        if parts.scheme not in {"https", "mailto"}:
            yield f"{link} is not https"
        url = link.partition("#")[0]
        for prefix, is_there in ((FILES, Path.is_file), (FOLDERS, Path.is_dir)):
            if url.startswith(prefix) and not is_there(ROOT / url.removeprefix(prefix)):
                yield f"{link} is not in the repository"
        return
    if parts.path.startswith("/") and page.file.name != "404.html":
        yield f"{link} is absolute, and wrong below a folder"
        return
    target = resolve(parts.path.lstrip("/"), page.file) if parts.path else page.file
    if not target.exists():
        yield f"{link} leads nowhere"
    elif parts.fragment and unquote(parts.fragment) not in pages[target].anchors:
        yield f"{link}: there is no such anchor"


def check_load(url: str, file: Path) -> Iterator[str]:
    parts = urlsplit(url.split(maxsplit=1)[0])
    if parts.scheme or parts.netloc:
        yield f"{url} is loaded from another host"
    elif parts.path and not resolve(parts.path.lstrip("/"), file).exists():
        yield f"{url} is loaded, and not there"


def resolve(path: str, file: Path) -> Path:
    # The page for what is not found is served anywhere, so its paths begin at the top.
    base = SITE if file.name == "404.html" else file.parent
    target = (base / unquote(path)).resolve()
    return target / "index.html" if target.is_dir() else target


def check_styles_and_scripts(pages: dict[Path, Page]) -> Iterator[str]:
    for file in sorted(SITE.rglob("*.css")):
        for url in urls_in_css(file.read_text()):
            if not url.startswith(("data:", "#")):
                yield from (f"{file.name}: {text}" for text in check_load(url, file))
    html = "".join(file.read_text() for file in pages)
    for file in sorted(SITE.rglob("*.js")):
        for host in sorted(set(re.findall(r"https?://([\w.-]+)", file.read_text())) - NAMESPACES):
            if host not in LOADED_ON_DEMAND:
                yield f"{file.name} names {host}: see when it loads something from there"
            elif re.search(LOADED_ON_DEMAND[host], html):
                yield f"A page has what makes {file.name} load something from {host}"


def check_navigation() -> Iterator[str]:
    settings = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader=yaml.SafeLoader)
    named = set(files_in(settings["nav"]))
    there = {str(path.relative_to(PAGES)) for path in PAGES.rglob("*.md")}
    yield from (f"mkdocs.yml names {name}, which is not there" for name in sorted(named - there))
    yield from (f"{name} is not in the navigation" for name in sorted(there - named))


def files_in(entries: object) -> Iterator[str]:
    if isinstance(entries, str):
        yield entries
    elif isinstance(entries, list):
        for entry in entries:
            yield from files_in(entry)
    elif isinstance(entries, dict):
        for entry in entries.values():
            yield from files_in(entry)


def check_reference(pages: dict[Path, Page]) -> Iterator[str]:
    anchors = {anchor for page in pages.values() for anchor in page.anchors}
    for package in PACKAGES[:-1]:
        for module, file in modules(package):
            if not any(name.startswith("_") for name in module.split(".")):
                for name in exported(file):
                    if f"{module}.{name}" not in anchors:
                        yield f"The reference lacks {module}.{name}"
    # The toolkit's names are those of the parts: a row for each of its modules links to them.
    rows = (PAGES / "reference/toolkit.md").read_text().splitlines()
    for module, file in modules("auth-toolkit"):
        row = next((row for row in rows if row.startswith(f"| `{module}`")), "")
        for name in exported(file):
            if f"[`{name}`]" not in row:
                yield f"The reference lacks {module}.{name}"


def modules(package: str) -> Iterator[tuple[str, Path]]:
    source = ROOT / "packages" / package / "src"
    for file in sorted(source.rglob("*.py")):
        names = file.relative_to(source).with_suffix("").parts
        yield ".".join(names[:-1] if names[-1] == "__init__" else names), file


def exported(file: Path) -> list[str]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


class Collector(logging.Handler):
    """Keeps what griffe says of docstrings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def check_docstrings() -> Iterator[str]:
    collector = Collector()
    logging.getLogger("griffe").addHandler(collector)
    for package in PACKAGES:
        name = f"starlette_{package.replace('-', '_')}"
        parse_all(griffe.load(name, search_paths=[ROOT / "packages" / package / "src"]))
    yield from collector.messages


def parse_all(thing: griffe.Object | griffe.Alias) -> None:
    if thing.is_alias:
        return
    if thing.docstring is not None:
        thing.docstring.parse("google")
    for member in thing.members.values():
        parse_all(member)


if __name__ == "__main__":
    found = list(complaints())
    print(*found, sep="\n", file=sys.stderr)
    sys.exit(f"{len(found)} complaints" if found else 0)
