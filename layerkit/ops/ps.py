"""The containers here, and which of them somebody wants to see."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit import reference as references
from layerkit.errors import NotFoundError, StoreError, UsageError
from layerkit.mount import BindMount
from layerkit.ops import containers, reap, states
from layerkit.store.usage import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    from layerkit.mount import Mount
    from layerkit.ops.home import Home
    from layerkit.ports import Publication
    from layerkit.store.records import ContainerRecord

    Test: TypeAlias = Callable[["Listed", str], bool]

STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
UP = ("running", "paused", "restarting")
"""The statuses in which there is a process."""


class Listed(Struct, frozen=True):
    """A container as a list shows it; times are in seconds since 1970.

    `image` is the name that it was made from, `image_id` the hex digits of its id. `ports` without
    a port of the host are exposed, not published. `mounts` are names of volumes and folders of the
    host. `size` is what it wrote, in bytes of the disk, None where nobody asked; with the driver copy
    that is all of it.
    """

    id: str
    image: str
    image_id: str
    command: tuple[str, ...]
    created: float
    status: str
    exit_code: int | None = None
    started: float | None = None
    finished: float | None = None
    ports: tuple[Publication, ...] = ()
    names: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    mounts: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    size: int | None = None
    image_size: int = 0


def list_containers(home: Home, *, size: bool = False) -> list[Listed]:
    """All containers, the newest first; with `size`, what each of them wrote is measured.

    Those that were to go at their end, but whose monitor was killed, go now. Raises `StoreError`.
    """
    found = (_listed(home, each, size=size) for each in home.store.database.containers())
    return [each for each in found if each is not None]


def _listed(home: Home, container: ContainerRecord, *, size: bool) -> Listed | None:
    """None for a container that goes meanwhile."""
    try:
        config = containers.read_config(home, container)
        state = states.read(home, container)
        if reap.is_due(config, state) and reap.reap(home, container, state):
            return None
        used = measure(containers.upper_of(home, container)).size if size else None
    except StoreError:
        if _is_there(home, container):
            raise
        return None
    image = home.store.database.image(container.manifest)
    return Listed(
        id=container.id,
        image=container.image_name,
        image_id=image.config.hex if image is not None else "",
        command=config.process.args,
        created=container.created,
        status=state.status,
        exit_code=state.exit_code,
        started=state.started,
        finished=state.finished,
        ports=state.run.ports if state.run is not None and state.is_running else (),
        names=(container.name,),
        labels=config.wishes.labels,
        mounts=tuple(map(_shown, config.wishes.mounts)),
        networks=(config.network,),
        size=used,
        image_size=image.size if image is not None else 0,
    )


def _shown(mount: Mount) -> str:
    return os.fspath(mount.source) if isinstance(mount, BindMount) else mount.target


def _is_there(home: Home, container: ContainerRecord) -> bool:
    try:
        containers.find_container(home, container.id)
    except NotFoundError:
        return False
    return True


def chosen(
    listed: Iterable[Listed], filters: Sequence[str], *, everything: bool, last: int = 0
) -> list[Listed]:
    """Those that docker lists for these filters (`KEY=VALUE`); pure.

    Without `everything`, those that are up, unless a status is asked for; with `last`, as many of
    the newest, up or not. Of several values for a key one must fit, but each label. Raises
    `UsageError` for an unknown filter.
    """
    wanted = _parsed(filters)
    everything = everything or last > 0 or "status" in wanted
    found = [
        each
        for each in listed
        if (everything or each.status in UP)
        and all(_fits(each, key, values) for key, values in wanted.items())
    ]
    return found[:last] if last > 0 else found


def _parsed(filters: Sequence[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        if not equals or key not in _TESTS:
            raise UsageError(f"unsupported filter {text!r}: wanted {'=…, '.join(_TESTS)}=…")
        _check(key, value, text)
        wanted.setdefault(key, []).append(value)
    return wanted


def _check(key: str, value: str, text: str) -> None:
    if key == "status" and value not in STATUSES:
        raise UsageError(f"invalid filter {text!r}: wanted one of {', '.join(STATUSES)}")
    if key == "exited" and not value.removeprefix("-").isdecimal():
        raise UsageError(f"invalid filter {text!r}: wanted an exit code")
    if key in ("name", "id"):
        try:
            re.compile(value)
        except re.error as error:
            raise UsageError(f"invalid filter {text!r}: {error}") from None


def _fits(listed: Listed, key: str, values: list[str]) -> bool:
    results = (_TESTS[key](listed, value) for value in values)
    return all(results) if key == "label" else any(results)


def _has_name(listed: Listed, value: str) -> bool:
    """With or without the `/` that docker keeps before a name."""
    return any(re.search(value, each) for name in listed.names for each in (name, f"/{name}"))


def _has_id(listed: Listed, value: str) -> bool:
    return re.search(value, listed.id) is not None


def _has_status(listed: Listed, value: str) -> bool:
    return listed.status == value


def _has_exited(listed: Listed, value: str) -> bool:
    return listed.status == "exited" and listed.exit_code == int(value)


def _has_ancestor(listed: Listed, value: str) -> bool:
    """The image by its name, `latest` if it has no tag, or by the beginning of its id."""
    digits = value.removeprefix("sha256:")
    return bool(digits and listed.image_id.startswith(digits)) or (
        _full_name(listed.image) == _full_name(value)
    )


def _full_name(name: str) -> str:
    try:
        return references.parse(name).identity
    except UsageError:
        return name


def _has_label(listed: Listed, value: str) -> bool:
    key, equals, wanted = value.partition("=")
    labels = dict(listed.labels)
    return key in labels and (not equals or labels[key] == wanted)


def _publishes(listed: Listed, value: str) -> bool:
    """A port of the host, or one of the container that is published; TCP unless it says else."""
    port, _, protocol = value.partition("/")
    return any(
        port in (str(each.host_port), str(each.container_port))
        and each.protocol == (protocol or "tcp")
        for each in listed.ports
        if each.host_port is not None
    )


def _has_network(listed: Listed, value: str) -> bool:
    return value in listed.networks


def _has_mount(listed: Listed, value: str) -> bool:
    return value in listed.mounts


_TESTS: dict[str, Test] = {
    "ancestor": _has_ancestor,
    "exited": _has_exited,
    "id": _has_id,
    "label": _has_label,
    "name": _has_name,
    "network": _has_network,
    "publish": _publishes,
    "status": _has_status,
    "volume": _has_mount,
}
