"""The groups of one container, one in each tree: looked at, changed, frozen, killed, removed.

Raises `SandboxError` for what the kernel refuses.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from layerkit.errors import SandboxError
from layerkit.sandbox.cgroups import files, settings, stats
from layerkit.sandbox.cgroups.hierarchies import discover, folder, home_of, in_use
from layerkit.sandbox.spec import CgroupPlan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.resources import Limits
    from layerkit.sandbox.cgroups.hierarchies import Hierarchy
    from layerkit.sandbox.cgroups.settings import Lack
    from layerkit.sandbox.cgroups.stats import Stats

PARENT = "layerkit"
"""The group above those of all containers, in every tree."""

_FREEZING = 10.0
"""Seconds that processes may take to freeze."""


class Cgroup(Struct, frozen=True):
    """The group `name` in each of the trees that have it; `lacks` is what it does not limit."""

    name: str
    hierarchies: tuple[Hierarchy, ...]
    lacks: tuple[Lack, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """The group's folder in each tree."""
        return tuple(folder(each, self.name) for each in self.hierarchies)

    def plan(self) -> CgroupPlan:
        """What the container's first process does to be in the group and to see it."""
        trees = tuple(zip(self.hierarchies, self.folders, strict=True))
        first = [place for tree, place in trees if not tree.is_unified]
        return CgroupPlan(
            # A thread that moves itself by `tasks` does not wait for all others of the machine.
            join=(
                *(f"{place}/tasks" for place in first),
                *(f"{place}/cgroup.procs" for place in self.folders if place not in first),
            ),
            private=bool(trees) and not first,
            shown=tuple(
                (_shown_name(tree), Path(place))
                for tree, place in trees
                if not tree.is_unified or not first
            ),
        )

    def update(self, limits: Limits) -> tuple[Lack, ...]:
        """Change the limits that are not None; the others stay. What could not be had comes back."""
        memory = home_of("memory", self.hierarchies)
        place = folder(memory, self.name) if memory else ""
        now = files.number(f"{place}/memory.limit_in_bytes")
        writes, lacks = settings.plan(self.hierarchies, self.name, limits, memory_now=now)
        return (*lacks, *files.write_all(writes))

    def freeze(self) -> None:
        """Stop all processes, and wait until they have stopped."""
        file, running, frozen = self._freezer()
        deadline = time.monotonic() + _FREEZING
        _order(file, frozen)
        while not self.is_frozen():
            if time.monotonic() > deadline:
                _order(file, running)
                raise SandboxError("cannot freeze the container: a process does not stop")
            time.sleep(0.001)
            _order(file, frozen)  # version 1 does not see a process that was just forked

    def thaw(self) -> None:
        """Let the processes run again."""
        file, running, _frozen = self._freezer()
        _order(file, running)

    def is_frozen(self) -> bool:
        """Whether all processes have stopped."""
        file, _running, frozen = self._freezer()
        if file.endswith("cgroup.freeze"):
            return files.pairs(f"{os.path.dirname(file)}/cgroup.events").get("frozen") == 1
        return files.text(file).strip() == frozen

    def _freezer(self) -> tuple[str, str, str]:
        """The file that freezes, what to write for running, and for frozen."""
        if tree := home_of("freezer", self.hierarchies):
            return f"{folder(tree, self.name)}/freezer.state", "THAWED", "FROZEN"
        for tree in self.hierarchies:
            if tree.is_unified:
                return f"{folder(tree, self.name)}/cgroup.freeze", "0", "1"
        raise SandboxError("cannot freeze the container: there is no freezer controller")

    def pids(self) -> list[int]:
        """The processes in the group and in those below it, as this process's namespace counts."""
        tree = home_of("freezer", self.hierarchies) or next(iter(self.hierarchies), None)
        found: list[int] = []
        for place, _folders, _files in os.walk(folder(tree, self.name) if tree else ""):
            found += map(int, files.text(f"{place}/cgroup.procs").split())
        return sorted(set(found) - {0})  # 0: of another namespace

    def kill(self) -> None:
        """Kill all processes, also those that they fork meanwhile. They take a moment to be gone."""
        for tree, place in zip(self.hierarchies, self.folders, strict=True):
            if tree.is_unified:
                with contextlib.suppress(SandboxError):  # before Linux 5.14
                    _order(f"{place}/cgroup.kill", "1")
                    return
        with contextlib.suppress(SandboxError):
            self.freeze()
        seen: set[int] = set()
        while new := set(self.pids()) - seen:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            seen |= new
        with contextlib.suppress(SandboxError):
            self.thaw()

    def stats(self) -> Stats:
        """What the processes use and have used."""
        return stats.read(self.hierarchies, self.name)

    def oom_kills(self) -> int:
        """How many processes the kernel killed for want of memory."""
        return stats.oom_kills(self.hierarchies, self.name)

    def remove(self) -> None:
        """Remove the group from every tree; it is no error if it is gone, but if it is in use."""
        for place in self.folders:
            files.remove(place)


def find(
    identifier: str,
    *,
    hierarchies: Iterable[Hierarchy] | None = None,
    parent: str = PARENT,
) -> Cgroup | None:
    """The groups that somebody has made under this name; None where there are none."""
    name = f"{parent}/{identifier}"
    trees = in_use(discover() if hierarchies is None else hierarchies)
    there = tuple(
        as_it_is(tree, folder(tree, name)) for tree in trees if os.path.isdir(folder(tree, name))
    )
    return Cgroup(name, there) if there else None


def as_it_is(tree: Hierarchy, place: str) -> Hierarchy:
    """The tree with the controllers that the group at `place` has of it."""
    if not tree.is_unified:
        return tree
    return replace(tree, controllers=tuple(files.text(f"{place}/cgroup.controllers").split()))


def _order(path: str, text: str) -> None:
    try:
        files.write(path, text)
    except OSError as error:
        raise SandboxError(f"cannot write {text} to {path}: {error.strerror}") from None


def _shown_name(tree: Hierarchy) -> str:
    """The name below /sys/fs/cgroup; version 2 is all of it."""
    return "" if tree.is_unified else ",".join(tree.controllers).replace("name=", "")
