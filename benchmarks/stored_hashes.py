"""Files of hashes: what `audit` and `wrap` take for a million rows, next to reading the lines."""

import csv
import hashlib
import random
import tempfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from measure import (
    Result,
    Spread,
    Steps,
    Table,
    hand_over,
    in_turns,
    options,
    processor_time,
    wall_time,
)

from starlette_auth_hashers import Argon2Hasher, LegacyHasher, WrappedHasher
from starlette_auth_hashers._audit import Report, audit_lines, read
from starlette_auth_hashers._wrap import wrap_file

MILLION = 1_000_000
WRAPPED_ROWS = 32
# Times the processor time of a loop over the lines.
MOST = 10
LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def write_hashes(path: Path, rows: int) -> None:
    """Write hashes of six kinds, of random digests."""
    chance = random.Random(20)  # noqa: S311 - nobody's passwords

    def base64_of(size: int) -> str:
        return b64encode(chance.randbytes(size)).decode().rstrip("=")

    def letters(size: int) -> str:
        return "".join(chance.choices(LETTERS, k=size))

    kinds: list[Callable[[], str]] = [
        lambda: f"$argon2id$v=19$m=65536,t=3,p=4${base64_of(16)}${base64_of(32)}",
        lambda: f"$2b$12${letters(53)}",
        lambda: f"pbkdf2_sha256$1000000${chance.randbytes(11).hex()}${base64_of(32)}=",
        lambda: f"scrypt:32768:8:1$0123456789abcdef${chance.randbytes(64).hex()}",
        lambda: f"$6${letters(16)}${letters(86)}",
        lambda: chance.randbytes(16).hex(),
    ]
    with path.open("w") as file:
        file.writelines(kinds[number % len(kinds)]() + "\n" for number in range(rows))


def loop(path: Path) -> None:
    with path.open() as file:
        for _ in file:
            pass


def audit(path: Path) -> None:
    report = Report()
    with path.open("rb") as file:
        audit_lines(read(file), report)
    assert len(report.counts) == 6


def wrap(folder: Path, hasher: WrappedHasher) -> None:
    target = folder / "new.csv"
    target.unlink(missing_ok=True)
    done = wrap_file(folder / "users.csv", target, "hash", hasher, lambda _: None)
    assert done.wrapped == WRAPPED_ROWS


def main() -> None:
    full = options(__doc__).full
    rounds, rows = (9, MILLION) if full else (3, MILLION // 10)
    scale = MILLION / rows
    steps = Steps(2 * rounds + 1)
    result = Result()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "hashes.txt"
        steps.step("writing hashes")
        write_hashes(path, rows)
        with (folder / "users.csv").open("w", newline="") as file:
            csv.writer(file).writerows(
                [
                    ["id", "hash"],
                    *(
                        [number, hashlib.md5(str(number).encode()).hexdigest()]  # noqa: S324 - weak
                        for number in range(WRAPPED_ROWS)
                    ),
                ]
            )
        read_figures = in_turns(
            {
                "a loop over the lines": processor_time(lambda: loop(path)),
                "audit": processor_time(lambda: audit(path)),
            },
            rounds,
            steps,
            "audit",
        )
        hasher = WrappedHasher(Argon2Hasher(), LegacyHasher("hex_md5"))
        wrapped = in_turns({"wrap": wall_time(lambda: wrap(folder, hasher))}, rounds, steps, "wrap")
    table = Table("Files of hashes", ["of a million rows", "time"])
    spreads = {
        each: Spread.of([value * scale for value in values])
        for each, values in read_figures.items()
    }
    for each, spread in spreads.items():
        table.rows.append([each, f"{spread.median:.2f} s of processor time"])
    hours = Spread.of(wrapped["wrap"]).median / WRAPPED_ROWS * MILLION / 3600
    table.rows.append(["wrap, by Argon2Hasher()", f"{hours:.0f} h on all cores"])
    table.note = f"Of six kinds of hashes; wrap was measured on {WRAPPED_ROWS} rows."
    result.tables.append(table)
    times = spreads["audit"].median / spreads["a loop over the lines"].median
    result.aim(
        f"an audit takes under {MOST} times the processor time of a loop over the lines",
        f"{times:.1f} times",
        met=times < MOST,
        why_not="A regular expression looks at each character.",
    )
    result.used("argon2-cffi", "passlib")
    hand_over(result)


if __name__ == "__main__":
    main()
