"""No answer is never a good answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from trees import TOOLS

CLEAN, VULNERABLE, COULD_NOT = 0, 1, 2

# Stands in for pip-audit: does what STUB says.
STUB = """
import json, os, sys
from pathlib import Path
stub = json.loads(os.environ["STUB"])
if stub["answer"] is not None:
    (output,) = (a.removeprefix("--output=") for a in sys.argv if a.startswith("--output="))
    Path(output).write_text(json.dumps(stub["answer"]))
print(stub["stderr"], file=sys.stderr)
sys.exit(stub["code"])
"""

GOOD = {"name": "a", "version": "1", "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "not found"}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}]}


@pytest.mark.parametrize(
    ("dependencies", "code", "meaning", "text"),
    [
        ([GOOD, {**GOOD, "name": "b"}], 0, CLEAN, "Audited 2 distributions"),
        ([GOOD, BAD], 1, VULNERABLE, "b 2: CVE-1"),
        ([GOOD, SKIPPED], 0, COULD_NOT, "Could not audit: 1 of 2"),
        ([GOOD], 0, COULD_NOT, "Could not audit: 1 of 2"),
        ([], 0, COULD_NOT, "Could not audit: 0 of 2"),
        (None, 0, COULD_NOT, "Could not audit: 0 of 2"),
        (None, 1, COULD_NOT, "pip-audit said: no connection"),
    ],
)
def test_answers(
    tmp_path: Path, dependencies: list[object] | None, code: int, meaning: int, text: str
) -> None:
    (tmp_path / "pip_audit.py").write_text(STUB, "utf-8")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("a==1\nb==2\n", "utf-8")
    answer = None if dependencies is None else {"dependencies": dependencies}
    done = subprocess.run(
        [sys.executable, str(TOOLS / "audit.py"), "ask", str(requirements)],
        env={
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "STUB": json.dumps({"answer": answer, "code": code, "stderr": "no connection"}),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == meaning
    assert text in done.stdout
