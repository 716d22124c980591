"""The cores that a process may use, read from made-up control groups."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from starlette_auth_hashers import _cores

Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return make


CASES: dict[str, tuple[dict[str, str], float | None]] = {
    "nothing": ({}, None),
    "version 2, no limit": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"},
        None,
    ),
    "version 2, in a container": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"},
        1.5,
    ),
    "version 2, of another period": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 200000\n"},
        0.25,
    ),
    "version 2, of a service": (
        {
            "proc/self/cgroup": "0::/system.slice/app.service\n",
            "sys/fs/cgroup/system.slice/app.service/cpu.max": "200000 100000\n",
        },
        2.0,
    ),
    "version 2, the smallest of those above": (
        {
            "proc/self/cgroup": "0::/a/b/c\n",
            "sys/fs/cgroup/a/cpu.max": "100000 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
            "sys/fs/cgroup/a/b/c/cpu.max": "max 100000\n",
        },
        1.0,
    ),
    "version 2, a path of the host's": (
        {
            "proc/self/cgroup": "0::/kubepods/pod7/container\n",
            "sys/fs/cgroup/cpu.max": "400000 100000\n",
        },
        4.0,
    ),
    "version 2, a path outside of the namespace": (
        {"proc/self/cgroup": "0::/../../other\n", "sys/fs/cgroup/cpu.max": "400000 100000\n"},
        4.0,
    ),
    "version 1": (
        {
            "proc/self/cgroup": "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000\n",
        },
        2.5,
    ),
    "version 1, mounted by its own name": (
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/docker/x\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        0.5,
    ),
    "version 1, no limit": (
        {
            "proc/self/cgroup": "3:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        None,
    ),
    "both, as systemd's hybrid": (
        {
            "proc/self/cgroup": "1:cpu:/x\n0::/y\n",
            "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/unified/y/cpu.max": "200000 100000\n",
        },
        2.0,
    ),
    "nonsense": (
        {"proc/self/cgroup": "what\n\n::\n0::/\n", "sys/fs/cgroup/cpu.max": "many few\n"},
        None,
    ),
    "a period of 0": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 0\n"},
        None,
    ),
    "a quota alone": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000\n"}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_quota(write: Write, name: str) -> None:
    files, quota = CASES[name]

    assert _cores.cpu_quota(write(files)) == quota


def test_unreadable_file(write: Write) -> None:
    root = write({"proc/self/cgroup": ""})
    (root / "proc/self/cgroup").write_bytes(b"\xff\xfe")

    assert _cores.cpu_quota(root) is None


@pytest.mark.parametrize(
    ("affinity", "quota", "cores"),
    [(8, None, 8), (8, 2.0, 2), (8, 1.5, 2), (8, 0.1, 1), (2, 4.0, 2), (1, None, 1), (3, 2.01, 3)],
)
def test_smaller_of_affinity_and_quota_rounded_up(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: affinity, raising=False)
    monkeypatch.setattr(_cores, "cpu_quota", lambda: quota)

    assert _cores.usable_cores() == cores


@pytest.mark.parametrize(("count", "cores"), [(6, 6), (None, 1)])
def test_system_without_affinity(
    monkeypatch: pytest.MonkeyPatch, count: int | None, cores: int
) -> None:
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    monkeypatch.setattr(_cores, "cpu_quota", lambda: None)

    assert _cores.usable_cores() == cores


@pytest.mark.parametrize(
    ("option", "variable", "cores"),
    [
        (None, "3", 3),
        ("5", None, 5),
        ("5", "3", 5),
        ("default", "3", None),
        (None, "default", None),
        (True, "3", 3),
    ],
)
@pytest.mark.parametrize("newer", [False, True])
def test_setting_of_python_counts(
    monkeypatch: pytest.MonkeyPatch,
    option: str | bool | None,
    variable: str | None,
    cores: int | None,
    newer: bool,
) -> None:
    # `python -X cpu_count=n` and PYTHON_CPU_COUNT, new in Python 3.13.
    affinity = 7
    options = {} if option is None else {"cpu_count": option}
    monkeypatch.setattr(sys, "_xoptions", options)
    monkeypatch.delenv("PYTHON_CPU_COUNT", raising=False)
    if variable is not None:
        monkeypatch.setenv("PYTHON_CPU_COUNT", variable)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.setattr(_cores, "cpu_quota", lambda: None)
    if newer:
        monkeypatch.setattr(os, "process_cpu_count", lambda: cores or affinity, raising=False)

    assert _cores.usable_cores() == (cores or affinity)


@pytest.mark.parametrize("arguments", [["-X", "cpu_count=3"], []])
def test_workers_by_the_setting_of_python(arguments: list[str]) -> None:
    code = "from starlette_auth_hashers import _cores; print(_cores.usable_cores())"
    environment = os.environ | {"PYTHON_CPU_COUNT": "1"}
    done = subprocess.run(
        [sys.executable, *arguments, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    quota = _cores.cpu_quota()
    expected = 3 if arguments else 1
    assert int(done.stdout) == (expected if quota is None else min(expected, math.ceil(quota)))


def test_this_machine_has_some() -> None:
    assert _cores.usable_cores() >= 1
