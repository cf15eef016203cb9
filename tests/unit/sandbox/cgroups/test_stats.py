"""What the files of a group mean."""

from __future__ import annotations

import pytest

from layerkit.sandbox.cgroups import stats
from layerkit.sandbox.cgroups.group import Cgroup
from layerkit.sandbox.cgroups.hierarchies import Hierarchy
from layerkit.sandbox.cgroups.stats import Stats

V1 = {
    "memory.usage_in_bytes": "5000\n",
    "memory.limit_in_bytes": "33554432\n",
    "memory.stat": "cache 7\ninactive_file 1\ntotal_inactive_file 2000\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "cpuacct.usage": "1234567\n",
    "pids.current": "4\n",
    "pids.max": "100\n",
    "blkio.throttle.io_service_bytes_recursive": (
        "8:0 Read 100\n8:0 Write 20\n8:0 Total 120\n8:16 Read 1\nTotal 121\n"
    ),
}
V2 = {
    "memory.current": "5000\n",
    "memory.max": "33554432\n",
    "memory.stat": "anon 7\ninactive_file 2000\n",
    "memory.events": "low 0\noom 4\noom_kill 3\n",
    "cpu.stat": "usage_usec 1234\nuser_usec 1000\n",
    "pids.current": "4\n",
    "pids.max": "100\n",
    "io.stat": "8:0 rbytes=100 wbytes=20 rios=3\n8:16 rbytes=1\n253:0 \n",
}
NAMES = {1: ("memory", "cpuacct", "pids", "blkio"), 2: ("memory", "cpu", "pids", "io")}


def group(folder, version, contents):
    """A group of one tree with these files."""
    (folder / "g").mkdir()
    for name, content in contents.items():
        (folder / "g" / name).write_text(content)
    return Cgroup("g", (Hierarchy(version, NAMES[version], str(folder)),))


@pytest.mark.parametrize(
    ("version", "contents", "cpu"), [(1, V1, 1_234_567), (2, V2, 1_234_000)], ids=["v1", "v2"]
)
def test_both_versions_tell_the_same(tmp_path, version, contents, cpu):
    """All figures of `docker stats`, the page cache that can be dropped left out."""
    found = group(tmp_path, version, contents)

    assert found.stats() == Stats(cpu, 3000, 33_554_432, 4, 100, 101, 20)
    assert found.oom_kills() == 3


@pytest.mark.parametrize(
    ("version", "changes"),
    [
        (1, {"memory.limit_in_bytes": "9223372036854771712\n", "pids.max": "max\n"}),
        (2, {"memory.max": "max\n", "pids.max": "max\n"}),
    ],
    ids=["v1", "v2"],
)
def test_no_limit_is_none(tmp_path, version, changes):
    """However a version spells that there is no limit, it is None."""
    found = group(tmp_path, version, (V1 if version == 1 else V2) | changes).stats()

    assert (found.memory_limit, found.pids_limit) == (None, None)


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_that_is_gone_has_no_figures(tmp_path, version):
    """Files that are missing, or have nothing in them, are no error."""
    gone = Cgroup("gone", (Hierarchy(version, NAMES[version], str(tmp_path)),))

    assert gone.stats() == Stats(read=0, written=0)
    assert (gone.oom_kills(), gone.pids()) == (0, [])


def test_nothing_is_counted_without_controllers():
    """Without any tree every figure is None, and nobody was killed."""
    assert stats.read((), "g") == Stats()
    assert stats.oom_kills((), "g") == 0
