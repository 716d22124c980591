from pathlib import Path

from trees import git, replace, tool

PACKAGE = "auth-multi"
MODULE = f"packages/{PACKAGE}/src/starlette_auth_multi/_multi.py"
METADATA = f"packages/{PACKAGE}/pyproject.toml"


def test_says_that_there_is_no_release(clone: Path) -> None:
    done = tool("api.py", cwd=clone)
    assert done.returncode == 0
    assert done.stdout.count("no release yet") == len(list(clone.glob("packages/*")))


def test_passes_what_adds(clone: Path) -> None:
    git(clone, "tag", f"{PACKAGE}-v1.0.0")
    with (clone / MODULE).open("a", encoding="utf-8") as file:
        file.write('\n\ndef added() -> None:\n    """Do nothing."""\n')
    done = tool("api.py", PACKAGE, cwd=clone)
    assert done.returncode == 0, done.stdout
    assert done.stdout == f"{PACKAGE}: nothing breaks the API of 1.0.0\n"


def test_refuses_what_breaks(clone: Path) -> None:
    git(clone, "tag", f"{PACKAGE}-v1.0.0")
    replace(clone / MODULE, "def challenges(self, conn", "def challenge(self, conn")
    done = tool("api.py", PACKAGE, cwd=clone)
    assert done.returncode == 1
    assert "the API of 1.0.0 is broken" in done.stdout
    assert "challenges" in done.stdout


def test_new_major_version_may_break(clone: Path) -> None:
    git(clone, "tag", f"{PACKAGE}-v1.0.0")
    replace(clone / MODULE, "def challenges(self, conn", "def challenge(self, conn")
    replace(clone / METADATA, 'version = "1.', 'version = "2.')
    done = tool("api.py", PACKAGE, cwd=clone)
    assert done.returncode == 0, done.stdout
    assert "may break the API of 1.0.0, and does" in done.stdout
    assert "challenges" in done.stdout


def test_compares_with_the_newest_release(clone: Path) -> None:
    for version in ("1.9.0", "1.10.0"):
        git(clone, "tag", f"{PACKAGE}-v{version}")
    assert "the API of 1.10.0" in tool("api.py", PACKAGE, cwd=clone).stdout
