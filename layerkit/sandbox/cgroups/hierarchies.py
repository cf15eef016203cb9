"""Which trees of control groups this machine has: version 1, version 2, or both side by side.

A controller is in one tree only, so nothing here asks for a mode; each one is looked up.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    _Mount: TypeAlias = tuple[str, str, str, frozenset[str]]
    """Root, mount point, type and options."""

LIMITING = frozenset({"cpu", "cpuset", "io", "memory", "pids"})
"""The controllers for whose sake a group is made in a tree of version 2."""

_UNIFIED = 2
_OCTAL = re.compile(r"\\([0-7]{3})")


class Hierarchy(Struct, frozen=True):
    """One tree, mounted on `mount`; the name of one without controllers counts as one (`name=x`)."""

    version: Literal[1, 2]
    controllers: tuple[str, ...]
    mount: str

    @property
    def is_unified(self) -> bool:
        """Whether it is of version 2."""
        return self.version == _UNIFIED


def discover() -> tuple[Hierarchy, ...]:
    """The trees that this process sees."""
    found = parse(_text("/proc/self/mountinfo"), _text("/proc/self/cgroup"))
    # Without that file another mount lies over the tree.
    seen = (tree for tree in found if os.path.exists(f"{tree.mount}/cgroup.procs"))
    return tuple(map(_with_controllers, seen))


def parse(mountinfo: str, membership: str) -> tuple[Hierarchy, ...]:
    """The trees in the texts of /proc/self/mountinfo and /proc/self/cgroup (proc(5), cgroups(7)).

    One without a mount that has this process's own group in it is left out. The controllers of
    version 2 stand in neither text.
    """
    mounts = tuple(_mounts(mountinfo))
    found = []
    for line in membership.splitlines():
        number, names, own, *_ = (*line.split(":", 2), "", "")
        controllers = tuple(filter(None, names.split(",")))
        point = _mount_point(mounts, controllers, own) if own.startswith("/") else None
        if point and (controllers or number == "0"):
            found.append(Hierarchy(1 if controllers else 2, controllers, point))
    return tuple(found)


def in_use(hierarchies: Iterable[Hierarchy]) -> tuple[Hierarchy, ...]:
    """The trees in which a container gets a group.

    Beside version 1, joining a tree of version 2 that limits nothing would cost and give nothing.
    """
    every = tuple(hierarchies)
    alone = all(each.is_unified for each in every)
    return tuple(
        each for each in every if not each.is_unified or alone or LIMITING & {*each.controllers}
    )


def home_of(controller: str, hierarchies: Iterable[Hierarchy]) -> Hierarchy | None:
    """The tree that has this controller."""
    return next((each for each in hierarchies if controller in each.controllers), None)


def _mount_point(mounts: Iterable[_Mount], controllers: tuple[str, ...], own: str) -> str | None:
    """Where most of the tree is mounted in which this process is at `own`."""
    fstype = "cgroup" if controllers else "cgroup2"
    candidates = [
        (len(root), point)
        for root, point, mounted, options in mounts
        if mounted == fstype and options.issuperset(controllers) and _contains(root, own)
    ]
    return min(candidates)[1] if candidates else None


def _contains(root: str, own: str) -> bool:
    """A root in `/..` is above the namespace that `own` is told in."""
    return root == "/" or root.startswith("/..") or f"{own}/".startswith(f"{root}/")


def _mounts(mountinfo: str) -> Iterator[_Mount]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        match before.split(" "), after.split(" "):
            case [_, _, _, root, point, *_], ["cgroup" | "cgroup2" as fstype, _, options, *_]:
                yield _plain(root), _plain(point), fstype, frozenset(options.split(","))


def _plain(field: str) -> str:
    """The field without the octal escapes of white space and backslashes."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


def _with_controllers(found: Hierarchy) -> Hierarchy:
    if not found.is_unified:
        return found
    return replace(found, controllers=tuple(_text(f"{found.mount}/cgroup.controllers").split()))


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def folder(hierarchy: Hierarchy, group: str) -> str:
    """The folder of a group in a tree."""
    return os.path.join(hierarchy.mount, group)
