"""Wraps the weak hashes of a file of CSV into another file, and goes on where it was killed."""

import csv
import io
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ._audit import Unreadable, open_table
from ._cores import usable_cores
from ._wrapped import WrappedHasher

__all__ = ["Wrapped", "wrap_file"]

# Rows that wait for each thread.
_AHEAD = 8


@dataclass(frozen=True, slots=True)
class Wrapped:
    """What became of a file.

    Attributes:
        rows: How many rows it has, without the names of the columns.
        wrapped: How many hashes were wrapped now.
        done_before: How many rows an earlier run has left.
    """

    rows: int
    wrapped: int
    done_before: int


@dataclass(frozen=True, slots=True)
class _Row:
    text: str
    fields: list[str]


def wrap_file(
    source: Path,
    target: Path,
    column: str,
    hasher: WrappedHasher,
    advance: Callable[[int], None],
) -> Wrapped:
    """Copy *source* to *target*, with the hashes of *column* wrapped.

    Rows of other kinds are copied byte by byte. The copy is made beside *target*, in a file whose
    name ends in `.part`, row after row in the order of *source*; it gets its name once it is
    complete. So a run that was killed is continued by the next one.

    Args:
        source: A file of CSV, with names in its first line.
        target: The file to make.
        column: The column of the hashes.
        hasher: Wraps them.
        advance: Called with the bytes that were read.

    Raises:
        Unreadable: If *source* is not such a file, *target* is the same or exists and is another
            one, or the file beside it is of another source.
    """
    part = target.with_name(target.name + ".part")
    for made in (target, part):
        if os.path.realpath(source) == os.path.realpath(made) or (
            made.exists() and source.samefile(made)
        ):
            raise Unreadable(
                "--output must be another file than the source, with or without .part: nothing is "
                "done in place"
            )
    with _open(source, "r") as file:
        if file.buffer.peek(2)[:2] == b"\x1f\x8b":
            raise Unreadable("It is packed by gzip: unpack it first")
        first = file.readline().removeprefix("\ufeff")
        header, reader = open_table(iter([first]), column)
        index, separator = header.index(column), reader.separator
    with _open(source, "r") as file:
        rows = _read(file, separator)
        if target.exists():
            done, _ = _compare(rows, target, separator, index, hasher, whole=True)
            if next(rows, None) is None:
                return Wrapped(done - 1, 0, done - 1)
            raise Unreadable("--output exists already, and is not the complete copy of the source")
        done, size = _compare(rows, part, separator, index, hasher) if part.exists() else (0, 0)
        counts = _append(rows, part, size, separator, index, done, hasher, advance)
    part.replace(target)
    return counts


def _append(  # noqa: PLR0917 - it is the rest of `wrap_file`
    rows: Iterator[_Row],
    part: Path,
    size: int,
    separator: str,
    index: int,
    done: int,
    hasher: WrappedHasher,
    advance: Callable[[int], None],
) -> Wrapped:
    total, wrapped = done, 0
    waiting: deque[tuple[_Row, Future[str | None]]] = deque()
    workers = usable_cores()
    # Hashes are for nobody else's eyes.
    handle = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
    os.truncate(handle, size)
    os.lseek(handle, size, os.SEEK_SET)
    with (
        open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as copy,  # noqa: PTH123 - of a handle
        ThreadPoolExecutor(workers) as executor,
    ):

        def finish() -> None:
            nonlocal total, wrapped
            row, future = waiting.popleft()
            new = future.result()
            wrapped += new is not None
            copy.write(row.text if new is None else _replace(row, index, new, separator))
            # A kill leaves what the system was handed.
            copy.flush()
            total += 1
            advance(len(row.text))

        try:
            for row in rows:
                # The names of the columns are no hash.
                hashed = (
                    row.fields[index] if index < len(row.fields) and total + len(waiting) else ""
                )
                waiting.append((row, executor.submit(_wrap, hasher, hashed)))
                if len(waiting) > _AHEAD * workers:
                    finish()
            while waiting:
                finish()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
        os.fsync(copy.fileno())
    return Wrapped(total - 1, wrapped, max(done - 1, 0))


def _wrap(hasher: WrappedHasher, hashed: str) -> str | None:
    return hasher.wrap_sync(hashed) if hasher._can_wrap(hashed) else None


def _compare(
    rows: Iterator[_Row],
    copy: Path,
    separator: str,
    index: int,
    hasher: WrappedHasher,
    *,
    whole: bool = False,
) -> tuple[int, int]:
    """Walk over the rows of *copy* and those that they were made of.

    Returns:
        How many complete rows the copy has, and how many bytes.
    """
    count, size = 0, 0
    with _open(copy, "r") as file:
        for made in _read(file, separator):
            if not whole and not made.text.endswith(("\n", "\r")):
                break  # cut by the kill
            row = next(rows, None)
            if row is None or not _is_made_of(row, made, index, hasher, names=not count):
                raise Unreadable(f"{copy.name} was not made of this source: remove it")
            count += 1
            size += len(made.text.encode("utf-8", "surrogateescape"))
    return count, size


def _read(file: TextIO, separator: str) -> Iterator[_Row]:
    """Yield rows with the very text that they were read from."""
    lines: list[str] = []

    def remember() -> Iterator[str]:
        for line in file:
            lines.append(line)
            yield line

    for fields in csv.reader(remember(), delimiter=separator):
        yield _Row("".join(lines), fields)
        lines.clear()


def _replace(row: _Row, index: int, hashed: str, separator: str) -> str:
    end = row.text[len(row.text.rstrip("\r\n")) :]
    output = io.StringIO(newline="")
    fields = [*row.fields[:index], hashed, *row.fields[index + 1 :]]
    csv.writer(output, delimiter=separator, lineterminator=end).writerow(fields)
    return output.getvalue()


def _is_made_of(row: _Row, made: _Row, index: int, hasher: WrappedHasher, *, names: bool) -> bool:
    """Return whether a row of a copy is what becomes of *row*: a plain copy has weak hashes."""
    if _without(row.fields, index) != _without(made.fields, index):
        return False
    old, new = ("".join(each.fields[index : index + 1]) for each in (row, made))
    return new.startswith("$wrapped$") if not names and hasher._can_wrap(old) else new == old


def _without(fields: list[str], index: int) -> list[str]:
    return fields[:index] + fields[index + 1 :]


def _open(path: Path, mode: str) -> "io.TextIOWrapper[io.BufferedReader]":
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")  # type: ignore[return-value] # for reading
