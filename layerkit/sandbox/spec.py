"""What a container is to be: its process from the image's config and the user's wishes, by docker's
rules, and the world around it. Pure.
"""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from layerkit.errors import SandboxError, UsageError
from layerkit.sandbox.capabilities import DOCKER_CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from layerkit.mount import BindMount, RootMount, TmpfsMount
    from layerkit.oci import RuntimeConfig
    from layerkit.resources import Ulimit
    from layerkit.sandbox.devices import DeviceNode
    from layerkit.sandbox.ids import Ids

SHM_SIZE = 64 << 20
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Overrides(Struct, frozen=True):
    """What the user wants other than the image says.

    `entrypoint` is None where the user did not speak of it; `()` or `("",)` clears the image's.
    An `env` entry without `=` takes the variable away. `workdir` and `user` None or empty: as the image.
    """

    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str | None = None
    user: str | None = None
    groups: tuple[str, ...] = ()


class ProcessSpec(Struct, frozen=True):
    """The first process: `env` as `KEY=value` (HOME comes later, from the container's passwd),
    `cwd` absolute, `user` as `[user|uid][:group|gid]` or empty for root. `groups` are further
    ones, by name or number.
    """

    args: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str = "/"
    user: str = ""
    groups: tuple[str, ...] = ()


class CgroupPlan(Struct, frozen=True):
    """The control groups of a container that the host has made.

    `join` are the files to which the first process writes itself, before `private` gives it a
    cgroup namespace. `shown` are names below /sys/fs/cgroup, empty for that itself, with folders.
    """

    join: tuple[str, ...]
    private: bool = False
    shown: tuple[tuple[str, Path], ...] = ()


class SandboxSpec(Struct, frozen=True):
    """A container to start.

    `root` is writable. `binds` and `tmpfs` are mounted in their order, but those nearer to the root
    first, on targets that are made where they are missing. `network` is that of the host, a new one
    with loopback alone, or the one that `network_namespace`, a descriptor, is of. `seccomp` is a
    compiled program, `shm_size` in bytes, `ulimits` what this process can set. With `init` a small
    program is the first process and passes signals on to the user's one. `privileged` leaves /proc
    and /sys open; which capabilities and devices, the other fields say. `ids` are those of the user
    namespace that all this is started in, None for none.
    """

    root: RootMount
    process: ProcessSpec
    hostname: str
    terminal: bool = False
    network: Literal["none", "host", "given"] = "none"
    network_namespace: int = -1
    binds: tuple[BindMount, ...] = ()
    capabilities: tuple[str, ...] = DOCKER_CAPABILITIES
    readonly_root: bool = False
    cgroup: CgroupPlan | None = None
    seccomp: bytes | None = None
    no_new_privileges: bool = False
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    tmpfs: tuple[TmpfsMount, ...] = ()
    shm_size: int = SHM_SIZE
    devices: tuple[DeviceNode, ...] = ()
    privileged: bool = False
    init: bool = False
    ids: Ids | None = None


class ExecSpec(Struct, frozen=True):
    """One more process for a container that runs, with a terminal of its own or none."""

    process: ProcessSpec
    terminal: bool = False
    capabilities: tuple[str, ...] = DOCKER_CAPABILITIES
    cgroup: CgroupPlan | None = None
    seccomp: bytes | None = None
    no_new_privileges: bool = False
    ulimits: tuple[Ulimit, ...] = ()
    ids: Ids | None = None


def process_spec(
    runtime: RuntimeConfig, overrides: Overrides, *, hostname: str, terminal: bool
) -> ProcessSpec:
    """The process that docker would start for this image and these wishes.

    Raises `UsageError` for a wish that makes no sense, `SandboxError` where there is nothing to
    run or the image asks for what no process can have.
    """
    spec = ProcessSpec(
        args=_arguments(runtime, overrides),
        env=_environment(runtime.env, overrides.env, hostname=hostname, terminal=terminal),
        cwd=_workdir(runtime, overrides),
        user=overrides.user or runtime.user,
        groups=overrides.groups,
    )
    _refuse_unspeakable((*spec.args, *spec.env, spec.cwd, spec.user, *spec.groups))
    return spec


def exec_process(
    first: ProcessSpec,
    *,
    args: tuple[str, ...],
    env: tuple[str, ...] = (),
    user: str | None = None,
    workdir: str | None = None,
    terminal: bool = False,
) -> ProcessSpec:
    """One more process beside the `first`, whose environment, user and working directory it gets.

    Raises as `process_spec`.
    """
    own = dict(entry.partition("=")[::2] for entry in first.env)
    if terminal:
        own.setdefault("TERM", "xterm")
    for entry in env:
        key, equals, value = entry.partition("=")
        if not key:
            raise UsageError(f"invalid environment variable {entry!r}: wanted KEY=value")
        if equals:
            own[key] = value
        else:
            own.pop(key, None)
    cwd = workdir or first.cwd
    if not cwd.startswith("/"):
        raise UsageError(f"invalid working directory {cwd!r}: wanted an absolute path")
    spec = ProcessSpec(
        args=args,
        env=tuple(f"{key}={value}" for key, value in own.items()),
        cwd=posixpath.normpath("/" + cwd.lstrip("/")),
        user=first.user if user is None else user,
        groups=first.groups,
    )
    _refuse_unspeakable((*spec.args, *spec.env, spec.cwd, spec.user, *spec.groups))
    return spec


def _arguments(runtime: RuntimeConfig, overrides: Overrides) -> tuple[str, ...]:
    """Entrypoint and command; an entrypoint of the user's own takes the image's command away too."""
    entrypoint, command = overrides.entrypoint, overrides.command
    if entrypoint is None:
        entrypoint, command = runtime.entrypoint, command or runtime.cmd
    if entrypoint == ("",):
        entrypoint = ()
    if not entrypoint + command:
        raise SandboxError(
            "no command specified",
            hint="the image names none: write the command behind the image name",
        )
    return entrypoint + command


def _environment(
    image: tuple[str, ...], user: tuple[str, ...], *, hostname: str, terminal: bool
) -> tuple[str, ...]:
    values = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if terminal:
        values["TERM"] = "xterm"
    for entry in user:
        if not entry.partition("=")[0]:
            raise UsageError(f"invalid environment variable {entry!r}: wanted KEY=value")
    for entry in (*image, *user):
        key, equals, value = entry.partition("=")
        if equals and key:
            values[key] = value
        else:
            values.pop(key, None)
    return tuple(f"{key}={value}" for key, value in values.items())


def _workdir(runtime: RuntimeConfig, overrides: Overrides) -> str:
    path = overrides.workdir or runtime.working_dir or "/"
    if not path.startswith("/"):
        kind = UsageError if overrides.workdir else SandboxError
        raise kind(f"invalid working directory {path!r}: wanted an absolute path")
    return posixpath.normpath("/" + path.lstrip("/"))


def _refuse_unspeakable(texts: Iterable[str]) -> None:
    """A JSON config can spell strings that execve cannot take: NUL, half of a surrogate pair."""
    for text in texts:
        try:
            raw = os.fsencode(text)
        except UnicodeEncodeError:
            raw = b"\0"
        if b"\0" in raw:
            raise SandboxError(f"invalid process setting {text[:100]!r}: no process can have it")
