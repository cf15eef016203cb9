"""Writes a delta of trees into a directory, never outside it.

Every directory is opened below the root descriptor with no link followed (`snapshot.beneath`),
every name in it used relative to that descriptor and created exclusively: neither a hostile archive
nor another process can lead a write astray. Meanwhile the root is the writer's alone.

Order within a node: content, owner, xattrs, mode, time. chown clears setuid bits and capabilities;
xattrs need a writable mode where the writer is not root; times come last. Directories get all that
when all else is written, deepest first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from layerkit import linux
from layerkit.errors import StoreError, StoreFullError
from layerkit.snapshot import beneath, rootless
from layerkit.snapshot.folders import opened
from layerkit.snapshot.skipped import Skipped
from layerkit.tree import Entry, Kind, Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.snapshot.beneath import Opener
    from layerkit.snapshot.delta import Delta
    from layerkit.snapshot.fill import Fill
    from layerkit.snapshot.folders import Folders

_Target: TypeAlias = int | str | bytes
_DEVICES = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}
_NOT_ALLOWED = (errno.EPERM, errno.EACCES)
# EINVAL: the user namespace has no such id.
_NO_SUCH_OWNER = (*_NOT_ALLOWED, errno.EINVAL)
# EINVAL: a value that the kernel reads itself (an ACL, capabilities) makes no sense to it.
_NO_SUCH_XATTR = (*_NOT_ALLOWED, errno.ENOTSUP, errno.ERANGE, errno.E2BIG, errno.EINVAL)
_OF_THE_HOST = frozenset(("security.selinux", "security.ima", "security.evm"))
"""Labels and seals that the host's own policy gives to files; an image's mean nothing here."""
_SHOWN = 100  # characters of a name
_ROOM = 1 << 20
"""So many free bytes are enough for any xattr: ENOSPC is then the file system's own limit."""


def write_named(folders: Folders, name: str, delta: Delta, fill: Fill) -> Skipped:
    """Write what a delta says to `<name>/fs`, whose parent is nobody else's; as `write`."""
    with folders.making(name) as beside:
        (beside / "fs").mkdir()
        with opened(beside / "fs", os.O_DIRECTORY) as root:
            skipped = write(root, delta, fill)
            linux.syncfs(root)  # the name must not outlive the content
    return skipped


def write(root: int, delta: Delta, fill: Fill, *, opener: Opener | None = None) -> Skipped:
    """Write `delta` below the directory descriptor `root`, which is new or empty.

    `fill` brings the content; `opener` opens what is below the root, without one whichever works
    here. What the caller's rights or the file system do not
    allow (owners, devices, xattrs) is left out and counted. Raises `StoreError`, `StoreFullError`,
    and what `fill` raises, such as `IntegrityError` for a tar that is too short.
    """
    path = b""
    try:
        with contextlib.closing(Writer(root, fill, opener or beneath.opener(root))) as writer:
            writer.take_root()
            for path in delta.directories:
                writer.make_directory(path)
            for path, node in delta.others.items():
                if not writer.make_other(path, node) and path in delta.hiding:
                    writer.make_whiteout(path)
            for path in delta.whiteouts:
                writer.make_whiteout(path)
            for path, node in reversed(delta.directories.items()):
                writer.finish_directory(path, node)
            return writer.skipped
    except OSError as error:
        raise _store_error(path, error) from error


def _store_error(path: bytes, error: OSError) -> StoreError:
    shown = path.decode("utf-8", "backslashreplace").encode("unicode_escape").decode()
    what = f"'{shown}'" if path else "the top directory"
    message = f"cannot write {what}: {os.strerror(error.errno or 0).lower()}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreFullError(message)
    if error.errno == errno.EMLINK:
        return StoreError(f"{message} (more hard links than the file system allows)")
    return StoreError(message)


class Writer:
    """Makes what is told below the directory descriptor `root`; all that is new must be.

    What the caller's rights or the file system do not allow is counted in `skipped`. Raises
    `OSError`, and what `fill` raises.
    """

    def __init__(self, root: int, fill: Fill, opener: Opener) -> None:
        self._root = root
        self._fill = fill
        self._open_beneath = opener
        self._is_root = os.geteuid() == 0
        self._written: dict[int, bytes] = {}
        self._open_path: bytes | None = None
        self._open_folder = -1
        self.skipped = Skipped()

    def close(self) -> None:
        """Let go of the directory that was worked in."""
        if self._open_folder >= 0:
            os.close(self._open_folder)
            self._open_folder = -1

    # -- places ---------------------------------------------------------------------------------

    def _folder(self, path: bytes) -> int:
        """A descriptor of the directory at `path`; the last one is kept open, siblings follow."""
        if path != self._open_path:
            self.close()
            self._open_path = None
            self._open_folder = self._open(path)
            self._open_path = path
        return self._open_folder

    def _open(self, path: bytes) -> int:
        return self._open_beneath(self._root, path, os.O_RDONLY | os.O_DIRECTORY)

    def place(self, path: bytes) -> tuple[int, bytes]:
        """The directory that `path` is in, open until the next call, and the name there."""
        parent, _, name = path.rpartition(b"/")
        return self._folder(parent), name

    # -- nodes ----------------------------------------------------------------------------------

    def take_root(self) -> None:
        """Keep others out until the end, and what is made from inheriting a group or an ACL."""
        if os.fstat(self._root).st_uid != os.geteuid():
            with contextlib.suppress(PermissionError):
                os.fchown(self._root, os.geteuid(), os.getegid())
        os.fchmod(self._root, 0o700)
        try:
            os.removexattr(self._root, "system.posix_acl_default")
        except OSError as error:
            if error.errno not in {errno.ENODATA, errno.ENOTSUP}:
                raise

    def make_directory(self, path: bytes) -> None:
        """Make a directory that is the owner's alone until it is finished; not the root."""
        if path:
            folder, name = self.place(path)
            os.mkdir(name, 0o700, dir_fd=folder)

    def finish_directory(self, path: bytes, node: Node) -> None:
        """Give a directory its attributes, when all in it is there."""
        folder = self._open(path)
        try:
            self._finish(folder, path, node.entry)
        finally:
            os.close(folder)

    def make_whiteout(self, path: bytes) -> None:
        """Hide what the layers below have at the path."""
        folder, name = self.place(path)
        os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=folder)

    def make_other(self, path: bytes, node: Node) -> bool:
        """As `make`; a node that was made before gets one more name. The caller keeps the nodes."""
        first = self._written.get(id(node))
        if first is not None:
            self.link(first, path)
            return True
        if not self.make(path, node):
            return False
        self._written[id(node)] = path
        return True

    def make(self, path: bytes, node: Node) -> bool:
        """Make anything but a directory; whether there is something at the path then."""
        match node.kind:
            case Kind.FILE:
                self._file(path, node)
            case Kind.SYMLINK:
                self._symlink(path, node.entry)
            case _:
                return self._device(path, node.entry)
        return True

    def link(self, first: bytes, path: bytes) -> None:
        """Give what is at `first` one more name."""
        parent, _, name = first.rpartition(b"/")
        source = self._open(parent)
        try:
            folder, new_name = self.place(path)
            os.link(name, new_name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(source)

    def _file(self, path: bytes, node: Node) -> None:
        folder, name = self.place(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        file = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            if node.entry.size:
                self._fill(path, node, file)
            self._finish(file, path, node.entry)
        finally:
            os.close(file)

    def _symlink(self, path: bytes, entry: Entry) -> None:
        folder, name = self.place(path)
        os.symlink(entry.link, name, dir_fd=folder)
        give = partial(os.chown, name, dir_fd=folder, follow_symlinks=False)
        self._set_owner(_magic(folder, name), path, entry, give)
        self._set_xattrs(_magic(folder, name), path, entry)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=folder, follow_symlinks=False)

    def _device(self, path: bytes, entry: Entry) -> bool:
        folder, name = self.place(path)
        try:
            number = os.makedev(*entry.device)
            os.mknod(name, _DEVICES[entry.kind] | 0o600, number, dir_fd=folder)
        except PermissionError:
            self.skipped.lose("device", "device", path)
            return False
        handle = self._open_beneath(folder, name, os.O_PATH)
        try:
            # O_PATH never opens the device itself; its entry in /proc leads to the very inode.
            self._finish(f"/proc/self/fd/{handle}", path, entry)
        finally:
            os.close(handle)
        return True

    # -- metadata -------------------------------------------------------------------------------

    def _finish(self, target: int | str, path: bytes, entry: Entry) -> None:
        self._set_owner(target, path, entry, partial(os.chown, target))
        self._set_xattrs(target, path, entry)
        os.chmod(target, entry.mode)
        os.utime(target, ns=(entry.mtime, entry.mtime))

    def _set_owner(
        self, target: _Target, path: bytes, entry: Entry, give: Callable[[int, int], None]
    ) -> None:
        """Give the file away, or write down whose it is where that cannot be.

        Who is not root stands for the image's root; the user's own id is somebody else's there.
        """
        if self._is_root:
            try:
                give(entry.uid, entry.gid)
                return
            except OSError as error:
                if error.errno not in _NO_SUCH_OWNER:
                    raise
        value = rootless.encode(entry.uid, entry.gid)
        if value and self._set_xattr(target, rootless.XATTR, value):
            self.skipped.record()
        elif value:
            self.skipped.lose("owner", f"owner {entry.uid}:{entry.gid} of", path)

    def _set_xattrs(self, target: _Target, path: bytes, entry: Entry) -> None:
        for name, value in entry.xattrs.items():
            if name not in _OF_THE_HOST and not self._set_xattr(target, name, value):
                self.skipped.lose("xattr", f"{name[:_SHOWN]} of", path)

    def _set_xattr(self, target: _Target, name: str, value: bytes) -> bool:
        """Whether the file could be given the xattr; a path in bytes names a symlink itself."""
        try:
            if isinstance(target, bytes):
                os.setxattr(target, name, value, follow_symlinks=False)
            else:
                os.setxattr(target, name, value)
        except OSError as error:
            too_large = error.errno == errno.ENOSPC and self._has_room()
            if error.errno not in _NO_SUCH_XATTR and not too_large:
                raise
            return False
        return True

    def _has_room(self) -> bool:
        status = os.fstatvfs(self._root)
        return status.f_bavail * status.f_frsize >= _ROOM


def _magic(folder: int, name: bytes) -> bytes:
    """A path to a name in an open directory, for calls that take no directory descriptor."""
    return b"/proc/self/fd/%d/%s" % (folder, name)
