"""Create: a new container of an image or a snapshot, ready to be started."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from layerkit.errors import NotFoundError, UsageError
from layerkit.events import ignore
from layerkit.mount import BindMount
from layerkit.ops import containers, history, hostfiles, namespace, rights, snapshots, volumes
from layerkit.ops.container_config import ContainerConfig
from layerkit.ops.containers import Origin
from layerkit.ops.images import find_image
from layerkit.ports import Publication
from layerkit.sandbox.cgroups import settings
from layerkit.sandbox.spec import Overrides, process_spec
from layerkit.store.files import guarded
from layerkit.store.records import ContainerRecord, ImageRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.events import Observer
    from layerkit.mount import Mount
    from layerkit.oci import RuntimeConfig
    from layerkit.ops.home import Home
    from layerkit.ops.wishes import Networking, Wishes

__all__ = ["ContainerRecord", "ImageRecord", "create"]

_DEFAULT_STOP_SIGNAL = "SIGTERM"
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_LAST_PORT = 65535


def create(
    home: Home,
    wishes: Wishes,
    *,
    pull: Callable[[str], ImageRecord],
    observe: Observer = ignore,
) -> ContainerRecord:
    """Make a container that is not started; `pull` brings its image when that is not here.

    `observe` is told what the file system does not keep of the image. Raises what `pull` and the
    store raise, `UsageError` for wishes that make no sense, `SandboxError` for an image that does not.
    Who is not root is in a user namespace afterwards (`namespace.enter`).
    """
    origin = _origin(home, wishes, pull)
    namespace.enter(home, wishes.networking.mode)
    rights.check(wishes)
    settings.check(wishes.limits, os.cpu_count() or 1)
    container_id = containers.new_id()
    runtime = history.read_config(home, origin.image).runtime
    config = _config(home, wishes, runtime, _hostname(home, wishes, container_id))
    config = replace(config, earlier_targets=origin.targets)
    with volumes.settled(home, origin, config.wishes, runtime.volumes, observe) as settled:
        return containers.create(
            home,
            replace(origin, driver=home.driver(origin.driver).name),
            container_id=container_id,
            name=wishes.name,
            config=replace(config, wishes=settled),
            texts=hostfiles.texts(config.hostname, config.wishes.networking),
            observe=observe,
        )


def _origin(home: Home, wishes: Wishes, pull: Callable[[str], ImageRecord]) -> Origin:
    if wishes.snapshot is not None:
        return snapshots.origin(home, snapshots.find(home, wishes.snapshot))
    try:
        image = find_image(home, wishes.image)
    except NotFoundError:
        image = pull(wishes.image)
    return Origin(image, wishes.image)


def _hostname(home: Home, wishes: Wishes, container_id: str) -> str:
    """With the network of another container, its name as well: they share what leads to it."""
    mode, _, other = wishes.networking.mode.partition(":")
    if mode == "container":
        if wishes.hostname:
            raise UsageError("--hostname goes with a network of its own, not that of a container")
        return containers.read_config(home, containers.find_container(home, other)).hostname
    return wishes.hostname or (os.uname().nodename if mode == "host" else container_id[:12])


def _config(home: Home, wishes: Wishes, runtime: RuntimeConfig, hostname: str) -> ContainerConfig:
    overrides = Overrides(
        entrypoint=None if wishes.entrypoint is None else (wishes.entrypoint,),
        command=wishes.command,
        env=wishes.env,
        workdir=wishes.workdir,
        user=wishes.user,
        groups=wishes.groups,
    )
    process = process_spec(runtime, overrides, hostname=hostname, terminal=wishes.tty)
    settled = replace(
        wishes,
        networking=_networking(home, wishes.networking, runtime),
        mounts=tuple(map(_mount, wishes.mounts)),
        labels=tuple({**dict(runtime.labels), **dict(wishes.labels)}.items()),
    )
    signal = wishes.stop_signal or runtime.stop_signal or _DEFAULT_STOP_SIGNAL
    return ContainerConfig(process, hostname, settled, signal)


def _networking(home: Home, wanted: Networking, runtime: RuntimeConfig) -> Networking:
    kind, _, other = wanted.mode.partition(":")
    if kind == "container":
        wanted = replace(wanted, mode=f"container:{containers.find_container(home, other).id}")
    published = wanted.publications
    if published and kind == "container":
        raise UsageError("ports are published by the container whose network it is")
    if wanted.publish_all:
        published += tuple(map(_exposed, runtime.exposed_ports))
    return replace(wanted, publications=published, publish_all=False)


def _exposed(text: str) -> Publication:
    """A port that the image exposes, such as `80/tcp`, on any free one of the host."""
    number, _, protocol = text.partition("/")
    is_port = _PORT.fullmatch(number) is not None and 0 < int(number) <= _LAST_PORT
    if not is_port or protocol not in {"", "tcp", "udp", "sctp"}:
        raise UsageError(f"cannot publish port {text!r} of the image: wanted NUMBER/PROTOCOL")
    return Publication(int(number), protocol or "tcp")  # type: ignore[arg-type]


def _mount(mount: Mount) -> Mount:
    """A mount that is sure to be possible, as far as one can see from outside."""
    if not isinstance(mount, BindMount):
        return mount
    if mount.create and not mount.source.exists():
        with guarded("make"):
            mount.source.mkdir(parents=True)
    if not mount.source.exists():
        raise UsageError(f"cannot mount {mount.source}: it does not exist")
    return replace(mount, is_file=not mount.source.is_dir())
