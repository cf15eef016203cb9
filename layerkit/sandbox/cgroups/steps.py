"""The steps of a start that have to do with control groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from layerkit.mount import BindMount


class JoinCgroups(Struct, frozen=True):
    """Move into control groups, by the file of each that takes a process."""

    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"join {len(self.files)} control groups"


class MountCgroups(Struct, frozen=True):
    """Show the held folders of control groups read-only, below `target` or as `target` itself."""

    target: str
    binds: tuple[BindMount, ...]

    def __str__(self) -> str:
        return f"mount {len(self.binds)} control groups on {self.target}"
