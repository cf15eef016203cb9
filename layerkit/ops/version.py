"""Version: what this layerkit is, what it runs on, and which snapshot drivers work here."""

from __future__ import annotations

import json
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from layerkit import __version__, platforms
from layerkit.oci import Platform

_CAP_SYS_ADMIN = 1 << 21  # capability.h


def version() -> dict[str, Any]:
    """The facts, with docker's field names where docker has the field."""
    uname = os.uname()
    machine = platforms.normalize(Platform(uname.sysname, uname.machine))
    obstacle = overlay_obstacle()
    return {
        "Version": __version__,
        "GitCommit": commit(),
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Os": machine.os,
        "Arch": machine.architecture,
        "KernelVersion": uname.release,
        "SnapshotDrivers": [{"Name": "overlay", "Works": not obstacle, "Reason": obstacle}],
    }


def commit() -> str:
    """The first 7 hex digits of the commit that was installed, "unknown" when pip did not note it.

    That is the case for anything but an installation from a repository (PEP 610).
    """
    try:
        text = metadata.distribution("layerkit").read_text("direct_url.json")
        found = json.loads(text or "{}")["vcs_info"]["commit_id"]
    except (metadata.PackageNotFoundError, KeyError, TypeError, ValueError):
        return "unknown"
    return str(found)[:7]


def overlay_obstacle(proc: Path = Path("/proc"), modules: Path = Path("/lib/modules")) -> str:
    """Why the overlay driver does not work here, "" if it does."""
    if not _has_overlay(proc / "filesystems", modules / os.uname().release / "modules.dep"):
        return "the kernel has no overlay file system"
    if not _capabilities(proc / "self/status") & _CAP_SYS_ADMIN:
        return "mounting needs root (CAP_SYS_ADMIN)"
    return ""


def _has_overlay(filesystems: Path, dependencies: Path) -> bool:
    """Whether overlay is there, or is a module that the kernel loads with the first mount."""
    return "overlay" in _read(filesystems).split() or "/overlay.ko" in _read(dependencies)


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
