"""libseccomp by ctypes: rules go in, a program for the kernel's filter comes out (seccomp_init(3)).

Importing this loads the library: `OSError` where it is not installed.
"""

from __future__ import annotations

import ctypes
import errno
import os
from ctypes import c_char_p, c_int, c_uint, c_uint32, c_uint64, c_void_p
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KILL_PROCESS = 0x80000000
KILL_THREAD = 0x00000000
TRAP = 0x00030000
ERRNO = 0x00050000
TRACE = 0x7FF00000
LOG = 0x7FFC0000
ALLOW = 0x7FFF0000
"""What the kernel does with a call; ERRNO and TRACE have a number in their lower 16 bits."""

OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
"""The names of SCMP_CMP_ in the order of their numbers, which begin with 1."""

_lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)


class _Comparison(ctypes.Structure):
    _fields_ = [("arg", c_uint), ("op", c_int), ("first", c_uint64), ("second", c_uint64)]


class _Version(ctypes.Structure):
    _fields_ = [("major", c_uint), ("minor", c_uint), ("micro", c_uint)]


def _function(name: str, result: Any, *argtypes: Any) -> Callable[..., Any]:
    function = getattr(_lib, name)
    function.argtypes = argtypes
    function.restype = result
    return function  # type: ignore[no-any-return]


_version = _function("seccomp_version", ctypes.POINTER(_Version))
_init = _function("seccomp_init", c_void_p, c_uint32)
_release = _function("seccomp_release", None, c_void_p)
_arch_native = _function("seccomp_arch_native", c_uint32)
_arch_resolve = _function("seccomp_arch_resolve_name", c_uint32, c_char_p)
_arch_add = _function("seccomp_arch_add", c_int, c_void_p, c_uint32)
_arch_remove = _function("seccomp_arch_remove", c_int, c_void_p, c_uint32)
_resolve = _function("seccomp_syscall_resolve_name_arch", c_int, c_uint32, c_char_p)
_rule_add = _function(
    "seccomp_rule_add_array", c_int, c_void_p, c_uint32, c_int, c_uint, c_void_p
)  # fmt: skip
_export = _function("seccomp_export_bpf", c_int, c_void_p, c_int)


def version() -> str:
    """The version of the library, such as 2.5.4: what it knows of system calls comes from it."""
    found = _version().contents
    return f"{found.major}.{found.minor}.{found.micro}"


def architecture(name: str) -> int:
    """The AUDIT_ARCH_ number of a name such as `x86_64`; 0 when it is unknown."""
    return int(_arch_resolve(name.encode("ascii", "replace")))


def number(name: str, architecture: int | None = None) -> int | None:
    """The number of a system call, here or on `architecture`; None when it is unknown.

    A call that only other architectures have gets a negative number, good for rules.
    """
    chosen = _arch_native() if architecture is None else architecture
    found = int(_resolve(chosen, name.encode("ascii", "replace")))
    return None if found == -1 else found


class Filter:
    """A filter that is being built; `default` happens to every call without a rule."""

    def __init__(self, default: int, architectures: Sequence[int]) -> None:
        self._context = _init(default)
        if not self._context:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), "seccomp_init")
        native = _arch_native()
        for each in architectures:
            if each != native:
                _checked(_arch_add(self._context, each), f"architecture {each:#x}")
        if native not in architectures:
            _checked(_arch_remove(self._context, native), "native architecture")

    def add_rule(
        self, action: int, call: int, comparisons: Sequence[tuple[int, str, int, int]] = ()
    ) -> None:
        """Do `action` for a call whose arguments compare so, all of them.

        A comparison is the argument's index, one of `OPERATORS` and its two values.
        """
        items = [
            _Comparison(index, OPERATORS.index(operator) + 1, first, second)
            for index, operator, first, second in comparisons
        ]
        array = (_Comparison * len(items))(*items)
        _checked(_rule_add(self._context, action, call, len(items), array), "seccomp_rule_add")

    def export(self) -> bytes:
        """The program, in instructions of eight bytes (struct sock_filter)."""
        with open(os.memfd_create("filter"), "w+b") as file:
            _checked(_export(self._context, file.fileno()), "seccomp_export_bpf")
            file.seek(0)
            return file.read()

    def close(self) -> None:
        """Let go of the library's memory."""
        _release(self._context)


def _checked(result: int, what: str) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result), what)
