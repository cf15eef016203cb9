"""Opens what a path leads to inside a root, symlinks included, as a process sees it that has this root.

openat2(2) with RESOLVE_IN_ROOT does it: neither a symlink nor `..`, nor somebody who moves folders
meanwhile, leads out of the root. Paths are canonical, the root is `b""`.
"""

from __future__ import annotations

import errno
import os

from layerkit import linux
from layerkit.tree import LINK_LIMIT, join

_FOLDER = os.O_PATH | os.O_DIRECTORY
_TRIES = 1000


def open_path(root: int, path: bytes, flags: int) -> int:
    """The descriptor of what `path` leads to; an `Opener` that follows. Raises `OSError`."""
    for _ in range(_TRIES):
        try:
            return linux.openat2(root, os.fsdecode(path or b"."), flags, linux.RESOLVE_IN_ROOT)
        except OSError as error:
            # Something was renamed while the kernel went up a `..`.
            if error.errno != errno.EAGAIN:
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def open_place(root: int, path: bytes) -> tuple[int, bytes]:
    """The directory and the name in it that `path` leads to, whether or not anything is there.

    The name is no symlink, unless somebody made one meanwhile. Raises `OSError`, as for a path that
    leads to the root itself.
    """
    for _ in range(LINK_LIMIT):
        parent, _, name = path.rpartition(b"/")
        if name in {b"", b".", b".."}:
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        folder = open_path(root, parent, _FOLDER)
        try:
            target = os.readlink(name, dir_fd=folder)
        except FileNotFoundError:
            return folder, name
        except OSError as error:
            if error.errno == errno.EINVAL:  # no symlink
                return folder, name
            os.close(folder)
            raise
        os.close(folder)
        path = target.strip(b"/") if target.startswith(b"/") else join(parent, target.rstrip(b"/"))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
