"""The command `starlette-auth-hashers`: audits stored hashes, and finds settings for a machine."""

import csv
import functools
import inspect
import json
import logging
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

from ._algorithms import Argon2Hasher, BCryptHasher, Hasher, PBKDF2Hasher
from ._audit import Report, Unreadable, Weak, audit_columns, audit_lines, read
from ._legacy import LegacyHasher
from ._recommendation import MINIMUM, Finding
from ._unavailable import HasherUnavailable
from ._wrap import wrap_file
from ._wrapped import WrappedHasher

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
    no_args_is_help=True,
    add_completion=False,
    # What it shows of a crash are the values of variables, hashes among them.
    pretty_exceptions_enable=False,
)
_messages = Console(stderr=True)

_LEAST_MEMORY = 19_456
_LONGEST = 60
_MOST_TRIALS = 5
_LONGEST_NAME = 256
# The verdicts that nothing has to be done about.
_FINE = frozenset({"good", "no password"})


def _command(function: Callable[..., None]) -> Callable[..., None]:
    """Add a command whose help is wrapped by the terminal, and not by the source."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    return main.command(help="\n\n".join(" ".join(each.split()) for each in paragraphs))(function)


def _print_version(version: bool) -> None:
    if version:
        sys.stdout.write(f"starlette-auth-hashers {metadata.version('starlette-auth-hashers')}\n")
        raise typer.Exit


@main.callback()
def _main(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version, and exit.",
        ),
    ] = False,
) -> None:
    """Audit stored password hashes, wrap weak ones, and find settings for a machine."""
    # passlib logs parts of malformed strings.
    logging.getLogger("passlib").setLevel(logging.CRITICAL)


@_command
def audit(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Files of hashes, `-` for standard input, or single hashes (in single quotes).",
            show_default="-",
        ),
    ] = None,
    *,
    column: Annotated[
        str | None,
        typer.Option(help="Read CSV with a header, and take the hashes from this column."),
    ] = None,
    weak: Annotated[
        bool, typer.Option("--weak", help="List the rows that are not good, by their lines.")
    ] = False,
    id_column: Annotated[
        str | None,
        typer.Option("--id", metavar="COLUMN", help="List the rows by this column of CSV, too."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Count stored hashes by kind and strength, and say how they stand today.

    The measure is the OWASP Password Storage Cheat Sheet. A file holds one hash in each line, or
    lines of `user:hash` (.htpasswd, /etc/shadow), or CSV (`--column`) that is separated by commas,
    semicolons or TABs; it may be packed by gzip. Empty lines and fields are left out. No hash is
    ever printed.

    Exit codes: 0 if all hashes are good, 1 if some are not, 2 if the input can't be read or has no
    hash.
    """
    if id_column is not None and (column is None or not weak):
        raise typer.BadParameter("--id needs --column and --weak")
    rows: list[dict[str, object]] = []
    report = Report(functools.partial(_list_weak, rows if as_json else None) if weak else None)
    for position, source in enumerate(sources or ["-"], 1):
        name = _describe(source, position)
        try:
            _audit_source(source, report, column, id_column)
        except Unreadable as error:
            _fail(f"{name}: {error}")
        except (OSError, csv.Error) as error:
            _fail(f"{name}: The input can't be read ({type(error).__name__})")
    if not report.counts:
        names = (_describe(source, position) for position, source in enumerate(sources or ["-"], 1))
        _fail(f"{', '.join(names)}: The input has no hash")
    findings = sorted(report.counts.items())
    if as_json:
        found = [_as_row(finding) | {"count": count} for finding, count in findings]
        output: dict[str, object] = {"total": report.counts.total(), "hashes": found}
        output |= {"weak": rows} if weak else {}
        sys.stdout.write(json.dumps(output, indent=2) + "\n")
    else:
        Console().print(_table(report.counts))
    if any(finding.verdict not in _FINE for finding in report.counts):
        raise typer.Exit(1)


def _audit_source(source: str, report: Report, column: str | None, id_column: str | None) -> None:
    if source == "-":
        with rich.progress.Progress(console=_messages) as progress:
            task = progress.add_task("Auditing", total=None)
            blocks = read(typer.get_binary_stream("stdin"))
            _audit_blocks(_tracked(blocks, progress, task), report, column, id_column)
    elif _is_file(source):
        with rich.progress.open(source, "rb", description="Auditing", console=_messages) as file:
            _audit_blocks(read(file), report, column, id_column)
    elif _is_folder(source):
        raise Unreadable("It is a directory: name the files in it")
    elif report.find(source).algorithm == "unknown":
        # It is not repeated: it may be a hash that a shell has cut.
        raise Unreadable("There is no such file, and it is not a hash either")
    else:
        report.add(source, 1)


def _audit_blocks(
    blocks: Iterable[bytes], report: Report, column: str | None, id_column: str | None
) -> None:
    if column is None:
        audit_lines(blocks, report)
    else:
        audit_columns(blocks, report, column, id_column)


def _tracked(
    blocks: Iterable[bytes], progress: rich.progress.Progress, task: rich.progress.TaskID
) -> Iterator[bytes]:
    for block in blocks:
        yield block
        progress.advance(task, len(block))


def _is_file(source: str) -> bool:
    """Return whether there is something to read: a pipe of a shell's `<(…)` is, too."""
    return _holds(source, lambda path: path.exists() and not path.is_dir())


def _is_folder(source: str) -> bool:
    return 0 < len(source) < _LONGEST_NAME and _holds(source, Path.is_dir)


def _holds(source: str, test: Callable[[Path], bool]) -> bool:
    try:
        return test(Path(source))
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return False


def _describe(source: str, position: int) -> str:
    """Return the name of a source. What is no file may be a hash, and is shown by its place."""
    if source == "-":
        return "Standard input"
    return source if _is_file(source) or _is_folder(source) else f"Source {position}"


def _list_weak(rows: list[dict[str, object]] | None, row: Weak) -> None:
    """Keep a row for JSON, or print it at once."""
    if rows is not None:
        rows.append(
            {"line": row.line} | ({} if row.id is None else {"id": row.id}) | _as_row(row.finding)
        )
        return
    named = "" if row.id is None else f" ({row.id})"
    settings = f", {row.finding.settings}" if row.finding.settings else ""
    sys.stdout.write(
        f"{row.line}{named}: {row.finding.verdict}: {row.finding.algorithm}{settings}\n"
    )


def _as_row(finding: Finding) -> dict[str, object]:
    return dict(vars(finding))


def _fail(message: str) -> NoReturn:
    _messages.print(message, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(2)


def _table(counts: Counter[Finding]) -> Table:
    table = Table("Algorithm", "Settings", "Verdict", title=f"{counts.total():,} hashes")
    table.add_column("Count", justify="right")
    colours = {"good": "green", "no password": "green", "too weak": "yellow"}
    for finding, count in sorted(counts.items()):
        colour = colours.get(finding.verdict, "red")
        verdict = f"[{colour}]{finding.verdict}[/]"
        table.add_row(finding.algorithm, finding.settings, verdict, f"{count:,}")
    return table


@_command
def wrap(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A file of CSV, with names in its first line.")
    ],
    column: Annotated[str, typer.Option(help="The column of the hashes.")],
    inner: Annotated[
        str, typer.Option(metavar="NAME", help="What the weak hashes are, as for LegacyHasher.")
    ],
    output: Annotated[Path, typer.Option(metavar="NEW", help="The file to make.")],
) -> None:
    """Make strong hashes of weak ones, without the passwords: Argon2id of each weak hash.

    It copies CSV to another file, never in place, and replaces the hashes of one kind; rows of
    other kinds are copied as they are. WrappedHasher(Argon2Hasher(), LegacyHasher(NAME)) verifies
    them. See OWASP Password Storage Cheat Sheet, "Upgrading Legacy Hashes".

    All cores work. The copy grows in NEW.part, and is renamed once it is complete: after a kill,
    the same command goes on where it was.

    Exit codes: 0 if NEW is complete, 1 if no row was of that kind, 2 if the input can't be read.
    """
    try:
        hasher = WrappedHasher(Argon2Hasher(), LegacyHasher(inner))
    except (ImportError, ValueError) as error:
        _fail(str(error))
    if not _is_file(str(source)):
        _fail("SOURCE: There is no such file")
    try:
        with rich.progress.Progress(console=_messages) as progress:
            task = progress.add_task("Wrapping", total=source.stat().st_size)
            done = wrap_file(
                source, output, column, hasher, functools.partial(progress.advance, task)
            )
    except Unreadable as error:
        _fail(f"{source}: {error}")
    except (OSError, csv.Error, HasherUnavailable) as error:
        _fail(f"{source}: It can't be wrapped ({type(error).__name__})")
    _messages.print(
        f"{output} has {done.rows:,} rows; {done.wrapped:,} hashes were wrapped now, and "
        f"{done.done_before:,} rows were there already.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if not done.wrapped and not done.done_before:
        raise typer.Exit(1)


class _Algorithm(Enum):
    ARGON2 = "argon2"
    BCRYPT = "bcrypt"
    PBKDF2 = "pbkdf2"


@_command
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
