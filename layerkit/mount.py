"""Mounts as values with fields; only the module that calls the kernel turns them into options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class OverlayMount:
    """A stack of read-only `lowers` (top first), with a writable `upper` or none.

    `upper` and `work` go together and lie on one file system (kernel overlayfs.rst). `volatile`
    leaves out all syncing; right only for an upper that is thrown away afterwards.
    """

    lowers: tuple[Path, ...]
    upper: Path | None = None
    work: Path | None = None
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class BindMount:
    """One host file or folder seen at `target`, an absolute path inside the container."""

    source: Path
    target: str
    readonly: bool = False
