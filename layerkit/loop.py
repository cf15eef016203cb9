"""Loop devices (loop(4)): a file as a block device, for kernels that mount nothing else."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_READ_ONLY = 1
_AUTOCLEAR = 4
_CONFIG = struct.Struct("II5Q4I64s64s32s2Q64x")  # linux/loop.h, struct loop_config
_TRIES = 50


@contextlib.contextmanager
def attached(path: Path) -> Iterator[str]:
    """The read-only device of a file; it lasts as long as the block, or as it is mounted.

    Of a file that is no multiple of 512 bytes it has no more than whole blocks. Raises `OSError`.
    """
    with open(path, "rb") as file:
        for left in range(_TRIES, 0, -1):
            device = _free()
            descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.ioctl(descriptor, _LOOP_CONFIGURE, _config(file.fileno()))
                break
            except OSError as error:
                os.close(descriptor)
                if error.errno != errno.EBUSY or left == 1:  # somebody else took it meanwhile
                    raise
    try:
        yield device
    finally:
        os.close(descriptor)


def _free() -> str:
    with open("/dev/loop-control", "rb") as control:
        return f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}"


def _config(file: int) -> bytes:
    info = (0, 0, 0, 0, 0, 0, 0, 0, _READ_ONLY | _AUTOCLEAR, b"", b"", b"", 0, 0)
    return _CONFIG.pack(file, 0, *info)
