"""Both ends of `-t`: the container's pseudo-terminal, and the user's terminal while it lasts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import termios
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of the lists that termios works with: iflag, oflag, cflag, lflag, ispeed, ospeed, cc.
_IFLAG, _OFLAG, _CFLAG, _LFLAG, _CC = 0, 1, 2, 3, 6
_PTMX = (5, 2)


def require_terminal(stdin: int) -> None:
    """Raise `UsageError` unless `stdin` is a terminal, as `-i -t` needs it."""
    if not os.isatty(stdin):
        raise UsageError(
            "the input device is not a TTY", hint="leave out -t when the input is a pipe or a file"
        )


def size(*descriptors: int | None) -> tuple[int, int] | None:
    """Rows and columns of the first of the descriptors that is a terminal."""
    for descriptor in descriptors:
        if descriptor is not None and os.isatty(descriptor):
            return termios.tcgetwinsize(descriptor)
    return None


@contextlib.contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """The terminal passes every byte as it is, until the block is left in whatever way.

    What is no terminal stays as it is. The modes are those of moby/term.
    """
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, _raw_modes(termios.tcgetattr(descriptor)))
        yield
    finally:
        with contextlib.suppress(termios.error):  # a terminal that hung up has no modes any more
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


def open_pair(ptmx: int, rows_columns: tuple[int, int] | None) -> int:
    """The slave of the master `ptmx`, which comes from /dev/pts/ptmx, with this size.

    Raises `OSError` if `ptmx` is another file. The slave comes from the master itself, not by its
    name, which somebody could have put in its place (CVE-2025-52565).
    """
    status = os.fstat(ptmx)
    if not stat.S_ISCHR(status.st_mode) or _numbers(status.st_rdev) != _PTMX:
        raise OSError(0, "it is not the master of a terminal", "/dev/pts/ptmx")
    fcntl.ioctl(ptmx, linux.TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(ptmx, linux.TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if rows_columns is not None:
        termios.tcsetwinsize(slave, rows_columns)
    return slave


def _numbers(device: int) -> tuple[int, int]:
    return os.major(device), os.minor(device)


def _raw_modes(modes: list[int | list[bytes | int]]) -> list[int | list[bytes | int]]:
    flags = [mode for mode in modes[:_CC] if isinstance(mode, int)]
    characters = modes[_CC]
    assert isinstance(characters, list)
    flags[_IFLAG] &= ~(
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    flags[_OFLAG] &= ~termios.OPOST
    flags[_LFLAG] &= ~(
        termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN
    )
    flags[_CFLAG] = flags[_CFLAG] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [*flags, characters]
