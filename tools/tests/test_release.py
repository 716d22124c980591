import datetime
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest
from trees import git, replace, tool

PACKAGE = "auth-multi"
CHANGELOG = f"packages/{PACKAGE}/CHANGELOG.md"
METADATA = f"packages/{PACKAGE}/pyproject.toml"

Snapshot = tuple[str, ...]


@pytest.fixture
def tree(clone: Path) -> Path:
    """Make a tree in which 1.0.0 of the package is released, and something is not yet."""
    write_changelog(
        clone, "## Unreleased\n\n### Added\n\n- Added a thing.\n\n## 1.0.0 - 2025-01-01\n"
    )
    write_version(clone, "1.0.0")
    git(clone, "commit", "--quiet", "--allow-empty", "--all", "--message=a beginning")
    git(clone, "tag", f"{PACKAGE}-v1.0.0")
    return clone


def write_changelog(tree: Path, text: str) -> None:
    path = tree / CHANGELOG
    head = path.read_text("utf-8").partition("\n## ")[0]
    path.write_text(f"{head}\n{text}", "utf-8")


def write_version(tree: Path, version: str) -> None:
    lines = (tree / METADATA).read_text("utf-8").splitlines()
    lines = [f'version = "{version}"' if line.startswith("version = ") else line for line in lines]
    (tree / METADATA).write_text("\n".join(lines) + "\n", "utf-8")


def commit(tree: Path) -> None:
    git(tree, "commit", "--quiet", "--all", "--message=a change")


def snapshot(tree: Path) -> Snapshot:
    """Return everything that a release could change."""
    files = [
        path for path in sorted(tree.rglob("*")) if path.is_file() and ".git" not in path.parts
    ]
    return (
        git(tree, "rev-parse", "HEAD"),
        git(tree, "show-ref"),
        git(tree, "status", "--porcelain", "--branch"),
        git(tree, "worktree", "list"),
        *(f"{path} {path.read_bytes()!r}" for path in files),
    )


class TestRelease:
    def test_commits_builds_and_tags(self, tree: Path) -> None:
        done = tool("release.py", PACKAGE, "1.1.0", cwd=tree)
        assert done.returncode == 0, done.stdout + done.stderr

        today = datetime.datetime.now(datetime.UTC).date()
        changelog = (tree / CHANGELOG).read_text("utf-8")
        assert (
            f"\n## Unreleased\n\n## 1.1.0 - {today}\n\n### Added\n\n- Added a thing.\n\n"
            "## 1.0.0 - 2025-01-01\n"
        ) in changelog
        assert '\nversion = "1.1.0"\n' in (tree / METADATA).read_text("utf-8")
        assert git(tree, "log", "-1", "--format=%s") == f"{PACKAGE}: release 1.1.0"
        changed = git(tree, "show", "--name-only", "--format=", "HEAD").split()
        assert changed == [CHANGELOG, METADATA]
        assert git(tree, "rev-parse", f"{PACKAGE}-v1.1.0^{{commit}}") == git(
            tree, "rev-parse", "HEAD"
        )
        assert git(tree, "branch", "--show-current") == "main"
        assert git(tree, "status", "--porcelain") == ""
        assert len(git(tree, "worktree", "list").splitlines()) == 1

        wheel = tree / "dist/starlette_auth_multi-1.1.0-py3-none-any.whl"
        metadata = "starlette_auth_multi-1.1.0.dist-info/METADATA"
        assert b"\nVersion: 1.1.0\n" in ZipFile(wheel).read(metadata)
        with tarfile.open(tree / "dist/starlette_auth_multi-1.1.0.tar.gz") as sdist:
            assert "starlette_auth_multi-1.1.0/CHANGELOG.md" in sdist.getnames()

        assert f"git push origin main {PACKAGE}-v1.1.0" in done.stdout
        assert (
            "twine upload dist/starlette_auth_multi-1.1.0-py3-none-any.whl "
            "dist/starlette_auth_multi-1.1.0.tar.gz"
        ) in done.stdout

    def test_can_be_the_first(self, tree: Path) -> None:
        git(tree, "tag", "--delete", f"{PACKAGE}-v1.0.0")
        write_changelog(tree, "## Unreleased\n\n### Added\n\n- Added everything.\n")
        commit(tree)
        done = tool("release.py", PACKAGE, "1.0.0", cwd=tree)
        assert done.returncode == 0, done.stdout + done.stderr
        assert git(tree, "tag") == f"{PACKAGE}-v1.0.0"

    def test_leaves_the_others_alone(self, tree: Path) -> None:
        git(tree, "tag", "auth-core-v9.0.0")
        done = tool("release.py", PACKAGE, "1.0.1", cwd=tree)
        assert done.returncode == 0, done.stdout + done.stderr
        assert git(tree, "tag").split() == [
            "auth-core-v9.0.0",
            f"{PACKAGE}-v1.0.0",
            f"{PACKAGE}-v1.0.1",
        ]

    def test_is_followed_by_the_next(self, tree: Path) -> None:
        assert tool("release.py", PACKAGE, "1.1.0rc1", cwd=tree).returncode == 0
        replace(tree / CHANGELOG, "## Unreleased\n", "## Unreleased\n\n- Fixed it.\n")
        commit(tree)
        done = tool("release.py", PACKAGE, "1.1.0", cwd=tree)
        assert done.returncode == 0, done.stdout + done.stderr


class TestRefusal:
    """Says why, and leaves the tree as it was."""

    def refused(self, tree: Path, *arguments: str, because: str) -> None:
        before = snapshot(tree)
        done = tool("release.py", *arguments, cwd=tree)
        assert done.returncode != 0, done.stdout
        assert because in done.stderr
        assert "Traceback" not in done.stderr
        assert "Released" not in done.stdout
        assert snapshot(tree) == before

    @pytest.mark.parametrize(
        ("version", "because"),
        [
            ("1.0.0", "the tag auth-multi-v1.0.0 exists"),
            ("0.9.0", "0.9.0 is not newer than 1.0.0"),
            ("1.0.0rc1", "is not newer than 1.0.0"),
            ("1.1", "'1.1' is no version of ours"),
            ("v1.1.0", "'v1.1.0' is no version of ours"),
            ("1.1.0.dev1", "is no version of ours"),
            ("1.1.0+local", "is no version of ours"),
            ("01.1.0", "is no version of ours"),
            ("1.1.0; rm -r .", "is no version"),
            ("next", "'next' is no version"),
            ("", "'' is no version"),
        ],
    )
    def test_wrong_version(self, tree: Path, version: str, because: str) -> None:
        self.refused(tree, PACKAGE, version, because=because)

    def test_version_that_was_released_from_elsewhere(self, tree: Path) -> None:
        git(tree, "tag", f"{PACKAGE}-v1.2.0")
        self.refused(tree, PACKAGE, "1.1.0", because="1.1.0 is not newer than 1.2.0")

    def test_unknown_package(self, tree: Path) -> None:
        self.refused(tree, "auth-multy", "1.1.0", because="choose one of auth-core, auth-fastapi")

    @pytest.mark.parametrize("arguments", [[], [PACKAGE], [PACKAGE, "1.1.0", "1.2.0"]])
    def test_wrong_number_of_arguments(self, tree: Path, arguments: list[str]) -> None:
        self.refused(tree, *arguments, because="usage: nox -s release --")

    def test_changed_file(self, tree: Path) -> None:
        (tree / "README.md").write_text("changed", "utf-8")
        self.refused(tree, PACKAGE, "1.1.0", because="README.md")

    def test_new_file(self, tree: Path) -> None:
        (tree / "packages" / PACKAGE / "new.py").touch()
        self.refused(tree, PACKAGE, "1.1.0", because=f"packages/{PACKAGE}/new.py")

    def test_other_branch(self, tree: Path) -> None:
        git(tree, "checkout", "--quiet", "-b", "feature")
        self.refused(tree, PACKAGE, "1.1.0", because="this is feature: check out main first")

    def test_no_branch(self, tree: Path) -> None:
        git(tree, "checkout", "--quiet", "--detach")
        self.refused(tree, PACKAGE, "1.1.0", because="this is no branch")

    @pytest.mark.parametrize(
        ("changelog", "because"),
        [
            ("## Unreleased\n\n## 1.0.0 - 2025-01-01\n\n- Added it.\n", "nothing is unreleased"),
            ("## Unreleased\n\n### Added\n\n## 1.0.0 - 2025-01-01\n", "nothing is unreleased"),
            ("## Unreleased\n", "nothing is unreleased"),
            ("## 1.0.0 - 2025-01-01\n\n- Added it.\n", "has no part '## Unreleased'"),
            ("## Unreleased\n\n- Added it.\n\n## 1.1.0 - 2025-01-01\n", "has a part for 1.1.0"),
        ],
    )
    def test_wrong_changelog(self, tree: Path, changelog: str, because: str) -> None:
        write_changelog(tree, changelog)
        commit(tree)
        self.refused(tree, PACKAGE, "1.1.0", because=because)

    def test_sibling_that_the_bounds_shut_out(self, tree: Path) -> None:
        replace(tree / METADATA, '"starlette-auth-core>=1.0.0,<2"', '"starlette-auth-core>=9"')
        commit(tree)
        self.refused(tree, PACKAGE, "1.1.0", because="it requires starlette-auth-core>=9")

    def test_version_in_a_second_place(self, tree: Path) -> None:
        with (tree / METADATA).open("a", encoding="utf-8") as file:
            file.write('\n[tool.other]\nversion = "1.0.0"\n')
        commit(tree)
        self.refused(tree, PACKAGE, "1.1.0", because="2 lines `version = …`")

    @pytest.mark.parametrize("lost", ["LICENSE", "README.md", "src/starlette_auth_multi/py.typed"])
    def test_failing_build(self, tree: Path, lost: str) -> None:
        git(tree, "rm", "--quiet", f"packages/{PACKAGE}/{lost}")
        commit(tree)
        self.refused(tree, PACKAGE, "1.1.0", because="the build failed")

    def test_failing_commit(self, tree: Path) -> None:
        hook = tree / ".git/hooks/pre-commit"
        hook.write_text("#!/bin/sh\nexit 1\n", "utf-8")
        hook.chmod(0o700)
        self.refused(tree, PACKAGE, "1.1.0", because="git commit")
