from pathlib import Path

import pytest
from trees import git, replace, tool

PACKAGE = "auth-multi"
FOLDER = f"packages/{PACKAGE}"


def build(tree: Path, *arguments: str, refused: str = "") -> None:
    done = tool("build.py", *arguments, cwd=tree)
    assert done.returncode == bool(refused), done.stdout + done.stderr
    assert refused in done.stderr


def test_replaces_an_older_build(clone: Path) -> None:
    (clone / "dist").mkdir()
    (clone / "dist/starlette_auth_multi-0.1.0.tar.gz").touch()
    (clone / "dist/starlette_auth_core-0.1.0.tar.gz").touch()
    build(clone, PACKAGE)
    assert sorted(path.name for path in (clone / "dist").iterdir()) == [
        "starlette_auth_core-0.1.0.tar.gz",
        "starlette_auth_multi-1.0.0-py3-none-any.whl",
        "starlette_auth_multi-1.0.0.tar.gz",
    ]


def test_builds_what_a_tag_names(clone: Path) -> None:
    replace(clone / FOLDER / "pyproject.toml", "version = ", 'version = "1.5.0" # ')
    build(clone, "--tag", f"{PACKAGE}-v1.5.0")
    assert (clone / "dist/starlette_auth_multi-1.5.0.tar.gz").exists()


@pytest.mark.parametrize("tag", [f"{PACKAGE}-v9.0.0", "auth-x-v1.0.0", "v1.0.0", "../x-v1.0.0"])
def test_refuses_a_tag_that_does_not_fit(clone: Path, tag: str) -> None:
    build(clone, "--tag", tag, refused="build: ")
    assert not (clone / "dist").exists()


@pytest.mark.parametrize(
    ("lost", "refused"),
    [
        ("tests", "has no tests"),
        ("CHANGELOG.md", "has no CHANGELOG.md"),
        ("src/starlette_auth_multi/py.typed", "has no starlette_auth_multi/py.typed"),
    ],
)
def test_refuses_what_lacks_something(clone: Path, lost: str, refused: str) -> None:
    git(clone, "rm", "-r", "--quiet", f"{FOLDER}/{lost}")
    build(clone, PACKAGE, refused=refused)
    assert not (clone / "dist").exists()


def test_refuses_leftovers_in_the_sdist(clone: Path) -> None:
    (clone / FOLDER / "tests/.hypothesis").mkdir()
    (clone / FOLDER / "tests/.hypothesis/example").touch()
    build(clone, PACKAGE, refused=".hypothesis")


def test_refuses_tests_in_the_wheel(clone: Path) -> None:
    (clone / FOLDER / "src/starlette_auth_multi/tests").mkdir()
    (clone / FOLDER / "src/starlette_auth_multi/tests/__init__.py").touch()
    build(clone, PACKAGE, refused="holds starlette_auth_multi/tests/__init__.py")


def test_refuses_a_page_that_does_not_render(clone: Path) -> None:
    replace(clone / FOLDER / "pyproject.toml", 'readme = "README.md"', 'readme = "README.rst"')
    (clone / FOLDER / "README.rst").write_text("*broken\n\n.. nothing::", "utf-8")
    build(clone, PACKAGE, refused="twine check")
