"""Builds the packages' sdists and wheels, twice, and checks what is in them.

Run it from the root of the repository: `python tools/build.py --outdir dist auth-core`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

# Makes the archives independent of the clock; a caller may choose another time.
os.environ.setdefault("SOURCE_DATE_EPOCH", "1700000000")

# What no archive may hold: leftovers of tests and tools.
LEFTOVERS = ("__pycache__", ".pyc", ".coverage", ".hypothesis", ".pytest_cache", "/mutants/", ".db")


class Refused(Exception):
    """Says what is wrong with an archive, for whoever builds it."""


def main() -> None:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", help="folders under packages/; all by default")
    parser.add_argument("--outdir", type=Path, default=Path("dist"))
    parser.add_argument("--tag", help="build the package that this tag names, at its version")
    arguments = parser.parse_args()
    try:
        packages = arguments.packages or sorted(path.name for path in Path("packages").iterdir())
        if arguments.tag:
            packages = [package_of(arguments.tag)]
        for package in packages:
            build(package, arguments.outdir)
    except Refused as error:
        sys.exit(f"build: {error}")


def package_of(tag: str) -> str:
    """Return the folder of the package that *tag* releases, if the tree is at that version."""
    package, _, version = tag.rpartition("-v")
    found = metadata(package)["version"]
    if found != version:
        raise Refused(f"{tag} does not fit: packages/{package} is at version {found}")
    return package


def metadata(package: str) -> dict[str, str]:
    """Return the table `project` of a package."""
    path = Path("packages", package, "pyproject.toml")
    if not package or not path.is_file():
        raise Refused(f"no package {package!r} under packages/")
    project: dict[str, str] = tomllib.loads(path.read_text("utf-8"))["project"]
    return project


def build(package: str, outdir: Path) -> None:
    """Put the sdist and the wheel of *package* into *outdir*, in the place of older ones."""
    name = metadata(package)["name"].replace("-", "_")
    with TemporaryDirectory() as temporary:
        built = Path(temporary, "built")
        again = Path(temporary, "again")
        build_once(Path("packages", package), built)
        # Elsewhere, later, and without a right for anybody else: none of that may show.
        elsewhere = Path(temporary, "elsewhere")
        shutil.copytree(
            Path("packages", package),
            elsewhere,
            copy_function=shutil.copyfile,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        for path in elsewhere.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        build_once(elsewhere, again)
        compare(built, again)
        check(name, Path("packages", package), built)
        outdir.mkdir(parents=True, exist_ok=True)
        for outdated in outdir.glob(f"{name}-*"):
            outdated.unlink()
        for path in sorted(built.iterdir()):
            shutil.copyfile(path, outdir / path.name)
            print(outdir / path.name, flush=True)


def build_once(folder: Path, outdir: Path) -> None:
    """Build an sdist, and a wheel from that sdist."""
    run(
        *("-m", "build", "--no-isolation", "--quiet"),
        *(f"--outdir={outdir}", str(folder)),
    )


def compare(built: Path, again: Path) -> None:
    """Refuse two builds that differ in a byte."""
    names = {path.name for path in built.iterdir()}
    if names != {path.name for path in again.iterdir()}:
        raise Refused("two builds differ in the names of what they made")
    for name in sorted(names):
        if (built / name).read_bytes() != (again / name).read_bytes():
            raise Refused(f"two builds of {name} differ")


def check(name: str, folder: Path, built: Path) -> None:
    """Refuse archives that lack what they need, hold what they should not, or render badly."""
    (wheel,) = built.glob("*.whl")
    (sdist,) = built.glob("*.tar.gz")
    run("-m", "twine", "check", "--strict", str(wheel), str(sdist))
    run("-m", "check_wheel_contents", f"--package={folder / 'src' / name}", str(wheel))

    in_wheel = ZipFile(wheel).namelist()
    expect(wheel, in_wheel, f"{name}/py.typed", ".dist-info/licenses/LICENSE")
    for path in in_wheel:
        top, *inner = path.split("/")
        if top not in {name, f"{wheel.name.rsplit('-', 3)[0]}.dist-info"} or "tests" in inner:
            raise Refused(f"{wheel.name} holds {path}")

    with tarfile.open(sdist) as archive:
        in_sdist = archive.getnames()
    expect(sdist, in_sdist, f"src/{name}/py.typed", "/LICENSE", "/README.md", "/CHANGELOG.md")
    if not any("/tests/test_" in path for path in in_sdist):
        raise Refused(f"{sdist.name} has no tests")

    for archive_path, paths in ((wheel, in_wheel), (sdist, in_sdist)):
        for path in paths:
            if any(leftover in path for leftover in LEFTOVERS):
                raise Refused(f"{archive_path.name} holds {path}")


def expect(archive: Path, names: list[str], *endings: str) -> None:
    """Refuse an archive without a file of each of *endings*."""
    for ending in endings:
        if not any(name.endswith(ending) for name in names):
            raise Refused(f"{archive.name} has no {ending.removeprefix('/')}")


def run(*arguments: str) -> None:
    """Run a module of this interpreter, and end with it where it fails."""
    done = subprocess.run([sys.executable, *arguments], check=False)  # noqa: S603 - our own tools
    if done.returncode:
        raise Refused(f"{' '.join(arguments[:3])} failed")


if __name__ == "__main__":
    main()
