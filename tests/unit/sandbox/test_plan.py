"""The plan of a start: what is done, and in which order."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from layerkit.mount import BindMount, OverlayMount, TmpfsMount
from layerkit.resources import Ulimit
from layerkit.sandbox import isolation, process_steps, steps
from layerkit.sandbox.devices import DeviceNode
from layerkit.sandbox.plan import plan
from layerkit.sandbox.spec import CgroupPlan, ProcessSpec, SandboxSpec

SPEC = SandboxSpec(
    root=OverlayMount((Path("/s/init"), Path("/s/view")), Path("/c/upper"), Path("/c/work")),
    process=ProcessSpec(("sh", "-c", "a b"), ("SECRET=x",), "/srv", "app"),
    hostname="0123456789ab",
    binds=(BindMount(Path("/c/hosts"), "/etc/hosts"),),
)

GOLDEN = """\
unshare mount uts ipc network
join a new session keyring
bring up lo
make all mounts slaves of the host's
hold /c/hosts for /etc/hosts
mount overlay of 2 lowers on /c/upper
pivot to /c/upper
mount proc on /proc (nosuid,nodev,noexec)
mount tmpfs on /dev (nosuid,strictatime,mode=755,size=65536k)
make folder /dev/pts 755
make folder /dev/shm 755
make folder /dev/mqueue 755
mount devpts on /dev/pts (nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5)
mount tmpfs on /dev/shm (nosuid,nodev,noexec,mode=1777,size=67108864)
mount mqueue on /dev/mqueue (nosuid,nodev,noexec)
mount sysfs on /sys (nosuid,nodev,noexec,ro)
detach the old root
make device /dev/null 1:3
make device /dev/zero 1:5
make device /dev/full 1:7
make device /dev/random 1:8
make device /dev/urandom 1:9
make device /dev/tty 5:0
link /dev/fd -> /proc/self/fd
link /dev/stdin -> /proc/self/fd/0
link /dev/stdout -> /proc/self/fd/1
link /dev/stderr -> /proc/self/fd/2
link /dev/ptmx -> pts/ptmx
link /dev/core -> /proc/kcore if there is /proc/kcore
sysctl net.ipv4.ping_group_range = 0 2147483647
sysctl net.ipv4.ip_unprivileged_port_start = 0
make mount point /etc/hosts
bind /etc/hosts
make /proc/bus read-only
make /proc/fs read-only
make /proc/irq read-only
make /proc/sys read-only
make /proc/sysrq-trigger read-only
mask /proc/acpi
mask /proc/asound
mask /proc/interrupts
mask /proc/kcore
mask /proc/keys
mask /proc/latency_stats
mask /proc/sched_debug
mask /proc/scsi
mask /proc/timer_list
mask /proc/timer_stats
mask /sys/devices/virtual/powercap
mask /sys/firmware
mask /sys/devices/system/cpu/cpu*/thermal_throttle
set hostname 0123456789ab
umask 022
make working directory /srv
find user app
open stdin, stdout, stderr
enter /srv
bound capabilities to CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP \
NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE
become the user
set 14 capabilities
check that /srv is inside
close all other files
execute sh -c 'a b'
"""


def lines(spec):
    """The plan as `--debug` prints it."""
    return "".join(f"{step}\n" for step in plan(spec))


def test_the_plan_is_the_known_one():
    """The whole sequence of a default container, a line for each step, without its environment."""
    assert lines(SPEC) == GOLDEN


@pytest.mark.parametrize(
    ("change", "gone", "new"),
    [
        (
            {"terminal": True},
            {"open stdin, stdout, stderr"},
            {"open a terminal on /dev/console"},
        ),
        (
            {"network": "host"},
            {
                "unshare mount uts ipc network",
                "bring up lo",
                "sysctl net.ipv4.ping_group_range = 0 2147483647",
                "sysctl net.ipv4.ip_unprivileged_port_start = 0",
            },
            {"unshare mount uts ipc"},
        ),
        ({"readonly_root": True}, set(), {"make / read-only"}),
        ({"seccomp": bytes(80)}, set(), {"load a seccomp filter of 10 instructions"}),
        ({"no_new_privileges": True}, set(), {"set no-new-privileges"}),
        (
            {"ulimits": (Ulimit("nofile", 1, 2), Ulimit("core", 0, -1))},
            set(),
            {"ulimit nofile=1:2 core=0:-1"},
        ),
        ({"init": True}, set(), {"load init"}),
        ({"sysctls": (("kernel.sem", "1 2"),)}, set(), {"sysctl kernel.sem = 1 2"}),
        (
            {"tmpfs": (TmpfsMount("/t", 4096),)},
            set(),
            {"mount tmpfs on /t (nosuid,nodev,noexec,mode=1777,size=4096)"},
        ),
        (
            {"shm_size": 4096},
            {"mount tmpfs on /dev/shm (nosuid,nodev,noexec,mode=1777,size=67108864)"},
            {"mount tmpfs on /dev/shm (nosuid,nodev,noexec,mode=1777,size=4096)"},
        ),
        (
            {"devices": (DeviceNode("/dev/null", "c", 1, 3, 0o666, 0, 5),)},
            {"make device /dev/null 1:3"},
            {"make device /dev/null c 1:3 666 0:5"},
        ),
        (
            {"privileged": True},
            {"mount sysfs on /sys (nosuid,nodev,noexec,ro)"}
            | {line for line in GOLDEN.splitlines() if line.startswith(("mask ", "make /proc"))},
            {"mount sysfs on /sys (nosuid,nodev,noexec)"},
        ),
        (
            {"binds": (BindMount(Path("/h"), "/x", readonly=True),)},
            {
                "hold /c/hosts for /etc/hosts",
                "make mount point /etc/hosts",
                "bind /etc/hosts",
            },
            {"hold /h for /x", "make mount point /x", "bind /x read-only"},
        ),
        (
            {"cgroup": CgroupPlan(("/c/a/tasks", "/c/b/tasks"), shown=(("a", Path("/c/a")),))},
            set(),
            {
                "join 2 control groups",
                "hold /c/a for /sys/fs/cgroup/a",
                "mount 1 control groups on /sys/fs/cgroup",
            },
        ),
        (
            {"cgroup": CgroupPlan(("/c/cgroup.procs",), private=True, shown=(("", Path("/c")),))},
            set(),
            {
                "join 1 control groups",
                "unshare cgroup",
                "hold /c for /sys/fs/cgroup",
                "mount 1 control groups on /sys/fs/cgroup",
            },
        ),
        ({"cgroup": CgroupPlan(())}, set(), {"join 0 control groups"}),
    ],
    ids=[
        "terminal",
        "host network",
        "read-only root",
        "seccomp",
        "no-new-privileges",
        "ulimits",
        "init",
        "sysctls",
        "tmpfs",
        "shm size",
        "devices",
        "privileged",
        "read-only bind",
        "cgroups of version 1",
        "cgroup of version 2",
        "no right to cgroups",
    ],
)
def test_an_option_changes_its_own_steps_only(change, gone, new):
    """Each option of the spec replaces or adds exactly the steps that are about it."""
    changed = set(lines(msgspec.structs.replace(SPEC, **change)).splitlines())
    default = set(GOLDEN.splitlines())

    assert (default - changed, changed - default) == (gone, new)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (steps.IsolateMounts, steps.MountRoot),
        (steps.HoldBind, steps.PivotRoot),
        (steps.PivotRoot, steps.MountFs),
        (steps.MountFs, steps.DetachOldRoot),
        (steps.DetachOldRoot, steps.MakeWorkdir),
        (steps.DetachOldRoot, process_steps.FindUser),
        (steps.Sysctl, steps.ReadonlyPath),
        (steps.MakeDevice, steps.MaskPath),
        (steps.MakeWorkdir, steps.ReadonlyRoot),
        (process_steps.FindUser, process_steps.BecomeUser),
        (process_steps.BoundCapabilities, process_steps.BecomeUser),
        (process_steps.BecomeUser, process_steps.SetCapabilities),
        (process_steps.EnterWorkdir, process_steps.CheckWorkdir),
        (process_steps.SetCapabilities, process_steps.CloseFiles),
        (process_steps.CloseFiles, process_steps.Execute),
    ],
)
def test_the_order_that_keeps_the_image_inside(first, then):
    """Whatever the spec, no step of the first kind comes behind one of the second."""
    for terminal in (False, True):
        kinds = [
            type(step)
            for step in plan(msgspec.structs.replace(SPEC, terminal=terminal, readonly_root=True))
        ]
        last_first = len(kinds) - 1 - kinds[::-1].index(first)
        assert last_first < kinds.index(then)


def test_a_cgroup_is_joined_before_its_namespace_is_made():
    """The root of a cgroup namespace is the group of the one who makes it; mounts need both."""
    cgroup = CgroupPlan(("/c/cgroup.procs",), private=True, shown=(("", Path("/c")),))
    found = lines(msgspec.structs.replace(SPEC, cgroup=cgroup)).splitlines()

    order = ["unshare mount uts ipc network", "join 1 control groups", "unshare cgroup"]
    assert found[:3] == order
    assert found.index("mount sysfs on /sys (nosuid,nodev,noexec,ro)") < found.index(
        "mount 1 control groups on /sys/fs/cgroup"
    )


def test_outer_mounts_come_first():
    """A mount never hides one further in; those beside each other keep their order."""
    spec = msgspec.structs.replace(
        SPEC,
        binds=(
            BindMount(Path("/h"), "/a/b/c"),
            BindMount(Path("/i"), "/z"),
            BindMount(Path("/j"), "/b"),
        ),
        tmpfs=(TmpfsMount("/a/b"), TmpfsMount("/z/t")),
    )
    found = [step for step in lines(spec).splitlines() if step.startswith(("bind", "mount tmpfs"))]

    assert [step.split("(")[0].split()[-1] for step in found[2:]] == [
        "/z", "/b", "/a/b", "/z/t", "/a/b/c",
    ]  # fmt: skip


def test_a_filter_is_loaded_while_it_is_allowed_to_be():
    """Without no-new-privileges a filter needs SYS_ADMIN; with it, it is the last thing of all."""
    for no_new, before, behind in (
        (False, isolation.LoadSeccomp, process_steps.BoundCapabilities),
        (True, isolation.NoNewPrivileges, isolation.LoadSeccomp),
        (True, process_steps.CloseFiles, isolation.NoNewPrivileges),
    ):
        spec = msgspec.structs.replace(SPEC, seccomp=bytes(8), no_new_privileges=no_new)
        kinds = [type(step) for step in plan(spec)]
        assert kinds.index(before) < kinds.index(behind)
    assert kinds[-2:] == [isolation.LoadSeccomp, process_steps.Execute]
