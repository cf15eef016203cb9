"""What a container may use of the machine, as values; None always means: not limited by us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path

UNLIMITED = -1


class Limits(Struct, frozen=True):
    """Limits of a control group; sizes in bytes, `cpus` in whole processors, such as 1.5.

    `memory_swap` is memory and swap together: None for twice the memory, UNLIMITED for any amount.
    `cpuset_cpus` and `cpuset_mems` are lists as in cpuset(7), such as `0-2,7`. `pids` counts tasks.
    """

    memory: int | None = None
    memory_swap: int | None = None
    memory_reservation: int | None = None
    cpus: float | None = None
    cpu_shares: int | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    pids: int | None = None


class Ulimit(Struct, frozen=True):
    """A limit of setrlimit(2) by its name without RLIMIT_, such as `nofile`; UNLIMITED is infinity."""

    name: str
    soft: int
    hard: int


class DeviceRule(Struct, frozen=True):
    """Devices that may be used: None for a number means all; `access` has letters of `rwm`."""

    kind: Literal["b", "c", "a"]
    major: int | None
    minor: int | None
    access: str


class Device(Struct, frozen=True):
    """A device of the host that the container gets at `target`."""

    source: Path
    target: str
    access: str = "rwm"
