"""The code in the README runs as printed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_there_is_some() -> None:
    assert len(BLOCKS) == 5


@pytest.mark.parametrize("code", BLOCKS, ids=lambda code: code.splitlines()[0])
def test_code_runs(run_python: Callable[..., str], code: str) -> None:
    output = run_python(code)

    if "print(stored)" in code:
        assert output.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
