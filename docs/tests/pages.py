"""Reads the pages: their programs, what they have the reader type, and what comes back."""

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"
PROGRAMS = ROOT / "docs" / "programs"

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n"
    r"(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_INCLUDE = re.compile(r'--8<-- "(?P<path>[^":]+)"')


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    title: str | None
    body: str

    @property
    def included(self) -> Path | None:
        """The file that the block shows in full, if it shows one and nothing else."""
        match = _INCLUDE.fullmatch(self.body.strip())
        return ROOT / match["path"] if match else None


@dataclass
class Command:
    """What the reader types, and the lines that come back."""

    text: str
    answer: list[str] = field(default_factory=list)


def blocks(page: Path) -> list[Block]:
    return [
        Block(match["language"], match["title"], match["body"])
        for match in _FENCE.finditer(page.read_text())
    ]


def commands(block: Block) -> list[Command]:
    found: list[Command] = []
    for line in block.body.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif line.startswith("> "):
            found[-1].text += "\n" + line[2:]
        elif line.strip():
            found[-1].answer.append(line)
    return found


def is_answered_by(command: Command, output: str) -> bool:
    """Tell whether *output* is what the page says, where `…` stands for anything.

    Of an answer with headers the page may show some lines only, in their order.
    """
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    expected = [_pattern(line) for line in command.answer]
    if re.search(r"\bcurl\b.* -\w*i", command.text):
        rest = iter(lines)
        return all(any(pattern.fullmatch(line) for line in rest) for pattern in expected)
    return len(lines) == len(expected) and all(
        pattern.fullmatch(line) for pattern, line in zip(expected, lines, strict=True)
    )


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.rstrip().split("…"))), re.IGNORECASE)
