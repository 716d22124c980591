"""The code in the README runs as printed."""

import re
from collections.abc import Callable
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_code_runs(run_python: Callable[..., str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert run_python(code).startswith("$argon2id$v=19$m=65536,t=3,p=4$")
