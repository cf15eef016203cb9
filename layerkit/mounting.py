r"""Mounts: fields become options here, in the one way that is safe for foreign layers.

The folders of an overlay are named to the kernel as numbers in /proc/self/fd. So there is nothing to escape
(`:`, `,`, `\\`), 255 bytes an option are enough for any path, 4095 bytes for all of them, and
nobody can swap a folder between the look-up and the mount.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit import linux, loop
from layerkit.mount import ErofsMount, FolderMount, OverlayMount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import TypeAlias

    from layerkit.mount import RootMount

    Named: TypeAlias = Callable[[Path], AbstractContextManager[str]]

# A layer's own redirect and metacopy attributes must never be followed: they name any file of the
# layers below. The rest is what overlayfs.rst calls safe for layers that are shared.
_OPTIONS = (
    ("index", "off"),
    ("metacopy", "off"),
    ("redirect_dir", "nofollow"),
    ("xino", "auto"),
)


class _Folders(Struct, frozen=True):
    """The folders of an overlay and its mount point, each as a name in /proc/self/fd; its flags."""

    lowers: tuple[str, ...]
    upper: str | None
    work: str | None
    target: str
    flags: tuple[str, ...]


def mount_root(root: RootMount, target: Path, *, readonly: bool = False) -> None:
    """Mount `root` on the folder `target`, which may be one of its own. Raises `OSError`.

    Device files in it cannot be opened: those of an image may be any disk of the host. What shows
    an image needs no `readonly`, unless it is a folder.
    """
    match root:
        case OverlayMount():
            mount_overlay(root, target)
        case ErofsMount():
            mount_erofs(root, target)
        case FolderMount():
            mount_folder(root.folder, target, readonly=readonly)


def mount_folder(folder: Path, target: Path, *, readonly: bool = False) -> None:
    """Show `folder` on `target`; what is mounted in it does not show."""
    attributes = linux.MOUNT_ATTR_NODEV | (linux.MOUNT_ATTR_RDONLY if readonly else 0)
    tree = linux.open_tree(linux.AT_FDCWD, os.fspath(folder))
    try:
        linux.mount_setattr(tree, attributes, propagation=linux.MS_PRIVATE)
        _attach(tree, target)
    finally:
        os.close(tree)


def mount_erofs(root: ErofsMount, target: Path) -> None:
    """Show an EROFS image on `target`: its files as they are, or as loop devices before Linux 6.12."""
    try:
        mount_erofs_of(root, target, as_file)
    except OSError as error:
        if error.errno != errno.ENOTBLK:
            raise
        mount_erofs_of(root, target, loop.attached)


def mount_erofs_of(root: ErofsMount, target: Path, named: Named) -> None:
    """As `mount_erofs`, in the one way that `named` has to name a file to the kernel."""
    with contextlib.ExitStack() as stack:
        context = linux.fsopen("erofs")
        stack.callback(os.close, context)
        linux.fsconfig(context, "source", stack.enter_context(named(root.image)))
        for device in root.devices:
            linux.fsconfig(context, "device", stack.enter_context(named(device)))
        linux.fsconfig(context, "ro")
        tree = linux.fscreate(context, linux.MOUNT_ATTR_NODEV)
        stack.callback(os.close, tree)
        _attach(tree, target)


@contextlib.contextmanager
def as_file(path: Path) -> Iterator[str]:
    """A name for a file that is never too long."""
    file = os.open(path, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{file}"
    finally:
        os.close(file)


def _attach(tree: int, target: Path) -> None:
    folder = os.open(target, os.O_PATH | os.O_DIRECTORY)
    try:
        linux.move_mount(tree, folder)
    finally:
        os.close(folder)


def mount_overlay(overlay: OverlayMount, target: Path) -> None:
    """As `mount_root`, of an overlay; an EROFS lower is mounted on `target` first, below it."""
    with contextlib.ExitStack() as stack:

        def opened(lower: Path | ErofsMount) -> str:
            if isinstance(lower, ErofsMount):
                mount_erofs(lower, target)
                lower = target
            folder = os.open(lower, os.O_PATH | os.O_DIRECTORY)
            stack.callback(os.close, folder)
            return str(folder)

        # What is mounted on the target may hide what is opened later.
        upper = None if overlay.upper is None else opened(overlay.upper)
        work = None if overlay.work is None else opened(overlay.work)
        lowers = tuple(map(opened, overlay.lowers))
        folders = _Folders(lowers, upper, work, opened(target), _flags(overlay))
        before = os.open(".", os.O_PATH | os.O_DIRECTORY)
        stack.callback(os.close, before)
        os.chdir("/proc/self/fd")
        stack.callback(os.fchdir, before)
        _mount(folders)


def _mount(folders: _Folders) -> None:
    try:
        tree = _detached(folders)
    except OSError as error:
        # Before Linux 6.7 an overlay context does not know lowerdir+.
        if (error.errno, error.filename) != (errno.EINVAL, "lowerdir+"):
            raise
        _mount_by_string(folders)
        return
    try:
        linux.move_mount(tree, int(folders.target))
    finally:
        os.close(tree)


def _detached(folders: _Folders) -> int:
    context = linux.fsopen("overlay")
    try:
        linux.fsconfig(context, "source", "overlay")
        for lower in folders.lowers:
            linux.fsconfig(context, "lowerdir+", lower)
        for key, value in _writable(folders) + _OPTIONS:
            linux.fsconfig(context, key, value)
        for flag in folders.flags:
            linux.fsconfig(context, flag)
        return linux.fscreate(context, linux.MOUNT_ATTR_NODEV)
    finally:
        os.close(context)


def _mount_by_string(folders: _Folders) -> None:
    options = [("lowerdir", ":".join(folders.lowers)), *_writable(folders), *_OPTIONS]
    data = ",".join([*(f"{key}={value}" for key, value in options), *folders.flags])
    linux.mount("overlay", folders.target, "overlay", linux.MS_NODEV, data)


def _flags(overlay: OverlayMount) -> tuple[str, ...]:
    wanted = {"userxattr": overlay.user_xattrs, "volatile": overlay.volatile}
    return tuple(flag for flag, is_wanted in wanted.items() if is_wanted)


def _writable(folders: _Folders) -> tuple[tuple[str, str], ...]:
    if folders.upper is None or folders.work is None:
        return ()
    return (("upperdir", folders.upper), ("workdir", folders.work))
