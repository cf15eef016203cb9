"""The content of files that are written: from layer tars, or from another folder, without passing through
this process where the kernel can do it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from layerkit.errors import IntegrityError
from layerkit.snapshot import beneath
from layerkit.tree import Entry, Extent, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

Fill: TypeAlias = Callable[[bytes, Node, int], None]
"""`fill(path, node, file)` writes the content of a file, which is not empty, to a descriptor."""

_NO_COPY_RANGE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_FICLONE = 0x40049409  # linux/fs.h


def from_tars(tar_of: Callable[[int], int]) -> Fill:
    """Content from layer tars; `tar_of` gives the descriptor of one by its layer's number."""
    return lambda _path, node, file: _copy_content(tar_of(node.layer), file, node.entry)


def from_folder(root: int) -> Fill:
    """Content from the same paths below the directory descriptor `root`, holes kept.

    Where the file system can share blocks between files, none is copied.
    """
    open_beneath = beneath.opener(root)

    def fill(path: bytes, _node: Node, file: int) -> None:
        source = open_beneath(root, path, os.O_RDONLY)
        try:
            clone(source, file)
        finally:
            os.close(source)

    return fill


def clone(source: int, file: int) -> None:
    """Copy a whole file, holes kept, or share its blocks where the file system can.

    Raises `IntegrityError` when it becomes shorter meanwhile.
    """
    try:
        fcntl.ioctl(file, _FICLONE, source)
    except OSError:
        size = os.fstat(source).st_size
        os.ftruncate(file, size)
        for start, end in _data(source, size):
            os.lseek(file, start, os.SEEK_SET)
            copy(source, start, file, end - start)


def _data(file: int, size: int) -> Iterator[tuple[int, int]]:
    """The runs of a file that are no holes."""
    end = 0
    while end < size:
        try:
            start = os.lseek(file, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # behind the last one
                raise
            return
        end = os.lseek(file, start, os.SEEK_HOLE)
        yield start, end


def _copy_content(tar: int, file: int, entry: Entry) -> None:
    if entry.extents is None:
        copy(tar, entry.data, file, entry.size)
        return
    os.ftruncate(file, entry.size)  # what no extent covers stays a hole
    source = entry.data
    for extent in entry.extents:
        _copy_extent(tar, source, file, extent)
        source += extent.size


def _copy_extent(tar: int, source: int, file: int, extent: Extent) -> None:
    os.lseek(file, extent.offset, os.SEEK_SET)
    copy(tar, source, file, extent.size)


def copy(tar: int, offset: int, file: int, size: int) -> None:
    """Copy bytes of a tar to the current position of a file, inside the kernel."""
    call = _copy_range
    while size:
        try:
            done = call(tar, file, size, offset)
        except OSError as error:
            if call is _send or error.errno not in _NO_COPY_RANGE:
                raise
            call = _send
            continue
        if not done:
            raise IntegrityError("a layer's tar is shorter than its index says")
        offset += done
        size -= done


def _copy_range(tar: int, file: int, size: int, offset: int) -> int:
    return os.copy_file_range(tar, file, size, offset_src=offset)


def _send(tar: int, file: int, size: int, offset: int) -> int:
    return os.sendfile(file, tar, offset, size)
