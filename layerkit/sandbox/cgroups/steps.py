"""The steps of a start that have to do with control groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerkit.mount import BindMount


@dataclass(frozen=True, slots=True)
class JoinCgroups:
    """Move into control groups, by the file of each that takes a process."""

    files: tuple[str, ...]

    def __str__(self) -> str:
        return f"join {len(self.files)} control groups"


@dataclass(frozen=True, slots=True)
class MountCgroups:
    """Show the held folders of control groups read-only, below `target` or as `target` itself."""

    target: str
    binds: tuple[BindMount, ...]

    def __str__(self) -> str:
        return f"mount {len(self.binds)} control groups on {self.target}"
