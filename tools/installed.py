"""Imports every module of an installed package, and looks for what must not be there.

`python tools/installed.py starlette_auth_core --without passlib`
"""

import argparse
import importlib
import pkgutil
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Check the package that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package")
    parser.add_argument("--without", nargs="*", default=[])
    arguments = parser.parse_args()

    package = importlib.import_module(arguments.package)
    assert package.__file__ is not None
    if Path(package.__file__).is_relative_to(Path.cwd() / "packages"):
        sys.exit(f"{package.__file__} is the tree's, not an installed one")
    names = [name for _, name, _ in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    for name in names:
        # The command line needs the extra `cli`.
        if name.rpartition(".")[2] not in {"cli", "__main__"}:
            importlib.import_module(name)
    for name in arguments.without:
        if find_spec(name) is not None:
            sys.exit(f"{name} is installed beside {arguments.package}")
    version = distribution(arguments.package.replace("_", "-")).version
    print(f"{arguments.package} {version}: {len(names) + 1} modules imported")


if __name__ == "__main__":
    main()
