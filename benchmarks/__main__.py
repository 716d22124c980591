"""Runs all benchmarks, shows how far they are, and writes results.md and results.svg.

`nox -s bench` makes the environments and calls it; `nox -s bench -- --full` takes the time for
narrow spreads.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from picture import draw
from report import write
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

HERE = Path(__file__).parent


@dataclass
class Part:
    """A program of one of the parts, and in which environment it runs."""

    title: str
    program: str
    arguments: list[str] = field(default_factory=list)
    python: str = sys.executable


def parts(release: str) -> list[Part]:
    return [
        Part("Hashing overhead", "hashing.py"),
        Part("Failed logins amid a migration", "migration.py"),
        Part("Login storm", "storm.py", [release]),
        Part("Per request", "per_request.py", ["main"]),
        Part("Per request", "per_request.py", ["release"], release),
        Part("Stored tokens", "stored_tokens.py"),
        Part("Sessions", "sessions.py"),
        Part("JWTs", "jwts.py"),
        Part("Throttle", "throttle.py"),
        Part("Repeated Basic", "caching.py"),
        Part("Growth", "growth.py"),
        Part("Files of hashes", "stored_hashes.py"),
        Part("Import time and footprint", "footprint.py"),
    ]


def run(part: Part, *, full: bool, progress: Progress) -> dict[str, Any]:
    """Run a program, show its steps, and return its result."""
    command = [part.python, str(HERE / part.program), *part.arguments, *(["--full"] * full)]
    environment = os.environ | {"SQLALCHEMY_SILENCE_UBER_WARNING": "1"}
    task = progress.add_task(part.title, total=None, text="starts")
    result: dict[str, Any] = {}
    said = 0.0
    with subprocess.Popen(  # noqa: S603 - a program of ours
        command, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            message = json.loads(line)
            if "result" in message:
                result = message["result"]
            else:
                done, total, text = message["done"], message["total"], message["text"]
                progress.update(task, completed=done, total=total, text=text)
                # In a log there are no bars until the end.
                if not progress.console.is_terminal and time.monotonic() > said + 5:
                    said = time.monotonic()
                    print(f"{part.title}: {done} of {total}, {text}", flush=True)
    if process.returncode or not result:
        sys.exit(f"{part.program} failed")
    progress.update(task, completed=1, total=1, text="done")
    return result


def busy(seconds: float = 2) -> float:
    """Return which part of the processors other programs use."""

    def ticks() -> list[int]:
        try:
            line = Path("/proc/stat").read_text().partition("\n")[0]
        except OSError:
            return [0, 0, 0, 1, 0]  # not on Linux: unknown
        return [int(number) for number in line.split()[1:9]]

    before = ticks()
    time.sleep(seconds)
    passed = [after - earlier for after, earlier in zip(ticks(), before, strict=True)]
    idle = passed[3] + passed[4]
    return 1 - idle / (sum(passed) or 1)


def machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (OSError, StopIteration, ValueError):
        return f"{model}, {os.cpu_count()} processors, {platform.system()}"
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} processors, {memory:.0f} GiB, {platform.system()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="take the time for narrow spreads")
    parser.add_argument("--release", required=True, help="a Python with release 0.5.0")
    parser.add_argument("--outdir", type=Path, default=HERE)
    arguments = parser.parse_args()
    started = time.monotonic()
    date = datetime.now(UTC)
    others = []
    sections: dict[str, list[dict[str, Any]]] = {}
    columns = (
        TextColumn("{task.description:26}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns) as progress:
        for part in parts(arguments.release):
            others.append(busy())
            result = run(part, full=arguments.full, progress=progress)
            sections.setdefault(part.title, []).append(result)
    about = {
        "date": f"{date:%Y-%m-%d}",
        "form": "full" if arguments.full else "quick",
        "minutes": (time.monotonic() - started) / 60,
        "machine": machine(),
        "python": platform.python_version(),
        "others": statistics.median(others),
        "most": max(others),
    }
    write(arguments.outdir / "results.md", about, sections)
    draw(arguments.outdir / "results.svg", about, sections)
    print(f"Written: {arguments.outdir / 'results.md'} and results.svg")


if __name__ == "__main__":
    main()
