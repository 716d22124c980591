"""The cores that a process may use, read from made-up control groups."""

import os
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
    monkeypatch.setattr(_cores, "cpu_quota", lambda: quota)

    assert _cores.usable_cores() == cores


@pytest.mark.parametrize(("count", "cores"), [(6, 6), (None, 1)])
def test_system_without_affinity(
    monkeypatch: pytest.MonkeyPatch, count: int | None, cores: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    monkeypatch.setattr(_cores, "cpu_quota", lambda: None)

    assert _cores.usable_cores() == cores


def test_this_machine_has_some() -> None:
    assert _cores.usable_cores() >= 1
