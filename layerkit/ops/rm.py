"""Remove containers, with all that is around them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError
from layerkit.ops import containers, states, surroundings
from layerkit.ops.stop import kill, wait
from layerkit.ops.volumes import remove_unnamed

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord


def remove(
    home: Home, container: ContainerRecord, *, force: bool = False, volumes: bool = False
) -> None:
    """Remove a container; with `force`, one that runs is killed, with `volumes` those without a name go.

    Raises `ConflictError` for one that runs, that is mounted and in use, or that has snapshots.
    """
    if force and states.read(home, container).is_running:
        try:
            kill(home, container, signal.SIGKILL)
        except ConflictError:  # it ended meanwhile
            pass
        else:
            wait(home, container)
    state = states.read(home, container)
    unnamed = containers.read_config(home, container).wishes.mounts if volumes else ()
    containers.remove_container(home, container)
    remove_unnamed(home, unnamed)
    surroundings.sweep(home, container.id, state)
