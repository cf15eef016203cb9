"""The machine that this process runs on."""

from __future__ import annotations

import os

from layerkit import platforms
from layerkit.oci import Platform


def host_platform() -> Platform:
    """What this machine runs, with the names that registries use."""
    uname = os.uname()
    return platforms.normalize(Platform(uname.sysname, uname.machine))
