"""The common end of `pull` and `load`: layers side by side, then the name, last of all."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING

from layerkit import oci
from layerkit.errors import IntegrityError, UnavailableError
from layerkit.events import LayerDone, Notice
from layerkit.layer import merge
from layerkit.ops import layers
from layerkit.ops.arrival import Arrival
from layerkit.store.records import ImageRecord, LayerRecord, NameRecord
from layerkit.tree import empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from layerkit.digest import BlobDigest, DiffID
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, ImageConfig, Manifest
    from layerkit.ops.arrival import Source
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
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise CancelledError

    def call_off() -> None:
        stop.set()
        source.stop()

    # That both are here does not mean that one comes from the other.
    verified = {
        (layer.blob, layer.diff_id) for image in store.database.images() for layer in image.layers
    }

    def bring(layer: Descriptor, diff_id: DiffID) -> None:
        check()
        reused = store.layers.has(diff_id) and store.blobs.has(layer.digest)
        if not reused or (layer.digest, diff_id) not in verified:
            Arrival(store, layer, diff_id, source, observe, check).bring()
        observe(LayerDone(layer.digest, reused))

    wanted = dict.fromkeys(zip(manifest.layers, config.diff_ids, strict=True))
    _side_by_side([partial(bring, *layer) for layer in wanted], call_off)


def _side_by_side(works: Iterable[Callable[[], None]], call_off: Callable[[], None]) -> None:
    """Do all of it, and raise what the first one raised; `call_off` lets the others end early."""

    def end(job: Future[None]) -> None:
        # While a registry cannot be reached, what comes from it otherwise is of use for later.
        if (error := job.exception()) and not isinstance(error, UnavailableError):
            call_off()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = [pool.submit(work) for work in works]
        try:
            for job in jobs:
                job.add_done_callback(end)
            wait(jobs)
        except BaseException:  # Ctrl-C
            call_off()
            raise
    for error in filter(None, (job.exception() for job in jobs)):
        if not isinstance(error, CancelledError):
            raise error


def _verify_merge(store: Store, manifest: Manifest, config: ImageConfig, observe: Observer) -> int:
    """Apply all layers once: a hard link to nowhere is refused here, not when somebody runs it.

    Returns the bytes of all files of all layers.
    """
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
