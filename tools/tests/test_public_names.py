"""The public names are those that the reference documents: griffe and readers agree on them.

griffe takes for public what the first release then freezes: every module without an underscore,
and in it each name without one that is defined there or stands in `__all__`.
"""

import re
from collections.abc import Iterator

import griffe
import pytest
from trees import ROOT

REFERENCE = ROOT / "docs" / "pages" / "reference"
# The toolkit's page is a table, since its names are documented in the parts.
TOOLKIT = "starlette_auth_toolkit"


def load(package: str) -> griffe.Module:
    sources = ROOT / "packages" / package.removeprefix("starlette_").replace("_", "-") / "src"
    module = griffe.load(package, search_paths=[sources], resolve_aliases=True)
    assert isinstance(module, griffe.Module)
    return module


def public_names(module: griffe.Module) -> Iterator[str]:
    for name, member in module.members.items():
        if name.startswith("_"):
            continue
        if isinstance(member, griffe.Module):
            yield from public_names(member)
        elif not member.is_alias or name in (module.exports or ()):
            yield f"{module.path}.{name}"


def documented_names(package: str, module: griffe.Module) -> set[str]:
    page = (REFERENCE / f"{package.removeprefix('starlette_auth_')}.md").read_text()
    if package == TOOLKIT:
        rows = re.findall(rf"^\| `({TOOLKIT}[\w.]*)` \| (.*) \|$", page, re.MULTILINE)
        return {f"{path}.{name}" for path, row in rows for name in re.findall(r"\[`(\w+)`\]", row)}
    paths = re.findall(r"^::: (\S+)$", page, re.MULTILINE)
    assert len(paths) == len(set(paths)), "a name is documented twice"
    # A module is shown for its docstring alone.
    return {path for path in paths if not module.modules_collection[path].is_module}


PACKAGES = sorted(
    path.name for path in ROOT.glob("packages/*/src/*/") if (path / "__init__.py").is_file()
)


def test_there_are_packages() -> None:
    assert TOOLKIT in PACKAGES


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_the_documented_ones(package: str) -> None:
    module = load(package)
    public = set(public_names(module))
    documented = documented_names(package, module)
    assert public - documented == set(), "document it, or give it an underscore"
    assert documented - public == set(), "it is not public"
    assert public
