"""Two names that change places at once, as an attacker does between a check and its use."""

from __future__ import annotations

import ctypes
import errno
import os

_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(first: os.PathLike[str] | str, second: os.PathLike[str] | str) -> bool:
    """Let two names change places at once; False while one is missing."""
    paths = os.fsencode(first), os.fsencode(second)
    if _libc.renameat2(-100, paths[0], -100, paths[1], _EXCHANGE) == 0:
        return True
    assert ctypes.get_errno() == errno.ENOENT
    return False
