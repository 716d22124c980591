"""The command `wrap`: weak hashes of a file become strong ones in another, whatever kills it."""

import csv
import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from starlette_auth_hashers import Argon2Hasher, LegacyHasher, WrappedHasher, _cli

CHEAP = Argon2Hasher(memory_cost=8, time_cost=1, parallelism=1)
HASHER = WrappedHasher(CHEAP, LegacyHasher("hex_md5"))


@pytest.fixture(autouse=True)
def _cheap_outer_hasher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cli, "Argon2Hasher", lambda: CHEAP)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "users.csv"
    path.write_bytes(
        b"\xef\xbb\xbfid;name;hash\r\n"
        + f'1;"a; b";{md5("one")}\r\n'.encode()
        + b"2;\xff;!unusable\r\n"
        + b'3;"two\r\nlines";"$2b$12$................"\r\n'
        + b"\r\n4\r\n"
        + f"5;e;{md5('five')}".encode()
    )
    return path


def md5(password: str) -> str:
    return hashlib.md5(password.encode()).hexdigest()


def run(source: Path, target: Path, *, column: str = "hash", inner: str = "hex_md5") -> Any:
    arguments = ["wrap", "--column", column, "--inner", inner, "--output", str(target), str(source)]
    return CliRunner().invoke(_cli.main, arguments)


def rows(path: Path) -> list[list[str]]:
    text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))


class TestWrap:
    def test_hashes_of_the_kind_are_wrapped_and_all_else_is_as_it_was(
        self, source: Path, tmp_path: Path
    ) -> None:
        target = tmp_path / "new.csv"
        before = source.read_bytes()
        result = run(source, target)

        assert result.exit_code == 0
        assert "6 rows; 2 hashes were wrapped" in result.stderr
        assert source.read_bytes() == before
        old, new = rows(source), rows(target)
        assert [row[:2] for row in old] == [row[:2] for row in new]
        assert HASHER.verify_sync("one", new[1][2])
        assert HASHER.verify_sync("five", new[-1][2])
        # Byte by byte.
        middle = before[before.index(b"2;\xff") : before.index(b"5;e")]
        assert middle in target.read_bytes()
        assert target.stat().st_mode & 0o777 == 0o600
        assert not (tmp_path / "new.csv.part").exists()

    def test_no_hash_of_the_kind(self, source: Path, tmp_path: Path) -> None:
        assert run(source, tmp_path / "new.csv", inner="hex_sha512").exit_code == 1
        assert (tmp_path / "new.csv").read_bytes() == source.read_bytes()

    def test_what_only_looks_like_one_is_copied(self, tmp_path: Path) -> None:
        source = tmp_path / "users.csv"
        source.write_text("hash\n$1$salt\n")

        assert run(source, tmp_path / "new.csv", inner="md5_crypt").exit_code == 1
        assert (tmp_path / "new.csv").read_bytes() == source.read_bytes()

    def test_again_is_nothing_to_do(self, source: Path, tmp_path: Path) -> None:
        target = tmp_path / "new.csv"
        run(source, target)
        made = target.read_bytes()

        assert run(source, target).exit_code == 0
        assert target.read_bytes() == made

    def test_shows_progress(self, source: Path, tmp_path: Path) -> None:
        assert "Wrapping" in run(source, tmp_path / "new.csv").stderr


class TestRefused:
    def test_never_in_place(self, source: Path, tmp_path: Path) -> None:
        before = source.read_bytes()
        link = tmp_path / "link.csv"
        os.link(source, link)
        (tmp_path / "symlink.csv").symlink_to(source)

        for target in (source, link, tmp_path / "symlink.csv", tmp_path / "x" / ".." / source.name):
            result = run(source, target)
            assert result.exit_code == 2
            assert "in place" in result.stderr
            assert source.read_bytes() == before

    def test_source_that_has_the_name_of_the_unfinished_copy(
        self, source: Path, tmp_path: Path
    ) -> None:
        before = source.read_bytes()
        part = source.rename(tmp_path / "new.csv.part")
        result = run(part, tmp_path / "new.csv")

        assert result.exit_code == 2
        assert "in place" in result.stderr
        assert part.read_bytes() == before

    @pytest.mark.parametrize("name", ["new.csv", "new.csv.part"])
    def test_plain_copy_is_not_taken_for_the_wrapped_one(
        self, name: str, source: Path, tmp_path: Path
    ) -> None:
        (tmp_path / name).write_bytes(source.read_bytes())
        result = run(source, tmp_path / "new.csv")

        assert result.exit_code == 2
        assert f"{name} was not made of this source" in result.stderr

    def test_output_of_something_else(self, source: Path, tmp_path: Path) -> None:
        target = tmp_path / "new.csv"
        for content in (b"x;y;z\n", b"\xef\xbb\xbfid;name;hash\r\n"):
            target.write_bytes(content)
            assert run(source, target).exit_code == 2
            assert target.read_bytes() == content

    def test_part_of_something_else(self, source: Path, tmp_path: Path) -> None:
        part = tmp_path / "new.csv.part"
        part.write_text("x;y;z\n")
        result = run(source, tmp_path / "new.csv")

        assert result.exit_code == 2
        assert "new.csv.part" in result.stderr
        assert part.read_text() == "x;y;z\n"

    def test_column_that_is_not_there(self, source: Path, tmp_path: Path) -> None:
        result = run(source, tmp_path / "new.csv", column="password")

        assert result.exit_code == 2
        assert "'id', 'name', 'hash'" in result.stderr

    def test_names(self, source: Path, tmp_path: Path) -> None:
        result = run(source, tmp_path / "new.csv", inner="werkzueg")
        assert result.exit_code == 2
        assert "werkzeug" in result.stderr
        assert run(tmp_path / "missing.csv", tmp_path / "new.csv").exit_code == 2

    def test_gzip(self, tmp_path: Path) -> None:
        source = tmp_path / "users.csv.gz"
        source.write_bytes(b"\x1f\x8b123")

        assert "unpack" in run(source, tmp_path / "new.csv").stderr

    def test_what_is_no_csv(self, tmp_path: Path) -> None:
        source = tmp_path / "users.csv"
        source.write_text("hash\n" + "x" * 200_000)

        assert run(source, tmp_path / "new.csv").exit_code == 2

    def test_folder_that_is_not_there(self, source: Path, tmp_path: Path) -> None:
        assert run(source, tmp_path / "none" / "new.csv").exit_code == 2


class TestResuming:
    @pytest.mark.parametrize("cut", [1, 15, 30, 200, 380])
    def test_goes_on_where_it_was_cut(self, cut: int, source: Path, tmp_path: Path) -> None:
        target, part = tmp_path / "new.csv", tmp_path / "new.csv.part"
        run(source, target)
        made = target.read_bytes()
        target.unlink()
        part.write_bytes(made[:cut])

        assert run(source, target).exit_code == 0
        kept = made[:cut].rpartition(b"\n")[0] if cut > 30 else b""
        assert target.read_bytes().startswith(kept.rpartition(b"\r\n")[0])
        new = rows(target)
        assert [row[:2] for row in new] == [row[:2] for row in rows(source)]
        assert HASHER.verify_sync("one", new[1][2])
        assert HASHER.verify_sync("five", new[-1][2])

    def test_killed_process(self, tmp_path: Path) -> None:
        source, target = tmp_path / "users.csv", tmp_path / "new.csv"
        count = 40
        lines = "".join(f"{i},{md5(str(i))}\n" for i in range(count))
        source.write_text("id,hash\n" + lines)
        command = [
            *(sys.executable, "-c", "from starlette_auth_hashers._cli import main; main()", "wrap"),
            *("--column", "hash", "--inner", "hex_md5", "--output", str(target), str(source)),
        ]
        part = tmp_path / "new.csv.part"

        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            while not part.exists() or part.read_bytes().count(b"\n") < 4:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        left = part.read_bytes()
        assert not target.exists()

        assert run(source, target).exit_code == 0
        assert target.read_bytes().startswith(left.rpartition(b"\n")[0])
        made = list(csv.reader(target.read_text().splitlines()))
        assert [row[0] for row in made] == ["id", *map(str, range(count))]
        hasher = WrappedHasher(Argon2Hasher(), LegacyHasher("hex_md5"))
        assert hasher.verify_sync("0", made[1][1])
        assert hasher.verify_sync(str(count - 1), made[-1][1])
