"""The program that executes the container's program: a few bytes in a sealed memory file.

While a shebang of the image is resolved, `/proc/self/exe` is whatever called execve. It must not
be the host's Python interpreter, which the image could then run with libraries of its own or open
for writing (CVE-2019-5736). So Python executes this file, and this file executes the program.

`start` becomes the program; `init` stays, as the container's first process, and has the program as
its child. Their sources are in `machine`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Literal, TypeAlias

from layerkit import linux
from layerkit.sandbox.machine.code import CODE

Program: TypeAlias = Literal["init", "start"]

REPORT_FD = 3
"""What descriptor the failure goes to; the programs have the number built in."""

_BASE = 0x400000
_HEADERS = 64 + 56
_ELF_MACHINES = {"aarch64": 183, "x86_64": 62}


def image(machine: str, program: Program = "start") -> bytes | None:
    """The program as a static ELF file, None for a machine whose code nobody wrote yet."""
    code = CODE.get(f"{program}-{machine}")
    return None if code is None else elf(machine, code)


def elf(machine: str, code: bytes) -> bytes:
    """A static ELF file that runs `code` from its first byte."""
    size = _HEADERS + len(code)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        ident,
        2,
        _ELF_MACHINES[machine],
        1,
        _BASE + _HEADERS,
        64,
        0,
        0,
        64,
        56,
        1,
        0,
        0,
        0,
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def create(program: Program = "start") -> int | None:
    """A descriptor of the sealed program, or None where there is none for this machine."""
    file = image(os.uname().machine, program)
    if file is None:
        return None
    descriptor = _memory_file(program)
    os.write(descriptor, file)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def _memory_file(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | linux.MFD_EXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # before Linux 6.3 every memory file is executable
            raise
        return os.memfd_create(name, flags)


def why(report: bytes) -> int | None:
    """The errno in what the program wrote to REPORT_FD; None if the bytes are not from it."""
    if len(report) != struct.calcsize("<q"):
        return None
    return -int(struct.unpack("<q", report)[0])
