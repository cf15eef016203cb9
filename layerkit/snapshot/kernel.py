"""What the kernel lets this process mount."""

from __future__ import annotations

import os
from pathlib import Path

_CAP_SYS_ADMIN = 1 << 21  # capability.h
_ALL_IDS = ["0", "0", str(2**32 - 1)]
_FOR_USERS = frozenset(("overlay",))
"""What root of any user namespace may mount (FS_USERNS_MOUNT), of what the drivers use."""
_FORBIDDING = {"user/max_user_namespaces": "0", "kernel/unprivileged_userns_clone": "0"}
_FORBIDDING |= {"kernel/apparmor_restrict_unprivileged_userns": "1"}
"""The values of sysctls that leave a user without user namespaces."""


def obstacle(fstype: str, proc: Path = Path("/proc"), modules: Path = Path("/lib/modules")) -> str:
    """Why this type of file system cannot be mounted, "" if it can: by a user, in a user namespace."""
    if not _has(fstype, proc / "filesystems", modules / os.uname().release / "modules.dep"):
        return f"the kernel has no {fstype} file system"
    if is_host_root(proc):
        return ""
    if fstype not in _FOR_USERS:
        return f"mounting {fstype} needs root outside of user namespaces (CAP_SYS_ADMIN)"
    if _may_mount(proc):
        return ""
    if _field(proc, "Uid").split()[:1] in ([], ["0"]):
        return "mounting needs root (CAP_SYS_ADMIN)"
    reason = no_user_namespaces(proc)
    return f"mounting needs root, or {reason}" if reason else ""


def no_user_namespaces(proc: Path = Path("/proc")) -> str:
    """Why a user may not have user namespaces here, "" if nothing is known to be in the way."""
    for name, value in _FORBIDDING.items():
        if _read(proc / "sys" / name).strip() == value:
            setting = f"{name.replace('/', '.')} is {value}"
            return f"user namespaces, which users may not have ({setting})"
    return ""


def is_host_root(proc: Path = Path("/proc")) -> bool:
    """Whether this process may mount outside of user namespaces (user_namespaces(7))."""
    return _read(proc / "self/uid_map").split() == _ALL_IDS and _may_mount(proc)


def _has(fstype: str, filesystems: Path, dependencies: Path) -> bool:
    """Whether it is there, or is a module that the kernel loads with the first mount."""
    return fstype in _read(filesystems).split() or f"/{fstype}.ko" in _read(dependencies)


def _may_mount(proc: Path) -> bool:
    return bool(int(_field(proc, "CapEff") or "0", 16) & _CAP_SYS_ADMIN)


def _field(proc: Path, name: str) -> str:
    """A field of this process's status (proc(5)), "" without it."""
    for line in _read(proc / "self/status").splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
