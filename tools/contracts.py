"""A kind of contract for import-linter: packages that hand on names, and define nothing."""

import ast
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class ReExportsOnly(Contract):
    """Every module of *packages* holds a docstring, `from … import …` and `__all__`."""

    packages: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at the statements of every module."""
        found = [
            f"{path}:{statement.lineno}"
            for package in self.packages
            for path in modules(package)
            for statement in ast.parse(path.read_text("utf-8")).body
            if not hands_on(statement)
        ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say where something is defined."""
        for place in check.metadata["found"]:
            output.print_error(f"More than names handed on: {place}")


def modules(package: str) -> list[Path]:
    """Return the files of a package."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"{package} is not on the path")
    return sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))


def hands_on(statement: ast.stmt) -> bool:
    """Tell whether a statement is one of the three that are allowed."""
    match statement:
        case ast.Expr(value=ast.Constant(value=str())) | ast.ImportFrom():
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
    return False
