"""What a pull would do: what it fetches, what of it is here already, and what room it takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.events import ignore
from layerkit.ops.notices import tell_warnings
from layerkit.ops.resolve import resolve
from layerkit.store import files
from layerkit.store.blobs import BlobStore
from layerkit.store.layers import LayerStore

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from layerkit.digest import BlobDigest, DiffID
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, Platform
    from layerkit.reference import Reference
    from layerkit.registry.client import Client

_PLAIN = frozenset(
    (
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar",
    )
)
"""The layers that are as large unpacked as they come; of others nobody says it beforehand."""


@dataclass(frozen=True, slots=True)
class LayerPreview:
    """One layer before a pull, sizes in bytes: `here` of its blob's `size` are in the store.

    `unpacked` is what its tar will take, 0 where that is here, None where it is not known.
    """

    blob: BlobDigest
    diff_id: DiffID
    size: int
    here: int
    unpacked: int | None

    @property
    def missing(self) -> int:
        """The bytes to fetch."""
        return self.size - self.here


@dataclass(frozen=True, slots=True)
class Preview:
    """One image before a pull: its full `name`, the registry's digest, its layers, lowest first."""

    name: str
    target: BlobDigest
    platform: Platform
    layers: tuple[LayerPreview, ...]


@dataclass(frozen=True, slots=True)
class Needs:
    """What the pull of several images takes, in bytes; a layer that they share counts once.

    `missing` is to be fetched, in `missing_layers`; `finished` blobs and what stopped pulls left of
    others (`partial`) are here. `unpacked` are the tars whose size is known, `unknown` is how many
    have another one. The file system of the store has `free`.
    """

    missing: int
    missing_layers: int
    finished: int
    partial: int
    unpacked: int
    unknown: int
    free: int


def preview(
    root: Path,
    reference: Reference,
    *,
    client: Client,
    platform: Platform,
    explicit_platform: bool = False,
    observe: Observer = ignore,
) -> Preview:
    """What `pull` with the same arguments would do to the state directory at `root`.

    Only documents are fetched. Nothing is written or locked; `root` need not be there. What a
    stopped pull left counts as its journal has it. Raises as `pull` does.
    """
    blobs, layers = BlobStore(root), LayerStore(root)
    found = resolve(
        blobs, client, reference, platform=platform, explicit=explicit_platform, observe=observe
    )
    tell_warnings(client, observe)
    wanted = dict.fromkeys(zip(found.manifest.layers, found.config.diff_ids, strict=True))
    return Preview(
        reference.identity,
        found.target,
        found.config.platform,
        tuple(_look(blobs, layers, *each) for each in wanted),
    )


def _look(blobs: BlobStore, layers: LayerStore, layer: Descriptor, diff_id: DiffID) -> LayerPreview:
    blob, size = layer.digest, layer.size
    here = size if blobs.has(blob) else blobs.arrived(blob, size)
    unpacked = 0 if layers.has(diff_id) else size if layer.media_type in _PLAIN else None
    return LayerPreview(blob, diff_id, size, here, unpacked)


def needs(root: Path, previews: Iterable[Preview]) -> Needs:
    """What all these take together; raises `StoreError`."""
    layers = [layer for each in previews for layer in each.layers]
    blobs = {layer.blob: layer for layer in layers}.values()
    tars = {layer.diff_id: layer.unpacked for layer in layers}.values()
    return Needs(
        missing=sum(layer.missing for layer in blobs),
        missing_layers=sum(layer.missing > 0 for layer in blobs),
        finished=sum(layer.size for layer in blobs if not layer.missing),
        partial=sum(layer.here for layer in blobs if layer.missing),
        unpacked=sum(size for size in tars if size is not None),
        unknown=sum(size is None for size in tars),
        free=_free(root),
    )


def _free(root: Path) -> int:
    """What an own user may still write where `root` is, or would be."""
    place = next(each for each in (root.absolute(), *root.absolute().parents) if each.exists())
    with files.guarded("look at"):
        status = os.statvfs(place)
    return status.f_bavail * status.f_frsize
