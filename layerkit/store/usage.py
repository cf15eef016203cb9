"""What files take on the disk, and when the last of them changed."""

from __future__ import annotations

import contextlib
import math
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 512  # of st_blocks, whatever the file system's own blocks are
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMES = 15
"""As many names of 255 bytes are a path that one call takes."""


@dataclass(frozen=True, slots=True)
class Usage:
    """`size` in bytes of the disk, a file with several names counted once.

    `changed` is in seconds since 1970, by ctime: a rename sets it, and nobody can set it back;
    infinite where nothing is.
    """

    size: int
    changed: float


def measure(path: Path) -> Usage:
    """What is at `path` with all in it; what vanishes meanwhile or may not be read does not count.

    Folders may be nested deeper than a path may be long.
    """
    meter = _Meter()
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        meter.take(status)
        if stat.S_ISDIR(status.st_mode):
            top = os.open(path, _FOLDER)
            try:
                _walk(top, meter)
            finally:
                os.close(top)
    return Usage(meter.size, meter.changed or math.inf)


class _Meter:
    def __init__(self) -> None:
        self.size = 0
        self.changed = 0.0
        self._seen: set[tuple[int, int]] = set()

    def take(self, status: os.stat_result) -> None:
        self.changed = max(self.changed, status.st_ctime)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in self._seen:
                return
            self._seen.add((status.st_dev, status.st_ino))
        self.size += status.st_blocks * _BLOCK


def _walk(top: int, meter: _Meter) -> None:
    todo: list[tuple[str, ...]] = [()]
    while todo:
        names = todo.pop()
        with contextlib.suppress(OSError), _opened(top, names) as folder:
            todo += [(*names, name) for name in _take_all(folder, meter)]


@contextlib.contextmanager
def _opened(top: int, names: tuple[str, ...]) -> Iterator[int]:
    """The folder at a path of any length below `top`."""
    folder = os.open(".", _FOLDER, dir_fd=top)
    try:
        for start in range(0, len(names), _NAMES):
            below = os.open("/".join(names[start : start + _NAMES]), _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _take_all(folder: int, meter: _Meter) -> list[str]:
    """Count what lies in a folder; the names of the folders among it."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                meter.take(entry.stat(follow_symlinks=False))
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
    return folders
