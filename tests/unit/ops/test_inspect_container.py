"""What inspect tells of a container, from its config and its state."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from layerkit.mount import BindMount, TmpfsMount, VolumeMount
from layerkit.oci import RuntimeConfig
from layerkit.ops import inspect_container as parts
from layerkit.ops.container_config import ContainerConfig
from layerkit.ops.states import ContainerState, Run
from layerkit.ops.wishes import Isolation, Networking, Wishes
from layerkit.ports import Publication
from layerkit.resources import Device, Limits, Ulimit
from layerkit.sandbox.spec import ProcessSpec

VOLUMES = Path("/state/volumes")
MIB = 1 << 20
PORTS = (
    Publication(80, "tcp", 8080),
    Publication(80, "tcp", 8081, "127.0.0.1"),
    Publication(53, "udp"),
)
PROCESS = ProcessSpec(("tini", "sh", "-c", "x"), ("A=b",), "/srv", "app")
CONFIG = ContainerConfig(PROCESS, "box", Wishes(networking=Networking("bridge")))
RUN = Run(
    started=1_000_000_000.25,
    pid=7,
    address="10.99.0.2",
    ports=PORTS[:2],
    oom_killed=True,
    error="x",
)
ENDED = replace(RUN, finished=1_000_000_001.0, exit_code=3)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (
            ContainerState("created"),
            {"Status": "created", "Running": False, "Paused": False, "Pid": 0, "ExitCode": 0}
            | {"OOMKilled": False, "Error": "", "StartedAt": "0001-01-01T00:00:00Z"},
        ),
        (
            ContainerState("running", RUN),
            {"Running": True, "Paused": False, "Pid": 7, "ExitCode": 0}
            | {"StartedAt": "2001-09-09T01:46:40.250000000Z"}
            | {"FinishedAt": "0001-01-01T00:00:00Z"},
        ),
        (ContainerState("paused", RUN), {"Running": True, "Paused": True, "Pid": 7}),
        (
            ContainerState("exited", ENDED),
            {"Status": "exited", "Running": False, "Pid": 0, "ExitCode": 3, "OOMKilled": True}
            | {"Error": "x", "FinishedAt": "2001-09-09T01:46:41.000000000Z"},
        ),
    ],
    ids=lambda each: getattr(each, "status", ""),
)
def test_state(state, wanted):
    """A pid while it runs, a code and a time when it ended; docker's other states never are."""
    shown = parts.state_of(state)

    assert {key: shown[key] for key in wanted} == wanted
    assert (shown["Restarting"], shown["Dead"]) == (False, False)


@pytest.mark.parametrize(
    ("wished", "entrypoint", "cmd"),
    [
        (None, ["tini"], ["sh", "-c", "x"]),
        ("", None, ["tini", "sh", "-c", "x"]),
        ("tini", ["tini"], ["sh", "-c", "x"]),
    ],
    ids=["the image's", "none", "the user's"],
)
def test_entrypoint_and_command(wished, entrypoint, cmd):
    """What runs is taken apart again as image and user put it together."""
    wishes = replace(CONFIG.wishes, entrypoint=wished)
    runtime = RuntimeConfig(entrypoint=("tini",))

    shown = parts.config_of(replace(CONFIG, wishes=wishes), "app:1", runtime)

    assert (shown["Entrypoint"], shown["Cmd"]) == (entrypoint, cmd)


def test_config():
    """The process and how it is talked with; what the image exposes and keeps apart."""
    wishes = replace(CONFIG.wishes, tty=True, interactive=True, labels=(("k", "v"),))
    config = replace(CONFIG, wishes=replace(wishes, stop_timeout=3), stop_signal="SIGINT")
    runtime = RuntimeConfig(exposed_ports=("80/tcp",), volumes=("/data",))

    shown = parts.config_of(config, "app:1", runtime)

    assert {key: shown[key] for key in ("Hostname", "User", "Image", "WorkingDir", "Env")} == {
        "Hostname": "box",
        "User": "app",
        "Image": "app:1",
        "WorkingDir": "/srv",
        "Env": ["A=b"],
    }
    assert (shown["Tty"], shown["OpenStdin"], shown["Labels"]) == (True, True, {"k": "v"})
    assert (shown["StopSignal"], shown["StopTimeout"]) == ("SIGINT", 3)
    assert (shown["ExposedPorts"], shown["Volumes"]) == ({"80/tcp": {}}, {"/data": {}})
    assert "StopTimeout" not in parts.config_of(CONFIG, "app:1", RuntimeConfig())


def test_host_config():
    """Every wish has docker's field and units."""
    wishes = Wishes(
        remove=True,
        init=True,
        shm_size=MIB,
        groups=("wheel",),
        devices=(Device(Path("/dev/fuse"), "/dev/fuse", "rw"),),
        sysctls=(("net.a", "1"),),
        limits=Limits(memory=8 * MIB, cpus=1.5, cpuset_cpus="0", pids=7),
        ulimits=(Ulimit("nofile", 1, 2),),
        networking=Networking("bridge", PORTS, dns=("1.1.1.1",), hosts=(("a", "1.2.3.4"),)),
        isolation=Isolation(("SYS_TIME",), ("ALL",), True, "unconfined", True, True),
    )

    shown = parts.host_config_of(wishes, VOLUMES)

    wanted = {
        "AutoRemove": True,
        "Init": True,
        "ShmSize": MIB,
        "GroupAdd": ["wheel"],
        "Sysctls": {"net.a": "1"},
        "Memory": 8 * MIB,
        "MemorySwap": 16 * MIB,
        "NanoCpus": 1_500_000_000,
        "CpusetCpus": "0",
        "PidsLimit": 7,
        "Ulimits": [{"Name": "nofile", "Hard": 2, "Soft": 1}],
        "NetworkMode": "bridge",
        "Dns": ["1.1.1.1"],
        "ExtraHosts": ["a:1.2.3.4"],
        "CapAdd": ["SYS_TIME"],
        "CapDrop": ["ALL"],
        "Privileged": True,
        "SecurityOpt": ["no-new-privileges", "seccomp=unconfined"],
        "ReadonlyRootfs": True,
    }
    assert {key: shown[key] for key in wanted} == wanted
    assert [each["CgroupPermissions"] for each in shown["Devices"]] == ["rw"]
    assert shown["PortBindings"] == {
        "80/tcp": [
            {"HostIp": "", "HostPort": "8080"},
            {"HostIp": "127.0.0.1", "HostPort": "8081"},
        ],
        "53/udp": [{"HostIp": "", "HostPort": ""}],
    }


def test_a_container_without_wishes():
    """What nobody limited is 0 or null, and /dev/shm has its usual size."""
    shown = parts.host_config_of(Wishes(), VOLUMES)

    assert [shown[key] for key in ("Memory", "MemorySwap", "NanoCpus", "PidsLimit")] == [
        *(0, 0, 0),
        None,
    ]
    assert (shown["ShmSize"], shown["Binds"], shown["PortBindings"]) == (64 * MIB, [], {})


@pytest.mark.parametrize(
    ("mount", "wanted", "bind"),
    [
        (
            BindMount(Path("/h"), "/c", readonly=True),
            {"Type": "bind", "Source": "/h", "RW": False, "Propagation": "rprivate"},
            ["/h:/c:ro"],
        ),
        (
            BindMount(VOLUMES / "data", "/c"),
            {"Type": "volume", "Name": "data", "Source": "/state/volumes/data", "RW": True},
            ["data:/c"],
        ),
        (
            VolumeMount("data", "/c"),
            {"Type": "volume", "Name": "data", "Source": "/state/volumes/data", "RW": True},
            [],
        ),
        (TmpfsMount("/c", flags=("ro",)), {"Type": "tmpfs", "Source": "", "RW": False}, []),
    ],
    ids=["bind", "folder of a volume", "volume", "tmpfs"],
)
def test_mounts(mount, wanted, bind):
    """A folder of the host, a volume by its name, or memory."""
    wishes = Wishes(mounts=(mount,))
    (shown,) = parts.mounts_of(wishes, VOLUMES)

    assert {key: shown[key] for key in wanted} == wanted
    assert shown["Destination"] == "/c"
    assert parts.host_config_of(wishes, VOLUMES)["Binds"] == bind


def test_a_tmpfs_has_its_options():
    """They are written as the user could have written them."""
    wishes = Wishes(mounts=(TmpfsMount("/t", MIB, 0o700, ("exec",)),))

    assert parts.host_config_of(wishes, VOLUMES)["Tmpfs"] == {"/t": "exec,size=1048576,mode=700"}


def test_the_network_of_a_run():
    """Address and ports are there while it runs."""
    running = parts.network_of(CONFIG, ContainerState("running", RUN))
    ended = parts.network_of(CONFIG, ContainerState("exited", ENDED))

    assert running["IPAddress"] == "10.99.0.2"
    assert running["Networks"]["bridge"]["IPAddress"] == "10.99.0.2"
    assert running["Ports"] == {
        "80/tcp": [
            {"HostIp": "0.0.0.0", "HostPort": "8080"},
            {"HostIp": "127.0.0.1", "HostPort": "8081"},
        ]
    }
    assert ended == {"IPAddress": "", "Ports": {}, "Networks": {"bridge": {"IPAddress": ""}}}
