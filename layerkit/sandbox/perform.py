"""Does the steps: one loop, one function for each kind of step.

Every target is opened from the root by descriptor, with the rules of openat2(2), and then mounted
on by descriptor, so no link of the image can lead a step elsewhere. Raises `OSError`, and
`SandboxError` where the image or the request holds what a step will not work with.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import glob
import os
import posixpath
import socket
import stat
import struct
from typing import TYPE_CHECKING

from layerkit import linux, mounting
from layerkit.errors import SandboxError
from layerkit.sandbox import steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.sandbox.inside import Inside

_NO_LINKS = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_SYMLINKS | linux.RESOLVE_NO_MAGICLINKS
_SCOPED = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
_FOLDER = os.O_PATH | os.O_DIRECTORY
_NULL = (1, 3)

_NAMESPACES = {
    "mount": linux.CLONE_NEWNS,
    "uts": linux.CLONE_NEWUTS,
    "ipc": linux.CLONE_NEWIPC,
    "network": linux.CLONE_NEWNET,
    "cgroup": linux.CLONE_NEWCGROUP,
}
_ATTRIBUTES = {
    "nosuid": linux.MOUNT_ATTR_NOSUID,
    "nodev": linux.MOUNT_ATTR_NODEV,
    "noexec": linux.MOUNT_ATTR_NOEXEC,
    "relatime": 0,
    "noatime": linux.MOUNT_ATTR_NOATIME,
    "strictatime": linux.MOUNT_ATTR_STRICTATIME,
    "nodiratime": linux.MOUNT_ATTR_NODIRATIME,
    "ro": linux.MOUNT_ATTR_RDONLY,
}
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


@functools.singledispatch
def perform(step: steps.Step, _inside: Inside) -> None:
    """Do one step."""
    raise TypeError(f"no way to do {step!r}")


@contextlib.contextmanager
def opened(inside: Inside, path: str, flags: int, resolve: int = _NO_LINKS) -> Iterator[int]:
    """The file at the absolute `path` of the container, while the block runs."""
    descriptor = linux.openat2(inside.root, path, flags, resolve)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _plain_folder(inside: Inside, path: str) -> Iterator[int]:
    """As `opened`; refuses a path on which there is anything but real folders (CVE-2019-19921)."""
    try:
        descriptor = linux.openat2(inside.root, path, _FOLDER, _NO_LINKS)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
            raise
        raise SandboxError(f"cannot mount on {path}: in the image it is not a folder") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _parent(inside: Inside, path: str) -> Iterator[tuple[int, str]]:
    folder, name = posixpath.split(path)
    with _plain_folder(inside, folder) as descriptor:
        yield descriptor, name


@contextlib.contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@perform.register(steps.Unshare)
def _(step: steps.Unshare, _inside: Inside) -> None:
    linux.unshare(sum(_NAMESPACES[name] for name in step.namespaces))


@perform.register(steps.JoinNamespaces)
def _(step: steps.JoinNamespaces, inside: Inside) -> None:
    assert inside.target is not None, "the job says whose"
    linux.setns(inside.target, sum(_NAMESPACES[name] for name in step.namespaces))
    os.chdir("/")
    inside.root = os.open("/", _FOLDER)


@perform.register(steps.JoinNetwork)
def _(step: steps.JoinNetwork, _inside: Inside) -> None:
    linux.setns(step.descriptor, linux.CLONE_NEWNET)


@perform.register(steps.NewKeyring)
def _(_step: steps.NewKeyring, _inside: Inside) -> None:
    try:
        linux.join_new_keyring()
    except OSError as error:
        # A kernel without keyrings has none to protect; the quota counts per user, not per need.
        if error.errno not in {errno.ENOSYS, errno.EDQUOT}:
            raise


@perform.register(steps.LoopbackUp)
def _(_step: steps.LoopbackUp, _inside: Inside) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anything:
        request = struct.pack("16sh14x", b"lo", 0)
        _name, flags = struct.unpack("16sh14x", fcntl.ioctl(anything, _SIOCGIFFLAGS, request))
        request = struct.pack("16sh14x", b"lo", flags | _IFF_UP)
        fcntl.ioctl(anything, _SIOCSIFFLAGS, request)


@perform.register(steps.IsolateMounts)
def _(_step: steps.IsolateMounts, _inside: Inside) -> None:
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_SLAVE)


@perform.register(steps.HoldBind)
def _(step: steps.HoldBind, inside: Inside) -> None:
    tree = linux.open_tree(linux.AT_FDCWD, os.fspath(step.bind.source), linux.AT_RECURSIVE)
    inside.held[step.bind] = tree
    attributes = linux.MOUNT_ATTR_RDONLY if step.bind.readonly else 0
    linux.mount_setattr(tree, attributes, linux.AT_RECURSIVE, linux.MS_PRIVATE)


@perform.register(steps.MountRoot)
def _(step: steps.MountRoot, _inside: Inside) -> None:
    mounting.mount_root(step.root, step.target)


@perform.register(steps.PivotRoot)
def _(step: steps.PivotRoot, inside: Inside) -> None:
    inside.old_root = os.open("/", _FOLDER)
    os.chdir(step.root)
    linux.pivot_root(".", ".")
    inside.root = os.open("/", _FOLDER)
    os.fchdir(inside.old_root)
    linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)


@perform.register(steps.MakeDirectory)
def _(step: steps.MakeDirectory, inside: Inside) -> None:
    with _parent(inside, step.path) as (folder, name):
        os.mkdir(name, step.mode, dir_fd=folder)


@perform.register(steps.MountFs)
def _(step: steps.MountFs, inside: Inside) -> None:
    with _plain_folder(inside, step.target) as target, _closing(file_system(step)) as tree:
        linux.move_mount(tree, target)
        if step.fstype == "proc":
            inside.proc = os.dup(tree)


def file_system(step: steps.MountFs) -> int:
    """The detached mount that the step is about."""
    with _closing(linux.fsopen(step.fstype)) as context:
        linux.fsconfig(context, "source", step.fstype)
        for key, value in step.options:
            linux.fsconfig(context, key, value)
        return linux.fscreate(context, sum(_ATTRIBUTES[flag] for flag in step.flags))


@perform.register(steps.DetachOldRoot)
def _(_step: steps.DetachOldRoot, inside: Inside) -> None:
    os.fchdir(inside.old_root)
    linux.umount2(".", linux.MNT_DETACH)
    os.chdir("/")
    # A descriptor of the host's root must not be there for a link to /proc/self/fd to find.
    os.close(inside.old_root)
    inside.old_root = -1


@perform.register(steps.MakeDevice)
def _(step: steps.MakeDevice, inside: Inside) -> None:
    with _parent(inside, step.path) as (folder, name):
        device = os.makedev(step.major, step.minor)
        os.mknod(name, stat.S_IFCHR | 0o666, device, dir_fd=folder)


@perform.register(steps.Symlink)
def _(step: steps.Symlink, inside: Inside) -> None:
    if step.needs:
        try:
            os.close(linux.openat2(inside.root, step.needs, os.O_PATH, _NO_LINKS))
        except FileNotFoundError:
            return
    with _parent(inside, step.path) as (folder, name):
        os.symlink(step.to, name, dir_fd=folder)


@perform.register(steps.Sysctl)
def _(step: steps.Sysctl, inside: Inside) -> None:
    # From the procfs that was mounted here, whatever lies over it meanwhile (CVE-2025-52881).
    resolve = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_XDEV | linux.RESOLVE_NO_SYMLINKS
    path = "sys/" + step.name.replace(".", "/")
    try:
        parameter = linux.openat2(inside.proc, path, os.O_WRONLY, resolve)
    except FileNotFoundError:
        if step.required:
            raise
        return
    with _closing(parameter):
        os.write(parameter, step.value.encode("ascii"))


@perform.register(steps.AttachBind)
def _(step: steps.AttachBind, inside: Inside) -> None:
    with (
        _closing(inside.held.pop(step.bind)) as tree,
        opened(inside, step.bind.target, os.O_PATH, _SCOPED) as target,
    ):
        refuse_proc(inside, step.bind.target, target)
        linux.move_mount(tree, target)


def refuse_proc(inside: Inside, path: str, target: int) -> None:
    """Raise `SandboxError` for a folder of /proc, which nobody may fake (CVE-2019-16884)."""
    status = os.fstat(target)
    if stat.S_ISDIR(status.st_mode) and status.st_dev == os.fstat(inside.proc).st_dev:
        raise SandboxError(f"cannot mount on {path}: it is a folder of /proc")


@perform.register(steps.ReadonlyPath)
def _(step: steps.ReadonlyPath, inside: Inside) -> None:
    with contextlib.suppress(FileNotFoundError), opened(inside, step.path, os.O_PATH) as target:
        flags = linux.AT_EMPTY_PATH | linux.AT_RECURSIVE
        with _closing(linux.open_tree(target, "", flags)) as tree:
            linux.mount_setattr(tree, linux.MOUNT_ATTR_RDONLY, linux.AT_RECURSIVE)
            linux.move_mount(tree, target)


@perform.register(steps.MaskPath)
def _(step: steps.MaskPath, inside: Inside) -> None:
    for path in glob.glob(step.path):
        with opened(inside, path, os.O_PATH) as target:
            is_folder = stat.S_ISDIR(os.fstat(target).st_mode)
            with _closing(_empty_folder() if is_folder else _null(inside)) as tree:
                linux.move_mount(tree, target)


def _empty_folder() -> int:
    options = (("nr_blocks", "1"), ("nr_inodes", "1"))
    return file_system(steps.MountFs("tmpfs", "", ("ro", "nosuid", "nodev", "noexec"), options))


def _null(inside: Inside) -> int:
    """A detached mount of /dev/null, which is made sure to be that (CVE-2025-31133)."""
    with opened(inside, "/dev/null", os.O_PATH) as null:
        require_null(null)
        return linux.open_tree(null, "", linux.AT_EMPTY_PATH)


def require_null(descriptor: int) -> None:
    """Raise `SandboxError` unless the descriptor is the null device."""
    status = os.fstat(descriptor)
    numbers = (os.major(status.st_rdev), os.minor(status.st_rdev))
    if not stat.S_ISCHR(status.st_mode) or numbers != _NULL:
        raise SandboxError("/dev/null of the container is not the null device")


@perform.register(steps.SetHostname)
def _(step: steps.SetHostname, _inside: Inside) -> None:
    socket.sethostname(step.name)


@perform.register(steps.SetUmask)
def _(step: steps.SetUmask, _inside: Inside) -> None:
    os.umask(step.mask)


@perform.register(steps.MakeWorkdir)
def _(step: steps.MakeWorkdir, inside: Inside) -> None:
    make_folders(inside, step.path)


@perform.register(steps.MakeMountpoint)
def _(step: steps.MakeMountpoint, inside: Inside) -> None:
    if step.is_folder:
        make_folders(inside, step.path)
        return
    folder, name = posixpath.split(step.path)
    make_folders(inside, folder)
    try:
        os.close(linux.openat2(inside.root, step.path, os.O_PATH, _SCOPED))
    except FileNotFoundError:
        with opened(inside, folder, _FOLDER, _SCOPED) as parent:
            flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY
            os.close(os.open(name, flags, 0o644, dir_fd=parent))


def make_folders(inside: Inside, whole: str) -> None:
    """Make the folder at the absolute path `whole`, with its parents, where they are missing."""
    path = ""
    for name in filter(None, whole.split("/")):
        parent, path = path or "/", f"{path}/{name}"
        try:
            os.close(linux.openat2(inside.root, path, _FOLDER, _SCOPED))
        except FileNotFoundError:
            with opened(inside, parent, _FOLDER, _SCOPED) as folder:
                os.mkdir(name, 0o755, dir_fd=folder)


@perform.register(steps.ReadonlyRoot)
def _(_step: steps.ReadonlyRoot, inside: Inside) -> None:
    linux.mount_setattr(inside.root, linux.MOUNT_ATTR_RDONLY)
