"""Counts the stored hashes of files, of millions of lines, in the memory of a block of one."""

import csv
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ._recommendation import UNKNOWN, Finding, inspect
from ._shapes import Shapes, compile_shapes, simplify
from ._verifier import MAX_HASH_SIZE

__all__ = ["Report", "Unreadable", "Weak", "audit_columns", "audit_lines", "open_table", "read"]

_BLOCK_SIZE = 1 << 20
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SEPARATORS = ",;\t"
_LINES = compile_shapes(before="", after=r"\r?$")
# `/etc/shadow` has other fields behind it.
_USERS = compile_shapes(before="[^:\n]*:", after=r"(?::|\r?$)")
_MOST_REMEMBERED = 4096
# A column of this kind may be shown.
_NAME = re.compile(r"[A-Za-z_][\w .-]{0,31}")


class Unreadable(Exception):
    """Raised for what can't be audited. Its message never holds a part of it."""


@dataclass(frozen=True, slots=True)
class Weak:
    """A row that is not good.

    Attributes:
        line: Its line, from 1.
        id: What its column of ids holds, if there is one.
        finding: How it stands.
    """

    line: int
    id: str | None
    finding: Finding


class Report:
    """What was found in all sources.

    Args:
        list_weak: Called for each row that is not good, where they are asked for.
    """

    def __init__(self, list_weak: Callable[[Weak], None] | None = None) -> None:
        self.counts: Counter[Finding] = Counter()
        self.list_weak = list_weak
        self._by_shape: dict[bytes, Finding] = {}
        self._by_text: dict[str, Finding] = {}

    def add(self, hashed: str, line: int = 0, id: str | None = None) -> None:  # noqa: A002
        """Count one hash."""
        self._note(self.find(hashed), line, id)

    def add_block(self, block: bytes, shapes: Shapes, first_line: int) -> None:
        """Count the hashes of whole lines, a hash in each."""
        if self.list_weak is None:
            self._count(block, shapes)
            return
        for number, line in enumerate(block.split(b"\n"), first_line):
            self._add_line(line, shapes, number)

    def find(self, hashed: str) -> Finding:
        """Return what *hashed* is."""
        match = _LINES.line.fullmatch(hashed.encode(errors="replace"))
        if match is not None and match[1] and not hashed.endswith("\r"):
            return self._of_shape(match[1], hashed)
        return self._of_text(hashed)

    def _count(self, block: bytes, shapes: Shapes) -> None:
        found = Counter(shapes.quick.findall(block))
        if found.pop(b"", 0):
            self._count_others(block, shapes)
        known = {shape: self._by_shape.get(simplify(shape)) for shape in found}
        if None in known.values():
            # One walk for all of them: each row may have settings of its own.
            for match in shapes.line.finditer(block):
                if match[1] and known[match[1]] is None:
                    known[match[1]] = self._of_shape(match[1], _hash_of(match[0], shapes))
        for shape, finding in known.items():
            if finding is not None:  # pragma: no branch - the walk has found all
                self.counts[finding] += found[shape]

    def _count_others(self, block: bytes, shapes: Shapes) -> None:
        """Count the lines of no shape."""
        others = Counter(line for _, line in shapes.line.findall(block))
        del others[b""]
        for line, count in others.items():
            if hashed := self._pick(line):
                self.counts[self._of_text(hashed)] += count

    def _add_line(self, line: bytes, shapes: Shapes, number: int) -> None:
        match = shapes.line.fullmatch(line)
        if match is not None and match[1]:
            self._note(self._of_shape(match[1], _hash_of(line, shapes)), number, None)
        elif hashed := self._pick(line):
            self._note(self._of_text(hashed), number, None)

    def _pick(self, raw: bytes) -> str:
        """Return the hash of a line that may be one of `user:hash`; "" if there is none."""
        line = raw.rstrip(b"\r").decode(errors="replace")
        if not line.strip():
            return ""
        if ":" not in line or self._of_text(line) is not UNKNOWN:
            return line
        _, _, rest = line.partition(":")
        return rest if self._of_text(rest) is not UNKNOWN else rest.partition(":")[0]

    def _of_shape(self, shape: bytes, hashed: str) -> Finding:
        shape = simplify(shape)
        finding = self._by_shape.get(shape)
        if finding is None:
            if len(self._by_shape) >= _MOST_REMEMBERED:
                self._by_shape.clear()
            finding = self._by_shape[shape] = inspect(hashed)
        return finding

    def _of_text(self, text: str) -> Finding:
        if len(text) > MAX_HASH_SIZE:
            return inspect(text)
        finding = self._by_text.get(text)
        if finding is None:
            if len(self._by_text) >= _MOST_REMEMBERED:
                self._by_text.clear()
            finding = self._by_text[text] = inspect(text)
        return finding

    def _note(self, finding: Finding, line: int, id_: str | None) -> None:
        self.counts[finding] += 1
        if self.list_weak is not None and finding.verdict not in {"good", "no password"}:
            self.list_weak(Weak(line, id_, finding))


def read(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of *stream*, which may be gzip, in blocks.

    Raises:
        Unreadable: If it is gzip, and damaged.
    """
    block = stream.read(_BLOCK_SIZE)
    if not block.startswith(_GZIP):
        block = block.removeprefix(_BYTE_ORDER_MARK)
        while block:
            yield block
            block = stream.read(_BLOCK_SIZE)
        return
    try:
        first = True
        for unpacked in _unpack(stream, block):
            yield unpacked.removeprefix(_BYTE_ORDER_MARK) if first else unpacked
            first = False
    except zlib.error:
        raise Unreadable("The gzip data is damaged") from None


def audit_lines(blocks: Iterable[bytes], report: Report) -> None:
    """Count the hashes of a file that has one in each line, or `user:hash`.

    Raises:
        Unreadable: If it is CSV.
    """
    shapes, number = None, 1
    for block in _whole_lines(blocks):
        if shapes is None:
            _refuse_csv(block)
            shapes = _USERS if _has_users(block) else _LINES
        report.add_block(block, shapes, number)
        number += block.count(b"\n") + 1


def audit_columns(
    blocks: Iterable[bytes], report: Report, column: str, id_column: str | None
) -> None:
    """Count the hashes of a column of CSV.

    Raises:
        Unreadable: If it is not CSV that has the columns.
    """
    header, rows = open_table(_text_lines(blocks), column, id_column)
    index = header.index(column)
    id_index = None if id_column is None else header.index(id_column)
    for row in rows:
        hashed = row[index] if index < len(row) else ""
        if hashed.strip():
            named = None if id_index is None else "".join(row[id_index : id_index + 1])
            report.add(hashed, rows.line_num, named)


def open_table(lines: Iterator[str], *columns: str | None) -> "tuple[list[str], csv._reader]":  # type: ignore[name-defined] # typeshed's name for it
    """Return the header of CSV, and a reader of its other rows.

    The separator is a comma, a semicolon or a TAB: the one by which the header has *columns*.

    Raises:
        Unreadable: If none does. The message names the columns that exist.
    """
    first = next(lines, "")
    headers = {each: next(csv.reader([first], delimiter=each), []) for each in _SEPARATORS}
    wanted = {column for column in columns if column is not None}
    separator = max(
        _SEPARATORS, key=lambda each: (wanted <= set(headers[each]), len(headers[each]))
    )
    header = headers[separator]
    for column in sorted(wanted - set(header)):
        raise Unreadable(
            f"The CSV has no such column in its first line: {column!r}. {_describe(header)}"
        )
    return header, _Rows(lines, separator)


class _Rows:
    """The rows of CSV behind its header, by the lines of the file."""

    def __init__(self, lines: Iterator[str], separator: str) -> None:
        self._reader = csv.reader(lines, delimiter=separator)
        self.separator = separator

    def __iter__(self) -> Iterator[list[str]]:
        return self._reader

    @property
    def line_num(self) -> int:
        """The line that the last row ended with, from 1."""
        return self._reader.line_num + 1


def _describe(header: list[str]) -> str:
    """Say which columns there are; a first line that may be a row is not repeated."""
    if not header or not all(_is_name(name) for name in header):
        return "The first line is not one of names"
    return f"The columns are {', '.join(map(repr, header))}"


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and inspect(text) is UNKNOWN


def _refuse_csv(block: bytes) -> None:
    first = next(filter(None, map(bytes.strip, block.split(b"\n"))), b"")
    line = first[:_BLOCK_SIZE].decode(errors="replace")
    if inspect(line) is not UNKNOWN or (":" in line and _known_behind_a_colon(line)):
        return
    for separator in _SEPARATORS:
        fields = next(csv.reader([line], delimiter=separator), []) if separator in line else []
        if all(map(_is_name, fields)) if len(fields) > 1 else False:
            raise Unreadable(
                f"It looks like CSV: name the column of the hashes by --column. {_describe(fields)}"
            )
        if any(inspect(field) is not UNKNOWN for field in fields if field):
            raise Unreadable(
                "It looks like CSV without names in its first line: put them there, and name the "
                "column of the hashes by --column"
            )


def _known_behind_a_colon(line: str) -> bool:
    return inspect(line.split(":")[1]) is not UNKNOWN


def _has_users(block: bytes) -> bool:
    lines = [line for line in block[:65_536].split(b"\n")[:100] if line.strip()]
    users = [line for line in lines if (match := _USERS.line.match(line)) is not None and match[1]]
    return 2 * len(users) > len(lines)


def _hash_of(line: bytes, shapes: Shapes) -> str:
    text = line.rstrip(b"\r").decode(errors="replace")
    if shapes is _USERS:
        _, _, text = text.partition(":")
        if not text.startswith(("scrypt:", "pbkdf2:")):
            text = text.partition(":")[0]
    return text


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks of whole lines, without the last line's end."""
    rest = b""
    for block in blocks:
        end = block.rfind(b"\n")
        if end >= 0:
            yield rest + block[:end]
            rest = block[end + 1 :]
        elif len(rest) < _BLOCK_SIZE:  # More of such a line is not kept: it is not a hash.
            rest += block
    if rest:
        yield rest


def _text_lines(blocks: Iterable[bytes]) -> Iterator[str]:
    for block in _whole_lines(blocks):
        yield from (line + "\n" for line in block.decode(errors="replace").split("\n"))


def _unpack(stream: BinaryIO, packed: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    while packed:
        unpacked = unpacker.decompress(packed, _BLOCK_SIZE)
        if unpacked:
            yield unpacked
        packed = unpacker.unconsumed_tail
        if unpacker.eof:
            # Files of gzip can be put behind one another.
            packed, unpacker = unpacker.unused_data, zlib.decompressobj(wbits=31)
            packed = packed or stream.read(_BLOCK_SIZE)
            continue
        packed = packed or stream.read(_BLOCK_SIZE)
        if not packed:
            raise zlib.error
