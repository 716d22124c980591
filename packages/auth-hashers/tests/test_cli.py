"""The command: audits hashes without printing one, and finds settings for a machine."""

import gzip
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from starlette_auth_hashers import (
    Argon2Hasher,
    BCryptHasher,
    Hasher,
    LegacyHasher,
    PBKDF2Hasher,
    _audit,
    _cli,
)
from starlette_auth_hashers._audit import Report, audit_lines
from starlette_auth_hashers._recommendation import Finding, inspect

ARGON2 = (
    "$argon2id$v=19$m=65536,t=3,p=4$AyBEKIWwFqK0ltL6f+/d+w"
    "$2ZxsCN+jk/pWXXNdGs+GxItl8MHjFyWct/3XIgUBPpg"
)
WEAK_ARGON2 = ARGON2.replace("m=65536,t=3,p=4", "m=1024,t=2,p=1")
PBKDF2 = "$pbkdf2-sha256$600000$c2FsdA$RpqKekLDsQRoK.heXkABA27LArYywqjZlddExdJkmiU"
OLD_PBKDF2 = PBKDF2.replace("600000", "29000")
BCRYPT = "$2b$12$" + "." * 53
HEX = "0123456789abcdef0123456789abcdef"
ALL = [ARGON2, WEAK_ARGON2, PBKDF2, OLD_PBKDF2, BCRYPT, HEX]


def run(*arguments: str, stdin: str | bytes | None = None) -> Any:
    result = CliRunner().invoke(_cli.main, list(arguments), input=stdin)
    # Never a hash, whatever happens; nor a usable part of one.
    for hashed in ALL:
        assert hashed not in result.output
        assert hashed[-20:] not in result.output
    return result


def findings(result: Any) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(result.stdout)
    return report


class TestAudit:
    def test_one_good_hash(self) -> None:
        result = run("audit", ARGON2, "--json")

        assert result.exit_code == 0
        assert findings(result) == {
            "total": 1,
            "hashes": [
                {
                    "algorithm": "argon2",
                    "settings": "memory_cost=65536, time_cost=3, parallelism=4",
                    "verdict": "good",
                    "count": 1,
                }
            ],
        }

    @pytest.mark.parametrize(
        ("hashed", "verdict"),
        [
            (ARGON2, "good"),
            (WEAK_ARGON2, "too weak"),
            (PBKDF2, "good"),
            (OLD_PBKDF2, "too weak"),
            (BCRYPT, "good"),
            ("$2b$09$" + "." * 53, "too weak"),
            ("$argon2id$v=19$m=19456,t=2,p=1$AyBEKIWwFqK0ltL6f+/d+w$" + "A" * 43, "good"),
            ("$argon2id$v=19$m=47104,t=1,p=1$AyBEKIWwFqK0ltL6f+/d+w$" + "A" * 43, "good"),
            ("$argon2id$v=19$m=19456,t=1,p=1$AyBEKIWwFqK0ltL6f+/d+w$" + "A" * 43, "too weak"),
            ("$scrypt$ln=17,r=8,p=1$AAAA$" + "A" * 43, "good"),
            ("$scrypt$ln=15,r=8,p=1$AAAA$" + "A" * 43, "too weak"),
            ("$5$rounds=535000$salt$" + "." * 43, "not recommended"),
            ("pbkdf2_sha256$1000000$salt$" + "A" * 43 + "=", "good"),
            ("scrypt:32768:8:1$salt$" + "0" * 128, "too weak"),
            ("scrypt:131072:8:1$salt$" + "0" * 128, "good"),
            ("pbkdf2:sha256:1000000$salt$" + "0" * 64, "good"),
            ("pbkdf2:sha512:1000$salt$" + "0" * 128, "too weak"),
            ("pbkdf2:sha384:1000000$salt$" + "0" * 96, "not recommended"),
            (HEX, "no salt"),
            ("$y$j9T$RyDtkEyIpGnCD32JTstuC.$" + "." * 43, "not recommended"),
        ],
    )
    def test_verdicts(self, hashed: str, verdict: str) -> None:
        result = run("audit", hashed, "--json")

        assert findings(result)["hashes"][0]["verdict"] == verdict
        assert result.exit_code == (verdict != "good")

    def test_what_may_be_several_says_so(self) -> None:
        assert "hex_md5 or lmhash or nthash" in inspect(HEX).algorithm

    @pytest.mark.parametrize("beginning", ["$2a$", "$2b$", "$2y$"])
    def test_bcrypt_is_called_bcrypt_and_nothing_else(self, beginning: str) -> None:
        assert inspect(BCRYPT.replace("$2b$", beginning)).algorithm == "bcrypt"

    @pytest.mark.parametrize(
        ("hashed", "algorithm"),
        [
            # Django has made salts of 5, 12 and 22 characters, Werkzeug of 8 and 16.
            (f"md5$abcde${HEX}", "django_salted_md5"),
            (f"md5${'a' * 12}${HEX}", "django_salted_md5"),
            (f"sha1${'a' * 22}${HEX}{HEX[:8]}", "django_salted_sha1"),
            (f"sha1${'a' * 8}${HEX}{HEX[:8]}", "django_salted_sha1 or werkzeug hmac_sha1"),
            (f"sha256${'a' * 12}${HEX}{HEX}", "werkzeug hmac_sha256"),
            # passlib's name is the first one.
            ("$P$Babcdefgh" + 22 * ".", "phpass or wordpress phpass"),
            ("{SSHA}" + 32 * "A", "ldap_salted_sha1 or dovecot salted_sha1"),
        ],
    )
    def test_strings_that_several_programs_make(self, hashed: str, algorithm: str) -> None:
        report = Report()
        audit_lines([hashed.encode()], report)

        assert [finding.algorithm for finding in report.counts] == [algorithm]
        assert inspect(hashed).algorithm == algorithm

    def test_peppered_and_wrapped_hashes_are_as_good_as_the_hash_within(self) -> None:
        for before, name in (
            ("$pepper$2026$", "argon2 with a pepper"),
            ("$wrapped$hex_md5$$", "argon2 over hex_md5"),
            ("$wrapped$hex_md5$$$pepper$2026$", "argon2 with a pepper over hex_md5"),
        ):
            found = inspect(before + ARGON2)
            assert (found.algorithm, found.verdict) == (name, "good")
            assert inspect(before + WEAK_ARGON2).verdict == "too weak"
            for nothing in ("", "!", "x"):
                assert inspect(before + nothing).algorithm == "unknown"

    def test_passlib_shows_no_part_of_a_malformed_hash(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        run("audit", stdin="$scram$6400$.Z/znnNOKWUsBaCU$sha-17aBcDeFgHiJkLmNoPqRsTuVwXy")

        assert "AbCdEfGh".lower() not in caplog.text.lower()

    def test_directory(self, tmp_path: Path) -> None:
        result = run("audit", str(tmp_path))

        assert result.exit_code == 2
        assert "It is a directory" in result.stderr

    def test_source_without_a_hash_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "empty.txt").touch()
        result = run("audit", str(tmp_path / "empty.txt"))

        assert result.exit_code == 2
        assert "empty.txt: The input has no hash" in result.stderr

    def test_pipe(self, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_text, args=(BCRYPT,))
        writer.start()
        result = run("audit", "--json", str(pipe))
        writer.join()

        assert findings(result)["total"] == 1

    def test_all_of_ours_are_known(self) -> None:
        for hasher in (Hasher("fshp", rounds=1), Hasher("mssql2005"), Hasher("des_crypt")):
            assert hasher._algorithm.name in inspect(hasher.make_sync("secret")).algorithm
        assert not LegacyHasher("werkzeug").identify(HEX)

    def test_lines_of_standard_input(self) -> None:
        lines = "\n".join([*ALL, "", "  ", ARGON2, "!", "nonsense\0", "x" * 100_000])
        for arguments in ((), ("-",)):
            result = run("audit", *arguments, "--json", stdin=lines)
            report = findings(result)
            assert result.exit_code == 1
            assert report["total"] == 10
            counts = {(row["algorithm"], row["verdict"]): row["count"] for row in report["hashes"]}
            assert counts["argon2", "good"] == 2
            assert counts["unknown", "of no kind known here"] == 2
            assert counts["no password", "no password"] == 1

    def test_table(self) -> None:
        result = run("audit", stdin="\n".join(ALL * 1000))

        assert "6,000 hashes" in result.stdout
        assert re.search(r"pbkdf2_sha256 .* rounds=29000 .* too weak .* 1,000", result.stdout)

    def test_progress_is_beside_the_table(self) -> None:
        result = run("audit", stdin=ARGON2)

        assert "Auditing" in result.stderr
        assert "Auditing" not in result.stdout

    def test_file(self, tmp_path: Path) -> None:
        path = tmp_path / "hashes.txt"
        path.write_text("\n".join(ALL))

        assert findings(run("audit", str(path), "--json"))["total"] == 6
        assert findings(run("audit", str(path), ARGON2, "--json"))["total"] == 7

    def test_csv(self, tmp_path: Path) -> None:
        path = tmp_path / "users.csv"
        path.write_text(f'name,password\n"a, b",{ARGON2.replace(",", "")}\nc,"{ARGON2}"\nd,\ne\n')

        report = findings(run("audit", str(path), "--column", "password", "--json"))
        assert report["total"] == 2
        assert {row["algorithm"] for row in report["hashes"]} == {"argon2", "unknown"}
        assert run("audit", "--column", "password", stdin=f"password\n{BCRYPT}\n").exit_code == 0

    @pytest.mark.parametrize("content", ["name,hash\na,b\n", "", f"{BCRYPT}\n"])
    def test_csv_without_the_column(self, content: str) -> None:
        result = run("audit", "--column", "password", stdin=content)

        assert result.exit_code == 2
        assert "no such column" in result.stderr
        assert result.stdout == ""

    def test_csv_that_is_none(self) -> None:
        result = run("audit", "--column", "a", stdin="a\n" + "x" * 200_000)

        assert result.exit_code == 2
        assert "can't be read" in result.stderr

    def test_binary_file(self, tmp_path: Path) -> None:
        path = tmp_path / "hashes"
        path.write_bytes(b"\xff\xfe\0" * 100 + b"\n" + BCRYPT.encode())

        assert findings(run("audit", str(path), "--json"))["total"] == 2

    def test_binary_standard_input(self) -> None:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "from starlette_auth_hashers._cli import main; main()",
                "audit",
                "--json",
            ],
            input=b"\xff\xfe\0" * 100 + b"\n" + BCRYPT.encode(),
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        )

        assert json.loads(done.stdout)["total"] == 2

    @pytest.mark.parametrize("arguments", [(), ("--column", "password")])
    def test_byte_order_mark(self, arguments: tuple[str, ...], tmp_path: Path) -> None:
        # Spreadsheets and Windows write one.
        content = "\ufeff" + "password\n" * bool(arguments) + BCRYPT
        path = tmp_path / "hashes"
        path.write_text(content, encoding="utf-8")

        assert run("audit", str(path), *arguments).exit_code == 0
        assert run("audit", *arguments, stdin=content).exit_code == 0

    @pytest.mark.parametrize("source", ["missing.txt", ARGON2[:40], "", "$argon2id"])
    def test_neither_file_nor_hash(self, source: str) -> None:
        result = run("audit", source)

        assert result.exit_code == 2
        assert "no such file" in result.stderr
        assert not source or source not in result.output

    def test_unreadable_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "hashes"
        path.write_text("x")

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError("no")

        monkeypatch.setattr("rich.progress.open", refuse)
        assert run("audit", str(path)).exit_code == 2

    @pytest.mark.parametrize("content", ["", "\n", " \n\r\n", "\ufeff"])
    def test_nothing_is_not_good(self, content: str) -> None:
        result = run("audit", stdin=content)

        assert result.exit_code == 2
        assert "no hash" in result.stderr


class TestRows:
    """Which rows are not good, and which kinds of files there are."""

    @pytest.mark.parametrize("marker", ["!", "!!", "*", "*LK*", "*NP*", "!" + "aB3" * 13 + "x"])
    def test_no_password(self, marker: str) -> None:
        result = run("audit", "--json", stdin=f"{marker}\n{ARGON2}\n")

        verdicts = {row["algorithm"]: row["verdict"] for row in findings(result)["hashes"]}
        assert verdicts["no password"] == "no password"
        assert result.exit_code == 0
        assert run("audit", marker).exit_code == 0

    @pytest.mark.parametrize(
        "hashed",
        ["grub.pbkdf2.sha512.10000." + 64 * "A" + "." + 128 * "A", "A" * 13, "A" * 24, "A" * 16],
    )
    def test_what_may_be_several_is_audited(self, hashed: str) -> None:
        result = run("audit", "--json", stdin=f"{hashed}\n{BCRYPT}\n")

        assert findings(result)["total"] == 2
        assert result.exit_code == 1

    def test_hash_of_grub_of_any_length(self) -> None:
        for size in range(1, 80):
            hashed = f"grub.pbkdf2.sha512.10000.{'AB' * size}.{'AB' * 64}"
            assert inspect(hashed).algorithm == "grub_pbkdf2_sha512"

    @pytest.mark.parametrize("padding", [" ", "\t", "   "])
    def test_padded_hash_is_not_good(self, padding: str) -> None:
        assert not BCryptHasher(rounds=4).verify_sync("secret", BCRYPT + padding)
        result = run("audit", stdin=f"{BCRYPT}{padding}\n")

        assert result.exit_code == 1
        assert "padded" in result.stdout

    def test_what_is_too_expensive_is_not_good(self) -> None:
        assert inspect("$2b$31$" + "." * 53).verdict == "too expensive"

    def test_older_kinds_of_argon2_are_not_good(self) -> None:
        for kind in (ARGON2.replace("argon2id", "argon2i"), ARGON2.replace("v=19", "v=16")):
            assert inspect(kind).verdict == "too weak"

    def test_weak_rows_by_line(self) -> None:
        lines = f"{ARGON2}\n\n{HEX}\n!\n{OLD_PBKDF2}\n{HEX}"
        result = run("audit", "--weak", stdin=lines)

        listed = [line for line in result.stdout.splitlines() if re.match("[0-9]+: ", line)]
        assert [line.partition(":")[0] for line in listed] == ["3", "5", "6"]
        assert listed[1] == "5: too weak: pbkdf2_sha256, rounds=29000"
        report = findings(run("audit", "--weak", "--json", stdin=lines))
        assert [row["line"] for row in report["weak"]] == [3, 5, 6]
        assert report["weak"][0]["verdict"] == "no salt"
        assert report["total"] == 5

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_weak_rows_by_id(self, separator: str) -> None:
        rows = [["id", "name", "hash"], ["7", "a", HEX], ["8", "b", BCRYPT], ["9", "c", ""]]
        content = "\r\n".join(separator.join(row) for row in rows)
        arguments = ("audit", "--column", "hash", "--weak", "--id", "id")

        assert "2 (7): no salt: hex_md4 or hex_md5" in run(*arguments, stdin=content).stdout
        report = findings(run(*arguments, "--json", stdin=content))
        assert report["total"] == 2
        assert [(row["line"], row["id"]) for row in report["weak"]] == [(2, "7")]

    def test_id_needs_a_column(self) -> None:
        assert run("audit", "--weak", "--id", "id", stdin=HEX).exit_code == 2
        assert run("audit", "--column", "a", "--id", "id", stdin=HEX).exit_code == 2

    def test_id_of_a_short_row(self) -> None:
        content = f"hash,id\n{HEX}\n"
        arguments = ("audit", "--column", "hash", "--weak", "--id", "id", "--json")

        assert findings(run(*arguments, stdin=content))["weak"][0]["id"] == ""

    @pytest.mark.parametrize("rest", ["", ":19000:0:99999:7:::"])
    def test_users_with_hashes(self, rest: str) -> None:
        lines = "\n".join(f"user{i}:{hashed}{rest}" for i, hashed in enumerate([*ALL, "!", ""]))
        report = findings(run("audit", "--json", "--weak", stdin=lines))

        assert report["total"] == 7
        assert all(row["algorithm"] != "unknown" for row in report["hashes"])
        assert [row["line"] for row in report["weak"]] == [2, 4, 6]

    def test_users_with_hashes_of_werkzeug(self) -> None:
        hashed = "pbkdf2:sha256:1000000$salt$" + "0" * 64
        for lines in (f"user:{hashed}", f"{hashed}\nuser:{hashed}", f"user:{hashed}\nother:x"):
            report = findings(run("audit", "--json", stdin=lines))
            names = [row["algorithm"] for row in report["hashes"]]
            assert "werkzeug pbkdf2_sha256" in names

    def test_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "hashes.gz"
        packed = gzip.compress(f"\ufeff{BCRYPT}\n".encode()) + gzip.compress(f"{HEX}\n".encode())
        path.write_bytes(packed)

        assert findings(run("audit", str(path), "--json"))["total"] == 2
        assert findings(run("audit", "--json", stdin=packed))["total"] == 2
        path.write_bytes(gzip.compress(f"hash;x\n{BCRYPT};1\n".encode()))
        assert run("audit", str(path), "--column", "hash").exit_code == 0

    def test_gzip_of_many_blocks(self) -> None:
        packed = gzip.compress(f"{BCRYPT}\n".encode() * 60_000)

        assert findings(run("audit", "--json", stdin=packed))["total"] == 60_000

    def test_many_different_settings(self) -> None:
        lines = "\n".join(BCRYPT.replace("$12$", f"${i % 30 + 4:02}$") for i in range(90))
        digest = "A" * 43 + "="
        pbkdf2 = "\n".join(f"pbkdf2_sha256${i}$salt${digest}" for i in range(600_000, 604_200))
        report = findings(run("audit", "--json", stdin=f"{lines}\n{pbkdf2}"))

        assert report["total"] == 4290

    @pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:10] + b"xxxx"])
    def test_damaged_gzip(self, damage: Callable[[bytes], bytes]) -> None:
        result = run("audit", stdin=damage(gzip.compress(f"{BCRYPT}\n".encode() * 100)))

        assert result.exit_code == 2
        assert "gzip data is damaged" in result.stderr

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_csv_without_a_column_names_the_option(self, separator: str, tmp_path: Path) -> None:
        path = tmp_path / "users.csv"
        path.write_text(separator.join(["id", "name", "password"]) + "\n" + "1,a,b\n")
        result = run("audit", str(path))

        assert result.exit_code == 2
        assert "--column" in result.stderr
        assert "users.csv" in result.stderr
        assert "'id', 'name', 'password'" in result.stderr

    def test_csv_without_names(self) -> None:
        result = run("audit", stdin=f"1;alice;{HEX}\n")

        assert result.exit_code == 2
        assert "--column" in result.stderr

    def test_columns_that_exist_are_named(self, tmp_path: Path) -> None:
        path = tmp_path / "users.csv"
        path.write_text("id;name;hash\n1;a;b\n")
        result = run("audit", str(path), "--column", "password")

        assert result.exit_code == 2
        assert "users.csv" in result.stderr
        assert "'password'" in result.stderr
        assert "'id', 'name', 'hash'" in result.stderr

    @pytest.mark.parametrize("source", ["x" * 5000, "a\0b", "/" * 5000])
    def test_argument_that_is_no_name_of_a_file(self, source: str) -> None:
        result = run("audit", source)

        assert result.exit_code == 2
        assert source not in result.output

    def test_long_argument_is_audited(self) -> None:
        hashed = "pbkdf2:sha256:1000000$" + "s" * 900 + "$" + "0" * 64

        assert run("audit", hashed).exit_code == 0

    def test_million_characters_without_a_line_end(self) -> None:
        result = run("audit", "--json", stdin="x" * 3_000_000 + "\n" + BCRYPT)

        assert findings(result)["total"] == 2

    def test_blocks_are_cut_between_lines(self) -> None:
        lines = "".join(f"{line}\n" for line in ALL * 6000)
        report = findings(run("audit", "--json", "--weak", stdin=lines))

        assert report["total"] == 36_000
        assert [row["line"] for row in report["weak"]][-1] == 36_000
        assert len(report["hashes"]) == 6

    @pytest.mark.parametrize("count", [3, 4200])
    def test_many_different_strings(self, count: int) -> None:
        lines = "\n".join(f"nonsense {i}" for i in range(count))

        assert findings(run("audit", "--json", stdin=lines))["hashes"][0]["count"] == count

    @pytest.mark.parametrize(
        "line",
        [
            "{SSHA512}%s",
            "{SMD5}%s",
            "*%s",
            "$scrypt$ln=16,r=8,p=1$%s$" + 43 * "A",
            "AQAAAAIAAYagAAAAEA%s==",
            "AA%s==",
            "{BLF-CRYPT}$2y$05$%s",
            "{SHA512-CRYPT}$6$salt$%s",
            "{bcrypt}$2a$10$%s",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=4$%s$" + 43 * "A",
        ],
    )
    def test_hashes_of_one_kind_are_parsed_once(
        self, line: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes = {"{SSHA512}": 96, "{SMD5}": 32, "*": 40, "$scrypt$": 22, "AQA": 64, "AA": 64}
        sizes |= {"{BLF": 53, "{SHA512-": 86, "{bcrypt}": 53, "{ARGON2ID}": 22}
        size = next(size for beginning, size in sizes.items() if line.startswith(beginning))
        lines = "\n".join(
            line % (f"{number:08}".rjust(size - 1, "0") + "A") for number in range(99)
        )
        parsed: list[str] = []

        def note(hashed: str) -> Finding:
            parsed.append(hashed)
            return inspect(hashed)

        monkeypatch.setattr(_audit, "inspect", note)
        report = Report()
        audit_lines([lines.encode()], report)

        (finding,) = report.counts
        assert finding.algorithm != "unknown"
        assert len(parsed) < 5

    def test_shapes_are_judged_like_single_hashes(self) -> None:
        for known in json.loads((Path(__file__).parent / "known_hashes.json").read_text("utf-8")):
            for hashed in known["stored"]:
                for text in (hashed, hashed[:-1], hashed + "x", hashed.replace("$", "", 1)):
                    report = Report()
                    audit_lines([text.encode()], report)
                    assert list(report.counts) == [inspect(text)]


class TestCalibrate:
    @pytest.fixture(autouse=True)
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have a hash take a made-up time: 10 ms for each pass of Argon2 over 64 MiB, and so on."""
        clock = [0.0]

        def make(self: Hasher, secret: str) -> str:
            costs = self._algorithm.costs
            if isinstance(self, Argon2Hasher):
                clock[0] += costs["memory_cost"] / 65_536 * costs["time_cost"] / 100
            elif isinstance(self, BCryptHasher):
                clock[0] += 2 ** costs["rounds"] / 20_000
            else:
                clock[0] += costs["rounds"] / 3_000_000
            return ""

        monkeypatch.setattr(Hasher, "make_sync", make)
        monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    @pytest.mark.parametrize(
        ("arguments", "call"),
        [
            ("", "Argon2Hasher(memory_cost=65536, time_cost=25, parallelism=4)"),
            ("--target 250ms", "Argon2Hasher(memory_cost=65536, time_cost=25, parallelism=4)"),
            ("--target 0.1s", "Argon2Hasher(memory_cost=65536, time_cost=10, parallelism=4)"),
            # Two passes over 32 MiB would take 10.
            ("--target 8ms", "Argon2Hasher(memory_cost=19456, time_cost=2, parallelism=4)"),
            ("--target 6ms", "Argon2Hasher(memory_cost=19456, time_cost=2, parallelism=4)"),
            (
                "--memory 131072 --target 100ms",
                "Argon2Hasher(memory_cost=131072, time_cost=5, parallelism=4)",
            ),
            ("--algorithm bcrypt --target 250ms", "BCryptHasher(rounds=12)"),
            ("--algorithm bcrypt --target 1s", "BCryptHasher(rounds=14)"),
            ("--algorithm pbkdf2 --target 250ms", "PBKDF2Hasher(rounds=750000)"),
        ],
    )
    def test_finds_what_fits(self, arguments: str, call: str) -> None:
        result = run("calibrate", *arguments.split())

        assert result.stdout == call + "\n"
        assert "ms here" in result.stderr
        assert "Calibrating" in result.stderr
        assert result.exit_code == 0

    @pytest.mark.parametrize(
        ("arguments", "call"),
        [
            ("--target 1ms", "Argon2Hasher(memory_cost=19456, time_cost=2, parallelism=4)"),
            ("--target 1ms --algorithm bcrypt", "BCryptHasher(rounds=10)"),
            ("--target 1ms --algorithm pbkdf2", "PBKDF2Hasher(rounds=600000)"),
        ],
    )
    def test_slow_machine_gets_the_least(self, arguments: str, call: str) -> None:
        result = run("calibrate", *arguments.split())

        assert result.stdout == call + "\n"
        assert "Nothing that is recommended is faster" in result.stderr
        assert result.exit_code == 1

    @pytest.mark.parametrize(
        "target", ["250", "ms", "-1ms", "0ms", "1h", "61s", "nan", "1e3ms", ""]
    )
    def test_target_is_a_time(self, target: str) -> None:
        result = run("calibrate", "--target", target)

        assert result.exit_code == 2
        assert "250ms" in result.stderr

    def test_missing_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(**_: int) -> None:
            raise ImportError('pip install "starlette-auth-hashers[argon2]"')

        monkeypatch.setattr(_cli, "Argon2Hasher", fail)
        result = run("calibrate")

        assert result.exit_code == 2
        assert "starlette-auth-hashers[argon2]" in result.stderr

    def test_call_works_as_printed(self) -> None:
        result = run("calibrate", "--algorithm", "pbkdf2")

        hasher = eval(result.stdout, {"PBKDF2Hasher": PBKDF2Hasher})
        assert repr(hasher) + "\n" == result.stdout


class TestCommand:
    def test_help_is_enough(self) -> None:
        assert "audit" in run("--help").output
        for command in ("audit", "calibrate", "wrap"):
            text = run(command, "--help").output
            assert "Exit codes" in text
            assert "OWASP" in text
            assert all(len(line) <= 80 for line in text.splitlines())

    @pytest.mark.parametrize("command", ["audit", "calibrate", "wrap"])
    def test_help_is_wrapped_where_the_line_ends(self, command: str) -> None:
        text = run(command, "--help").output.partition("╭")[0]
        paragraphs = re.split(r"\n\s*\n", text)

        for paragraph in paragraphs:
            lines = [line.strip() for line in paragraph.splitlines() if line.strip()]
            for line, following in itertools.pairwise(lines):
                assert len(line) + len(following.split()[0]) + 1 > 70

    def test_version(self) -> None:
        result = run("--version")

        assert result.exit_code == 0
        assert version("starlette-auth-hashers") in result.output

    def test_real_one(self, tmp_path: Path) -> None:
        command = shutil.which("starlette-auth-hashers", path=str(Path(sys.executable).parent))
        assert command is not None
        path = tmp_path / "hashes"
        path.write_text(f"{ARGON2}\n{HEX}\n")

        done = subprocess.run(
            [command, "audit", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "2 hashes" in done.stdout
        assert HEX not in done.stdout + done.stderr

        done = subprocess.run(
            [command, "calibrate", "--target", "1ms", "--algorithm", "pbkdf2"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "PBKDF2Hasher(rounds=600000)\n")

    @pytest.mark.parametrize("missing", ["typer", "rich"])
    def test_missing_extra(self, missing: str) -> None:
        code = f"import sys; sys.modules[{missing!r}] = None; import starlette_auth_hashers._cli"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )

        assert done.returncode == 2
        assert done.stderr == (
            'The command needs its extra: pip install "starlette-auth-hashers[cli]"\n'
        )

    def test_audit_needs_no_bcrypt(self, run_python: Callable[..., str]) -> None:
        code = f"""
            import sys
            sys.modules["bcrypt"] = None
            from starlette_auth_hashers._recommendation import Finding, inspect
            print(inspect({ARGON2!r}).verdict, inspect({BCRYPT!r}).verdict)
        """
        assert run_python(code) == "good good"
