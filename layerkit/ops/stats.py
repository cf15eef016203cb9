"""Stats: what containers use at this moment."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.errors import NotFoundError
from layerkit.ops import containers, states
from layerkit.sandbox.cgroups import group as groups
from layerkit.sandbox.cgroups.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord

_NOTHING = Stats(cpu=0, memory=0, memory_limit=0, pids=0, read=0, written=0)
"""Of a container that does not run, as docker counts it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one container uses; None where nothing counts it.

    `cpu` in percent of one processor since the look before. The rest in bytes, but `pids`:
    `received` and `sent` by the network, `read` and `written` on block devices. Without a limit,
    `memory_limit` is the memory of the machine.
    """

    id: str
    name: str
    cpu: float | None
    memory: int | None
    memory_limit: int | None
    received: int
    sent: int
    read: int | None
    written: int | None
    pids: int | None


class Meter:
    """Looks at containers again and again: the ones named, else those that run, else all.

    Raises `NotFoundError` for a name that no container has.
    """

    def __init__(self, home: Home, names: Sequence[str] = (), *, everything: bool = False) -> None:
        self._home = home
        self._wanted = [containers.find_container(home, name).id for name in names]
        self._everything = everything
        self._before: dict[str, tuple[float, int]] = {}

    def look(self) -> list[Usage]:
        """What they use now; one that was removed is left out. The first look knows no `cpu`."""
        return [self._usage(each, pid) for each, pid in self._found()]

    def _found(self) -> list[tuple[ContainerRecord, int | None]]:
        """The containers with the pids of those that run."""
        found = self._named() if self._wanted else self._home.store.database.containers()
        listed = [(each, states.read(self._home, each).pid) for each in found]
        shows_all = bool(self._wanted) or self._everything
        return [(each, pid) for each, pid in listed if pid is not None or shows_all]

    def _named(self) -> list[ContainerRecord]:
        found = []
        for each in self._wanted:
            with contextlib.suppress(NotFoundError):
                found.append(containers.find_container(self._home, each))
        return found

    def _usage(self, container: ContainerRecord, pid: int | None) -> Usage:
        group = groups.find(container.id)
        now = time.monotonic()
        stats = group.stats() if pid is not None and group is not None else Stats()
        if pid is None:
            stats = _NOTHING
        received, sent = self._network(container, pid)
        limit = _machine_memory() if stats.memory_limit is None else stats.memory_limit
        return Usage(
            id=container.id,
            name=container.name,
            cpu=0.0 if pid is None else self._percent(container.id, now, stats.cpu),
            memory=stats.memory,
            memory_limit=limit,
            received=received,
            sent=sent,
            read=stats.read,
            written=stats.written,
            pids=stats.pids,
        )

    def _percent(self, container_id: str, now: float, used: int | None) -> float | None:
        """Of one processor, since the look before."""
        if used is None:
            return None
        before = self._before.get(container_id)
        self._before[container_id] = (now, used)
        if before is None or now <= before[0] or used < before[1]:
            return None
        return (used - before[1]) / (now - before[0]) / 10**9 * 100

    def _network(self, container: ContainerRecord, pid: int | None) -> tuple[int, int]:
        """Bytes received and sent by a network of its own."""
        mode = containers.read_config(self._home, container).network
        if pid is None or mode == "host" or mode.startswith("container:"):
            return 0, 0
        try:
            text = Path(f"/proc/{pid}/net/dev").read_text()
        except OSError:  # it ended meanwhile
            return 0, 0
        return traffic(text)


def traffic(text: str) -> tuple[int, int]:
    """Bytes received and sent by all interfaces but loopback, of the text of /proc/net/dev (pure)."""
    counted = [
        line.partition(":")[2].split()
        for line in text.splitlines()
        if ":" in line and line.partition(":")[0].strip() != "lo"
    ]
    return sum(int(words[0]) for words in counted), sum(int(words[8]) for words in counted)


def _machine_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
