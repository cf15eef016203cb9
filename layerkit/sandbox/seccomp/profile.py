"""Seccomp profiles in docker's JSON format (`--security-opt seccomp=FILE`): read, checked, chosen from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from layerkit import strictjson
from layerkit.errors import UsageError

LIMIT = 1 << 20
"""The most bytes a profile may have."""

Action = Literal[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
]
_Operator = Literal[
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
]
_Errno = Annotated[int, msgspec.Meta(ge=0, le=4095)]
_KERNEL = re.compile(r"(\d{1,4})\.(\d{1,4})")

# By the machine's name: what "arches" calls it, and what SCMP_ARCH_ does.
_MACHINES = {
    "aarch64": ("arm64", "AARCH64"),
    "armv7l": ("arm", "ARM"),
    "i686": ("x86", "X86"),
    "loongarch64": ("loong64", "LOONGARCH64"),
    "mips64": ("mips64", "MIPS64"),
    "ppc64le": ("ppc64le", "PPC64LE"),
    "riscv64": ("riscv64", "RISCV64"),
    "s390x": ("s390x", "S390X"),
    "x86_64": ("amd64", "X86_64"),
}


class _Shape(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """Keys as min_kernel: minKernel."""


class Argument(_Shape):
    """A comparison of one argument; `value_two` counts for MASKED_EQ, where `value` is the mask."""

    index: Annotated[int, msgspec.Meta(ge=0, le=5)]
    value: int
    op: _Operator
    value_two: int = 0

    def __post_init__(self) -> None:
        for each in (self.value, self.value_two):
            if not 0 <= each < 1 << 64:
                raise ValueError(f"{each} is not a number of 64 bits")


class Conditions(_Shape):
    """When a rule holds or not; `min_kernel` as 4.8."""

    caps: list[str] | None = None
    arches: list[str] | None = None
    min_kernel: str | None = None

    def __post_init__(self) -> None:
        if self.min_kernel is not None and not _KERNEL.fullmatch(self.min_kernel):
            raise ValueError(f"{self.min_kernel[:50]!r} is not a kernel version such as 4.8")


class Rule(_Shape):
    """What happens to some system calls."""

    action: Action
    names: list[str] | None = None
    name: str | None = None
    errno_ret: _Errno | None = None
    args: list[Argument] | None = None
    includes: Conditions | None = None
    excludes: Conditions | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if bool(self.names) == bool(self.name):
            raise ValueError("wanted either `names` or `name`")

    @property
    def calls(self) -> list[str]:
        """The names of the system calls."""
        return self.names or [str(self.name)]


class _ArchMap(_Shape):
    architecture: str
    sub_architectures: list[str] | None = None


class Profile(_Shape):
    """A whole profile; a call without a rule meets `default_action`."""

    default_action: Action
    default_errno_ret: _Errno | None = None
    arch_map: list[_ArchMap] | None = None
    architectures: list[str] | None = None
    syscalls: list[Rule] | None = None

    def __post_init__(self) -> None:
        if self.arch_map and self.architectures:
            raise ValueError("wanted either `archMap` or `architectures`")


@dataclass(frozen=True, slots=True)
class Target:
    """For what a profile is compiled: a machine, a kernel as (6, 18), a container's capabilities."""

    machine: str
    kernel: tuple[int, int]
    capabilities: tuple[str, ...]


def parse(text: bytes, name: str) -> Profile:
    """The profile in `text`; raises `UsageError` naming the file `name` and the field."""
    try:
        return msgspec.convert(strictjson.parse_object(text, LIMIT), Profile)
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"invalid seccomp profile {name}: {error}") from None


def rules(profile: Profile, target: Target) -> list[Rule]:
    """The rules that hold on `target`, in their order."""
    return [rule for rule in profile.syscalls or () if _holds(rule, target)]


def architectures(profile: Profile, target: Target) -> list[str]:
    """The names of SCMP_ARCH_ that the program is for, the machine's own first; else none are."""
    own = _MACHINES.get(target.machine, ("", ""))[1]
    wanted = [own, *(name.removeprefix("SCMP_ARCH_") for name in profile.architectures or ())]
    for entry in profile.arch_map or ():
        if entry.architecture == f"SCMP_ARCH_{own}":
            wanted += [each.removeprefix("SCMP_ARCH_") for each in entry.sub_architectures or ()]
    return list(dict.fromkeys(wanted))


def _holds(rule: Rule, target: Target) -> bool:
    needed, forbidden = rule.includes or Conditions(), rule.excludes or Conditions()
    capabilities = {f"CAP_{name}" for name in target.capabilities}
    machine = _MACHINES.get(target.machine, ("", ""))[0]
    return (
        capabilities.issuperset(needed.caps or ())
        and (not needed.arches or machine in needed.arches)
        and (needed.min_kernel is None or target.kernel >= kernel_version(needed.min_kernel))
        and capabilities.isdisjoint(forbidden.caps or ())
        and machine not in (forbidden.arches or ())
        and (forbidden.min_kernel is None or target.kernel < kernel_version(forbidden.min_kernel))
    )


def kernel_version(release: str) -> tuple[int, int]:
    """The first two numbers of a release such as 6.18.5-x; (0, 0) for what has none."""
    match = _KERNEL.match(release)
    return (int(match[1]), int(match[2])) if match else (0, 0)
