"""Reads a container's upper directory as one more layer: what overlayfs wrote, as entries."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

from layerkit.errors import StoreError
from layerkit.snapshot import beneath
from layerkit.tree import Entry, Kind, join

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.snapshot.beneath import Opener

_OVERLAY = ("trusted.overlay.", "user.overlay.")
# What a name says that somebody removed or replaced between two looks at it.
_VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL)
_OPAQUE = {False: "trusted.overlay.opaque", True: "user.overlay.opaque"}
"""By whether it was mounted with `user_xattrs`; the other one is only what a container wrote."""
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
    stat.S_IFSOCK: Kind.SOCKET,
}


def read(
    upper: Path, *, user_xattrs: bool = False, opener: Opener | None = None
) -> Iterator[Entry]:
    """The entries of an upper directory, the root and parents first (kernel overlayfs.rst).

    A character device 0:0 is a whiteout; an opaque directory comes as a whiteout and a new one:
    `user_xattrs` says how it was mounted, as in `OverlayMount`, so which xattr marks that one.
    What vanishes while a container runs is left out. Nothing is followed: `opener` opens what is
    below, without one whichever works here. Raises `StoreError`.
    """
    with _opened(upper, os.O_NOFOLLOW) as root:
        yield from _Reader(root, opener or beneath.opener(root), _OPAQUE[user_xattrs]).entries()


def read_plain(folder: Path) -> Iterator[Entry]:
    """The entries of any directory, the root itself first: as `read`, but no mark has a meaning."""
    with _opened(folder) as root:
        yield from _Reader(root, beneath.opener(root), None).entries()


def read_below(
    root: int, *, opener: Opener | None = None, closed: frozenset[int] = frozenset()
) -> Iterator[Entry]:
    """The entries of the directory descriptor `root`, as `read_plain`; raises `OSError`.

    Directories on the devices in `closed` come without what is in them.
    """
    yield from _Reader(root, opener or beneath.opener(root), None, closed).entries()


def read_one(file: int) -> Entry:
    """The entry of anything but a directory, open with O_PATH, as that of a root."""
    status = os.fstat(file)
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    link = os.readlink(b"", dir_fd=file) if kind is Kind.SYMLINK else b""
    return _entry(b"", kind, status, link, _xattrs(b"/proc/self/fd/%d" % file, follow=True))


@contextlib.contextmanager
def _opened(folder: Path, flags: int = 0) -> Iterator[int]:
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | flags)
        try:
            yield root
        finally:
            os.close(root)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise StoreError(f"cannot read {folder}: {reason}") from error


def read_root(folder: Path) -> Entry:
    """The entry of a directory itself, as that of a root; raises `StoreError`."""
    try:
        status = os.stat(folder, follow_symlinks=False)
        return _entry(b"", Kind.DIRECTORY, status, b"", _xattrs(os.fsencode(folder)))
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise StoreError(f"cannot read {folder}: {reason}") from error


@contextlib.contextmanager
def _may_vanish() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _VANISHED:
            raise


class _Reader:
    def __init__(
        self,
        root: int,
        opener: Opener,
        opaque: str | None,
        closed: frozenset[int] = frozenset(),
    ) -> None:
        self._root = root
        self._open_beneath = opener
        self._closed = closed
        self._opaque = opaque
        """The xattr of an opaque directory; None where no mark has a meaning."""
        self._first_names: dict[tuple[int, int], bytes] = {}

    def entries(self) -> Iterator[Entry]:
        xattrs = _xattrs(b"/proc/self/fd/%d/." % self._root)
        yield _entry(b"", Kind.DIRECTORY, os.fstat(self._root), b"", xattrs)
        todo = [b""]
        while todo:
            path = todo.pop()
            with _may_vanish():
                folder = self._open_beneath(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    if path and os.fstat(folder).st_dev in self._closed:
                        continue
                    for entry in self._folder(folder, path):
                        yield entry
                        if entry.kind is Kind.DIRECTORY:
                            todo.append(entry.path)
                finally:
                    os.close(folder)

    def _folder(self, folder: int, path: bytes) -> Iterator[Entry]:
        for name in sorted(map(os.fsencode, os.listdir(folder))):
            with _may_vanish():
                yield from self._node(folder, name, join(path, name))

    def _node(self, folder: int, name: bytes, path: bytes) -> Iterator[Entry]:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        kind = _KINDS[stat.S_IFMT(status.st_mode)]
        if kind is Kind.CHARACTER and status.st_rdev == 0 and self._opaque is not None:
            yield Entry(path, Kind.WHITEOUT)
            return
        if kind is not Kind.DIRECTORY and status.st_nlink > 1:
            first = self._first_names.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                yield _entry(path, Kind.HARDLINK, status, first, {})
                return
        xattrs = _xattrs(b"/proc/self/fd/%d/%s" % (folder, name))
        if self._opaque is not None and xattrs.get(self._opaque) == b"y":
            yield Entry(path, Kind.WHITEOUT)
        link = os.readlink(name, dir_fd=folder) if kind is Kind.SYMLINK else b""
        yield _entry(path, kind, status, link, xattrs)


def _entry(
    path: bytes, kind: Kind, status: os.stat_result, link: bytes, xattrs: dict[str, bytes]
) -> Entry:
    seconds, nanos = divmod(status.st_mtime_ns, 10**9)
    return Entry(
        path,
        kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        seconds=seconds,
        nanos=nanos,
        size=status.st_size if kind is Kind.FILE else 0,
        link=link,
        device=_device(kind, status),
        xattrs={key: value for key, value in xattrs.items() if not key.startswith(_OVERLAY)},
    )


def _device(kind: Kind, status: os.stat_result) -> tuple[int, int]:
    if kind not in {Kind.CHARACTER, Kind.BLOCK}:
        return (0, 0)
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def _xattrs(path: bytes, *, follow: bool = False) -> dict[str, bytes]:
    """All xattrs of a name; none where the file system or the kind of file has none."""
    found = {}
    with contextlib.suppress(OSError):
        for name in os.listxattr(path, follow_symlinks=follow):
            with contextlib.suppress(OSError):
                found[name] = os.getxattr(path, name, follow_symlinks=follow)
    return found
