"""How many cores the process may use: by its affinity, its settings and its container's CPU quota.

Neither the affinity nor `os.process_cpu_count` knows of the quota, with which a container on a
machine of 64 cores may have half a one.
"""

import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["cpu_quota", "usable_cores"]


def usable_cores() -> int:
    """Return the smaller of the cores that Python reports and the quota rounded up, at least 1."""
    cores = _process_cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _process_cpu_count() -> int | None:
    """Do as `os.process_cpu_count` of Python 3.13 does: it honours `-X cpu_count`, too."""
    count: Callable[[], int | None] | None = getattr(os, "process_cpu_count", None)
    if count is not None:
        return count()
    ignored = sys.flags.ignore_environment
    setting = _option("cpu_count") or ("" if ignored else os.environ.get("PYTHON_CPU_COUNT", ""))
    if setting.isdecimal() and int(setting) > 0:
        return int(setting)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _option(name: str) -> str:
    # `-X name` alone is True, and has no number.
    value = sys._xoptions.get(name, "") if hasattr(sys, "_xoptions") else ""
    return value if isinstance(value, str) else ""


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the CPU quota of the process's control group and those above it, in cores.

    It is that of `cpu.max` (version 2), or of `cpu.cfs_quota_us` and `cpu.cfs_period_us` (version
    1), see cgroups(7). None: there is none.

    Args:
        root: The root of the file system.
    """
    return min(filter(None, map(_read_quota, _groups(root))), default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the process's control groups, and of all above them."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    mount = root / "sys/fs/cgroup"
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            tops = [mount, mount / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [mount / controllers, mount / "cpu"]
        else:
            continue
        # In a container the path may be the host's; then only the top of it is there to be seen.
        group = Path(path.lstrip("/"))
        for top in tops:
            yield from (top / folder for folder in (group, *group.parents))


def _read_quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            quota, _, period = (folder / "cpu.max").read_text().partition(" ")
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        limit = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None  # no such file, or `max`
    return limit if limit > 0 else None
