"""Compares the public API of each package with that of its last release.

A change that breaks users fails, unless the package's version in the tree has a higher major
number than its last tag: whoever breaks something writes `version = "2.0.0"` along with it.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.version import Version


def main() -> None:
    """Check the packages that the command line names, or all of them."""
    packages = sys.argv[1:] or sorted(path.name for path in Path("packages").iterdir())
    compatible = [is_compatible(package) for package in packages]
    if not all(compatible):
        sys.exit(1)


def is_compatible(package: str) -> bool:
    """Tell whether the API of *package* is what its users may count on, and print why."""
    project = tomllib.loads(Path("packages", package, "pyproject.toml").read_text("utf-8"))
    version = Version(project["project"]["version"])
    prefix = f"{package}-v"
    tags = run("git", "tag", "--list", f"{prefix}*", "--merged", "HEAD").stdout.split()
    if not tags:
        print(f"{package}: no release yet, so nothing to compare with")
        return True
    released = max(Version(tag.removeprefix(prefix)) for tag in tags)
    name = project["project"]["name"].replace("-", "_")
    done = run(
        *(sys.executable, "-m", "griffe", "check", name),
        *("--search", f"packages/{package}/src", "--against", f"{prefix}{released}"),
    )
    breaks = (done.stdout + done.stderr).strip()
    if not done.returncode:
        print(f"{package}: nothing breaks the API of {released}")
        return True
    if version.major > released.major:
        print(f"{package}: {version} may break the API of {released}, and does:\n{breaks}")
        return True
    print(f"{package}: the API of {released} is broken:\n{breaks}")
    return False


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command, and return what it printed."""
    return subprocess.run(  # noqa: S603 - no shell, and arguments of ours
        command, capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    main()
