"""The start of a container as data: what the first process does before it becomes the program. Pure.

The order keeps the image out of the host. The root is changed before anything is mounted, so every
path means the container's own files, and the old root is detached only after proc and sysfs are
there, because a user namespace may mount them only while others of their kind are visible. The
capabilities go last, and the descriptors with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.mount import BindMount, FolderMount, OverlayMount, TmpfsMount
from layerkit.sandbox import isolation, process_steps, rootless, steps, tmpfs
from layerkit.sandbox.cgroups.steps import JoinCgroups, MountCgroups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerkit.mount import RootMount
    from layerkit.sandbox.spec import CgroupPlan, ExecSpec, SandboxSpec
    from layerkit.sandbox.steps import Step

_SAFE = ("nosuid", "nodev", "noexec")
_CGROUP = "/sys/fs/cgroup"

_DEVICES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
# docker daemon/pkg/oci/defaults.go
_READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/devices/system/cpu/cpu*/thermal_throttle",
)
_LAST_GID = 2**31 - 1


def plan(spec: SandboxSpec) -> tuple[Step, ...]:
    """What to do, in this order, to start the container of `spec`."""
    return (
        *_leave_the_host(spec),
        *_mount_kernel_file_systems(spec),
        *_show_cgroups(spec),
        steps.DetachOldRoot(),
        *_fill_dev(spec),
        *_configure(spec),
        *_become_the_process(spec),
    )


def plan_exec(spec: ExecSpec) -> tuple[Step, ...]:
    """What to do, in this order, to become a further process of a container that runs."""
    is_private = spec.cgroup is not None and spec.cgroup.private
    return (
        *((JoinCgroups(spec.cgroup.join),) if spec.cgroup is not None else ()),
        steps.NewKeyring(),
        steps.JoinNamespaces(
            ("ipc", "network", "uts", *(("cgroup",) if is_private else ()), "mount")
        ),
        steps.SetUmask(0o022),
        *_become_the_process(spec, is_first=False),
    )


def _leave_the_host(spec: SandboxSpec) -> Iterator[Step]:
    is_new = spec.network == "none"
    yield steps.Unshare(("mount", "uts", "ipc", *(("network",) if is_new else ())))
    yield from _join_cgroups(spec.cgroup)
    if spec.network == "given":
        yield steps.JoinNetwork(spec.network_namespace)
    yield steps.NewKeyring()
    if is_new:
        yield steps.LoopbackUp()
    yield steps.IsolateMounts()
    yield from map(steps.HoldBind, (*spec.binds, *_cgroup_binds(spec), *rootless.binds(spec)))
    mountpoint = _mountpoint(spec.root)
    yield steps.MountRoot(spec.root, mountpoint)
    yield steps.PivotRoot(mountpoint)


def _join_cgroups(cgroup: CgroupPlan | None) -> Iterator[Step]:
    if cgroup is not None:
        yield JoinCgroups(cgroup.join)
        if cgroup.private:
            yield steps.Unshare(("cgroup",))


def _cgroup_binds(spec: SandboxSpec) -> tuple[BindMount, ...]:
    shown = spec.cgroup.shown if spec.cgroup else ()
    return tuple(
        BindMount(folder, f"{_CGROUP}/{name}".rstrip("/"), readonly=not spec.privileged)
        for name, folder in shown
    )


def _show_cgroups(spec: SandboxSpec) -> Iterator[Step]:
    if binds := _cgroup_binds(spec):
        yield MountCgroups(_CGROUP, binds)


def _mountpoint(root: RootMount) -> Path:
    """A folder that is sure to exist: one of its own."""
    match root:
        case OverlayMount(upper=Path() as upper):
            return upper
        case FolderMount(folder=folder):
            return folder
    raise ValueError(f"{root} is not writable")


def _mount_kernel_file_systems(spec: SandboxSpec) -> Iterator[Step]:
    yield steps.MountFs("proc", "/proc", _SAFE)
    dev_options = (("mode", "755"), ("size", "65536k"))
    yield steps.MountFs("tmpfs", "/dev", ("nosuid", "strictatime"), dev_options)
    for name in ("pts", "shm", "mqueue"):
        yield steps.MakeDirectory(f"/dev/{name}")
    tty = (("gid", "5"),) if spec.ids is None or spec.ids.has_gid(5) else ()
    pts_options = (("newinstance", None), ("ptmxmode", "0666"), ("mode", "0620"), *tty)
    yield steps.MountFs("devpts", "/dev/pts", ("nosuid", "noexec"), pts_options)
    shm_options = (("mode", "1777"), ("size", str(spec.shm_size)))
    yield steps.MountFs("tmpfs", "/dev/shm", _SAFE, shm_options)  # noqa: S108  the container's
    yield steps.MountFs("mqueue", "/dev/mqueue", _SAFE)
    if rootless.binds_sys(spec):
        yield steps.AttachBind(rootless.SYS)
    else:
        yield steps.MountFs("sysfs", "/sys", (*_SAFE, *(() if spec.privileged else ("ro",))))


def _fill_dev(spec: SandboxSpec) -> Iterator[Step]:
    if spec.ids is None:
        from_host = {node.path for node in spec.devices}
        for name, major, minor in _DEVICES:
            if f"/dev/{name}" not in from_host:
                yield steps.MakeDevice(f"/dev/{name}", major, minor)
        yield from map(isolation.MakeNode, spec.devices)
    else:
        yield from _bound(rootless.devices(spec))
    yield steps.Symlink("/dev/fd", "/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        yield steps.Symlink(f"/dev/{name}", f"/proc/self/fd/{number}")
    yield steps.Symlink("/dev/ptmx", "pts/ptmx")
    yield steps.Symlink("/dev/core", "/proc/kcore", needs="/proc/kcore")


def _configure(spec: SandboxSpec) -> Iterator[Step]:
    if spec.network != "host":  # every user may bind the low ports and ping, as in docker
        # A group that is not mapped is none to the kernel.
        last_gid = _LAST_GID if spec.ids is None else min(spec.ids.last_gid, _LAST_GID)
        yield steps.Sysctl("net.ipv4.ping_group_range", f"0 {last_gid}")
        yield steps.Sysctl("net.ipv4.ip_unprivileged_port_start", "0")
    for name, value in spec.sysctls:
        yield steps.Sysctl(name, value, required=True)
    yield from _user_mounts(spec)
    if not spec.privileged:
        yield from map(steps.ReadonlyPath, _READONLY)
        yield from map(steps.MaskPath, _MASKED)
    yield steps.SetHostname(spec.hostname)
    yield steps.SetUmask(0o022)
    yield steps.MakeWorkdir(spec.process.cwd)
    if spec.readonly_root:
        yield steps.ReadonlyRoot()
    if spec.init:
        yield isolation.LoadInit()


def _user_mounts(spec: SandboxSpec) -> Iterator[Step]:
    """Outer ones first, or they would hide the inner ones."""
    mounts: list[TmpfsMount | BindMount] = [*spec.tmpfs, *spec.binds]
    for mount in sorted(mounts, key=lambda each: each.target.count("/")):
        if isinstance(mount, TmpfsMount):
            yield tmpfs.step(mount)
        else:
            yield from _bound((mount,))


def _bound(binds: Iterable[BindMount]) -> Iterator[Step]:
    for bind in binds:
        yield steps.MakeMountpoint(bind.target, is_folder=not bind.is_file)
        yield steps.AttachBind(bind)


def _become_the_process(spec: SandboxSpec | ExecSpec, *, is_first: bool = True) -> Iterator[Step]:
    yield process_steps.FindUser(spec.process.user, spec.process.groups, spec.ids)
    yield (
        process_steps.OpenTerminal(is_console=is_first)
        if spec.terminal
        else process_steps.OpenStreams()
    )
    yield process_steps.EnterWorkdir(spec.process.cwd)
    filters = () if spec.seccomp is None else (isolation.LoadSeccomp(spec.seccomp),)
    # Without no-new-privileges a filter takes SYS_ADMIN; with it, it can see less of layerkit.
    if not spec.no_new_privileges:
        yield from filters
    if spec.ulimits:
        yield isolation.SetUlimits(spec.ulimits)
    yield process_steps.BoundCapabilities(spec.capabilities)
    yield process_steps.BecomeUser(sets_groups=spec.ids is None or spec.ids.sets_groups)
    yield process_steps.SetCapabilities(spec.capabilities)
    yield process_steps.CheckWorkdir(spec.process.cwd)
    yield process_steps.CloseFiles()
    if spec.no_new_privileges:
        yield isolation.NoNewPrivileges()
        yield from filters
    yield process_steps.Execute(spec.process)
