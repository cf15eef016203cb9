"""File systems in memory that the user wants, as steps. Pure."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from layerkit.errors import UsageError
from layerkit.sandbox.isolation import MountTmpfs

if TYPE_CHECKING:
    from layerkit.mount import TmpfsMount

_SAFE = ("nosuid", "nodev", "noexec")
_TIMES = ("noatime", "nodiratime", "relatime", "strictatime")
# What a flag takes away; the others are kept as they are.
_AGAINST = {"suid": "nosuid", "dev": "nodev", "exec": "noexec", "rw": "ro", "async": "sync"}
_FLAGS = (*_SAFE, "ro", "sync", *_TIMES)


def step(mount: TmpfsMount) -> MountTmpfs:
    """The step that mounts it; raises `UsageError` for a target or flag that makes no sense."""
    target = posixpath.normpath("/" + mount.target.lstrip("/"))
    if not mount.target.startswith("/") or target == "/":
        raise UsageError(f"invalid tmpfs target {mount.target!r}: wanted an absolute path, not /")
    flags = dict.fromkeys(_SAFE)
    for flag in mount.flags:
        if flag in _AGAINST:
            flags.pop(_AGAINST[flag], None)
        elif flag in _FLAGS:
            flags[flag] = None
        else:
            raise UsageError(f"invalid flag {flag!r} of the tmpfs at {target}")
    return MountTmpfs(target, tuple(flags), mount.mode, mount.size)
