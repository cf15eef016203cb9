"""What `inspect` tells of a container, under docker's field names (pure)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from layerkit.mount import BindMount, TmpfsMount, VolumeMount
from layerkit.sandbox.cgroups.settings import with_swap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from layerkit.mount import Mount
    from layerkit.oci import RuntimeConfig
    from layerkit.ops.container_config import ContainerConfig
    from layerkit.ops.states import ContainerState
    from layerkit.ops.wishes import Isolation, Networking, Wishes
    from layerkit.ports import Publication
    from layerkit.resources import Limits

_NEVER = "0001-01-01T00:00:00Z"
_SHM_SIZE = 64 << 20
_NANO = 10**9


def moment(seconds: float | None) -> str:
    """As docker writes times: RFC 3339, UTC, with nanoseconds."""
    if seconds is None:
        return _NEVER
    whole, micros = divmod(round(seconds * 10**6), 10**6)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{micros:06d}000Z"


def state_of(state: ContainerState) -> dict[str, Any]:
    """`State`."""
    run = state.run
    return {
        "Status": state.status,
        "Running": state.is_running,
        "Paused": state.status == "paused",
        "Restarting": False,
        "OOMKilled": run is not None and run.oom_killed,
        "Dead": False,
        "Pid": state.pid or 0,
        "ExitCode": state.exit_code or 0,
        "Error": run.error if run is not None else "",
        "StartedAt": moment(state.started),
        "FinishedAt": moment(state.finished),
    }


def config_of(config: ContainerConfig, image: str, runtime: RuntimeConfig) -> dict[str, Any]:
    """`Config`: what runs; `image` is the name it was made from, `runtime` what that says."""
    process, wishes = config.process, config.wishes
    entrypoint = runtime.entrypoint
    if wishes.entrypoint is not None:
        entrypoint = (wishes.entrypoint,) if wishes.entrypoint else ()
    return {
        "Hostname": config.hostname,
        "User": process.user,
        "Tty": wishes.tty,
        "OpenStdin": wishes.interactive,
        "Env": list(process.env),
        "Cmd": list(process.args[len(entrypoint) :]),
        "Entrypoint": list(entrypoint) or None,
        "Image": image,
        "ExposedPorts": {port: {} for port in runtime.exposed_ports},
        "Volumes": {target: {} for target in runtime.volumes},
        "WorkingDir": process.cwd,
        "Labels": dict(wishes.labels),
        "StopSignal": config.stop_signal,
        **({} if wishes.stop_timeout is None else {"StopTimeout": wishes.stop_timeout}),
    }


def host_config_of(wishes: Wishes, volumes: Path) -> dict[str, Any]:
    """`HostConfig`: what is around it; named volumes lie in the folder `volumes`."""
    return {
        "Binds": [_bind(each, volumes) for each in wishes.mounts if isinstance(each, BindMount)],
        "Tmpfs": {
            each.target: _tmpfs(each) for each in wishes.mounts if isinstance(each, TmpfsMount)
        },
        "AutoRemove": wishes.remove,
        "GroupAdd": list(wishes.groups),
        "Init": wishes.init,
        "ShmSize": wishes.shm_size or _SHM_SIZE,
        "Sysctls": dict(wishes.sysctls),
        "Devices": [
            {
                "PathOnHost": str(each.source),
                "PathInContainer": each.target,
                "CgroupPermissions": each.access,
            }
            for each in wishes.devices
        ],
        "Ulimits": [
            {"Name": each.name, "Hard": each.hard, "Soft": each.soft} for each in wishes.ulimits
        ],
        **_isolation(wishes.isolation),
        **_networking(wishes.networking),
        **_limits(with_swap(wishes.limits)),
    }


def _isolation(isolation: Isolation) -> dict[str, Any]:
    options = ["no-new-privileges"] if isolation.no_new_privileges else []
    options += [f"seccomp={isolation.seccomp}"] if isolation.seccomp is not None else []
    return {
        "Privileged": isolation.privileged,
        "ReadonlyRootfs": isolation.readonly,
        "CapAdd": list(isolation.cap_add),
        "CapDrop": list(isolation.cap_drop),
        "SecurityOpt": options,
    }


def _networking(networking: Networking) -> dict[str, Any]:
    return {
        "NetworkMode": networking.mode,
        "PortBindings": ports(networking.publications, all_addresses=""),
        "Dns": list(networking.dns),
        "DnsSearch": list(networking.dns_search),
        "DnsOptions": list(networking.dns_options),
        "ExtraHosts": [f"{name}:{address}" for name, address in networking.hosts],
    }


def _limits(limits: Limits) -> dict[str, Any]:
    return {
        "Memory": limits.memory or 0,
        "MemorySwap": limits.memory_swap or 0,
        "MemoryReservation": limits.memory_reservation or 0,
        "NanoCpus": round((limits.cpus or 0) * _NANO),
        "CpuShares": limits.cpu_shares or 0,
        "CpuPeriod": limits.cpu_period or 0,
        "CpuQuota": limits.cpu_quota or 0,
        "CpusetCpus": limits.cpuset_cpus or "",
        "CpusetMems": limits.cpuset_mems or "",
        "PidsLimit": limits.pids,
    }


def ports(publications: Iterable[Publication], *, all_addresses: str) -> dict[str, Any]:
    """Ports of the container with those of the host; what stands for all of its addresses is given."""
    found: dict[str, list[dict[str, str]]] = {}
    for each in publications:
        host = "" if each.host_port is None else str(each.host_port)
        place = {"HostIp": each.host_ip or all_addresses, "HostPort": host}
        found.setdefault(str(each), []).append(place)
    return found


def network_of(config: ContainerConfig, state: ContainerState) -> dict[str, Any]:
    """`NetworkSettings`: those of the run, empty without one."""
    run = state.run if state.is_running else None
    address = run.address if run is not None else ""
    return {
        "IPAddress": address,
        "Ports": ports(run.ports if run is not None else (), all_addresses="0.0.0.0"),  # noqa: S104
        "Networks": {config.network: {"IPAddress": address}},
    }


def mounts_of(wishes: Wishes, volumes: Path) -> list[dict[str, Any]]:
    """`Mounts`."""
    return [_mount(each, volumes) for each in wishes.mounts]


def _mount(mount: Mount, volumes: Path) -> dict[str, Any]:
    match mount:
        case TmpfsMount(target=target):
            return {"Type": "tmpfs", **_place("", target, readonly="ro" in mount.flags)}
        case VolumeMount(name=name):
            place = _place(str(volumes / name), mount.target, readonly=mount.readonly)
            return {"Type": "volume", "Name": name, **place, "Driver": "local"}
        case BindMount(source=source):
            place = _place(str(source), mount.target, readonly=mount.readonly)
            if name := _volume(source, volumes):
                return {"Type": "volume", "Name": name, **place, "Driver": "local"}
            return {"Type": "bind", **place, "Propagation": "rprivate"}


def _place(source: str, target: str, *, readonly: bool) -> Mapping[str, Any]:
    return {"Source": source, "Destination": target, "Mode": "", "RW": not readonly}


def _volume(source: Path, volumes: Path) -> str:
    """The name of the volume that a folder is of, empty if it is of none."""
    return source.relative_to(volumes).parts[0] if volumes in source.parents else ""


def _tmpfs(mount: TmpfsMount) -> str:
    size = () if mount.size is None else (f"size={mount.size}",)
    return ",".join((*mount.flags, *size, f"mode={mount.mode:o}"))


def _bind(mount: BindMount, volumes: Path) -> str:
    source = _volume(mount.source, volumes) or str(mount.source)
    return f"{source}:{mount.target}{':ro' if mount.readonly else ''}"
