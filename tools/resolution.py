"""Resolves `starlette-auth-toolkit>=1` as users do, with pip and with uv.

A bare `starlette-auth-toolkit` may become release 0.5.0, which had no bounds. With `>=1` there is
a working set, or an honest conflict beside SQLAlchemy 2.
"""

import json
import subprocess
import sys
from tempfile import TemporaryDirectory
from venv import EnvBuilder

NAME = "starlette-auth-toolkit"
WANTED = f"{NAME}>=1"


def main() -> None:
    """Resolve with the wheels in the folder that the command line names."""
    offered = f"--find-links={sys.argv[1]}"
    for installer in ("pip", "uv"):
        with TemporaryDirectory() as folder:
            EnvBuilder().create(folder)
            python = f"{folder}/bin/python"
            installed = install(installer, python, offered, WANTED)
            assert installed.returncode == 0, installed.stdout + installed.stderr
            versions = listed(python)
            assert versions[NAME].split(".")[0] != "0", versions
            assert versions["sqlalchemy"].startswith("1.4."), versions
            checked = run(installer, "check", python)
            assert checked.returncode == 0, checked.stdout + checked.stderr
            print(f"{installer}: {WANTED} became {versions[NAME]}, a working set")

        with TemporaryDirectory() as folder:
            EnvBuilder().create(folder)
            python = f"{folder}/bin/python"
            conflict = install(installer, python, offered, WANTED, "sqlalchemy>=2")
            said = conflict.stdout + conflict.stderr
            assert conflict.returncode != 0, f"no conflict beside SQLAlchemy 2:\n{said}"
            assert "conflict" in said or "unsatisfiable" in said, said
            assert NAME not in listed(python), listed(python)
            print(f"{installer}: {WANTED} beside sqlalchemy>=2 is a conflict")


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
    return subprocess.run(  # noqa: S603 - no shell, and arguments of ours
        [*command, *arguments], capture_output=True, text=True, check=False
    )


def listed(python: str) -> dict[str, str]:
    """Return what is installed in the environment of *python*."""
    done = run("pip", "list", python, "--format=json")
    return {item["name"].lower(): item["version"] for item in json.loads(done.stdout)}


if __name__ == "__main__":
    main()
