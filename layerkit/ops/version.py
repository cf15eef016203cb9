"""Version: what this layerkit is, what it runs on, and which snapshot drivers work here."""

from __future__ import annotations

import json
import os
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

from layerkit import __version__, platforms
from layerkit.oci import Platform
from layerkit.ops.drivers import DRIVERS

if TYPE_CHECKING:
    from layerkit.snapshot.driver import Driver


def version() -> dict[str, Any]:
    """The facts, with docker's field names where docker has the field."""
    uname = os.uname()
    machine = platforms.normalize(Platform(uname.sysname, uname.machine))
    return {
        "Version": __version__,
        "GitCommit": commit(),
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Os": machine.os,
        "Arch": machine.architecture,
        "KernelVersion": uname.release,
        "SnapshotDrivers": [_driver(each) for each in DRIVERS],
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


def _driver(driver: type[Driver]) -> dict[str, Any]:
    obstacle = driver.obstacle()
    return {"Name": driver.name, "Works": not obstacle, "Reason": obstacle}
