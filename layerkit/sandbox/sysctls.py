"""Kernel parameters that a container may set: those of its own namespaces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_IPC = {
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
}
# A dot becomes a slash of the path below /proc/sys, so nothing else may do that.
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_VALUE = re.compile(r"[\t -~]{0,4000}")


def check(sysctls: Iterable[tuple[str, str]], *, own_network: bool) -> None:
    """Raise `UsageError` for a parameter that is the host's, or that no kernel could have."""
    for name, value in sysctls:
        is_network = name.startswith("net.")
        namespaced = name in _IPC or name.startswith("fs.mqueue.") or is_network
        if not namespaced or not _NAME.fullmatch(name):
            raise UsageError(f"sysctl {name!r} is not allowed: it is not the container's own")
        if is_network and not own_network:
            raise UsageError(f"sysctl {name!r} is not allowed in the host's network")
        if not _VALUE.fullmatch(value):
            raise UsageError(f"invalid value of sysctl {name}: {value[:100]!r}")
