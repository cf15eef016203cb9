"""Does the steps that hold a container back, or open up to it what the user wants."""

from __future__ import annotations

import os
import posixpath
import resource
import stat
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.errors import SandboxError
from layerkit.sandbox import isolation, steps, trampoline, ulimits
from layerkit.sandbox.perform import file_system, make_folders, opened, perform, refuse_proc

if TYPE_CHECKING:
    from layerkit.sandbox.inside import Inside

_SCOPED = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
_FOLDER = os.O_PATH | os.O_DIRECTORY


@perform.register(isolation.MakeNode)
def _(step: isolation.MakeNode, inside: Inside) -> None:
    node = step.node
    parent, name = posixpath.split(node.path)
    make_folders(inside, parent)
    kind = stat.S_IFBLK if node.kind == "b" else stat.S_IFCHR
    with opened(inside, parent, _FOLDER) as folder:
        os.mknod(name, kind | node.mode, os.makedev(node.major, node.minor), dir_fd=folder)
        os.chown(name, node.uid, node.gid, dir_fd=folder, follow_symlinks=False)


@perform.register(isolation.MountTmpfs)
def _(step: isolation.MountTmpfs, inside: Inside) -> None:
    make_folders(inside, step.target)
    options: list[tuple[str, str | None]] = [("mode", f"{step.mode:o}")]
    if step.size is not None:
        options.append(("size", str(step.size)))
    if "sync" in step.flags:  # of the file system, all others are of the mount
        options.append(("sync", None))
    flags = tuple(flag for flag in step.flags if flag != "sync")
    tree = file_system(steps.MountFs("tmpfs", step.target, flags, tuple(options)))
    try:
        with opened(inside, step.target, _FOLDER, _SCOPED) as target:
            refuse_proc(inside, step.target, target)
            linux.move_mount(tree, target)
    finally:
        os.close(tree)


@perform.register(isolation.LoadInit)
def _(_step: isolation.LoadInit, inside: Inside) -> None:
    init = trampoline.create("init")
    if init is None:
        raise SandboxError(f"layerkit has no init for {os.uname().machine}")
    if inside.trampoline is not None:
        os.close(inside.trampoline)
    inside.trampoline = init


@perform.register(isolation.SetUlimits)
def _(step: isolation.SetUlimits, _inside: Inside) -> None:
    for each in step.ulimits:
        resource.setrlimit(ulimits.NUMBERS[each.name], (each.soft, each.hard))


@perform.register(isolation.LoadSeccomp)
def _(step: isolation.LoadSeccomp, _inside: Inside) -> None:
    linux.load_seccomp(step.program)


@perform.register(isolation.NoNewPrivileges)
def _(_step: isolation.NoNewPrivileges, _inside: Inside) -> None:
    linux.set_no_new_privileges()
