"""The cores a process may use, as its affinity and its cgroups say."""

import os

import pytest

from phenoserve.engine.cores import available_cores


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch):
    """Let the process run on 64 cores, so that the quota decides."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


def file_tree(root, files):
    """Write files under a root, by their path."""
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


CGROUPS = {
    "no cgroups": ({}, 64),
    "version 2, quota": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
    "version 2, no quota": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 64),
    "version 2, a part of a core": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000 100000\n"},
        1,
    ),
    "version 2, two and a half": (
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"},
        3,
    ),
    "version 2, the parent's is less": (
        {
            "proc/self/cgroup": "0::/pods/mine\n",
            "sys/fs/cgroup/pods/mine/cpu.max": "800000 100000\n",
            "sys/fs/cgroup/pods/cpu.max": "400000 100000\n",
        },
        4,
    ),
    "version 2, the host's path in a container": (
        {"proc/self/cgroup": "0::/kubepods/pod1/abc\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"},
        3,
    ),
    "version 1, quota": (
        {
            "proc/self/cgroup": "5:memory:/a\n4:cpu,cpuacct:/a\n",
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000\n",
        },
        2,
    ),
    "version 1, no quota": (
        {
            "proc/self/cgroup": "1:cpu:/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
        64,
    ),
    "damaged": ({"proc/self/cgroup": "nonsense\n0::\n::\n", "sys/fs/cgroup/cpu.max": "x y z\n"}, 64),
    "a period of zero": ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000 0\n"}, 64),
}


@pytest.mark.parametrize(("files", "expected"), CGROUPS.values(), ids=CGROUPS)
def test_the_least_quota_decides(tmp_path, files, expected):
    """The cores are the least of the affinity and the quotas of the process's cgroups, rounded up to whole ones."""
    assert available_cores(file_tree(tmp_path, files)) == expected


def test_the_affinity_decides_where_it_is_less(tmp_path, monkeypatch):
    """A process bound to one core has one, whatever its quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "800000 100000\n"}
    assert available_cores(file_tree(tmp_path, files)) == 1


def test_a_system_without_affinity_has_its_cores(tmp_path, monkeypatch):
    """Where the system knows no affinity, the cores are those of the machine."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert available_cores(tmp_path) == 6


def test_this_machine_has_cores():
    """The real machine gives at least one core and at most its own."""
    assert 1 <= available_cores() <= 64
