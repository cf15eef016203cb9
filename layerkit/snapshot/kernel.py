"""What the kernel lets this process mount."""

from __future__ import annotations

import os
from pathlib import Path

_CAP_SYS_ADMIN = 1 << 21  # capability.h


def obstacle(fstype: str, proc: Path = Path("/proc"), modules: Path = Path("/lib/modules")) -> str:
    """Why this type of file system cannot be mounted, "" if it can."""
    if not _has(fstype, proc / "filesystems", modules / os.uname().release / "modules.dep"):
        return f"the kernel has no {fstype} file system"
    if not _capabilities(proc / "self/status") & _CAP_SYS_ADMIN:
        return "mounting needs root (CAP_SYS_ADMIN)"
    return ""


def _has(fstype: str, filesystems: Path, dependencies: Path) -> bool:
    """Whether it is there, or is a module that the kernel loads with the first mount."""
    return fstype in _read(filesystems).split() or f"/{fstype}.ko" in _read(dependencies)


def _capabilities(status: Path) -> int:
    """The effective capabilities of this process (proc(5)), as a mask."""
    for line in _read(status).splitlines():
        if line.startswith("CapEff:"):
            return int(line.partition(":")[2], 16)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
