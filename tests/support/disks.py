"""Small file systems in a file, for what happens when there is no room left. Needs root."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def small_ext4(folder: Path, size: int) -> Iterator[Path]:
    """A new ext4 of `size` bytes, mounted while the block runs; its files lie in `folder`."""
    image, place = folder / "disk", folder / "mounted"
    place.mkdir()
    with image.open("wb") as file:
        os.truncate(file.fileno(), size)
    _run("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image))
    _run("mount", "-o", "loop", str(image), str(place))
    try:
        yield place
    finally:
        _run("umount", str(place))
        image.unlink()


def fill(folder: Path, leave: int) -> None:
    """Take the room of the file system of `folder`, up to about `leave` bytes, with `filler`."""
    status = os.statvfs(folder)
    size = status.f_bavail * status.f_frsize - leave
    with (folder / "filler").open("wb") as file:
        while size > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
            except OSError:  # the file's own map wants a block too
                size -= status.f_frsize
            else:
                break


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
