"""The program that executes the container's program: 210 bytes in a sealed memory file.

While a shebang of the image is resolved, `/proc/self/exe` is whatever called execve. It must not
be the host's Python interpreter, which the image could then run with libraries of its own or open
for writing (CVE-2019-5736). So Python executes this file, and this file executes the program.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from layerkit import linux

# What descriptor the failure goes to; the code below has the number built in.
REPORT_FD = 3

# Called with argv = [path, *arguments]; tells why on descriptor 3 if execve fails.
_X86_64 = bytes.fromhex(
    "b848000000"  #     mov  eax, 72                fcntl
    "bf03000000"  #     mov  edi, 3
    "be02000000"  #     mov  esi, 2                 F_SETFD
    "ba01000000"  #     mov  edx, 1                 FD_CLOEXEC
    "0f05"  #           syscall
    "bf7e000000"  #     mov  edi, 126
    "85c0"  #           test eax, eax
    "7534"  #           jne  exit                   run by the image itself: no descriptor 3
    "488b7c2408"  #     mov  rdi, [rsp+8]           path
    "488d742410"  #     lea  rsi, [rsp+16]          its argv
    "488b0424"  #       mov  rax, [rsp]             argc
    "488d54c410"  #     lea  rdx, [rsp+rax*8+16]    envp
    "b83b000000"  #     mov  eax, 59                execve
    "0f05"  #           syscall
    "50"  #             push rax                    -errno
    "b801000000"  #     mov  eax, 1                 write
    "bf03000000"  #     mov  edi, 3
    "4889e6"  #         mov  rsi, rsp
    "ba08000000"  #     mov  edx, 8
    "0f05"  #           syscall
    "bf7f000000"  #     mov  edi, 127
    "b83c000000"  #     exit: mov eax, 60           exit
    "0f05"  #           syscall
)
_ELF_X86_64 = 62
_BASE = 0x400000
_HEADERS = 64 + 56
_CODE = {"x86_64": (_ELF_X86_64, _X86_64)}


def image(machine: str) -> bytes | None:
    """The program as a static ELF file, None for a machine whose code nobody wrote yet."""
    if machine not in _CODE:
        return None
    number, code = _CODE[machine]
    size = _HEADERS + len(code)
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 2, number, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def create() -> int | None:
    """A descriptor of the sealed program, or None where there is none for this machine."""
    program = image(os.uname().machine)
    if program is None:
        return None
    descriptor = _memory_file()
    os.write(descriptor, program)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def _memory_file() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create("start", flags | linux.MFD_EXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # before Linux 6.3 every memory file is executable
            raise
        return os.memfd_create("start", flags)


def why(report: bytes) -> int | None:
    """The errno in what the program wrote to REPORT_FD; None if the bytes are not from it."""
    if len(report) != struct.calcsize("<q"):
        return None
    return -int(struct.unpack("<q", report)[0])
