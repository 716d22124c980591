"""Writes the results as Markdown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

QUIET = 0.1


def write(path: Path, about: dict[str, Any], sections: dict[str, list[dict[str, Any]]]) -> None:
    lines = [*head(about), *goals(sections)]
    for title, results in sections.items():
        lines += ["", f"## {title}"]
        for result in results:
            for table in result["tables"]:
                lines += ["", f"### {table['title']}", "", *rows(table)]
                if table["note"]:
                    lines += ["", table["note"]]
    lines += versions(sections)
    path.write_text("\n".join(lines) + "\n", "utf-8")


def head(about: dict[str, Any]) -> list[str]:
    lines = [
        "<!-- `nox -s bench` wrote this. -->",
        "",
        (
            f"Measured on {about['date']} with Python {about['python']}, in the "
            f"{about['form']} form, which took {about['minutes']:.0f} minutes."
        ),
        f"The machine: {about['machine']}.",
        "Each ratio is of one run in which the contestants took turns.",
        "In parentheses are the quartiles.",
    ]
    if about["most"] > QUIET:
        lines.append(
            "It was measured on a shared machine: between the parts, other programs used "
            f"{about['others']:.0%} of the processors (median), {about['most']:.0%} at most. "
            "Ratios bear that better than times do."
        )
    else:
        lines.append(
            f"Between the parts, other programs used at most {about['most']:.0%} of the processors."
        )
    return lines


def goals(sections: dict[str, list[dict[str, Any]]]) -> list[str]:
    lines = ["", "## Goals", "", "| Part | Goal | Measured | Met |", "| --- | --- | --- | --- |"]
    for title, results in sections.items():
        for result in results:
            for goal in result["goals"]:
                met = "yes" if goal["met"] else f"**no**: {goal['why_not']}"
                lines.append(f"| {title} | {goal['text']} | {goal['measured']} | {met} |")
    return lines


def rows(table: dict[str, Any]) -> Iterator[str]:
    yield row(table["columns"])
    yield row(["---"] * len(table["columns"]))
    for cells in table["rows"]:
        yield row(cells)


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def versions(sections: dict[str, list[dict[str, Any]]]) -> list[str]:
    found: dict[str, set[str]] = {}
    for results in sections.values():
        for result in results:
            for name, version in result["versions"].items():
                found.setdefault(name, set()).add(version)
    lines = ["", "## Versions", "", "| Distribution | Version |", "| --- | --- |"]
    lines += [
        f"| {name} | {', '.join(sorted(found[name]))} |" for name in sorted(found, key=str.lower)
    ]
    return lines
