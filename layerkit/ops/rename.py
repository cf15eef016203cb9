"""Rename: another name for a container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.errors import ConflictError
from layerkit.ops import containers

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord


def rename(home: Home, container: ContainerRecord, name: str) -> None:
    """Give a container another name; its host name stays what it is.

    Raises `UsageError` for a name that is none, `ConflictError` for one that is taken.
    """
    containers.check_name(name)
    if name == container.name:
        raise ConflictError(f"cannot rename container {name}: that is its name already")
    home.store.database.rename_container(container.id, name)
