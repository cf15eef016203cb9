"""From limits to what is written into which file of a group. Pure."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import asdict, replace

from layerkit.errors import UsageError
from layerkit.resources import UNLIMITED, Limits
from layerkit.sandbox.cgroups import devices
from layerkit.sandbox.cgroups.hierarchies import folder, home_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from layerkit.resources import DeviceRule
    from layerkit.sandbox.cgroups.hierarchies import Hierarchy

    _Setting: TypeAlias = tuple[str, str, str]
    """The name of a file, what to write, and the limit that it is for."""
    _Planner: TypeAlias = Callable[[Limits, int | None], Iterator[_Setting]]

_PERIOD = 100_000
"""The microseconds of a period of the processor scheduler, where nobody says another."""
_PERIODS = range(1_000, 1_000_001)
_LEAST_MEMORY = 6 << 20
_LEAST_SHARES, _MOST_SHARES = 2, 262_144


class Write(Struct, frozen=True):
    """A `text` for a file; `limit` is the field of `Limits` that it is for, or `devices`."""

    path: str
    text: str
    limit: str


class Lack(Struct, frozen=True):
    """What is not limited, a field of `Limits` or `devices`, and why."""

    limit: str
    reason: str


def check(limits: Limits, processors: int) -> None:
    """Raise `UsageError`, by docker's rules, for limits that make no sense on this many processors."""
    limits = _said(limits)
    memory, swap = _amount(limits.memory), _amount(limits.memory_swap)
    for wrong, message in (
        (memory < _LEAST_MEMORY, "the memory limit must be at least 6m"),
        (swap < math.inf == memory, "a limit for memory and swap needs one for memory"),
        (swap < memory, "memory and swap together are less than memory"),
        (memory < (limits.memory_reservation or 0), "the reservation exceeds the memory limit"),
        (limits.cpus and (limits.cpu_period or limits.cpu_quota), "cpus are period and quota"),
        (not 0 <= (limits.cpus or 0) <= processors, f"this machine has {processors} processors"),
        ((limits.cpu_period or _PERIOD) not in _PERIODS, "a period is 1000 to 1000000 us"),
        (0 < (limits.cpu_quota or 0) < _PERIODS.start, "a quota is at least 1000 us"),
    ):
        if wrong:
            raise UsageError(f"invalid limits: {message}")


def _amount(size: int | None) -> float:
    return math.inf if size in {None, UNLIMITED} else size


def _said(limits: Limits) -> Limits:
    """The limits without zeros, which say nothing in docker; for `pids` they say: any number."""
    said = {name: value or None for name, value in asdict(limits).items()}
    said["pids"] = UNLIMITED if limits.pids == 0 else limits.pids
    return Limits(**said)


def with_swap(limits: Limits) -> Limits:
    """The limits of a new container: twice the memory with swap, as in docker, if nothing is said."""
    if limits.memory in {None, 0, UNLIMITED} or limits.memory_swap:
        return limits
    return replace(limits, memory_swap=2 * limits.memory)


def plan(
    hierarchies: Iterable[Hierarchy],
    group: str,
    limits: Limits,
    *,
    memory_now: int | None = None,
    denied: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[Write], list[Lack]]:
    """What to write, in this order, and what of the limits has no controller here.

    `memory_now` is the group's limit so far, None for none: version 1 refuses a memory limit
    above that of memory and swap at every moment. `denied` says why a controller is not there.
    """
    hierarchies, limits = tuple(hierarchies), _said(limits)
    writes: list[Write] = []
    lacks: list[Lack] = []
    for controller, (first, second) in _CONTROLLERS.items():
        home = home_of(controller, hierarchies)
        wanted = list((second if home and home.is_unified else first)(limits, memory_now))
        if home is None:
            reason = denied.get(controller, f"there is no {controller} controller")
            lacks += [Lack(name, reason) for name in dict.fromkeys(each[2] for each in wanted)]
        else:
            place = folder(home, group)
            writes += [Write(f"{place}/{file}", *rest) for file, *rest in wanted]
    return writes, lacks


def plan_devices(hierarchy: Hierarchy, group: str, rules: Iterable[DeviceRule]) -> list[Write]:
    """What to write in the tree of version 1 that has the devices; without limits nothing."""
    rules = tuple(rules)
    if devices.allow_all(rules):
        return []
    place = folder(hierarchy, group)
    allowed = [Write(f"{place}/devices.allow", line, "devices") for line in devices.lines(rules)]
    return [Write(f"{place}/devices.deny", "a", "devices"), *allowed]


def _memory_1(limits: Limits, now: int | None) -> Iterator[_Setting]:
    memory, swap = limits.memory, limits.memory_swap
    if memory == UNLIMITED and swap is None:
        swap = UNLIMITED
    names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    both = [*_size(names[0], memory, "memory"), *_size(names[1], swap, "memory_swap")]
    grows = swap == UNLIMITED or (swap is not None and now is not None and now < swap)
    yield from reversed(both) if grows else both
    yield from _size("memory.soft_limit_in_bytes", limits.memory_reservation, "memory_reservation")


def _memory_2(limits: Limits, _now: int | None) -> Iterator[_Setting]:
    memory, swap = limits.memory, limits.memory_swap
    yield from _count("memory.max", memory, "memory")
    if UNLIMITED in (memory, swap):
        swap = UNLIMITED
    elif swap is not None:
        swap -= memory or 0
    yield from _count("memory.swap.max", swap, "memory_swap")
    yield from _count("memory.low", limits.memory_reservation, "memory_reservation")


def _cpu_1(limits: Limits, _now: int | None) -> Iterator[_Setting]:
    period, quota, limit = _bandwidth(limits)
    yield from _size("cpu.shares", limits.cpu_shares, "cpu_shares")
    yield from _size("cpu.cfs_period_us", period, "cpu_period" if limits.cpus is None else "cpus")
    yield from _size("cpu.cfs_quota_us", quota, limit)


def _cpu_2(limits: Limits, _now: int | None) -> Iterator[_Setting]:
    period, quota, limit = _bandwidth(limits)
    if limits.cpu_shares is not None:
        yield ("cpu.weight", str(weight(limits.cpu_shares)), "cpu_shares")
    if period is not None or quota is not None:
        amount = "max" if quota in {None, UNLIMITED} else quota
        yield ("cpu.max", f"{amount} {period or _PERIOD}", limit)


def _bandwidth(limits: Limits) -> tuple[int | None, int | None, str]:
    """Period and quota in microseconds, and what the quota is for."""
    if limits.cpus is None:
        limit = "cpu_period" if limits.cpu_quota is None else "cpu_quota"
        return limits.cpu_period, limits.cpu_quota, limit
    return _PERIOD, round(limits.cpus * _PERIOD), "cpus"


def weight(shares: int) -> int:
    """The weight of version 2 for shares of version 1: their least, default and most agree.

    This is the curve that runc draws today; its older straight line gave the default 39.
    """
    if shares <= _LEAST_SHARES:
        return 1
    if shares >= _MOST_SHARES:
        return 10_000
    doublings = math.log2(shares)
    return math.ceil(10 ** ((doublings * doublings + 125 * doublings) / 612 - 7 / 34))


def _cpuset(limits: Limits, _now: int | None) -> Iterator[_Setting]:
    for name in ("cpus", "mems"):
        numbers = getattr(limits, f"cpuset_{name}")
        if numbers:
            yield (f"cpuset.{name}", numbers, f"cpuset_{name}")


def _pids(limits: Limits, _now: int | None) -> Iterator[_Setting]:
    yield from _count("pids.max", limits.pids, "pids")


def _size(file: str, value: int | None, limit: str) -> Iterator[_Setting]:
    """As version 1 writes a number: -1 for any amount."""
    if value is not None:
        yield (file, str(value), limit)


def _count(file: str, value: int | None, limit: str) -> Iterator[_Setting]:
    """As version 2, and the pids controller of both, write a number."""
    if value is not None:
        yield (file, "max" if value == UNLIMITED else str(value), limit)


_CONTROLLERS: dict[str, tuple[_Planner, _Planner]] = {
    "memory": (_memory_1, _memory_2),
    "cpu": (_cpu_1, _cpu_2),
    "cpuset": (_cpuset, _cpuset),
    "pids": (_pids, _pids),
}
