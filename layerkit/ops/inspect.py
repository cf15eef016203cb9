"""Inspect: all that is known about an image, container or snapshot, under docker's field names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from layerkit import reference as references
from layerkit.errors import NotFoundError, UsageError
from layerkit.ops import containers, history, snapshots, states
from layerkit.ops.images import find_image, image_of

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.ops.snapshots import Found
    from layerkit.store.records import ContainerRecord, ImageRecord

_NEVER = "0001-01-01T00:00:00Z"


def inspect(home: Home, text: str, kind: str | None = None) -> dict[str, Any]:
    """The container, snapshot or image that `text` means, an image last; raises `NotFoundError`.

    `kind` is "image", "container", "snapshot" or None for any of them.
    """
    for name, look in (("container", _container), ("snapshot", _snapshot)):
        if kind in {None, name}:
            try:
                return look(home, text)
            except NotFoundError:
                if kind == name:
                    raise
    try:
        return inspect_image(home, find_image(home, text))
    except (NotFoundError, UsageError):
        if kind == "image":
            raise
        raise NotFoundError(f"no such object: {text}") from None


def _container(home: Home, text: str) -> dict[str, Any]:
    return inspect_container(home, containers.find_container(home, text))


def _snapshot(home: Home, text: str) -> dict[str, Any]:
    return inspect_snapshot(home, snapshots.find(home, text))


def inspect_snapshot(home: Home, found: Found) -> dict[str, Any]:
    """What there is to say about a snapshot; `Chain` are those it stands on, the oldest first."""
    return {
        "Id": found.snapshot.id,
        "Name": found.name,
        "Created": _time(found.snapshot.created),
        "Container": found.container.id,
        "Image": str(image_of(home, found.container.manifest).config),
        "Chain": list(found.snapshot.chain),
    }


def inspect_image(home: Home, image: ImageRecord) -> dict[str, Any]:
    """The fields of `docker image inspect`, as far as there is something behind them."""
    config = history.read_config(home, image)
    document = config.document
    names = [
        (references.parse(name.name), name) for name in home.store.database.names_of(image.manifest)
    ]
    return {
        "Id": str(image.config),
        "RepoTags": [reference.familiar for reference, _ in names if reference.digest is None],
        "RepoDigests": sorted(
            {f"{reference.familiar_repository}@{name.target}" for reference, name in names}
        ),
        "Parent": "",
        "Comment": config.history[-1].comment if config.history else "",
        "Created": image.created,
        "Author": config.author,
        "Config": document.get("config") or {},
        "Architecture": config.platform.architecture,
        **({"Variant": config.platform.variant} if config.platform.variant else {}),
        "Os": config.platform.os,
        "Size": image.size,
        "RootFS": {
            "Type": "layers",
            "Layers": [str(layer.diff_id) for layer in image.layers],
        },
        "Descriptor": {
            "mediaType": image.media_type,
            "digest": str(image.manifest),
            "size": image.manifest_size,
        },
    }


def inspect_container(home: Home, container: ContainerRecord) -> dict[str, Any]:
    """The fields of `docker container inspect`, as far as there is something behind them."""
    config = containers.read_config(home, container)
    state = states.read(home, container)
    folder = containers.folder_of(home, container)
    image = image_of(home, container.manifest)
    return {
        "Id": container.id,
        "Created": _time(container.created),
        "Path": config.process.args[0],
        "Args": list(config.process.args[1:]),
        "State": {
            "Status": state.status,
            "Running": state.status == "running",
            "ExitCode": state.exit_code or 0,
            "StartedAt": _time(state.started),
            "FinishedAt": _time(state.finished),
        },
        "Image": str(image.config),
        "ResolvConfPath": str(folder / "resolv.conf"),
        "HostnamePath": str(folder / "hostname"),
        "HostsPath": str(folder / "hosts"),
        "Name": f"/{container.name}",
        "Platform": "linux",
        "HostConfig": {"NetworkMode": config.network},
        "GraphDriver": {"Name": "overlay", "Data": {"UpperDir": str(folder / "upper")}},
        "Config": {
            "Hostname": config.hostname,
            "User": config.process.user,
            "Tty": config.wishes.tty,
            "Env": list(config.process.env),
            "Cmd": list(config.process.args),
            "Image": container.image_name,
            "WorkingDir": config.process.cwd,
        },
        "NetworkSettings": {"Networks": {config.network: {}}},
    }


def _time(seconds: float | None) -> str:
    """As docker writes times: RFC 3339, UTC, with nanoseconds."""
    if seconds is None:
        return _NEVER
    whole, micros = divmod(round(seconds * 10**6), 10**6)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{micros:06d}000Z"
