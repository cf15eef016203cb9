"""What a user can wish for when a container is made, as one value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from layerkit.resources import Limits

if TYPE_CHECKING:
    from layerkit.mount import Mount
    from layerkit.ports import Publication
    from layerkit.resources import Device, Ulimit

__all__ = ["Isolation", "Networking", "Wishes"]


class Networking(Struct, frozen=True):
    """The network: `mode` is bridge, none, host, or `container:NAME`.

    `hosts` are pairs of a name and an address for /etc/hosts. `publish_all` gives every port that
    the image exposes a free one of the host.
    """

    mode: str = "bridge"
    publications: tuple[Publication, ...] = ()
    publish_all: bool = False
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    hosts: tuple[tuple[str, str], ...] = ()


class Isolation(Struct, frozen=True):
    """What holds the container back; capabilities are names without CAP_, or ALL.

    `seccomp` is None for the default profile, "unconfined", or the path of a profile.
    """

    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    seccomp: str | None = None
    no_new_privileges: bool = False
    readonly: bool = False


class Wishes(Struct, frozen=True):
    """What the user asks for; None or empty where the image decides.

    With `snapshot` (`CONTAINER@NAME`), that is what it starts from, and its container's image
    decides. An `env` entry without `=` takes the variable away. `shm_size` in bytes.
    """

    image: str = ""
    snapshot: str | None = None
    command: tuple[str, ...] = ()
    name: str | None = None
    entrypoint: str | None = None
    env: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    workdir: str | None = None
    user: str | None = None
    groups: tuple[str, ...] = ()
    hostname: str | None = None
    interactive: bool = False
    tty: bool = False
    remove: bool = False
    init: bool = False
    stop_signal: str | None = None
    stop_timeout: int | None = None
    shm_size: int | None = None
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)
    ulimits: tuple[Ulimit, ...] = ()
    networking: Networking = field(default_factory=Networking)
    isolation: Isolation = field(default_factory=Isolation)
