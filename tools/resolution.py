"""Resolves `starlette-auth-toolkit>=1` as users do, with pip and with uv.

A bare `starlette-auth-toolkit` may become release 0.5.0 in an old lock, which had no bounds. With
`>=1` there is a working set, alone, and beside either SQLAlchemy.
"""

import json
import subprocess
import sys
from tempfile import TemporaryDirectory
from venv import EnvBuilder

NAME = "starlette-auth-toolkit"
WANTED = f"{NAME}>=1"

# What an app requires beside it -> the beginnings of the versions that it gets.
BESIDE = {
    "nothing": {"sqlalchemy": "2.", "databases": "0.9."},
    "sqlalchemy<2": {"sqlalchemy": "1.4.", "databases": "0.8."},
    "sqlalchemy>=2": {"sqlalchemy": "2.", "databases": "0.9."},
}


def main() -> None:
    """Resolve with the wheels in the folder that the command line names."""
    offered = f"--find-links={sys.argv[1]}"
    for installer in ("pip", "uv"):
        for beside, expected in BESIDE.items():
            others = () if beside == "nothing" else (beside,)
            with TemporaryDirectory() as folder:
                EnvBuilder().create(folder)
                python = f"{folder}/bin/python"
                done(install(installer, python, offered, WANTED, *others))
                done(run(installer, "check", python))
                done(execute(python, "-c", "import starlette_auth_toolkit.contrib.orm"))
                versions = listed(python)
            assert versions[NAME].split(".")[0] != "0", versions
            for name, start in expected.items():
                assert versions[name].startswith(start), versions
            shown = ", ".join(f"{name} {versions[name]}" for name in (NAME, *expected))
            print(f"{installer}: {WANTED} beside {beside} became {shown}")


def done(process: subprocess.CompletedProcess[str]) -> None:
    """Raise an error unless the *process* succeeded."""
    assert process.returncode == 0, process.stdout + process.stderr


def install(installer: str, python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Install into the environment of *python*."""
    return run(installer, "install", python, *arguments)


def run(
    installer: str, action: str, python: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run pip or uv for the environment of *python*."""
    command = {
        "pip": [sys.executable, "-m", "pip", f"--python={python}", action],
        "uv": [sys.executable, "-m", "uv", "pip", action, f"--python={python}"],
    }[installer]
    return execute(*command, *arguments)


def execute(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    return subprocess.run(  # noqa: S603 - no shell, and arguments of ours
        command, capture_output=True, text=True, check=False
    )


def listed(python: str) -> dict[str, str]:
    """Return what is installed in the environment of *python*."""
    found = run("pip", "list", python, "--format=json")
    return {item["name"].lower(): item["version"] for item in json.loads(found.stdout)}


if __name__ == "__main__":
    main()
