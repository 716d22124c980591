import importlib
import inspect
import json
import pkgutil
import subprocess
import sys

import pytest

import starlette_auth_core
import starlette_auth_hashers
import starlette_auth_multi
import starlette_auth_orm
import starlette_auth_toolkit

# The documented paths, and where what they hold is defined.
DOCUMENTED = {
    "starlette_auth_toolkit.base.backends": (
        starlette_auth_core,
        {"AuthBackend", "BaseBasicAuth", "BaseTokenAuth"},
    ),
    "starlette_auth_toolkit.backends": (starlette_auth_multi, {"MultiAuth"}),
    "starlette_auth_toolkit.contrib.orm": (starlette_auth_orm, {"ModelBasicAuth"}),
    "starlette_auth_toolkit.cryptography": (
        starlette_auth_hashers,
        {
            "Argon2Hasher",
            "BCryptHasher",
            "BaseHasher",
            "CryptHasher",
            "Hasher",
            "MultiHasher",
            "PBKDF2Hasher",
            "generate_random_string",
        },
    ),
    "starlette_auth_toolkit.datatypes": (starlette_auth_core, {"AuthResult"}),
    "starlette_auth_toolkit.exceptions": (starlette_auth_core, {"InvalidCredentials"}),
}

PARTS = {
    "starlette_auth_core",
    "starlette_auth_hashers",
    "starlette_auth_multi",
    "starlette_auth_orm",
}
LIBRARIES = {"databases", "orm", "passlib", "sqlalchemy", "starlette"}

# What importing each of them may load of those; the rest is not needed there.
NEEDED = {
    "starlette_auth_toolkit": set(),
    "starlette_auth_toolkit.base": set(),
    "starlette_auth_toolkit.base.backends": {"starlette_auth_core", "starlette"},
    "starlette_auth_toolkit.backends": {
        "starlette_auth_core",
        "starlette_auth_multi",
        "starlette",
    },
    "starlette_auth_toolkit.contrib": set(),
    "starlette_auth_toolkit.contrib.orm": {
        "starlette_auth_core",
        "starlette_auth_orm",
        "databases",
        "orm",
        "sqlalchemy",
        "starlette",
    },
    "starlette_auth_toolkit.cryptography": {"starlette_auth_hashers", "passlib"},
    "starlette_auth_toolkit.datatypes": {"starlette_auth_core", "starlette"},
    "starlette_auth_toolkit.exceptions": {"starlette_auth_core", "starlette"},
}


@pytest.mark.parametrize("path", DOCUMENTED)
def test_documented_names_are_the_objects_of_the_parts(path: str) -> None:
    part, names = DOCUMENTED[path]
    module = importlib.import_module(path)
    for name in names:
        assert getattr(module, name) is getattr(part, name)


@pytest.mark.parametrize("path", DOCUMENTED)
def test_a_module_offers_what_is_documented_and_nothing_else(path: str) -> None:
    module = importlib.import_module(path)
    assert module.__all__ == sorted(DOCUMENTED[path][1])
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == DOCUMENTED[path][1]


def test_there_is_no_other_module() -> None:
    modules = pkgutil.walk_packages(starlette_auth_toolkit.__path__, "starlette_auth_toolkit.")
    assert {module.name for module in modules} == NEEDED.keys() - {"starlette_auth_toolkit"}


@pytest.mark.parametrize("path", NEEDED)
def test_importing_one_module_loads_no_more_than_it_needs(path: str) -> None:
    program = f"import json, sys, {path}; print(json.dumps(list(sys.modules)))"
    # -W error, too: a first import warns about nothing.
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert result.stderr == ""
    loaded = {name.partition(".")[0] for name in json.loads(result.stdout)}
    assert loaded & (PARTS | LIBRARIES) == NEEDED[path]


def test_an_error_needs_no_argument() -> None:
    module = importlib.import_module("starlette_auth_toolkit.exceptions")
    assert str(module.InvalidCredentials()) == "Invalid credentials"


def test_a_random_string_is_of_letters_and_digits() -> None:
    module = importlib.import_module("starlette_auth_toolkit.cryptography")
    text = module.generate_random_string()
    assert len(text) == 32
    assert text.isalnum()
    assert text.isascii()
    assert len(module.generate_random_string(size=7)) == 7
