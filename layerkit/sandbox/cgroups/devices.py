"""Which device files a container may use: as lines of version 1, as a BPF program for version 2."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

from layerkit.resources import DeviceRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EVERYTHING = (DeviceRule("a", None, None, "rwm"),)
"""The rules of a privileged container."""

# runc's specconv.AllowedDevices without /dev/net/tun: all nodes may be made, these be used.
DEFAULT_RULES = (
    DeviceRule("c", None, None, "m"),
    DeviceRule("b", None, None, "m"),
    DeviceRule("c", 1, 3, "rwm"),
    DeviceRule("c", 1, 5, "rwm"),
    DeviceRule("c", 1, 7, "rwm"),
    DeviceRule("c", 1, 8, "rwm"),
    DeviceRule("c", 1, 9, "rwm"),
    DeviceRule("c", 5, 0, "rwm"),
    DeviceRule("c", 5, 2, "rwm"),
    DeviceRule("c", 136, None, "rwm"),
)

# linux/bpf.h: BPF_DEVCG_*
_KINDS = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL_ACCESS = 7

# Opcodes: class | size or source | operation. The 32-bit ones compare without a sign.
_LOAD_WORD = 0x61
_AND_IMMEDIATE = 0x54
_SHIFT_RIGHT_IMMEDIATE = 0x74
_MOVE_IMMEDIATE = 0xB4
_MOVE_REGISTER = 0xBC
_UNLESS_EQUAL_IMMEDIATE = 0x56
_UNLESS_EQUAL_REGISTER = 0x5E
_EXIT = 0x95

_RESULT, _CONTEXT, _KIND, _WANTED, _MAJOR, _MINOR = range(6)


def allow_all(rules: Iterable[DeviceRule]) -> bool:
    """Whether one of the rules allows everything."""
    return any(
        rule.kind == "a" and rule.major is rule.minor is None and _mask(rule) == _ALL_ACCESS
        for rule in rules
    )


def lines(rules: Iterable[DeviceRule]) -> list[str]:
    """The rules as `devices.allow` takes them, one a write."""
    return [
        f"{rule.kind} {_number(rule.major)}:{_number(rule.minor)} {rule.access}"
        for rule in _by_kind(rules)
    ]


def _number(number: int | None) -> str:
    return "*" if number is None else str(number)


def _by_kind(rules: Iterable[DeviceRule]) -> Iterator[DeviceRule]:
    """A rule for both kinds as two: the kernel reads `a` as everything, whatever stands behind."""
    for rule in rules:
        for kind in ("b", "c") if rule.kind == "a" else (rule.kind,):
            yield DeviceRule(kind, rule.major, rule.minor, rule.access)


def program(rules: Iterable[DeviceRule]) -> bytes:
    """A BPF_PROG_TYPE_CGROUP_DEVICE program that allows what one of the rules allows.

    The kernel calls it with (access << 16 | kind, major, minor), each a word.
    """
    code = [
        _instruction(_LOAD_WORD, _KIND, _CONTEXT, offset=0),
        _instruction(_AND_IMMEDIATE, _KIND, value=0xFFFF),
        _instruction(_LOAD_WORD, _WANTED, _CONTEXT, offset=0),
        _instruction(_SHIFT_RIGHT_IMMEDIATE, _WANTED, value=16),
        _instruction(_LOAD_WORD, _MAJOR, _CONTEXT, offset=4),
        _instruction(_LOAD_WORD, _MINOR, _CONTEXT, offset=8),
    ]
    for rule in _by_kind(rules):
        code += _allow(rule)
    return b"".join(code + _answer(allowed=False))


def _allow(rule: DeviceRule) -> Iterator[bytes]:
    """Answer yes if the rule fits, else go on behind it."""
    tests = [(_KIND, _KINDS[rule.kind])]
    tests += [
        (register, number)
        for register, number in ((_MAJOR, rule.major), (_MINOR, rule.minor))
        if number is not None
    ]
    masks = _mask(rule) != _ALL_ACCESS
    left = len(tests) + (3 if masks else 0) + 2
    for register, value in tests:
        left -= 1
        yield _instruction(_UNLESS_EQUAL_IMMEDIATE, register, offset=left, value=value)
    if masks:  # all that is wanted is in the mask; the context is not needed any more
        yield _instruction(_MOVE_REGISTER, _CONTEXT, _WANTED)
        yield _instruction(_AND_IMMEDIATE, _CONTEXT, value=_mask(rule))
        yield _instruction(_UNLESS_EQUAL_REGISTER, _CONTEXT, _WANTED, offset=2)
    yield from _answer(allowed=True)


def _mask(rule: DeviceRule) -> int:
    return sum(_ACCESS[letter] for letter in set(rule.access))


def _answer(*, allowed: bool) -> list[bytes]:
    return [_instruction(_MOVE_IMMEDIATE, _RESULT, value=int(allowed)), _instruction(_EXIT)]


def _instruction(
    opcode: int, target: int = 0, source: int = 0, *, offset: int = 0, value: int = 0
) -> bytes:
    first, second = (target, source) if sys.byteorder == "little" else (source, target)
    return struct.pack("=BBhI", opcode, first | second << 4, offset, value)
