r"""Overlay mounts: fields become options here, in the one way that is safe for foreign layers.

The folders are named to the kernel as numbers in /proc/self/fd. So there is nothing to escape
(`:`, `,`, `\\`), 255 bytes an option are enough for any path, 4095 bytes for all of them, and
nobody can swap a folder between the look-up and the mount.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit import linux

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.mount import OverlayMount

# A layer's own redirect and metacopy attributes must never be followed: they name any file of the
# layers below. The rest is what overlayfs.rst calls safe for layers that are shared.
_OPTIONS = (
    ("index", "off"),
    ("metacopy", "off"),
    ("redirect_dir", "nofollow"),
    ("xino", "auto"),
)


@dataclass(frozen=True, slots=True)
class _Folders:
    """The folders of an overlay and its mount point, each as a name in /proc/self/fd."""

    lowers: tuple[str, ...]
    upper: str | None
    work: str | None
    target: str


def mount_overlay(overlay: OverlayMount, target: Path) -> None:
    """Mount `overlay` on the folder `target`, which may be one of its own. Raises `OSError`.

    Device files in it cannot be opened: those of an image may be any disk of the host.
    """
    with contextlib.ExitStack() as stack:

        def opened(path: Path) -> str:
            folder = os.open(path, os.O_PATH | os.O_DIRECTORY)
            stack.callback(os.close, folder)
            return str(folder)

        folders = _Folders(
            lowers=tuple(map(opened, overlay.lowers)),
            upper=None if overlay.upper is None else opened(overlay.upper),
            work=None if overlay.work is None else opened(overlay.work),
            target=opened(target),
        )
        before = os.open(".", os.O_PATH | os.O_DIRECTORY)
        stack.callback(os.close, before)
        os.chdir("/proc/self/fd")
        stack.callback(os.fchdir, before)
        _mount(folders, volatile=overlay.volatile)


def _mount(folders: _Folders, *, volatile: bool) -> None:
    try:
        tree = _detached(folders, volatile=volatile)
    except OSError as error:
        # Before Linux 6.7 an overlay context does not know lowerdir+.
        if (error.errno, error.filename) != (errno.EINVAL, "lowerdir+"):
            raise
        _mount_by_string(folders, volatile=volatile)
        return
    try:
        linux.move_mount(tree, int(folders.target))
    finally:
        os.close(tree)


def _detached(folders: _Folders, *, volatile: bool) -> int:
    context = linux.fsopen("overlay")
    try:
        linux.fsconfig(context, "source", "overlay")
        for lower in folders.lowers:
            linux.fsconfig(context, "lowerdir+", lower)
        for key, value in _writable(folders) + _OPTIONS:
            linux.fsconfig(context, key, value)
        if volatile:
            linux.fsconfig(context, "volatile")
        return linux.fscreate(context, linux.MOUNT_ATTR_NODEV)
    finally:
        os.close(context)


def _mount_by_string(folders: _Folders, *, volatile: bool) -> None:
    options = [("lowerdir", ":".join(folders.lowers)), *_writable(folders), *_OPTIONS]
    data = ",".join(f"{key}={value}" for key, value in options) + ",volatile" * volatile
    linux.mount("overlay", folders.target, "overlay", linux.MS_NODEV, data)


def _writable(folders: _Folders) -> tuple[tuple[str, str], ...]:
    if folders.upper is None or folders.work is None:
        return ()
    return (("upperdir", folders.upper), ("workdir", folders.work))
