"""How many cores this process may use: libraries see the machine, not a container's limits."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def available_cores(root: Path = Path("/")) -> int:
    """Count the cores this process may use: the least of its affinity and its cgroups' CPU quotas.

    Args:
        root: Root of the file system that holds `proc` and `sys`.

    Returns:
        At least 1; a quota that is not a whole number of cores is rounded up.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, min([affinity, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the CPU quota, in cores, of every cgroup this process is in and of every parent of one.

    A line of `/proc/self/cgroup` is `ID:CONTROLLERS:PATH`, the controllers empty in version 2 (Linux
    `cgroups(7)`). In a container the path may be the host's, of which only a parent is mounted: whatever
    folders are there are read.
    """
    mounts = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        inside = Path(path.lstrip("/"))
        if controllers == "":
            for folder in _self_and_parents(mounts, inside):
                yield from _quota(*_read(folder / "cpu.max").split()[:2])
        elif "cpu" in controllers.split(","):
            for mount in {mounts / controllers, mounts / "cpu"}:
                for folder in _self_and_parents(mount, inside):
                    yield from _quota(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _self_and_parents(mount: Path, inside: Path) -> Iterator[Path]:
    yield mount / inside
    for parent in inside.parents:
        yield mount / parent


def _quota(quota_us: str = "", period_us: str = "") -> Iterator[float]:
    """Yield `quota / period`, or nothing where there is no quota: `max` in version 2, `-1` in version 1."""
    quota, period = quota_us.strip(), period_us.strip()
    if quota.isdecimal() and period.isdecimal() and int(period) > 0:
        yield int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
