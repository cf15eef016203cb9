"""Devices of the host that a container gets: found before the start, as values for the plan."""

from __future__ import annotations

import os
import posixpath
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from layerkit.errors import SandboxError, UsageError
from layerkit.resources import DeviceRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerkit.resources import Device

_DEV = Path("/dev")
_EVERYTHING = "rwm"
# What every container makes for itself, and what belongs to the host's session or services.
_OWN = {"console", "core", "fd", "mqueue", "ptmx", "pts", "shm", "stderr", "stdin", "stdout"}
_DEPTH = 16


class DeviceNode(Struct, frozen=True):
    """A device file to make at `path` in the container, as the host's one, which is `source`.

    `mode` is without the type.
    """

    path: str
    kind: Literal["b", "c"]
    major: int
    minor: int
    mode: int
    uid: int
    gid: int
    access: str = _EVERYTHING
    source: Path | None = None

    @property
    def rule(self) -> DeviceRule:
        """What the container's control group has to allow."""
        return DeviceRule(self.kind, self.major, self.minor, self.access)


def find(devices: Iterable[Device], *, privileged: bool = False) -> tuple[DeviceNode, ...]:
    """The device files that the user wants; of a folder all below it, in the order of their names.

    A `privileged` container has all of the host's too. The last one for a path is the one to make.
    Raises `UsageError` for a target outside /dev, `SandboxError` for a source that is no device.
    """
    found = {node.path: node for node in (of_host() if privileged else ())}
    for device in devices:
        target = posixpath.normpath(device.target)
        if not target.startswith("/dev/"):
            raise UsageError(f"invalid device target {device.target!r}: wanted a path below /dev")
        found.update((node.path, node) for node in _wanted(device, target))
    return tuple(found.values())


def of_host(folder: Path = _DEV) -> tuple[DeviceNode, ...]:
    """Every device file of the host, for a privileged container."""
    return tuple(
        node
        for name in sorted(os.listdir(folder))
        if name not in _OWN
        for node in _below(folder / name, f"/dev/{name}", _EVERYTHING)
    )


def _wanted(device: Device, target: str) -> list[DeviceNode]:
    try:
        source = device.source.resolve(strict=True)
        nodes = list(_below(source, target, device.access))
    except OSError as error:
        raise SandboxError(f"cannot add device {device.source}: {error.strerror}") from None
    if not nodes:
        raise SandboxError(f"cannot add device {device.source}: not a device")
    return nodes


def _below(path: Path, target: str, access: str, depth: int = _DEPTH) -> Iterator[DeviceNode]:
    """The device at `path`, or all below it; links are not followed."""
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode) and depth:
        for name in sorted(os.listdir(path)):
            yield from _below(path / name, f"{target}/{name}", access, depth - 1)
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        yield replace(_node(status, target, access), source=path)


def _node(status: os.stat_result, target: str, access: str) -> DeviceNode:
    kind: Literal["b", "c"] = "b" if stat.S_ISBLK(status.st_mode) else "c"
    number, mode = status.st_rdev, stat.S_IMODE(status.st_mode)
    owner = (status.st_uid, status.st_gid)
    return DeviceNode(target, kind, os.major(number), os.minor(number), mode, *owner, access)
