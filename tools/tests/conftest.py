from pathlib import Path

import pytest
from trees import ROOT, git


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Make a clone of what is committed, on the branch main, with somebody who may commit."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(ROOT), str(folder))
    git(folder, "checkout", "--quiet", "-B", "main")
    for tag in git(folder, "tag").split():
        git(folder, "tag", "--delete", tag)
    git(folder, "config", "user.name", "Somebody")
    git(folder, "config", "user.email", "somebody@example.org")
    git(folder, "config", "commit.gpgsign", "false")
    return folder
