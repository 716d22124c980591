"""Draws the results."""

import io
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

OURS, OTHER, GOOD = "#1b6ca8", "#b0b7bf", "#2e8b57"

Sections = dict[str, list[dict[str, Any]]]


def draw(path: Path, about: dict[str, Any], sections: Sections) -> None:
    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "starlette-auth-toolkit",
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    figure = Figure(figsize=(10, 12), layout="constrained")
    axes = figure.subplots(3, 2)
    hashing(axes[0][0], pictured(sections, "hashing"))
    growth(axes[0][1], pictured(sections, "growth"))
    storms = pictured(sections, "storm")
    logins, of_storm = storms["logins"], storms["variants"]
    storm(axes[1][0], of_storm, "ping p99", "ms", f"{logins} logins at once: ping p99")
    storm(axes[1][1], of_storm, "memory", "MiB", f"{logins} logins at once: peak memory")
    of_requests = pictured(sections, "requests")
    requests(axes[2][0], [entry for entry in of_requests if "Starlette" in entry[0]])
    requests(axes[2][1], [entry for entry in of_requests if "FastAPI" in entry[0]])
    figure.suptitle(f"{about['date']}, {about['machine']}", fontsize=8, color="#555")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(embeddable(text.getvalue()), "utf-8")


def embeddable(svg: str) -> str:
    """Return it as a page can include it: no prologue, no empty lines, and readable when dark."""
    svg = svg[svg.index("<svg") :]
    svg = svg.replace("<svg ", '<svg role="img" aria-label="The results of the benchmarks" ', 1)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines() if line.strip())


def pictured(sections: Sections, name: str) -> Any:
    found: Any = None
    for results in sections.values():
        for result in results:
            if name in result["picture"]:
                more = result["picture"][name]
                found = more if found is None else found + more
    return found


def hashing(axes: Axes, bars: list[list[Any]]) -> None:
    plain = [bar for bar in bars if bar[1] not in {"pwdlib", "Django"}]
    for place, (_, _, median, low, high) in enumerate(reversed(plain)):
        axes.plot([low, high], [place, place], color=OTHER, linewidth=4)
        axes.plot([median], [place], "o", color=OURS)
    axes.axvline(1, color="#555", linewidth=0.8)
    axes.axvline(1.02, color=GOOD, linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(plain)), [name for name, *_ in reversed(plain)])
    axes.set_title("Hashing: time over the plain library's (goal: 1.02)")


def growth(axes: Axes, lines: dict[str, list[float]]) -> None:
    for name, values in lines.items():
        style = "-" if name.startswith("SQLite") else "--"
        axes.plot([10, 1_000, 100_000, 1_000_000], values, style, marker="o", label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("users, tokens")
    axes.set_ylabel("µs")
    axes.legend(fontsize=7)
    axes.set_title("A look-up in the database")


def storm(axes: Axes, variants: dict[str, Any], what: str, unit: str, title: str) -> None:
    names = list(reversed(variants))
    for place, name in enumerate(names):
        median, low, high = variants[name][what]
        axes.barh(place, median, color=OURS if name == "ours" else OTHER)
        axes.plot([low, high], [place, place], color="#555", linewidth=1)
        axes.annotate(f"  {median:,.0f} {unit}", (max(median, high), place), va="center")
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.margins(x=0.25)
    axes.set_title(title)


def requests(axes: Axes, entries: list[list[Any]]) -> None:
    labels = []
    for place, (title, kind, name, median) in enumerate(reversed(entries)):
        of_its_time = ", on its Starlette" if "of its time" in title else ""
        labels.append(f"{kind}: {name}{of_its_time}")
        axes.barh(place, median, color=OURS if name == "ours" else OTHER)
        axes.annotate(f" {median:.1f}", (median, place), va="center", fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_title(
        f"A request in a {'FastAPI' if 'FastAPI' in entries[0][0] else 'Starlette'} app, µs"
    )
