"""Version: what this layerkit is, what it runs on, and which snapshot drivers work here."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from layerkit import __version__
from layerkit.ops.build import commit
from layerkit.ops.drivers import KINDS
from layerkit.ops.host import host_platform

if TYPE_CHECKING:
    from layerkit.snapshot.driver import Driver


def version() -> dict[str, Any]:
    """The facts, with docker's field names where docker has the field."""
    machine = host_platform()
    return {
        "Version": __version__,
        "GitCommit": commit(),
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Os": machine.os,
        "Arch": machine.architecture,
        "KernelVersion": os.uname().release,
        "SnapshotDrivers": [_driver(load()) for load in KINDS.values()],
    }


def _driver(driver: type[Driver]) -> dict[str, Any]:
    obstacle = driver.obstacle()
    return {"Name": driver.name, "Works": not obstacle, "Reason": obstacle}
