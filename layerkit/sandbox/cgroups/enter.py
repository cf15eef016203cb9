"""Does the steps that put the container's first process into its groups, and show them to it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.sandbox import steps
from layerkit.sandbox.cgroups import files
from layerkit.sandbox.cgroups.steps import JoinCgroups, MountCgroups
from layerkit.sandbox.perform import opened, perform

if TYPE_CHECKING:
    from layerkit.sandbox.inside import Inside

_SAFE = ("nosuid", "nodev", "noexec")
_SAFE_ATTRIBUTES = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_NOEXEC


@perform.register(JoinCgroups)
def _(step: JoinCgroups, _inside: Inside) -> None:
    for path in step.files:
        files.write(path, "0")


@perform.register(MountCgroups)
def _(step: MountCgroups, inside: Inside) -> None:
    alone = any(bind.target == step.target for bind in step.binds)
    if not alone:
        perform(steps.MountFs("tmpfs", step.target, _SAFE, (("mode", "755"),)), inside)
    for bind in step.binds:
        if not alone:
            _make_place(step.target, os.path.basename(bind.target), inside)
        linux.mount_setattr(inside.held[bind], _SAFE_ATTRIBUTES, linux.AT_RECURSIVE)
        perform(steps.AttachBind(bind), inside)
    with opened(inside, step.target, os.O_PATH) as top:
        linux.mount_setattr(top, linux.MOUNT_ATTR_RDONLY)


def _make_place(target: str, name: str, inside: Inside) -> None:
    """The folder of a tree, and where several controllers share it a link for each."""
    perform(steps.MakeDirectory(f"{target}/{name}"), inside)
    for controller in name.split(",") if "," in name else ():
        perform(steps.Symlink(f"{target}/{controller}", name), inside)
