"""Makes a program for the kernel's filter (seccomp(2)) of a profile; loads libseccomp."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from layerkit import libseccomp
from layerkit.errors import SandboxError
from layerkit.sandbox.seccomp import profile as profiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layerkit.sandbox.seccomp.profile import Argument, Profile, Rule, Target

_EPERM = 1
_ENOSYS = 38
_LONGEST = 4096
"""The most instructions that the kernel takes (BPF_MAXINSNS)."""

# Classic BPF: load a word of struct seccomp_data, compare it, return.
_LOAD, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_X86_64, _X32 = 0xC000003E, 0x4000003E
_X32_BIT = 0x40000000


def compile_profile(profile: Profile, target: Target, name: str) -> bytes:
    """The program of `profile` on `target`, by libseccomp.

    System calls that libseccomp does not know are left out; all that are newer than the newest
    in the profile fail with ENOSYS, so that programs fall back to older ones, as runc has it.
    Raises `SandboxError` naming the profile by `name` where it cannot be compiled.
    """
    architectures = _architectures(profile, target, name)
    chosen = profiles.rules(profile, target)
    default = _action(profile.default_action, profile.default_errno_ret)
    try:
        program = _compiled(default, architectures, chosen)
    except OSError as error:
        raise SandboxError(f"cannot compile seccomp profile {name}: {error}") from None
    if default not in {libseccomp.ALLOW, libseccomp.LOG}:
        program = b"".join(_unknown_calls(architectures, chosen)) + program
    if len(program) > _LONGEST * 8:
        raise SandboxError(
            f"seccomp profile {name} is too long: {len(program) // 8} instructions, "
            f"at most {_LONGEST} allowed"
        )
    return program


def _architectures(profile: Profile, target: Target, name: str) -> list[int]:
    found = []
    for each in profiles.architectures(profile, target):
        number = libseccomp.architecture(each.lower())
        if not number:
            what = f"architecture {each}" if each else f"machine {target.machine}"
            raise SandboxError(
                f"cannot compile seccomp profile {name}: unknown {what}",
                hint="--security-opt seccomp=unconfined runs without a profile",
            )
        found.append(number)
    return found


def _compiled(default: int, architectures: Sequence[int], rules: Sequence[Rule]) -> bytes:
    under_way = libseccomp.Filter(default, architectures)
    try:
        for rule in rules:
            action = _action(rule.action, rule.errno_ret)
            if action != default:  # libseccomp wants no rule for what happens anyway
                _add(under_way, action, rule)
        return under_way.export()
    finally:
        under_way.close()


def _add(under_way: libseccomp.Filter, action: int, rule: Rule) -> None:
    for number in map(libseccomp.number, rule.calls):
        if number is not None:
            for comparisons in _alternatives(rule.args or ()):
                under_way.add_rule(action, number, comparisons)


def _alternatives(arguments: Sequence[Argument]) -> list[list[tuple[int, str, int, int]]]:
    """Comparisons hold together, but those of one and the same argument each for itself (as runc)."""
    found = [
        (each.index, each.op.removeprefix("SCMP_CMP_"), each.value, each.value_two)
        for each in arguments
    ]
    if len({index for index, *_ in found}) < len(found):
        return [[each] for each in found]
    return [found]


def _action(name: str, number: int | None) -> int:
    word = name.removeprefix("SCMP_ACT_")
    base = int(getattr(libseccomp, "KILL_THREAD" if word == "KILL" else word))
    return base | (_EPERM if number is None else number) if word in {"ERRNO", "TRACE"} else base


def _unknown_calls(architectures: Sequence[int], rules: Sequence[Rule]) -> Iterator[bytes]:
    """Instructions that answer ENOSYS for what is newer than every call in the profile."""
    calls = {call for rule in rules for call in rule.calls}
    for architecture in architectures:
        newest = max((libseccomp.number(call, architecture) or 0 for call in calls), default=0)
        if newest <= 0:
            continue
        # x32 counts from a base of its own, and the kernel calls it x86-64.
        end = _X32_BIT if architecture == _X86_64 else 0xFFFFFFFF
        kernels = _X86_64 if architecture == _X32 else architecture
        yield _instruction(_LOAD, 0, 0, _ARCHITECTURE)
        yield _instruction(_JUMP_EQUAL, 0, 4, kernels)
        yield _instruction(_LOAD, 0, 0, _NUMBER)
        yield _instruction(_JUMP_AT_LEAST, 2, 0, end)
        yield _instruction(_JUMP_GREATER, 0, 1, newest)
        yield _instruction(_RETURN, 0, 0, libseccomp.ERRNO | _ENOSYS)


def _instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
