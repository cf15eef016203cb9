"""The common end of `pull` and `load`: layers side by side, then the name, last of all."""

from __future__ import annotations

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

_AT_ONCE = 3
"""Layers that are fetched and unpacked side by side, as docker does."""


def install(
    store: Store,
    manifest: Manifest,
    config: ImageConfig,
    names: Sequence[tuple[str, BlobDigest]],
    source: Source,
    observe: Observer,
    way: Mapping[BlobDigest, bytes],
) -> ImageRecord:
    """Bring an image in: every layer fetched, verified and indexed, then named.

    `names` are (name, target digest), `way` the indexes from there to the manifest, which names
    alone need. Raises what a layer raised; what was finished until then stays for the next try.
    """
    oci.check_image(manifest, config)
    _bring_layers(store, manifest, config, source, observe)
    size = _verify_merge(store, manifest, config, observe)
    store.blobs.put(config.raw, manifest.config.digest)
    image = ImageRecord(
        manifest=store.blobs.put(manifest.raw),
        media_type=manifest.media_type,
        manifest_size=len(manifest.raw),
        config=manifest.config.digest,
        platform=str(config.platform),
        created=config.created,
        size=size,
        layers=tuple(
            LayerRecord(layer.digest, diff_id)
            for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
        ),
    )
    kept = [store.blobs.put(raw, digest) for digest, raw in way.items() if names]
    records = [NameRecord(name, image.manifest, target) for name, target in names]
    store.name_image(image, records, kept)
    return image


def _bring_layers(
    store: Store, manifest: Manifest, config: ImageConfig, source: Source, observe: Observer
) -> None:
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

    wanted = dict.fromkeys(zip(manifest.layers, config.diff_ids, strict=True))
    crew.do_all(
        [partial(bring, *layer) for layer in wanted],
        _AT_ONCE,
        call_off=source.stop,
        # While a registry cannot be reached, what comes from it otherwise is of use for later.
        bearable=(UnavailableError,),
    )


def _verify_merge(store: Store, manifest: Manifest, config: ImageConfig, observe: Observer) -> int:
    """Apply all layers once: a hard link to nowhere is refused here, not when somebody runs it.

    Returns the bytes of all files of all layers.
    """
    for known in store.database.images():
        if tuple(layer.diff_id for layer in known.layers) == tuple(config.diff_ids):
            return known.size  # they were applied before
    tree = empty()
    size = 0
    pairs = zip(manifest.layers, config.diff_ids, strict=True)
    for number, (layer, diff_id) in enumerate(pairs):
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
