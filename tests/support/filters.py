"""The kernel's filter for system calls, as a function: runs a program, changes nothing here."""

from __future__ import annotations

import struct

X86_64 = 0xC000003E
X86 = 0x40000003
X32_BIT = 0x40000000
AARCH64 = 0xC00000B7
ALLOW = 0x7FFF0000
KILL = 0
ERRNO = 0x00050000

_COMPARE = {
    0x15: lambda have, want: have == want,
    0x25: lambda have, want: have > want,
    0x35: lambda have, want: have >= want,
    0x45: lambda have, want: bool(have & want),
}


def answer(program: bytes, number: int, *arguments: int, architecture: int = X86_64) -> int:
    """What `program` says about a system call: ALLOW, KILL, ERRNO|number and so on (seccomp(2))."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, architecture, 0, *padded)
    accumulator, place = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("=HBBI", program, place * 8)
        place += 1
        match code:
            case 0x20:  # load a word
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x54:  # and
                accumulator &= value
            case 0x05:  # jump always
                place += value
            case 0x06:
                return value
            case _:
                place += if_true if _COMPARE[code](accumulator, value) else if_false


def errno_of(result: int) -> int | None:
    """The errno that a call gets, 0 when it goes through, None when its process dies or the like."""
    if result == ALLOW:
        return 0
    return result & 0xFFFF if result & 0xFFFF0000 == ERRNO else None
