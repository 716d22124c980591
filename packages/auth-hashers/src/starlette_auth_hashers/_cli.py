"""The command `starlette-auth-hashers`: audits stored hashes, and finds settings for a machine."""

import csv
import functools
import json
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated

from ._algorithms import Argon2Hasher, BCryptHasher, Hasher, PBKDF2Hasher
from ._recommendation import MINIMUM, Finding, inspect

try:
    import rich.progress
    import typer
    from rich.console import Console
    from rich.table import Table
except ImportError:  # pragma: no cover - a test takes them away from another process
    sys.stderr.write('The command needs its extra: pip install "starlette-auth-hashers[cli]"\n')
    raise SystemExit(2) from None

__all__ = ["main"]

main = typer.Typer(
    help="Audit stored password hashes, and find settings for a machine.",
    no_args_is_help=True,
    add_completion=False,
    # What it shows of a crash are the values of variables, hashes among them.
    pretty_exceptions_enable=False,
)
_messages = Console(stderr=True)

_LEAST_MEMORY = 19_456
_LONGEST = 60
_MOST_TRIALS = 5


class _Unreadable(Exception):
    """Raised for what can't be audited. Its message never holds a part of it."""


@main.command()
def audit(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Files of hashes, `-` for standard input, or single hashes (in single quotes).",
            show_default="-",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="Read CSV with a header, and take the hashes from this column."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Count stored hashes by kind and strength, and say how they stand today.

    The measure is the OWASP Password Storage Cheat Sheet. Files hold one hash per line, or are CSV
    (`--column`); empty lines and fields are left out. No hash is ever printed.

    Exit codes: 0 if all hashes are good, 1 if some are not, 2 if the input can't be read.
    """
    try:
        hashes = (hashed for source in sources or ["-"] for hashed in _read(source, column))
        counts = Counter(map(inspect, hashes))
    except _Unreadable as error:
        _messages.print(str(error), markup=False)
        raise typer.Exit(2) from None
    if as_json:
        rows = [vars(finding) | {"count": count} for finding, count in sorted(counts.items())]
        sys.stdout.write(json.dumps({"total": counts.total(), "hashes": rows}, indent=2) + "\n")
    else:
        Console().print(_table(counts))
    if any(finding.verdict != "good" for finding in counts):
        raise typer.Exit(1)


def _read(source: str, column: str | None) -> Iterator[str]:
    """Yield the hashes of *source*, with a progress bar."""
    if source != "-" and not Path(source).is_file():
        if inspect(source).algorithm == "unknown":
            # It is not repeated: it may be a hash that a shell has cut.
            raise _Unreadable("There is no such file, and it is no hash either")
        yield source
        return
    try:
        if source == "-":
            with rich.progress.Progress(console=_messages) as progress:
                # `sig` is the byte order mark that spreadsheets write.
                stdin = typer.get_text_stream("stdin", encoding="utf-8-sig", errors="replace")
                lines = progress.track(stdin, total=None, description="Auditing")
                yield from _pick(lines, column)
        else:
            with rich.progress.open(
                source, "r", encoding="utf-8-sig", errors="replace", newline="", console=_messages
            ) as file:
                yield from _pick(file, column)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _Unreadable(f"The input can't be read ({type(error).__name__})") from None


def _pick(lines: Iterable[str], column: str | None) -> Iterator[str]:
    if column is None:
        fields = lines
    else:
        table = csv.DictReader(lines)
        if column not in (table.fieldnames or ()):
            raise _Unreadable("The CSV has no such column in its first line")
        fields = (row[column] or "" for row in table)
    yield from filter(None, map(str.strip, fields))


def _table(counts: Counter[Finding]) -> Table:
    table = Table("Algorithm", "Settings", "Verdict", title=f"{counts.total():,} hashes")
    table.add_column("Count", justify="right")
    colours = {"good": "green", "too weak": "yellow"}
    for finding, count in sorted(counts.items()):
        colour = colours.get(finding.verdict, "red")
        verdict = f"[{colour}]{finding.verdict}[/]"
        table.add_row(finding.algorithm, finding.settings, verdict, f"{count:,}")
    return table


class _Algorithm(Enum):
    ARGON2 = "argon2"
    BCRYPT = "bcrypt"
    PBKDF2 = "pbkdf2"


@main.command()
def calibrate(
    target: Annotated[
        str, typer.Option(metavar="TIME", help="How long a hash may take, such as 250ms or 0.5s.")
    ] = "250ms",
    algorithm: Annotated[
        _Algorithm, typer.Option(help="What to find the settings of.")
    ] = _Algorithm.ARGON2,
    memory: Annotated[
        int,
        typer.Option(
            min=_LEAST_MEMORY,
            max=2_097_152,
            help="The most that a hash of Argon2 may take, in KiB.",
        ),
    ] = 65_536,
) -> None:
    """Find the strongest settings that keep within a time, and print the constructor call.

    They are never below the OWASP Password Storage Cheat Sheet. Run it where the app will run, with
    nothing else going on; logins that come at once share the machine.

    Exit codes: 0 if there are such settings, 1 if the weakest that are recommended take longer
    (they are printed all the same), 2 for wrong options or a missing package.
    """
    seconds = _parse_time(target)
    try:
        with rich.progress.Progress(console=_messages) as progress:
            task = progress.add_task("Calibrating", total=None)
            hasher, took = _find(algorithm, seconds, memory, lambda: progress.advance(task))
    except ImportError as error:
        _messages.print(str(error), markup=False)
        raise typer.Exit(2) from None
    sys.stdout.write(f"{hasher!r}\n")
    _messages.print(f"A hash takes {took * 1000:,.0f} ms here.")
    if took > seconds:
        _messages.print("Nothing that is recommended is faster.")
        raise typer.Exit(1)


def _parse_time(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,5}(?:\.[0-9]{1,5})?)(ms|s)", text)
    seconds = float(match[1]) / (1000 if match[2] == "ms" else 1) if match else 0.0
    if not 0 < seconds <= _LONGEST:
        raise typer.BadParameter(f"--target takes a time such as 250ms or 0.5s, up to {_LONGEST}s")
    return seconds


def _find(
    algorithm: _Algorithm, target: float, memory: int, advance: Callable[[], None]
) -> tuple[Hasher, float]:
    if algorithm is _Algorithm.BCRYPT:
        least = MINIMUM["bcrypt"][0]["rounds"]
        return _fit(lambda rounds: BCryptHasher(rounds=rounds), _by_power, least, target, advance)
    if algorithm is _Algorithm.PBKDF2:
        least = MINIMUM["pbkdf2_sha256"][0]["rounds"]
        return _fit(lambda rounds: PBKDF2Hasher(rounds=rounds), _by_factor, least, target, advance)
    # RFC 9106 section 4: as much memory as can be had, and then the passes that fit.
    while True:
        least = min(
            minimum["time_cost"]
            for minimum in MINIMUM["argon2"]
            if minimum["memory_cost"] <= memory
        )
        build = functools.partial(_build_argon2, memory)
        hasher, took = _fit(build, _by_factor, least, target, advance)
        if took <= target or memory == _LEAST_MEMORY:
            return hasher, took
        memory = max(memory // 2, _LEAST_MEMORY)


def _build_argon2(memory: int, passes: int) -> Hasher:
    return Argon2Hasher(memory_cost=memory, time_cost=passes)


def _fit(
    build: Callable[[int], Hasher],
    scale: Callable[[int, float], int],
    least: int,
    target: float,
    advance: Callable[[], None],
) -> tuple[Hasher, float]:
    """Return the dearest hasher that keeps within *target*, or the cheapest, and its time."""
    trials: dict[int, tuple[Hasher, float]] = {}
    cost = least
    while cost not in trials and len(trials) < _MOST_TRIALS:
        hasher = build(cost)
        seconds = _measure(hasher)
        trials[cost] = hasher, seconds
        advance()
        cost = max(least, scale(cost, target / seconds))
    fitting = [cost for cost, (_, seconds) in trials.items() if seconds <= target]
    return trials[max(fitting, default=min(trials))]


def _by_factor(cost: int, factor: float) -> int:
    return int(float(f"{cost * factor:.3g}"))


def _by_power(cost: int, factor: float) -> int:
    return min(cost + math.floor(math.log2(factor)), 31)


def _measure(hasher: Hasher) -> float:
    """Return the seconds that a hash takes: the best of three, since others disturb some."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        hasher.make_sync("correct horse battery staple")
        times.append(time.perf_counter() - start)
    return min(times)
