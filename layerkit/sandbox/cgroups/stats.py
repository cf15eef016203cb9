"""What a group has used so far, from the files of either version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit.sandbox.cgroups.files import number, pairs, text
from layerkit.sandbox.cgroups.hierarchies import folder, home_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerkit.sandbox.cgroups.hierarchies import Hierarchy

_NO_LIMIT = 1 << 60
"""Version 1 has a number near the largest one for no limit, by page size."""


class Stats(Struct, frozen=True):
    """What `docker stats` counts; None where no controller counts it, or there is no limit.

    `cpu` in nanoseconds of processor time; the rest in bytes, but `pids` in tasks. `memory` is
    without the page cache that could be dropped at once.
    """

    cpu: int | None = None
    memory: int | None = None
    memory_limit: int | None = None
    pids: int | None = None
    pids_limit: int | None = None
    read: int | None = None
    written: int | None = None


def read(hierarchies: Iterable[Hierarchy], group: str) -> Stats:
    """The figures of the group at this moment."""
    trees = tuple(hierarchies)
    memory, memory_limit = _memory(_place("memory", trees, group))
    pids = _place("pids", trees, group)
    blocks = _blocks(trees, group)
    return Stats(
        cpu=_cpu(trees, group),
        memory=memory,
        memory_limit=memory_limit,
        pids=pids and number(f"{pids[1]}/pids.current"),
        pids_limit=pids and number(f"{pids[1]}/pids.max"),
        read=None if blocks is None else blocks[0],
        written=None if blocks is None else blocks[1],
    )


def oom_kills(hierarchies: Iterable[Hierarchy], group: str) -> int:
    """How many processes of the group the kernel killed for want of memory."""
    place = _place("memory", tuple(hierarchies), group)
    if place is None:
        return 0
    version, path = place
    file = "memory.oom_control" if version == 1 else "memory.events"
    return pairs(f"{path}/{file}").get("oom_kill", 0)


def _place(
    controller: str, hierarchies: tuple[Hierarchy, ...], group: str
) -> tuple[int, str] | None:
    home = home_of(controller, hierarchies)
    return None if home is None else (home.version, folder(home, group))


def _cpu(hierarchies: tuple[Hierarchy, ...], group: str) -> int | None:
    if place := _place("cpuacct", hierarchies, group):
        return number(f"{place[1]}/cpuacct.usage")
    for tree in hierarchies:
        if tree.is_unified:  # counted without any controller
            used = pairs(f"{folder(tree, group)}/cpu.stat").get("usage_usec")
            return None if used is None else used * 1000
    return None


def _memory(place: tuple[int, str] | None) -> tuple[int | None, int | None]:
    """What is in use, and the limit."""
    if place is None:
        return None, None
    version, path = place
    used, limit, cache = {
        1: ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"),
        2: ("memory.current", "memory.max", "inactive_file"),
    }[version]
    now, most = number(f"{path}/{used}"), number(f"{path}/{limit}")
    dropped = pairs(f"{path}/memory.stat").get(cache, 0)
    if now is not None and dropped < now:
        now -= dropped
    return now, None if most is None or most >= _NO_LIMIT else most


def _blocks(hierarchies: tuple[Hierarchy, ...], group: str) -> tuple[int, int] | None:
    """The bytes read from and written to block devices."""
    if place := _place("blkio", hierarchies, group):
        content = text(f"{place[1]}/blkio.throttle.io_service_bytes_recursive")
        return _total(_blkio(content), "Read"), _total(_blkio(content), "Write")
    if place := _place("io", hierarchies, group):
        content = text(f"{place[1]}/io.stat")
        return _total(_io(content), "rbytes"), _total(_io(content), "wbytes")
    return None


def _blkio(content: str) -> Iterator[tuple[str, str]]:
    """Of lines such as `8:0 Read 4096`."""
    for line in content.splitlines():
        match line.split():
            case [_, name, value]:
                yield name, value


def _io(content: str) -> Iterator[tuple[str, str]]:
    """Of lines such as `8:0 rbytes=4096 wbytes=0`."""
    for line in content.splitlines():
        for word in line.split()[1:]:
            key, _, value = word.partition("=")
            yield key, value


def _total(found: Iterator[tuple[str, str]], key: str) -> int:
    return sum(int(value) for name, value in found if name == key and value.isdecimal())
