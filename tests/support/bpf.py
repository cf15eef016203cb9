"""The part of BPF that programs about devices use, run here: the kernel does not tell why it said no."""

from __future__ import annotations

import struct

_KINDS = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_MASK = 0xFFFFFFFF


def allows(program: bytes, kind: str, major: int, minor: int, access: str) -> bool:
    """What the program answers when somebody wants to use a device."""
    wanted = sum(_ACCESS[letter] for letter in access)
    return run(program, struct.pack("=III", wanted << 16 | _KINDS[kind], major, minor)) == 1


def run(program: bytes, context: bytes) -> int:
    """Register 0 at the end. A jump backwards or out, or an unknown instruction, raises."""
    code = list(struct.iter_unpack("=BBhI", program))
    registers: list[int | None] = [None] * 11
    registers[1] = -1  # the context, which only loads may use
    place = 0
    while True:
        opcode, pair, offset, value = code[place]
        target, source = pair & 15, pair >> 4
        place += 1
        match opcode:
            case 0x61:
                assert registers[source] == -1
                registers[target] = struct.unpack_from("=I", context, offset)[0]
            case 0x54:
                registers[target] = _known(registers, target) & value
            case 0x74:
                registers[target] = _known(registers, target) >> value
            case 0xB4:
                registers[target] = value
            case 0xBC:
                registers[target] = _known(registers, source)
            case 0x56 | 0x5E:
                other = value if opcode == 0x56 else _known(registers, source)
                assert offset >= 0
                place += offset if _known(registers, target) != other else 0
            case 0x95:
                return _known(registers, 0)
            case _:
                raise ValueError(f"unknown instruction {opcode:#x}")


def _known(registers: list[int | None], number: int) -> int:
    value = registers[number]
    assert value is not None
    assert value >= 0
    return value & _MASK
