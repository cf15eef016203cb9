"""Pause: all processes of a container held still by the kernel's freezer, and let go again."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError, SandboxError
from layerkit.ops import containers, states, surroundings
from layerkit.sandbox.cgroups import group as groups
from layerkit.store.files import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord


def pause(home: Home, container: ContainerRecord) -> None:
    """Stop all processes of a container where they are.

    Raises `ConflictError` for one that does not run, or is paused already, `SandboxError` where
    there is no freezer.
    """
    with _turn(home, container):
        state = states.read(home, container)
        if not state.is_running:
            raise ConflictError(f"container {container.name} is not running")
        if state.status == "paused":
            raise ConflictError(f"container {container.name} is already paused")
        group = groups.find(container.id)
        if group is None:
            raise SandboxError(f"cannot pause container {container.name}: it has no control group")
        states.mark_paused(home, container, paused=True)
        try:
            group.freeze()
        except BaseException:
            states.mark_paused(home, container, paused=False)
            raise


def unpause(home: Home, container: ContainerRecord) -> None:
    """Let the processes of a paused container run again; raises `ConflictError` for another one."""
    if not thaw(home, container):
        raise ConflictError(f"container {container.name} is not paused")


def thaw(home: Home, container: ContainerRecord) -> bool:
    """Let the processes run again if the container is paused, and say whether it was.

    One that ends meanwhile is not.
    """
    if not _is_paused(home, container):
        return False
    with _turn(home, container):
        if not _is_paused(home, container):
            return False
        try:
            if group := groups.find(container.id):
                group.thaw()
        except SandboxError:
            if _is_paused(home, container):
                raise
        states.mark_paused(home, container, paused=False)
    return True


def clear(home: Home, container: ContainerRecord) -> None:
    """Before a start: kill what could not die with its monitor because it was frozen."""
    if states.is_marked(home, container):
        surroundings.sweep(home, container.id, states.read(home, container))
        states.mark_paused(home, container, paused=False)


def _is_paused(home: Home, container: ContainerRecord) -> bool:
    return states.read(home, container).status == "paused"


@contextlib.contextmanager
def _turn(home: Home, container: ContainerRecord) -> Iterator[None]:
    """One after the other: else a container could be frozen while nothing says that it is paused."""
    with guarded("lock container"):
        folder = os.open(containers.folder_of(home, container), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
