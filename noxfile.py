"""Every check of this repository. `nox -l` lists them, `nox` runs the default ones."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tarfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

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
OLDEST_STARLETTE = next(
    re.findall(r"[\d.]+", requirement)[0]
    for requirement in PACKAGES["auth-core"]["project"]["dependencies"]
    if requirement.startswith("starlette>=")
)
# One process of tests for each core: most tests of servers and databases wait.
PARALLEL = ("--numprocesses=auto", "--dist=loadfile")
# What nobody should have to install for the sake of a package.
ABSENT = {
    "auth-core": ["passlib", "sqlalchemy", "starlette_auth_hashers", "starlette_auth_multi"],
    "auth-fastapi": ["multipart", "passlib", "sqlalchemy", "starlette_auth_hashers"],
    "auth-hashers": ["starlette", "sqlalchemy", "starlette_auth_core"],
    "auth-jwt": ["passlib", "sqlalchemy", "starlette_auth_hashers"],
    "auth-multi": ["passlib", "sqlalchemy", "starlette_auth_hashers", "starlette_auth_orm"],
    "auth-orm": ["passlib", "starlette_auth_hashers", "starlette_auth_multi"],
    "auth-sessions": ["itsdangerous", "passlib", "sqlalchemy", "starlette_auth_hashers"],
    "auth-sqlalchemy": ["orm", "passlib", "starlette_auth_hashers", "starlette_auth_orm"],
    "auth-throttle": ["passlib", "redis", "sqlalchemy", "starlette_auth_hashers"],
    "auth-toolkit": [],
}

# Warnings are errors in the servers that tests start.
STRICT = {"PYTHONWARNINGS": "error"}

# Test modules that `quick` leaves out: they start processes, or hash at the settings of today.
SLOW = {
    "auth-core": ["test_servers.py"],
    "auth-hashers": [
        *("test_cli.py", "test_formats.py", "test_migration.py", "test_passlib.py"),
        *("test_workers.py", "test_wrap_command.py", "test_wrapped.py"),
    ],
    "auth-orm": ["test_kill.py"],
    "auth-sqlalchemy": ["test_kill.py"],
    "auth-toolkit": ["test_documented_examples.py", "test_release_0_5_0_hashes.py"],
}

each_package = nox.parametrize(
    "package", [nox.param(name, id=name, tags=[name]) for name in PACKAGES]
)


def import_name(package: str) -> str:
    """Return the name under which *package* (a folder) is imported."""
    name: str = PACKAGES[package]["project"]["name"]
    return name.replace("-", "_")


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
    """Check the format, the style, the links, and which package may import what."""
    session.install(*tools("lint"))
    session.run("ruff", "format", "--check", "--diff", ".")
    session.run("ruff", "check", ".")
    session.run("python", "tools/links.py")
    # The packages themselves, not what an environment has of them.
    sources = [str(ROOT / "packages" / package / "src") for package in PACKAGES]
    session.run("lint-imports", env={"PYTHONPATH": os.pathsep.join([*sources, str(ROOT)])})


@nox.session(default=False)
def fix(session: nox.Session) -> None:
    """Mend what `lint` says, where a tool can."""
    session.install(*tools("lint"))
    session.run("ruff", "format", ".")
    session.run("ruff", "check", "--fix", ".")


def install_for_types(session: nox.Session) -> None:
    """Install everything that something here imports."""
    needed = tools("typecheck", "integration", "tooling", "lint", "demo", "bench", "bench-headers")
    install_from_tree(session, *PACKAGES, beside=[*needed, "starlette-auth-hashers[cli]"])


@nox.session(tags=["quick", "full"])
def typecheck(session: nox.Session) -> None:
    """Check all types with mypy, and what users write in `typing_tests/`."""
    install_for_types(session)
    # One by one: their modules share names.
    together = [
        *([f"packages/{package}/src", f"packages/{package}/tests"] for package in PACKAGES),
        *([str(path.relative_to(ROOT))] for path in sorted(ROOT.glob("examples/*/"))),
        ["benchmarks"],
        ["tests-integration"],
        ["typing_tests"],
        ["tools", "noxfile.py"],
    ]
    for paths in together:
        session.run("mypy", *paths)


@nox.session(tags=["full"])
def pyright(session: nox.Session) -> None:
    """Check all types with pyright."""
    install_for_types(session)
    session.run("pyright")


@nox.session(default=False, tags=["quick"])
def brief(session: nox.Session) -> None:
    """Run what is quick of each package's tests: on asyncio, with SQLite, in this process."""
    install_from_tree(session, *PACKAGES)
    for package in PACKAGES:
        slow = (f"--ignore=packages/{package}/tests/{name}" for name in SLOW.get(package, ()))
        session.run(
            *("pytest", "-q", "-k", "not trio and not postgresql and not mysql", *slow),
            *("-m", "not hypothesis", f"packages/{package}/tests", *session.posargs),
        )


@nox.session(tags=["full"])
@each_package
def tests(session: nox.Session, package: str) -> None:
    """Test one package with nothing but what it declares, and measure its coverage."""
    install_from_tree(session, package, beside=tools("coverage", "dependencies"))
    with session.chdir(f"packages/{package}"):
        session.run("deptry", "src")
    env = {"COVERAGE_FILE": f".coverage.{package}"}
    session.run(
        *("pytest", *PARALLEL, f"--cov={import_name(package)}", "--cov-report="),
        *(f"packages/{package}/tests", *session.posargs),
        env=env,
    )
    session.run("coverage", "report", env=env)


def test_on_sqlalchemy_1_4(session: nox.Session, *options: str) -> None:
    """Test auth-orm on the older of the two SQLAlchemys that it runs on."""
    install_from_tree(session, "auth-orm", options=["sqlalchemy<2"])
    session.run("pytest", "packages/auth-orm/tests", *options, *session.posargs)


@nox.session(name="sqlalchemy-1.4", tags=["full"])
def sqlalchemy_1_4(session: nox.Session) -> None:
    """Test auth-orm on SQLAlchemy 1.4 and databases 0.8, on SQLite alone."""
    test_on_sqlalchemy_1_4(session, "-k", "not postgresql and not mysql")


@nox.session(name="sqlalchemy-1.4-servers", default=False, tags=["full"])
def sqlalchemy_1_4_servers(session: nox.Session) -> None:
    """Test auth-orm on SQLAlchemy 1.4 and databases 0.8, on PostgreSQL and MariaDB."""
    test_on_sqlalchemy_1_4(session, "-k", "postgresql or mysql")


@nox.session(name="sqlalchemy-2.0", default=False, tags=["full"])
def sqlalchemy_2_0(session: nox.Session) -> None:
    """Test auth-sqlalchemy on the older of the two SQLAlchemys that it runs on."""
    install_from_tree(session, "auth-sqlalchemy", options=["sqlalchemy<2.1"])
    session.run("pytest", "packages/auth-sqlalchemy/tests", *session.posargs)


@nox.session(tags=["full"])
def integration(session: nox.Session) -> None:
    """Test all packages together: real servers, real databases, and the code in the READMEs."""
    install_from_tree(session, *PACKAGES, beside=tools("integration"))
    chosen = ("-m", "not browser and not load")
    session.run("pytest", *PARALLEL, "tests-integration", *chosen, *session.posargs, env=STRICT)


@nox.session(tags=["full"])
def browser(session: nox.Session) -> None:
    """Test what a browser makes of the answers, in Chromium, which root gets from Debian."""
    if shutil.which("chromium") is None and shutil.which("apt-get") and os.geteuid() == 0:
        session.run("apt-get", "update", "-q", external=True)
        install = ("install", "-q", "-y", "--no-install-recommends", "chromium")
        session.run("apt-get", *install, external=True)
    for program in ("chromium", "npm"):
        if shutil.which(program) is None:
            # In CI a skipped session looks like one that passed.
            leave = session.error if os.environ.get("CI") else session.skip
            leave(f"{program} is not installed")
    install_from_tree(session, *PACKAGES, beside=tools("integration"))
    # FastAPI's documentation loads it from elsewhere.
    modules = Path(session.create_tmp(), "npm")
    if not modules.is_dir():
        options = ("--no-save", "--no-audit", "--no-fund", "--ignore-scripts")
        session.run(
            *("npm", "install", f"--prefix={modules}", *options, "swagger-ui-dist@5"),
            external=True,
        )
    env = {"SWAGGER_UI_DIST": str(modules / "node_modules" / "swagger-ui-dist")}
    session.run("pytest", "tests-integration", "-m", "browser", *session.posargs, env=env)


@nox.session(default=False, tags=["full"])
def exhaustive(session: nox.Session) -> None:
    """Try a million headers, and kill a server amid logins twenty times; takes half an hour."""
    install_from_tree(session, "auth-core", "auth-orm", "auth-sqlalchemy")
    grammar = "packages/auth-core/tests/test_grammar.py"
    session.run("pytest", grammar, "--hypothesis-profile=slow", *session.posargs)
    env = {"TEST_KILLS": "20"}
    for package in ("auth-orm", "auth-sqlalchemy"):
        session.run("pytest", f"packages/{package}/tests/test_kill.py", *session.posargs, env=env)


@nox.session(default=False, tags=["full"])
def load(session: nox.Session) -> None:
    """Test the whole under load: storms of logins, clients that leave, a shutdown amid all that."""
    install_from_tree(session, *PACKAGES, beside=tools("integration"))
    session.run("pytest", "tests-integration", "-m", "load", *session.posargs)


@nox.session(tags=["full"])
def docs(session: nox.Session) -> None:
    """Build the documentation and check what was built; `-- --serve` lets you read it."""
    session.install(*tools("docs"))
    if "--serve" in session.posargs:
        session.run("zensical", "serve")
        return
    session.run("mypy", "docs/check_site.py")
    session.run("zensical", "build", "--strict", "--clean")
    session.run("python", "docs/check_site.py")


def check_programs(session: nox.Session, folders: Iterable[Path], *options: str) -> None:
    """Check the types of the documentation's programs, and do what its pages say."""
    for folder in folders:
        session.run("mypy", str(folder.relative_to(ROOT)))
    session.run("pytest", "docs/tests", *options)


# Programs that need SQLAlchemy 2, and nothing of encode/orm beside it.
PROGRAMS_ON_SQLALCHEMY_2 = [
    ROOT / "docs/programs" / name for name in ("from_fastapi_users", "sessions", "sqlalchemy_users")
]


@nox.session(name="docs-programs", default=False, tags=["full"])
def docs_programs(session: nox.Session) -> None:
    """Follow the guides of the documentation: save their programs, start them, run the commands."""
    install_from_tree(session, beside=tools("docs-programs"))
    folders = set(ROOT.glob("docs/programs/*/")) - set(PROGRAMS_ON_SQLALCHEMY_2)
    check_programs(session, [*sorted(folders), ROOT / "docs/tests"], *session.posargs)


@nox.session(name="docs-sqlalchemy", tags=["full"])
def docs_sqlalchemy(session: nox.Session) -> None:
    """Follow the pages of the documentation that need SQLAlchemy 2."""
    install_from_tree(session, beside=tools("docs-sqlalchemy"))
    check_programs(session, PROGRAMS_ON_SQLALCHEMY_2, "--sqlalchemy-2", *session.posargs)


def install_for_demo(session: nox.Session) -> None:
    """Install what the demo needs, from the tree."""
    install_from_tree(session, beside=[*FOLDERS, *tools("demo")])


def run_demo(session: nox.Session, *arguments: str) -> None:
    """Run the demo. Ctrl-C leaves its server the time to shut down."""
    session.run(
        *("python", "examples/demo", *arguments),
        env=STRICT,
        interrupt_timeout=5,
        terminate_timeout=2,
    )


@nox.session(default=False)
def demo(session: nox.Session) -> None:
    """Run the demo, a server to try with curl; `-- --port N` and `-- --orm` change it."""
    install_for_demo(session)
    run_demo(session, *session.posargs)


@nox.session(name="demo-check", tags=["full"])
def demo_check(session: nox.Session) -> None:
    """Start the demo on a free port, make its requests, and check every answer; both storages."""
    install_for_demo(session)
    run_demo(session, "--check")
    run_demo(session, "--check", "--orm")


@nox.session(tags=["full"])
def tooling(session: nox.Session) -> None:
    """Test the tools in `tools/`, the contracts of the architecture, and CONTRIBUTING.md."""
    session.install(*tools("tooling", "lint", "build"), *build_backends(PACKAGES))
    session.run("pytest", "--numprocesses=auto", "tools/tests", *session.posargs)


@nox.session(tags=["quick", "full"])
def api(session: nox.Session) -> None:
    """Compare the API of each package with that of its last release; `-- auth-core` that one's."""
    session.install(*tools("api"))
    session.run("python", "tools/api.py", *session.posargs)


@nox.session(tags=["quick", "full"])
def workflows(session: nox.Session) -> None:
    """Check the workflows of GitHub Actions."""
    session.install(*tools("workflows"))
    files = sorted(map(str, ROOT.glob(".github/workflows/*.yml")))
    session.run("check-jsonschema", "--builtin-schema=vendor.github-workflows", *files)
    session.run("check-jsonschema", "--builtin-schema=vendor.dependabot", ".github/dependabot.yml")
    session.run("zizmor", "--offline", "--no-progress", "--quiet", ".github")


@nox.session(tags=["full"])
def build(session: nox.Session) -> None:
    """Build into dist/, twice, and check it; `-- auth-core` or `-- --tag auth-core-v1.0.0`."""
    session.install(*tools("build"), *build_backends(PACKAGES))
    session.run("python", "tools/build.py", f"--outdir={DIST}", *session.posargs)


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Release a package: `nox -s release -- auth-hashers 1.1.0`."""
    session.install(*tools("build"), *build_backends(PACKAGES))
    session.run("python", "tools/release.py", *session.posargs)


def build_backends(packages: Iterable[str]) -> list[str]:
    """Return what builds *packages*."""
    return list(
        dict.fromkeys(chain(*(PACKAGES[name]["build-system"]["requires"] for name in packages)))
    )


def built(session: nox.Session, package: str, suffix: str) -> Path:
    """Return the one file of *package* in dist/, which the session `build` has made."""
    (path,) = DIST.glob(f"{import_name(package)}-*{suffix}")
    return path


@nox.session(default=False, tags=["full"], requires=["build"], venv_backend="uv", reuse_venv=False)
@each_package
def sdist(session: nox.Session, package: str) -> None:
    """Unpack one built sdist, install it from there, and run the tests in it."""
    with TemporaryDirectory() as folder:  # away from the tree and its settings
        with tarfile.open(built(session, package, ".tar.gz")) as archive:
            archive.extractall(folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        session.install(
            f"--find-links={DIST}", str(unpacked), f"--group={unpacked / 'pyproject.toml'}:test"
        )
        with session.chdir(unpacked):
            session.run("pytest")


@nox.session(python=PYTHONS, default=False, tags=["full"], requires=["build"], reuse_venv=False)
@each_package
def install(session: nox.Session, package: str) -> None:
    """Install one built wheel alone, import all of it, and run the example of its README."""
    offered = f"--find-links={DIST}"
    session.install(offered, str(built(session, package, ".whl")))
    absent = ABSENT[package]
    session.run(
        *("python", "-W", "error", "tools/installed.py", import_name(package)),
        *(("--without", *absent) if absent else ()),
    )
    readme = f"packages/{package}/README.md"
    (line,) = re.findall(r"^pip install (.+)$", Path(readme).read_text("utf-8"), re.MULTILINE)
    session.install(offered, *shlex.split(line))
    session.run("python", "tools/readme.py", readme)


# Programs in tests-integration/alone/ -> what they have: a package, its extras, and others.
ALONE = {
    "core": ("auth-core", "", ()),
    "fastapi_app": ("auth-fastapi", "", ("httpx2>=2",)),
    "hashers": ("auth-hashers", "[argon2,bcrypt]", ()),
    "hashers_flask": ("auth-hashers", "[argon2]", ("flask>=3",)),
    "multi": ("auth-multi", "", ()),
    "orm_users": ("auth-orm", "[sqlite]", ()),
    "toolkit": ("auth-toolkit", "", ()),
}


@nox.session(default=False, tags=["full"], requires=["build"], reuse_venv=False)
@nox.parametrize("program", [nox.param(name, id=name) for name in ALONE])
def alone(session: nox.Session, program: str) -> None:
    """Run a program of somebody who has installed one built wheel, and nothing that it lacks."""
    package, extras, others = ALONE[program]
    name = PACKAGES[package]["project"]["name"]
    wheel = built(session, package, ".whl").as_uri()
    session.install(f"--find-links={DIST}", f"{name}{extras} @ {wheel}", *others)
    session.run("python", "-W", "error", f"tests-integration/alone/{program}.py")


@nox.session(name="from-0.5.0", default=False, tags=["full"], requires=["build"], reuse_venv=False)
def from_0_5_0(session: nox.Session) -> None:
    """Let release 0.5.0 write a database, and use it after the switch with the same app."""
    app = "tests-integration/alone/release_0_5_0.py"
    file = Path(session.create_tmp(), "users.db")
    file.unlink(missing_ok=True)
    # Beside newer ones of these, that release works no more.
    its_time = ("argon2-cffi", "bcrypt<4.1", "databases[aiosqlite]<0.9", "orm==0.3.1", "passlib")
    session.install("starlette-auth-toolkit==0.5.0", *its_time)
    session.run("python", app, "create", str(file))
    wheel = built(session, "auth-toolkit", ".whl")
    session.install("--upgrade", f"--find-links={DIST}", str(wheel))
    session.run("python", app, "check", str(file))


@nox.session(python=PYTHONS, default=False, tags=["full"], requires=["build"], reuse_venv=False)
def resolution(session: nox.Session) -> None:
    """Resolve `starlette-auth-toolkit>=1` as users do, alone and beside SQLAlchemy 1.4 and 2."""
    session.install(*tools("resolution"))
    session.run("python", "tools/resolution.py", str(DIST))


@nox.session(python=PYTHONS, default=False, tags=["full"])
@each_package
def matrix(session: nox.Session, package: str) -> None:
    """Test one package on one Python, with what is newest: `nox -s "matrix-3.13(auth-core)"`."""
    install_from_tree(session, package)
    session.run("pytest", f"packages/{package}/tests", *session.posargs)


@nox.session(python=PYTHONS, default=False, tags=["full"])
@nox.parametrize(
    "package",
    [nox.param(name, id=name, tags=[name]) for name in PACKAGES if name != "auth-hashers"],
)
def starlette(session: nox.Session, package: str) -> None:
    """Test one package on one Python with the oldest Starlette that it allows."""
    oldest = f"starlette=={OLDEST_STARLETTE}.*"
    install_from_tree(session, package, options=[oldest])
    session.run("pytest", f"packages/{package}/tests", *session.posargs)


@nox.session(default=False, tags=["full"], venv_backend="uv")
@each_package
def oldest(session: nox.Session, package: str) -> None:
    """Test one package with the oldest dependencies that it allows."""
    install_from_tree(session, package, options=["--resolution=lowest-direct"])
    session.run("pytest", f"packages/{package}/tests", *session.posargs)


# Of one minor version of FastAPI each, from the oldest that auth-fastapi allows to the newest.
FASTAPIS = [f"0.{minor}" for minor in range(123, 166)]


@nox.session(default=False, tags=["full"], venv_backend="uv", reuse_venv=False)
@nox.parametrize("version", [nox.param(name, id=name, tags=["auth-fastapi"]) for name in FASTAPIS])
def fastapi(session: nox.Session, version: str) -> None:
    """Test auth-fastapi on one version of FastAPI: `nox -s "fastapi(0.128)"`."""
    install_from_tree(session, "auth-fastapi", options=[f"fastapi=={version}.*"])
    session.run("pytest", "packages/auth-fastapi/tests", *session.posargs)


@nox.session(default=False, tags=["full"], reuse_venv=False)
@nox.parametrize(
    "engine",
    [
        nox.param(name, id=name, tags=["auth-hashers"])
        for name in ("libpass", "bcrypt==4.0.*", "bcrypt==4.3.*", "bcrypt==5.*")
    ],
)
def engines(session: nox.Session, engine: str) -> None:
    """Test auth-hashers on another passlib or bcrypt: `nox -s "engines(libpass)"`."""
    install_from_tree(session, "auth-hashers")
    if engine == "libpass":
        # It takes passlib's place, file by file.
        session.install("pip")
        session.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", "passlib")
    session.install(engine)
    session.run("pytest", "packages/auth-hashers/tests", *session.posargs)


@nox.session(default=False, tags=["full"], reuse_venv=False)
def audit(session: nox.Session) -> None:
    """Ask who knows of vulnerabilities in what we install; `-- --must` fails without an answer."""
    extras = (
        (name, ",".join(PACKAGES[folder]["project"].get("optional-dependencies", ())))
        for name, folder in FOLDERS.items()
    )
    install_from_tree(session, beside=[f"{name}[{names}]" for name, names in extras])
    frozen = f"{session.create_tmp()}/requirements.txt"
    session.run("python", "tools/audit.py", "freeze", frozen)
    session.install(*tools("audit"))
    answer = session.run(
        "python", "tools/audit.py", "ask", frozen, silent=True, success_codes=[0, 2]
    )
    if "Could not" in str(answer):
        (session.error if "--must" in session.posargs else session.skip)(str(answer).strip())
    session.log(answer)


@nox.session(default=False, venv_backend="uv")
def bench(session: nox.Session) -> None:
    """Measure ours next to others: `-- --full` takes longer, `-- --headers` sends bad headers."""
    if "--headers" in session.posargs:
        session.install("uv>=0.13")
        python = environment_beside(session, "headers", "bench-headers", "auth-core")
        session.run(str(python), "benchmarks/headers.py", external=True)
        return
    install_from_tree(session, beside=tools("bench"))
    # Release 0.5.0 needs others than today's, so it has an environment of its own, ours beside it.
    python = environment_beside(
        session, "release-0.5.0", "bench-release", "auth-core", "auth-hashers"
    )
    session.run("python", "benchmarks", f"--release={python}", *session.posargs)


def environment_beside(session: nox.Session, name: str, group: str, *packages: str) -> Path:
    """Make an environment with *group* and *packages* from the tree, and return its Python."""
    folder = Path(session.create_tmp(), name)
    python = folder / "bin" / "python"
    session.run("uv", "venv", "--quiet", "--clear", f"--python={sys.executable}", str(folder))
    session.run(
        *("uv", "pip", "install", "--quiet", f"--python={python}", *tools(group)),
        *(f"--editable=packages/{package}" for package in packages),
    )
    return python


@nox.session(default=False)
@nox.parametrize("package", [nox.param(name, id=name) for name in ("auth-core", "auth-hashers")])
def mutation(session: nox.Session, package: str) -> None:
    """Put small mistakes into what must be right, and see whether the tests notice; minutes."""
    install_from_tree(session, package, beside=tools("mutation"))
    with session.chdir(f"packages/{package}"):
        shutil.rmtree("mutants", ignore_errors=True)
        session.run("mutmut", "run", "--max-children=2")
        session.run("python", "../../tools/mutants.py")


@nox.session(default=False)
def coverage(session: nox.Session) -> None:
    """Combine and report what the sessions `tests` measured."""
    session.install(*tools("coverage"))
    session.run("coverage", "combine", "--keep", *map(str, ROOT.glob(".coverage.auth-*")))
    session.run("coverage", "report")
