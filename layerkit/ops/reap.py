"""Reap: what is left of containers whose processes were killed, and that nobody else will remove."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError
from layerkit.ops import containers, states, uppers
from layerkit.store.files import guarded

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.ops.container_config import ContainerConfig
    from layerkit.ops.home import Home
    from layerkit.ops.states import ContainerState
    from layerkit.store.records import ContainerRecord

_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


def is_due(config: ContainerConfig, state: ContainerState) -> bool:
    """Whether it was to be removed at its end, but its monitor was killed before that."""
    return config.wishes.remove and state.is_lost


def reap(home: Home, container: ContainerRecord, state: ContainerState) -> bool:
    """Remove a container that is due as this `state` has it; whether it went.

    It stays when somebody starts it or has it mounted, when it has snapshots, and when it is
    another user's.
    """
    # They load what makes containers; few lists find something to reap.
    from layerkit.ops import surroundings  # noqa: PLC0415  as said
    from layerkit.ops.volumes import remove_unnamed  # noqa: PLC0415  as said

    with contextlib.suppress(LayerkitError):
        with uppers.locked(home, container, "remove", mounted=True):
            now = states.read(home, container).run
            if now is None or state.run is None or now.started != state.run.started:
                return False
            mounts = containers.read_config(home, container).wishes.mounts
            containers.discard(home, container)
        remove_unnamed(home, mounts)
        surroundings.sweep(home, container.id, state)
        return True
    return False


def due(home: Home) -> list[tuple[ContainerRecord, ContainerState]]:
    """The containers to reap."""
    found = []
    for container in home.store.database.containers():
        with contextlib.suppress(LayerkitError):  # it is removed meanwhile
            state = states.read(home, container)
            if is_due(containers.read_config(home, container), state):
                found.append((container, state))
    return found


def strays(home: Home) -> list[Path]:
    """Folders of containers without a record: of who was killed while making or removing one.

    Those that are being made at this moment are among them; a name that nothing here makes is not.
    """
    with guarded("read"):
        names = {name for name in os.listdir(home.containers) if _ID.fullmatch(name)}
    known = {each.id for each in home.store.database.containers()}
    return [home.containers / name for name in sorted(names - known)]
