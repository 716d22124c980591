import subprocess
from pathlib import Path

import pytest
from trees import git, tool

REPOSITORY = "https://github.com/starlette-auth-toolkit/starlette-auth-toolkit"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/page.md").write_text("# A `page`, and more\n\n## Twice\n\n## Twice\n")
    return tmp_path


def check(tree: Path, text: str, name: str = "README.md") -> subprocess.CompletedProcess[str]:
    (tree / name).write_text(text, "utf-8")
    return tool("links.py", cwd=tree)


@pytest.mark.parametrize(
    "text",
    [
        "[a](docs/page.md)",
        "[a](docs)",
        "[a](docs/)",
        "[a](docs/page.md#a-page-and-more)",
        "[a](docs/page.md#twice-1)",
        "# Here\n[a](#here)",
        "[a][b]\n\n[b]: docs/page.md",
        "[a](https://example.org/nowhere)",
        "[a](mailto:somebody@example.org)",
        f"[a]({REPOSITORY}/tree/main/docs)",
        f"[a]({REPOSITORY}/blob/main/docs/page.md#twice)",
        f"[a]({REPOSITORY}/issues)",
        "```\n[a](nowhere.md)\n```",
        "`[a](nowhere.md)`",
    ],
)
def test_good_links(tree: Path, text: str) -> None:
    done = check(tree, text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "[a](nowhere.md)",
        "![a](nowhere.png)",
        "[a](docs/page.md#nowhere)",
        "[a](docs/page.md#twice-2)",
        "[a](#nowhere)",
        "[a](../outside.md)",
        "[a][b]\n\n[b]: nowhere.md",
        f"[a]({REPOSITORY}/tree/main/nowhere)",
        f"[a]({REPOSITORY}/blob/main/docs/page.md#nowhere)",
    ],
)
def test_broken_links(tree: Path, text: str) -> None:
    done = check(tree, text)
    assert done.returncode == 1
    assert "README.md: " in done.stderr


def test_links_of_a_packages_metadata(tree: Path) -> None:
    done = check(tree, f'Changelog = "{REPOSITORY}/blob/main/nowhere.md"', "pyproject.toml")
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr


def test_ignored_files_are_nothing_to_link_to(tree: Path) -> None:
    (tree / ".gitignore").write_text("ignored.md\n", "utf-8")
    (tree / "ignored.md").touch()
    assert check(tree, "[a](ignored.md)").returncode == 1
