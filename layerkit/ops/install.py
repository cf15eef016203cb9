"""The common end of `pull`, `load` and `commit`: layers side by side, then the name, last of all."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from layerkit import oci
from layerkit.errors import IntegrityError, UnavailableError
from layerkit.events import LayerDone, Notice
from layerkit.layer import merge
from layerkit.ops import crew, layers
from layerkit.ops.arrival import Arrival
from layerkit.store.records import ImageRecord, LayerRecord, NameRecord
from layerkit.tree import empty

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from layerkit.digest import BlobDigest, DiffID
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, ImageConfig, Manifest
    from layerkit.ops.arrival import Source
    from layerkit.ops.crew import Check
    from layerkit.store.store import Store
    from layerkit.tree import Tree

_AT_ONCE = 3
"""Layers that are fetched and unpacked side by side, as docker does."""


@dataclass(frozen=True, slots=True)
class Base:
    """What an image adds layers to: an image that is here, and a tree that shows it.

    `count` is above the numbers of all layers in that tree.
    """

    image: ImageRecord
    tree: Tree
    count: int


@dataclass(frozen=True, slots=True)
class NewImage:
    """What is to be brought in.

    `names` are (name, target digest), `way` the indexes from there to the manifest, which names
    alone need. With a `base`, only the layers above it are applied to see whether they can be.
    """

    manifest: Manifest
    config: ImageConfig
    names: Sequence[tuple[str, BlobDigest]] = ()
    way: Mapping[BlobDigest, bytes] = field(default_factory=dict)
    base: Base | None = None

    @property
    def layers(self) -> list[tuple[Descriptor, DiffID]]:
        """The layers with their diffIDs, lowest first."""
        return list(zip(self.manifest.layers, self.config.diff_ids, strict=True))


def install(store: Store, new: NewImage, source: Source, observe: Observer) -> ImageRecord:
    """Bring an image in: every layer fetched, verified and indexed, then named.

    Raises what a layer raised; what was finished until then stays for the next try.
    """
    manifest, config = new.manifest, new.config
    oci.check_image(manifest, config)
    _bring_layers(store, new, source, observe)
    size = _verify_merge(store, new, observe)
    store.blobs.put(config.raw, manifest.config.digest)
    image = ImageRecord(
        manifest=store.blobs.put(manifest.raw),
        media_type=manifest.media_type,
        manifest_size=len(manifest.raw),
        config=manifest.config.digest,
        platform=str(config.platform),
        created=config.created,
        size=size,
        layers=tuple(LayerRecord(layer.digest, diff_id) for layer, diff_id in new.layers),
    )
    kept = [store.blobs.put(raw, digest) for digest, raw in new.way.items() if new.names]
    records = [NameRecord(name, image.manifest, target) for name, target in new.names]
    store.name_image(image, records, kept)
    return image


def _bring_layers(store: Store, new: NewImage, source: Source, observe: Observer) -> None:
    # That both are here does not mean that one comes from the other.
    verified = {
        (layer.blob, layer.diff_id) for image in store.database.images() for layer in image.layers
    }

    def bring(layer: Descriptor, diff_id: DiffID, check: Check) -> None:
        check()
        reused = store.layers.has(diff_id) and store.blobs.has(layer.digest)
        if not reused or (layer.digest, diff_id) not in verified:
            Arrival(store, layer, diff_id, source, observe, check).bring()
        observe(LayerDone(layer.digest, reused))

    wanted = dict.fromkeys(new.layers)
    crew.do_all(
        [partial(bring, *layer) for layer in wanted],
        _AT_ONCE,
        call_off=source.stop,
        # While a registry cannot be reached, what comes from it otherwise is of use for later.
        bearable=(UnavailableError,),
    )


def _verify_merge(store: Store, new: NewImage, observe: Observer) -> int:
    """Apply the layers once: a hard link to nowhere is refused here, not when somebody runs it.

    Returns the bytes of all files of all layers.
    """
    for known in store.database.images():
        if tuple(layer.diff_id for layer in known.layers) == new.config.diff_ids:
            return known.size  # they were applied before
    tree, size, count, below = empty(), 0, 0, 0
    if new.base is not None:  # which was applied when it came
        tree, size, count = new.base.tree, new.base.image.size, new.base.count
        below = len(new.base.image.layers)
    for number, (layer, diff_id) in enumerate(new.layers[below:], count):
        index = layers.load_toc(store, diff_id)
        size += layers.content_size(index)
        for warning in index.warnings:
            observe(Notice("warning", f"layer {layer.digest.short}: {warning}"))
        try:
            entries = merge.outlines(index.entries)
            tree = merge.apply(tree, entries, number, implied=store.limits.implied_folders)
        except IntegrityError as error:
            message = f"bad layer {layer.digest.short}: {error}"
            raise IntegrityError(message, hint=error.hint) from None
    return size
