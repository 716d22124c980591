"""Asks pip-audit about what is installed, and tells three answers apart.

Exit code 0: all of it was audited, and nothing is known. 1: something is known. 2: it could not be
asked, so nothing is known about anything.
"""

import json
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CLEAN, VULNERABLE, COULD_NOT = 0, 1, 2


def main() -> None:
    """Write down what is installed, or ask about what was: `freeze FILE`, `ask FILE`."""
    action, file = sys.argv[1:]
    if action == "freeze":
        Path(file).write_text(freeze(), "utf-8")
    else:
        code, text = ask(Path(file))
        print(text)
        sys.exit(code)


def freeze() -> str:
    """Return what is installed, but for our own packages, as lines `name==version`."""
    ours = {path.parent.name for path in Path("packages").glob("*/pyproject.toml")}
    installed = {item.metadata["Name"]: item.version for item in distributions()}
    return "".join(
        f"{name}=={version}\n"
        for name, version in sorted(installed.items())
        if name.removeprefix("starlette-") not in ours
    )


def ask(requirements: Path) -> tuple[int, str]:
    """Return what pip-audit has to say, as an exit code and a text."""
    expected = len(requirements.read_text("utf-8").split())
    with TemporaryDirectory() as temporary:
        answer = Path(temporary, "answer.json")
        done = subprocess.run(  # noqa: S603 - no shell, and arguments of ours
            [
                *(sys.executable, "-m", "pip_audit", "--strict", "--progress-spinner=off"),
                *("--no-deps", "--disable-pip", f"--requirement={requirements}"),
                *("--format=json", f"--output={answer}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        found = json.loads(answer.read_text("utf-8")) if answer.exists() else None
    code, text = judge(done.returncode, found, expected)
    if code == COULD_NOT and done.stderr.strip():
        text += f" pip-audit said: {done.stderr.strip().splitlines()[-1]}"
    return code, text


def judge(returncode: int, found: dict[str, Any] | None, expected: int) -> tuple[int, str]:
    """Return what the answer of pip-audit means, as an exit code and a text."""
    dependencies = found["dependencies"] if found else []
    vulnerable = [
        f"{item['name']} {item['version']}: {vulnerability['id']}"
        for item in dependencies
        for vulnerability in item.get("vulns", ())
    ]
    if vulnerable:
        return VULNERABLE, "Known vulnerabilities:\n" + "\n".join(vulnerable)
    audited = sum("skip_reason" not in item for item in dependencies)
    if returncode or not expected or audited < expected:
        return COULD_NOT, f"Could not audit: {audited} of {expected} distributions were looked up."
    return CLEAN, f"Audited {audited} distributions: no known vulnerabilities."


if __name__ == "__main__":
    main()
