"""Inspect: all that is known about an image, container or snapshot, under docker's field names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerkit import reference as references
from layerkit.errors import NotFoundError, UsageError
from layerkit.ops import containers, history, snapshots, states
from layerkit.ops import inspect_container as parts
from layerkit.ops.images import find_image, image_of
from layerkit.ops.inspect_container import moment
from layerkit.sandbox.log import NAME as LOG_NAME
from layerkit.snapshot.layered import WORK

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.ops.snapshots import Found
    from layerkit.store.records import ContainerRecord, ImageRecord


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
        "Created": moment(found.snapshot.created),
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
    runtime = history.read_config(home, image).runtime
    return {
        "Id": container.id,
        "Created": moment(container.created),
        "Path": config.process.args[0],
        "Args": list(config.process.args[1:]),
        "State": parts.state_of(state),
        "Image": str(image.config),
        "ResolvConfPath": str(folder / "resolv.conf"),
        "HostnamePath": str(folder / "hostname"),
        "HostsPath": str(folder / "hosts"),
        "LogPath": str(folder / LOG_NAME),
        "Name": f"/{container.name}",
        "Driver": container.driver,
        "Platform": "linux",
        "HostConfig": parts.host_config_of(config.wishes, home.volumes),
        "GraphDriver": {"Name": container.driver, "Data": _graph(home, container)},
        "Mounts": parts.mounts_of(config.wishes, home.volumes),
        "Config": parts.config_of(config, container.image_name, runtime),
        "NetworkSettings": parts.network_of(config, state),
    }


def _graph(home: Home, container: ContainerRecord) -> dict[str, str]:
    """Where the container's own files are: what it changed, or with the driver copy all of them."""
    own = containers.upper_of(home, container)
    if home.drivers[container.driver].is_layered:
        return {"UpperDir": str(own), "WorkDir": str(own.with_name(WORK))}
    return {"MergedDir": str(own)}
