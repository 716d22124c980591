"""A warning that comes from our packages fails the tests, and a server that tests start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from trees import ROOT

TEST = """
import importlib.util, sys

def test_import():
    spec = importlib.util.spec_from_file_location("starlette_auth_core.module", "{path}")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""


@pytest.mark.parametrize(
    ("category", "message", "passes"),
    [
        ("DeprecationWarning", "this is old", False),
        ("PendingDeprecationWarning", "this will be old", False),
        ("UserWarning", "look here", False),
        ("RuntimeWarning", "coroutine was never awaited", False),
        ("ResourceWarning", "unclosed file", False),
        ("BytesWarning", "str is no bytes", False),
        # The control: one of the two that are known, and not ours.
        ("DeprecationWarning", "The anyio.abc.BlockingPortal alias is deprecated", True),
    ],
)
def test_in_the_tests(tmp_path: Path, category: str, message: str, passes: bool) -> None:
    module = tmp_path / "module.py"
    module.write_text(f"import warnings\nwarnings.warn({message!r}, {category})\n", "utf-8")
    (tmp_path / "test_module.py").write_text(TEST.format(path=module), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is passes, done.stdout
    assert passes or message in done.stdout


def test_in_a_server() -> None:
    """The sessions `integration` and `demo-check` start servers in this environment."""
    sys.path.insert(0, str(ROOT))
    try:
        from noxfile import STRICT  # noqa: PLC0415 - what a session of nox sees
    finally:
        sys.path.remove(str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", "import warnings; warnings.warn('old', DeprecationWarning)"],
        env={**os.environ, **STRICT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "DeprecationWarning: old" in done.stderr
