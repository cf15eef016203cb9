"""Opens what lies below a directory: nothing is followed on the way, and the way never leaves it.

One openat2(2) does it. Where that is missing (Linux before 5.6, or a seccomp filter that does not
know it), each component is opened relative to the one before: slower, with the same guarantee.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from layerkit import linux

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Opener: TypeAlias = Callable[[int, bytes, int], int]
"""`opener(root, path, flags)` gives the descriptor of `path` below the directory `root`.

The path is canonical, as in a tree, of any length; the root is `b""`. Where a directory is asked
for, a symlink anywhere on the path is ENOTDIR; `O_PATH` opens one at its end as such. An absolute
path and one with `..` are EXDEV.
"""

_RULES = linux.RESOLVE_BENEATH | linux.RESOLVE_NO_SYMLINKS
_MISSING = (errno.ENOSYS, errno.EPERM)
# What a name says that is no longer that of a file.
_VANISHED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)
_FOLDER = os.O_PATH | os.O_DIRECTORY
_LONGEST = 4095
"""Bytes that the kernel takes in one path (PATH_MAX, with a NUL at its end)."""


def opener(root: int) -> Opener:
    """The better one of the two that works here; `root` is any directory to try it on."""
    try:
        os.close(by_openat2(root, b"", _FOLDER))
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        return by_steps
    return by_openat2


def open_file(folder: Path, path: bytes) -> int | None:
    """The regular file at `path` below `folder`, to be read; None where there is none any more.

    Whatever somebody puts in its way meanwhile is neither followed nor waited for. Raises `OSError`.
    """
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # To open a fifo without O_NONBLOCK would wait for a writer.
        file = opener(root)(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno not in _VANISHED:
            raise
        return None
    finally:
        os.close(root)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def by_openat2(root: int, path: bytes, flags: int) -> int:
    """An `Opener` with as few system calls as there can be; raises `OSError`."""
    return _open(root, list(_pieces(_checked(path))), flags, _one_call)


def by_steps(root: int, path: bytes, flags: int) -> int:
    """An `Opener` for every Linux, one system call a component; raises `OSError`."""
    return _open(root, _checked(path).split(b"/"), flags, _one_step)


def _checked(path: bytes) -> bytes:
    if path.startswith(b"/") or b".." in path.split(b"/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    return path or b"."


def _pieces(path: bytes) -> Iterator[bytes]:
    while len(path) > _LONGEST:
        cut = path.rindex(b"/", 0, _LONGEST + 1)
        yield path[:cut]
        path = path[cut + 1 :]
    yield path


def _one_call(folder: int, path: bytes, flags: int) -> int:
    try:
        return linux.openat2(folder, os.fsdecode(path), flags | os.O_NOFOLLOW, _RULES)
    except OSError as error:
        if error.errno == errno.ELOOP and flags & os.O_DIRECTORY:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None
        raise


def _one_step(folder: int, name: bytes, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)


def _open(root: int, way: Sequence[bytes], flags: int, step: Opener) -> int:
    """The end of a way of steps, each from the one before; those on the way are closed again."""
    folder = root
    try:
        for part in way[:-1]:
            below = step(folder, part, _FOLDER)
            if folder != root:
                os.close(folder)
            folder = below
        return step(folder, way[-1], flags)
    finally:
        if folder != root:
            os.close(folder)
