"""The C library by ctypes: what `layerkit.linux` makes its calls with."""

from __future__ import annotations

import ctypes
import functools
import os
from ctypes import c_int, c_long
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# keyctl is older than the common numbering of system calls.
KEYCTL = {
    "aarch64": 219,
    "armv7l": 311,
    "i686": 288,
    "loongarch64": 219,
    "ppc64le": 271,
    "riscv64": 219,
    "s390x": 280,
    "x86_64": 250,
}
BPF = {
    "aarch64": 280,
    "armv7l": 386,
    "i686": 357,
    "loongarch64": 280,
    "ppc64le": 361,
    "riscv64": 280,
    "s390x": 351,
    "x86_64": 321,
}
# Calls since 5.1 have one number everywhere, counted from another base on these.
_BASE = {"alpha": 110, "mips": 4000, "mips64": 5000}

MACHINE = os.uname().machine
_libc = ctypes.CDLL(None, use_errno=True)


def function(name: str, *argtypes: Any) -> Callable[..., int]:
    """A function of the C library that gives an int."""
    found = getattr(_libc, name)
    found.argtypes = argtypes
    found.restype = c_int
    return found  # type: ignore[no-any-return]


def syscall(number: int, *argtypes: Any) -> Callable[..., int]:
    """The system call as a typed function of its own: musl has no wrapper for the newer ones."""
    prototype = ctypes.CFUNCTYPE(c_long, c_long, *argtypes, use_errno=True)
    return functools.partial(prototype(("syscall", _libc)), _BASE.get(MACHINE, 0) + number)


def checked(result: int, what: str) -> int:
    """The result of a call; raises `OSError` about `what` where it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def optional(text: str | None) -> bytes | None:
    """A text as C has it, NULL for None."""
    return None if text is None else os.fsencode(text)
