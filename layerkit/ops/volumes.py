"""Volumes: folders that layerkit keeps under a name, for containers to share and to outlive them."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from msgspec.structs import replace

from layerkit.errors import UsageError
from layerkit.mount import BindMount, VolumeMount
from layerkit.store.files import guarded, remove_tree

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.mount import Mount
    from layerkit.ops.containers import Origin
    from layerkit.ops.home import Home
    from layerkit.ops.wishes import Wishes

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)

_UNNAMED = re.compile(r"[0-9a-f]{64}", re.ASCII)


def resolve(home: Home, _origin: Origin, wishes: Wishes, wanted: tuple[str, ...]) -> Wishes:
    """The wishes with a folder for each volume, among them new ones that the image wants.

    Raises `UsageError` for a bad name, `StoreError`.
    """
    targets = {mount.target for mount in wishes.mounts}
    mounts = (*wishes.mounts, *(VolumeMount("", each) for each in wanted if each not in targets))
    return replace(wishes, mounts=tuple(_resolved(home, each) for each in mounts))


def _resolved(home: Home, mount: Mount) -> Mount:
    if not isinstance(mount, VolumeMount):
        return mount
    return BindMount(_folder(home, mount.name), mount.target, mount.readonly)


def _folder(home: Home, name: str) -> Path:
    if name and _NAME.fullmatch(name) is None:
        raise UsageError(
            f"invalid volume name {name!r}: wanted letters, digits, '_', '.', '-', a letter or digit first"
        )
    folder = home.volumes / (name or secrets.token_hex(32))
    with guarded("make volume"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def remove_unnamed(home: Home, mounts: tuple[Mount, ...]) -> None:
    """Remove the volumes among the mounts that nobody gave a name; raises `StoreError`."""
    sources = [mount.source for mount in mounts if isinstance(mount, BindMount)]
    for source in sources:
        if source.parent == home.volumes and _UNNAMED.fullmatch(source.name):
            remove_tree(source, home.store.scratch)
