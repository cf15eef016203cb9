"""Commit: what a container changed becomes one more layer, on those of its image."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from layerkit import digest as digests
from layerkit import oci
from layerkit.diff.compare import HOST_POLICY, compare, reasons
from layerkit.events import Notice, Resolved, ignore
from layerkit.layer import changeset, writer
from layerkit.ops import containers, making, snapshots, sources
from layerkit.ops.changes import changed
from layerkit.ops.history import read_config
from layerkit.ops.images import image_of
from layerkit.ops.install import Base, NewImage
from layerkit.ops.local import bring
from layerkit.ops.tarring import Tarring
from layerkit.tree import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, Manifest
    from layerkit.ops.home import Home
    from layerkit.ops.inside import LocalContainer
    from layerkit.store.records import ContainerRecord, ImageRecord
    from layerkit.store.store import Store
    from layerkit.tree import Entry

_OF_THE_BASE = ("author", "container", "container_config", "docker_version", "id", "parent")
"""What the base's config says of its own making, not of what it runs."""
_DOCKER_LAYER = "application/vnd.docker.image.rootfs."
_OCI_LAYER = "application/vnd.oci.image.layer."
_OCI_NAMES = {
    "diff.tar": "v1.tar",
    "diff.tar.gzip": "v1.tar+gzip",
    "diff.tar.zstd": "v1.tar+zstd",
    "foreign.diff.tar": "nondistributable.v1.tar",
    "foreign.diff.tar.gzip": "nondistributable.v1.tar+gzip",
}


@dataclass(frozen=True, slots=True)
class CommitOptions:
    """What the new image is to say: `changes` are lines of a Dockerfile, `message` its history.

    With `latest`, no file is dated after that moment.
    """

    created: datetime
    name: str | None = None
    message: str = ""
    author: str = ""
    changes: tuple[str, ...] = ()
    latest: datetime | None = None


def commit(home: Home, text: str, options: CommitOptions, observe: Observer = ignore) -> BlobDigest:
    """Make an image of the container or snapshot that `text` names: its image and a layer; its id.

    The layer is what `diff` tells; without anything there is no layer, but a step in the history.
    A running container is read as it is at the moment, as by `export`. Raises `NotFoundError`,
    `UsageError`, `StoreError`; then nothing stays.
    """
    name = making.new_name(options.name, "commit")
    container, inside = snapshots.open_inside(home, text)
    base = image_of(home, container.manifest)
    document = read_config(home, base).document
    document["config"] = changed(document.get("config") or {}, options.changes)
    with (
        contextlib.closing(inside),
        tempfile.TemporaryFile(dir=home.store.scratch) as spooled,
    ):
        file = spooled.fileno()
        sources.spool(_layer(inside, options, observe), file, home.store.limits.keep_free)
        layer = _describe(file)
        _add_step(document, options, _command(home, container), layer)
        config = making.config(document)
        layers = [*_layers_of(home.store, base), *([layer] if layer else [])]
        manifest = making.manifest(config, layers)
        target = manifest.descriptor.digest
        observe(Resolved(name or target.short, target, _sizes(manifest)))
        names = [(name, target)] if name else []
        below = Base(base, inside.base(), inside.first_upper)
        new = NewImage(manifest, config, names, base=below)
        image = bring(home.store, new, lambda _: making.chunks(file), observe)
    return image.config


def _layer(inside: LocalContainer, options: CommitOptions, observe: Observer) -> Iterator[bytes]:
    """The tar of what the container changed."""
    changes = _changes(inside)

    def warn(text: str) -> None:
        observe(Notice("warning", text))

    items = changeset.plan(inside.base(), inside.tree(), changes, warn)
    return Tarring(inside.content, observe, _shown(options.latest)).pieces(items)


def _changes(inside: LocalContainer) -> list[Change]:
    """What `diff` tells, and the root, which it never does."""
    base, after = inside.base(), inside.tree()
    why = tuple(reasons(b"", base, after, inside.same_content))
    root = [Change(b"", base, after, why)] if why else []
    return root + compare(base, after, inside.same_content)


def _shown(latest: datetime | None) -> Callable[[Entry], Entry]:
    limit = None if latest is None else int(latest.timestamp())

    def shown(entry: Entry) -> Entry:
        if HOST_POLICY in entry.xattrs:
            kept = {key: value for key, value in entry.xattrs.items() if key != HOST_POLICY}
            entry = msgspec.structs.replace(entry, xattrs=kept)
        if limit is not None and entry.seconds >= limit:
            entry = msgspec.structs.replace(entry, seconds=limit, nanos=0)
        return entry

    return shown


def _describe(file: int) -> Descriptor | None:
    """The descriptor of the tar, None where nothing is in it."""
    hasher = digests.Hasher()
    for chunk in making.chunks(file):
        hasher.update(chunk)
    if hasher.count == len(writer.END):
        return None
    return oci.Descriptor(making.LAYER_TYPE, hasher.digest(), hasher.count)


def _command(home: Home, container: ContainerRecord) -> str:
    return " ".join(containers.read_config(home, container).process.args)


def _add_step(
    document: dict[str, Any], options: CommitOptions, command: str, layer: Descriptor | None
) -> None:
    """Turn the base's config into the new one's (image-spec config.md, "history")."""
    for key in _OF_THE_BASE:
        document.pop(key, None)
    created = making.time(options.created)
    step: dict[str, Any] = {"created": created, "created_by": command}
    if options.author:
        document["author"] = step["author"] = options.author
    if options.message:
        step["comment"] = options.message
    if layer is None:
        step["empty_layer"] = True
    else:
        diff_ids = [*(document["rootfs"].get("diff_ids") or ()), str(layer.digest)]
        document["rootfs"] = {"type": "layers", "diff_ids": diff_ids}
    document["created"] = created
    document["history"] = [*(document.get("history") or ()), step]


def _layers_of(store: Store, image: ImageRecord) -> list[Descriptor]:
    """The layers of an image as an OCI manifest calls them: one with docker's types is mixed."""
    raw = store.blobs.read(image.manifest, oci.DOCUMENT_LIMIT)
    manifest = oci.parse_document(raw, image.media_type)
    assert isinstance(manifest, oci.Manifest)
    return [
        oci.Descriptor(_oci_type(layer.media_type), layer.digest, layer.size)
        for layer in manifest.layers
    ]


def _oci_type(media_type: str) -> str:
    if not media_type.startswith(_DOCKER_LAYER):
        return media_type
    return _OCI_LAYER + _OCI_NAMES[media_type.removeprefix(_DOCKER_LAYER)]


def _sizes(manifest: Manifest) -> tuple[tuple[BlobDigest, int], ...]:
    return tuple((layer.digest, layer.size) for layer in manifest.layers)
