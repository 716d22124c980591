"""Releases one package: `nox -s release -- auth-hashers 1.1.0`.

Everything happens in a worktree of its own. This one moves on to the release, and the tag appears,
when all of it is right; until then nothing here has changed.
"""

import argparse
import datetime
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

BRANCH = "main"
UNRELEASED = "## Unreleased"


class Refused(Exception):
    """Says why there is no release, and what to do."""


def main() -> None:
    """Release what the command line names, or say why not."""
    parser = argparse.ArgumentParser(prog="nox -s release --", description=__doc__)
    parser.add_argument("package", help="a folder under packages/")
    parser.add_argument("version", help="such as 1.1.0 or 2.0.0rc1")
    arguments = parser.parse_args()
    try:
        root = Path(git(Path.cwd(), "rev-parse", "--show-toplevel"))
        release(root, arguments.package, arguments.version)
    except Refused as error:
        sys.exit(f"release: {error}\nrelease: nothing was changed")


def release(root: Path, package: str, version: str) -> None:
    """Check, build, commit and tag a release, and print how to publish it."""
    tag = f"{package}-v{version}"
    check_tree(root)
    check_version(root, package, version)

    with TemporaryDirectory() as temporary:
        tree, built = Path(temporary, "tree"), Path(temporary, "dist")
        git(root, "worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
        try:
            commit = prepare(tree, package, version, built)
            git(root, "tag", "--annotate", f"--message={package} {version}", tag, commit)
            try:
                git(root, "merge", "--quiet", "--ff-only", commit)
            except Refused:
                git(root, "tag", "--delete", tag)
                raise
        finally:
            git(root, "worktree", "remove", "--force", str(tree))
        files = publish(built, root / "dist")

    print(f"\nReleased {package} {version} as {tag}. Publish it with\n")
    print(f"    git push origin {BRANCH} {tag}\n")
    print("which makes the publishing workflow upload it, or by hand with\n")
    print(f"    twine upload {' '.join(files)}")


def check_tree(root: Path) -> None:
    """Refuse another branch, and a tree with changes."""
    branch = git(root, "branch", "--show-current")
    if branch != BRANCH:
        raise Refused(f"this is {branch or 'no branch'}: check out {BRANCH} first")
    changes = git(root, "status", "--porcelain")
    if changes:
        raise Refused(f"the tree has changes: commit them or put them away first\n{changes}")


def check_version(root: Path, package: str, text: str) -> None:
    """Refuse a package that does not exist, and a version that can't be its next one."""
    packages = {path.parent.name: path for path in root.glob("packages/*/pyproject.toml")}
    if package not in packages:
        raise Refused(f"no package {package!r}: choose one of {', '.join(sorted(packages))}")
    version = parse_version(text)
    current = Version(project(packages[package])["version"])
    released = [
        Version(tag.removeprefix(f"{package}-v"))
        for tag in git(root, "tag", "--list", f"{package}-v*").split()
    ]
    if version in released:
        raise Refused(f"the tag {package}-v{version} exists")
    newest = max(released, default=None)
    # The version in the tree may be one that nobody has released yet.
    if version < current or (newest is not None and version <= newest):
        raise Refused(f"{text} is not newer than {max([current, *released])}")
    check_siblings(packages, package)


def parse_version(text: str) -> Version:
    """Return a version of three numbers, or of a release candidate."""
    try:
        version = Version(text)
    except InvalidVersion:
        raise Refused(f"{text!r} is no version: write one like 1.1.0") from None
    if not re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", text) or str(version) != text:
        raise Refused(f"{text!r} is no version of ours: write one like 1.1.0 or 2.0.0rc1")
    return version


def check_siblings(packages: dict[str, Path], package: str) -> None:
    """Refuse bounds that shut out the sibling beside which the package was tested: the tree's."""
    versions = {
        canonicalize_name(project(path)["name"]): project(path)["version"]
        for path in packages.values()
    }
    for text in project(packages[package]).get("dependencies", ()):
        requirement = Requirement(text)
        version = versions.get(canonicalize_name(requirement.name))
        if version is not None and not requirement.specifier.contains(version, prereleases=True):
            raise Refused(f"it requires {text}, and the tree has {version}: mend the bounds first")


def prepare(tree: Path, package: str, version: str, built: Path) -> str:
    """Commit the release in *tree*, build it from there, and return the commit."""
    folder = tree / "packages" / package
    move_unreleased(folder / "CHANGELOG.md", version)
    set_version(folder / "pyproject.toml", version)
    build = [sys.executable, str(Path(__file__).with_name("build.py")), f"--outdir={built}"]
    done = subprocess.run([*build, package], cwd=tree, check=False)  # noqa: S603 - our own tool
    if done.returncode:
        raise Refused("the build failed")
    git(tree, "commit", "--quiet", f"--message={package}: release {version}", "--", str(folder))
    return git(tree, "rev-parse", "HEAD")


def move_unreleased(path: Path, version: str) -> None:
    """Put what is unreleased in a changelog under *version* and today's date."""
    text = path.read_text("utf-8")
    head, found, rest = text.partition(f"\n{UNRELEASED}\n")
    if not found:
        raise Refused(f"packages/{path.parent.name}/CHANGELOG.md has no part {UNRELEASED!r}")
    if re.search(rf"^## {re.escape(version)}\b", rest, re.MULTILINE):
        raise Refused(f"packages/{path.parent.name}/CHANGELOG.md has a part for {version} already")
    entries = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    if not re.search(r"^- \S", entries, re.MULTILINE):
        raise Refused(f"nothing is unreleased in packages/{path.parent.name}/CHANGELOG.md")
    today = datetime.datetime.now(datetime.UTC).date()
    path.write_text(f"{head}\n{UNRELEASED}\n\n## {version} - {today}\n{rest}", "utf-8")


def set_version(path: Path, version: str) -> None:
    """Write *version* where a package has it."""
    text, count = re.subn(
        r'^version = "[^"]*"$',
        f'version = "{version}"',
        path.read_text("utf-8"),
        flags=re.MULTILINE,
    )
    if count != 1:
        raise Refused(f"packages/{path.parent.name}/pyproject.toml has {count} lines `version = …`")
    path.write_text(text, "utf-8")


def publish(built: Path, dist: Path) -> list[str]:
    """Hand over what was built, and return its names."""
    dist.mkdir(exist_ok=True)
    names = []
    for path in sorted(built.iterdir()):
        shutil.copyfile(path, dist / path.name)
        names.append(f"dist/{path.name}")
    return names


def project(path: Path) -> dict[str, str]:
    """Return the table `project` of a pyproject.toml."""
    table: dict[str, str] = tomllib.loads(path.read_text("utf-8"))["project"]
    return table


def git(folder: Path, *arguments: str) -> str:
    """Return what git prints."""
    done = subprocess.run(  # noqa: S603 - no shell, and arguments of ours
        ["git", *arguments],  # noqa: S607 - whichever git the developer has
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(f"git {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    return done.stdout.strip()


if __name__ == "__main__":
    main()
