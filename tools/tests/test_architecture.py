"""Each contract is broken on purpose, in a copy: a check that can't fail shows nothing."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from trees import ROOT

ARROWS = "Arrows between packages point one way"
HASHERS = "Hashers know nothing of Starlette and of the other packages"
CORE = "Schemes and sources know nothing of hash libraries and databases"
ORM = "The storages know nothing of how passwords are hashed"
PASSLIB = "What is odd about passlib is known in one module"
TOOLKIT = "The toolkit defines nothing"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    for package in ROOT.glob("packages/*/src/*/"):
        shutil.copytree(package, tmp_path / package.name)
    return tmp_path


def broken_contracts(sources: Path) -> set[str]:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--no-cache",
            f"--config={ROOT / 'pyproject.toml'}",
        ],
        cwd=sources,
        env={**os.environ, "PYTHONPATH": f"{sources}{os.pathsep}{ROOT}", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    broken = set(re.findall(r"^(.+) BROKEN", done.stdout, re.MULTILINE))
    assert done.returncode == bool(broken), done.stdout + done.stderr
    assert "Contracts:" in done.stdout
    return broken


def test_all_contracts_are_kept(sources: Path) -> None:
    assert broken_contracts(sources) == set()


@pytest.mark.parametrize(
    ("module", "statement", "contracts"),
    [
        ("starlette_auth_hashers/_base.py", "import starlette", {HASHERS}),
        ("starlette_auth_hashers/_workers.py", "from starlette import concurrency", {HASHERS}),
        ("starlette_auth_hashers/_base.py", "import sqlalchemy", {HASHERS}),
        ("starlette_auth_hashers/_base.py", "import starlette_auth_core", {HASHERS}),
        ("starlette_auth_hashers/_base.py", "import starlette_auth_orm", {ARROWS, HASHERS}),
        ("starlette_auth_hashers/_base.py", "import starlette_auth_sqlalchemy", {ARROWS, HASHERS}),
        ("starlette_auth_hashers/_multi.py", "import passlib.hash", {PASSLIB}),
        ("starlette_auth_core/_basic.py", "import passlib", {CORE}),
        ("starlette_auth_core/tokens.py", "    from passlib.hash import argon2", {CORE}),
        ("starlette_auth_core/_basic.py", "import sqlalchemy", {CORE}),
        ("starlette_auth_core/_basic.py", "import starlette_auth_hashers", {ARROWS, CORE}),
        ("starlette_auth_core/_basic.py", "import starlette_auth_multi", {ARROWS}),
        ("starlette_auth_fastapi/_login.py", "import starlette_auth_hashers", {ARROWS}),
        ("starlette_auth_fastapi/_login.py", "import sqlalchemy", {CORE}),
        ("starlette_auth_jwt/__init__.py", "import starlette_auth_hashers", {ARROWS}),
        ("starlette_auth_jwt/__init__.py", "import sqlalchemy", {CORE}),
        ("starlette_auth_multi/_multi.py", "import starlette_auth_orm", {ARROWS, CORE}),
        ("starlette_auth_multi/_multi.py", "import starlette_auth_toolkit", {ARROWS}),
        ("starlette_auth_orm/_basic.py", "import passlib", {ORM}),
        ("starlette_auth_orm/_basic.py", "import starlette_auth_hashers", {ARROWS, ORM}),
        ("starlette_auth_orm/_basic.py", "import starlette_auth_multi", {ARROWS}),
        ("starlette_auth_sessions/__init__.py", "import starlette_auth_sqlalchemy", {ARROWS, CORE}),
        ("starlette_auth_sqlalchemy/_basic.py", "import passlib", {ORM}),
        ("starlette_auth_sqlalchemy/_basic.py", "import starlette_auth_orm", {ARROWS}),
        ("starlette_auth_throttle/__init__.py", "import starlette_auth_hashers", {ARROWS}),
        ("starlette_auth_toolkit/backends.py", "ANSWER = 42", {TOOLKIT}),
        ("starlette_auth_toolkit/contrib/orm.py", "class ModelBasicAuth: ...", {TOOLKIT}),
        ("starlette_auth_toolkit/__init__.py", "def __getattr__(name): ...", {TOOLKIT}),
    ],
)
def test_each_contract_can_be_broken(
    sources: Path, module: str, statement: str, contracts: set[str]
) -> None:
    path = sources / module
    if statement.startswith(" "):
        statement = f"def late():\n{statement}"
    path.write_text(f"{path.read_text('utf-8')}\n\n{statement}\n", "utf-8")
    assert contracts <= broken_contracts(sources)
