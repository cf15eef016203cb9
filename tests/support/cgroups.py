"""Control groups of tests: under a parent of their own, gone afterwards with all that is in them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import uuid
from typing import TYPE_CHECKING

from layerkit.errors import SandboxError
from layerkit.resources import Limits
from layerkit.sandbox.cgroups import making
from layerkit.sandbox.cgroups.group import Cgroup
from layerkit.sandbox.cgroups.hierarchies import discover, folder, in_use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.sandbox.cgroups.hierarchies import Hierarchy

_JOIN = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 1; shift; done; shift; exec "$@"'
_WANTED = Limits(memory=64 << 20, cpu_shares=512, pids=50, cpuset_cpus="0")


def used() -> tuple[Hierarchy, ...]:
    """The trees in which containers of this machine get their groups."""
    return in_use(discover())


def unified() -> tuple[Hierarchy, ...]:
    """The tree of version 2 alone, as if there were no other."""
    return tuple(tree for tree in discover() if tree.is_unified)


@contextlib.contextmanager
def new_parent() -> Iterator[str]:
    """The name of a parent that nobody else has; at the end it is removed, its processes killed."""
    name = f"layerkit-test-{uuid.uuid4().hex}"
    try:
        yield name
    finally:
        trees = tuple(tree for tree in discover() if os.path.isdir(folder(tree, name)))
        left = Cgroup(name, trees)
        left.kill()
        left.remove()


def obstacle() -> str | None:
    """Why this process cannot limit anything."""
    with new_parent() as parent:
        try:
            group = making.create("probe", _WANTED, parent=parent)
        except SandboxError as error:
            return error.message
        missing = [lack for lack in group.lacks if lack.limit != "memory_swap"]
        return f"no right to control groups: {making.explain(missing)}" if missing else None


def start(group: Cgroup, *command: str) -> subprocess.Popen[bytes]:
    """Run a program of the host in the group."""
    files = group.plan().join
    return subprocess.Popen(["/bin/sh", "-c", _JOIN, "sh", *files, "--", *command])


def folders_named(name: str) -> list[str]:
    """Every folder of this name in every tree of the machine."""
    return [
        path
        for tree in discover()
        for path, _folders, _files in os.walk(tree.mount)
        if os.path.basename(path) == name
    ]


def wait_until(condition: object, what: str) -> None:
    """Wait for something that the kernel or another process does."""
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.005)
