"""What is written for which limits."""

from __future__ import annotations

import pytest

from layerkit.errors import UsageError
from layerkit.resources import UNLIMITED, DeviceRule, Limits
from layerkit.sandbox.cgroups import settings
from layerkit.sandbox.cgroups.devices import EVERYTHING
from layerkit.sandbox.cgroups.hierarchies import Hierarchy
from layerkit.sandbox.cgroups.settings import Lack, Write

NAMES = ("memory", "cpu", "cpuset", "pids", "devices")
V1 = tuple(Hierarchy(1, (name,), f"/{name}") for name in NAMES)
V2 = (Hierarchy(2, NAMES[:-1], "/u"),)
MIB = 1 << 20


def lines(writes):
    """The writes as `controller folder/file=text` below the group, for tables."""
    return [f"{write.path.replace('/layerkit/x', '')}={write.text}" for write in writes]


@pytest.mark.parametrize(
    ("limits", "first", "second"),
    [
        pytest.param(Limits(), [], [], id="nothing"),
        pytest.param(
            Limits(memory=32 * MIB, memory_swap=64 * MIB, memory_reservation=8 * MIB),
            [
                "/memory/memory.limit_in_bytes=33554432",
                "/memory/memory.memsw.limit_in_bytes=67108864",
                "/memory/memory.soft_limit_in_bytes=8388608",
            ],
            ["/u/memory.max=33554432", "/u/memory.swap.max=33554432", "/u/memory.low=8388608"],
            id="memory",
        ),
        pytest.param(
            Limits(memory=32 * MIB, memory_swap=UNLIMITED),
            ["/memory/memory.memsw.limit_in_bytes=-1", "/memory/memory.limit_in_bytes=33554432"],
            ["/u/memory.max=33554432", "/u/memory.swap.max=max"],
            id="any-swap",
        ),
        pytest.param(
            Limits(memory=UNLIMITED),
            ["/memory/memory.memsw.limit_in_bytes=-1", "/memory/memory.limit_in_bytes=-1"],
            ["/u/memory.max=max", "/u/memory.swap.max=max"],
            id="any-memory",
        ),
        pytest.param(
            Limits(cpus=1.5, cpu_shares=1024),
            [
                "/cpu/cpu.shares=1024",
                "/cpu/cpu.cfs_period_us=100000",
                "/cpu/cpu.cfs_quota_us=150000",
            ],
            ["/u/cpu.weight=100", "/u/cpu.max=150000 100000"],
            id="cpus",
        ),
        pytest.param(
            Limits(cpu_period=50_000, cpu_quota=25_000),
            ["/cpu/cpu.cfs_period_us=50000", "/cpu/cpu.cfs_quota_us=25000"],
            ["/u/cpu.max=25000 50000"],
            id="period-and-quota",
        ),
        pytest.param(
            Limits(cpu_period=50_000),
            ["/cpu/cpu.cfs_period_us=50000"],
            ["/u/cpu.max=max 50000"],
            id="period-alone",
        ),
        pytest.param(
            Limits(cpu_quota=UNLIMITED),
            ["/cpu/cpu.cfs_quota_us=-1"],
            ["/u/cpu.max=max 100000"],
            id="any-quota",
        ),
        pytest.param(
            Limits(cpuset_cpus="0-2,7", cpuset_mems="0"),
            ["/cpuset/cpuset.cpus=0-2,7", "/cpuset/cpuset.mems=0"],
            ["/u/cpuset.cpus=0-2,7", "/u/cpuset.mems=0"],
            id="cpuset",
        ),
        pytest.param(Limits(pids=20), ["/pids/pids.max=20"], ["/u/pids.max=20"], id="pids"),
        pytest.param(
            Limits(pids=UNLIMITED), ["/pids/pids.max=max"], ["/u/pids.max=max"], id="any-pids"
        ),
        pytest.param(
            Limits(0, 0, 0, 0.0, 0, 0, 0, "", "", 0),
            ["/pids/pids.max=max"],
            ["/u/pids.max=max"],
            id="zeros-as-in-docker",
        ),
    ],
)
def test_limits_become_writes(limits, first, second):
    """Each limit is written as its version of control groups spells it, in an order it takes."""
    found = [settings.plan(trees, "layerkit/x", limits) for trees in (V1, V2)]

    assert [lines(writes) for writes, _lacks in found] == [first, second]
    assert [lacks for _writes, lacks in found] == [[], []]


@pytest.mark.parametrize(
    ("now", "memory", "swap", "wanted"),
    [
        (None, 10, 20, ["limit_in_bytes=10", "memsw.limit_in_bytes=20"]),
        (100, 10, 20, ["limit_in_bytes=10", "memsw.limit_in_bytes=20"]),
        (10, 100, 200, ["memsw.limit_in_bytes=200", "limit_in_bytes=100"]),
        (15, 10, 20, ["memsw.limit_in_bytes=20", "limit_in_bytes=10"]),
        (20, 10, 20, ["limit_in_bytes=10", "memsw.limit_in_bytes=20"]),
        (10, None, 20, ["memsw.limit_in_bytes=20"]),
        (10, 5, None, ["limit_in_bytes=5"]),
    ],
)
def test_memory_never_exceeds_memory_and_swap(now, memory, swap, wanted):
    """Version 1 checks after each write: what grows is raised at its top first."""
    limits = Limits(memory=memory, memory_swap=swap)
    writes, _lacks = settings.plan(V1, "layerkit/x", limits, memory_now=now)

    assert lines(writes) == [f"/memory/memory.{line}" for line in wanted]


def test_each_controller_is_looked_up_by_itself():
    """On a hybrid machine one limit goes to version 1, another to version 2, a third nowhere."""
    trees = (Hierarchy(1, ("cpu", "cpuacct"), "/c"), Hierarchy(2, ("memory",), "/u"))
    limits = Limits(memory=32 * MIB, memory_swap=32 * MIB, cpu_shares=2, pids=7, cpuset_cpus="0")

    assert settings.plan(trees, "g", limits, denied={"pids": "not today"}) == (
        [
            Write("/u/g/memory.max", "33554432", "memory"),
            Write("/u/g/memory.swap.max", "0", "memory_swap"),
            Write("/c/g/cpu.shares", "2", "cpu_shares"),
        ],
        [Lack("cpuset_cpus", "there is no cpuset controller"), Lack("pids", "not today")],
    )


def test_the_lack_of_cpus_is_told_once():
    """Period and quota that come from one wish are one thing that is missing."""
    _writes, lacks = settings.plan((), "g", Limits(cpus=1.0))

    assert lacks == [Lack("cpus", "there is no cpu controller")]


@pytest.mark.parametrize(
    ("limits", "swap"),
    [
        (Limits(), None),
        (Limits(memory=10), 20),
        (Limits(memory=10, memory_swap=0), 20),
        (Limits(memory=10, memory_swap=15), 15),
        (Limits(memory=10, memory_swap=UNLIMITED), UNLIMITED),
        (Limits(memory=0), None),
        (Limits(memory=UNLIMITED), None),
    ],
)
def test_swap_is_as_much_as_memory_by_default(limits, swap):
    """As in docker, memory and swap together are twice the memory if nobody says otherwise."""
    assert settings.with_swap(limits).memory_swap == swap


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(0, 1), (2, 1), (3, 2), (512, 59), (1024, 100), (262_144, 10_000), (9_999_999, 10_000)],
)
def test_shares_become_weights(shares, weight):
    """The least, default and most of shares are the least, default and most of weights."""
    assert settings.weight(shares) == weight


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        pytest.param(Limits(memory=MIB), "at least 6m", id="little-memory"),
        pytest.param(Limits(memory=-5), "at least 6m", id="negative-memory"),
        pytest.param(Limits(memory_swap=64 * MIB), "needs one for memory", id="swap-alone"),
        pytest.param(
            Limits(memory=64 * MIB, memory_swap=32 * MIB), "are less than memory", id="little-swap"
        ),
        pytest.param(
            Limits(memory=8 * MIB, memory_reservation=9 * MIB), "exceeds", id="much-reserved"
        ),
        pytest.param(Limits(cpus=1.0, cpu_quota=5000), "period and quota", id="two-ways"),
        pytest.param(Limits(cpus=2.5), "has 2 processors", id="too-many-cpus"),
        pytest.param(Limits(cpus=-1.0), "has 2 processors", id="negative-cpus"),
        pytest.param(Limits(cpus=float("nan")), "has 2 processors", id="not-a-number"),
        pytest.param(Limits(cpu_period=999), "a period is", id="short-period"),
        pytest.param(Limits(cpu_period=1_000_001), "a period is", id="long-period"),
        pytest.param(Limits(cpu_quota=999), "a quota is", id="short-quota"),
    ],
)
def test_limits_without_sense_are_refused(limits, message):
    """What docker refuses when a container is made is a `UsageError` here."""
    with pytest.raises(UsageError, match=message):
        settings.check(limits, 2)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(),
        Limits(0, 0, 0, 0.0, 0, 0, 0, "", "", 0),
        Limits(memory=UNLIMITED, memory_swap=UNLIMITED),
        Limits(memory=6 * MIB, memory_swap=6 * MIB, memory_reservation=6 * MIB),
        Limits(cpus=2.0),
        Limits(cpu_period=1000, cpu_quota=UNLIMITED),
    ],
)
def test_limits_with_sense_pass(limits):
    """The edges of what makes sense are allowed."""
    settings.check(limits, 2)


def test_devices_are_denied_first():
    """In version 1 the group loses what it got from its parent, then gets one rule a write."""
    rules = (DeviceRule("c", 1, 3, "rwm"), DeviceRule("a", 10, None, "r"))

    assert lines(settings.plan_devices(V1[-1], "layerkit/x", rules)) == [
        "/devices/devices.deny=a",
        "/devices/devices.allow=c 1:3 rwm",
        "/devices/devices.allow=b 10:* r",
        "/devices/devices.allow=c 10:* r",
    ]
    assert settings.plan_devices(V1[-1], "layerkit/x", (*rules, *EVERYTHING)) == []
