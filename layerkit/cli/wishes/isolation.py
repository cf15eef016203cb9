"""What holds a container back, and what it gets of the host: security options, devices, sysctls."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerkit.errors import UsageError
from layerkit.ops.wishes import Isolation
from layerkit.resources import Device

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_BOOLEANS = {"": True, "true": True, "1": True, "false": False, "0": False}
_OFF = {"apparmor": "unconfined", "label": "disable"}
_SUPPORTED = (
    "seccomp=FILE, seccomp=unconfined, no-new-privileges, apparmor=unconfined, label=disable"
)
_DEVICE_PARTS = 3
_SYSCTL_PREFIXES = ("net.", "fs.mqueue.")
_SYSCTLS = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
    "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
)  # fmt: skip


def isolation(values: Mapping[str, Any]) -> Isolation:
    """What the options of these names ask for; raises `UsageError`."""
    seccomp, no_new_privileges = security_options(values["security_opt"])
    return Isolation(
        cap_add=values["cap_add"],
        cap_drop=values["cap_drop"],
        privileged=values["privileged"],
        seccomp=seccomp,
        no_new_privileges=no_new_privileges,
        readonly=values["read_only"],
    )


def security_options(texts: Iterable[str]) -> tuple[str | None, bool]:
    """The seccomp profile of `Isolation`, and whether there are no new privileges.

    AppArmor and SELinux labels are not used, so only turning them off is understood. Raises
    `UsageError` for all else.
    """
    seccomp, no_new_privileges = None, False
    for text in texts:
        name, _, value = text.partition("=" if "=" in text else ":")
        if name == "seccomp" and value:
            seccomp = _profile(value)
        elif name == "no-new-privileges" and value in _BOOLEANS:
            no_new_privileges = _BOOLEANS[value]
        elif _OFF.get(name) != value:
            raise UsageError(f"unsupported --security-opt {text!r}: wanted {_SUPPORTED}")
    return seccomp, no_new_privileges


def _profile(value: str) -> str | None:
    if value == "builtin":
        return None
    return value if value == "unconfined" else os.path.abspath(value)


def device(text: str) -> Device:
    """The device of `SOURCE[:TARGET][:ACCESS]`, ACCESS of the letters `rwm`; raises `UsageError`."""
    parts = text.split(":")
    access = parts.pop() if len(parts) > 1 and _is_access(parts[-1]) else "rwm"
    source, target = parts[0], parts[-1]
    if len(parts) < _DEVICE_PARTS and source.startswith("/") and target.startswith("/"):
        return Device(Path(os.path.normpath(source)), os.path.normpath(target), access)
    raise UsageError(f"invalid --device {text!r}: wanted /dev/SOURCE[:/dev/TARGET][:rwm]")


def _is_access(text: str) -> bool:
    return 0 < len(text) == len(set(text)) and set(text) <= set("rwm")


def sysctls(texts: Iterable[str], network: str) -> tuple[tuple[str, str], ...]:
    """The names and values of `NAME=VALUE`; the last of a name counts.

    Raises `UsageError` for one that is not the container's own: with the network of the host, all
    of `net.` are the host's.
    """
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not _is_own(name):
            wanted = ", ".join((*(f"{each}*" for each in _SYSCTL_PREFIXES), *_SYSCTLS))
            raise UsageError(f"sysctl {text!r} is not allowed: wanted NAME=VALUE, of {wanted}")
        if network == "host" and name.startswith("net."):
            raise UsageError(f"sysctl {text!r} is not allowed: the network is that of the host")
        found[name] = value
    return tuple(found.items())


def _is_own(name: str) -> bool:
    """Whether the sysctl belongs to a namespace; a part of a name is one of a path, so no `/`."""
    letters = name.replace(".", "").replace("-", "").replace("_", "")
    is_name = letters.isalnum() and letters.isascii() and all(name.split("."))
    return is_name and (name in _SYSCTLS or name.startswith(_SYSCTL_PREFIXES))
