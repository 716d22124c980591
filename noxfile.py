"""Every check of this repository. `nox -l` lists them, `nox` runs the default ones."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2026.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = True
nox.options.reuse_venv = "yes"

# pyenv's own interpreters: its shims answer for the selected version only.
os.environ["PATH"] += "".join(
    f":{path}" for path in sorted(Path.home().glob(".pyenv/versions/3.*/bin"))
)
# Makes sdists and wheels byte-identical from build to build.
os.environ.setdefault("SOURCE_DATE_EPOCH", "1700000000")

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
TOOLS = nox.project.load_toml(ROOT / "pyproject.toml")

# Folder under packages/ -> its parsed pyproject.toml.
PACKAGES = {
    path.parent.name: nox.project.load_toml(path)
    for path in sorted(ROOT.glob("packages/*/pyproject.toml"))
}
# Distribution name -> folder.
FOLDERS = {data["project"]["name"]: folder for folder, data in PACKAGES.items()}

PYTHONS = ["3.11", "3.12", "3.13"]

each_package = nox.parametrize(
    "package", [nox.param(name, id=name, tags=[name]) for name in PACKAGES]
)


def import_name(package: str) -> str:
    """Return the name under which *package* (a folder) is imported."""
    return PACKAGES[package]["project"]["name"].replace("-", "_")


def tools(*groups: str) -> tuple[str, ...]:
    """Return the requirements of *groups* of the root's pyproject.toml."""
    return nox.project.dependency_groups(TOOLS, *groups)


def install_from_tree(
    session: nox.Session, *packages: str, beside: Iterable[str] = (), options: Iterable[str] = ()
) -> None:
    """Install *packages*, what their tests need, and what is named *beside* them.

    It is one command on purpose: a sibling is taken from the tree, and not looked up in an
    index, only if its folder is given along with the package that requires it. Of a sibling's
    extras only those that a requirement names are installed.
    """
    folders = list(packages)
    extras: dict[str, set[str]] = {}
    others: list[str] = []

    def sort(requirements: Iterable[str]) -> None:
        for requirement in requirements:
            parsed = Requirement(requirement)
            folder = FOLDERS.get(parsed.name)
            if folder is None:
                others.append(requirement)
                continue
            if folder not in folders:
                folders.append(folder)
            extras.setdefault(folder, set()).update(parsed.extras)

    sort(beside)
    for folder in folders:  # It grows while we walk it.
        data = PACKAGES[folder]
        tests = nox.project.dependency_groups(data, "test") if folder in packages else ()
        sort(chain(data["project"]["dependencies"], tests))

    editables = (
        f"--editable=packages/{folder}[{','.join(sorted(extras.get(folder, ())))}]"
        for folder in folders
    )
    session.install(
        *options, *dict.fromkeys(others), *(name.removesuffix("[]") for name in editables)
    )


@nox.session(tags=["quick", "full"])
def lint(session: nox.Session) -> None:
    """Check the format and the style of everything."""
    session.install(*tools("lint"))
    session.run("ruff", "format", "--check", "--diff", ".")
    session.run("ruff", "check", ".")


@nox.session(default=False)
def fix(session: nox.Session) -> None:
    """Mend what `lint` says, where a tool can."""
    session.install(*tools("lint"))
    session.run("ruff", "format", ".")
    session.run("ruff", "check", "--fix", ".")


@nox.session(tags=["quick", "full"])
def typecheck(session: nox.Session) -> None:
    """Check the types of each package with its tests, of the examples and the integration tests."""
    install_from_tree(session, *PACKAGES, beside=tools("typecheck", "integration"))
    # One by one: their modules share names.
    together = [
        *([f"packages/{package}/src", f"packages/{package}/tests"] for package in PACKAGES),
        *([str(path.relative_to(ROOT))] for path in sorted(ROOT.glob("examples/*/"))),
        ["tests-integration"],
    ]
    for paths in together:
        session.run("mypy", *paths)


@nox.session(tags=["quick", "full"])
@each_package
def tests(session: nox.Session, package: str) -> None:
    """Test one package with nothing but what it declares, and measure its coverage."""
    install_from_tree(session, package, beside=tools("coverage", "dependencies"))
    with session.chdir(f"packages/{package}"):
        session.run("deptry", "src")
    env = {"COVERAGE_FILE": f".coverage.{package}"}
    session.run(
        *("coverage", "run", f"--source={import_name(package)}", "-m"),
        *("pytest", f"packages/{package}/tests", *session.posargs),
        env=env,
    )
    session.run("coverage", "report", env=env)


@nox.session(tags=["quick", "full"])
def integration(session: nox.Session) -> None:
    """Test all packages together: real servers, real databases, and the code in the READMEs."""
    install_from_tree(session, *PACKAGES, beside=tools("integration"))
    session.run("pytest", "tests-integration", *session.posargs)


def run_demo(session: nox.Session, *arguments: str) -> None:
    """Run the demo from the tree. Ctrl-C leaves its server the time to shut down."""
    install_from_tree(session, beside=[*FOLDERS, *tools("demo")])
    session.run("python", "examples/demo", *arguments, interrupt_timeout=5, terminate_timeout=2)


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Run the demo, a server to try with curl; `-- --port N` chooses its port."""
    run_demo(session, *session.posargs)


@nox.session(name="demo-check", tags=["quick", "full"])
def demo_check(session: nox.Session) -> None:
    """Start the demo on a free port, make its requests, and check every answer."""
    run_demo(session, "--check")


@nox.session(tags=["full"])
def build(session: nox.Session) -> None:
    """Build sdists and wheels into dist/ and check them; `-- auth-core` builds that one only."""
    packages = session.posargs or list(PACKAGES)
    backends = chain(*(PACKAGES[package]["build-system"]["requires"] for package in packages))
    session.install(*tools("build"), *dict.fromkeys(backends))
    for package in packages:
        for outdated in DIST.glob(f"{import_name(package)}-*"):
            outdated.unlink()
        session.run(
            "python", "-m", "build", "--no-isolation", f"--outdir={DIST}", f"packages/{package}"
        )
        built = sorted(DIST.glob(f"{import_name(package)}-*"))
        session.run("twine", "check", "--strict", *map(str, built))
        (wheel,) = (path for path in built if path.suffix == ".whl")
        source = f"packages/{package}/src/{import_name(package)}"
        session.run("check-wheel-contents", f"--package={source}", str(wheel))
        names = ZipFile(wheel).namelist()
        for part in ("/py.typed", "/licenses/LICENSE"):
            if not any(name.endswith(part) for name in names):
                session.error(f"{wheel.name} has no {part}")


@nox.session(python=PYTHONS, default=False, tags=["full"])
@each_package
def matrix(session: nox.Session, package: str) -> None:
    """Test one package on one Python: `nox -s "matrix-3.13(auth-core)"`."""
    install_from_tree(session, package)
    session.run("pytest", f"packages/{package}/tests", *session.posargs)


@nox.session(default=False, tags=["full"], venv_backend="uv")
@each_package
def oldest(session: nox.Session, package: str) -> None:
    """Test one package with the oldest dependencies that it allows."""
    install_from_tree(session, package, options=["--resolution=lowest-direct"])
    session.run("pytest", f"packages/{package}/tests", *session.posargs)


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Combine and report what the sessions `tests` measured."""
    session.install(*tools("coverage"))
    session.run("coverage", "combine", "--keep")
    session.run("coverage", "report")
