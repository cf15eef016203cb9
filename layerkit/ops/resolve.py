"""What a name stands for in its registry: manifest and config of one platform's image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from layerkit import digest as digests
from layerkit import oci
from layerkit.errors import IntegrityError
from layerkit.events import Notice
from layerkit.ops import documents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, ImageConfig, Index, Manifest, Platform
    from layerkit.reference import Reference
    from layerkit.registry.client import Client
    from layerkit.store.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Found:
    """An image in a registry; `target` is the digest of what has the name, and `way` the indexes
    that lead from there to the manifest.
    """

    target: BlobDigest
    manifest: Manifest
    config: ImageConfig
    way: Mapping[BlobDigest, bytes]


def resolve(
    blobs: BlobStore,
    client: Client,
    reference: Reference,
    *,
    platform: Platform,
    explicit: bool,
    observe: Observer,
    before: BlobDigest | None = None,
) -> Found:
    """The image that the registry has under a name, its documents verified; nothing is kept.

    What is among `blobs` is not asked for; `before` is what the name stood for here. An image for another platform is refused where
    `platform` is `explicit`, else warned of. Raises as `ops.pull.pull` does.
    """
    what = reference.familiar

    def read(descriptor: Descriptor) -> bytes:
        embedded = documents.embedded(descriptor, observe)
        if embedded is not None:
            return embedded
        known = blobs.sound(descriptor.digest, oci.DOCUMENT_LIMIT)
        if known is not None and len(known) == descriptor.size:
            return known
        if descriptor.media_type in oci.CONFIG_TYPES:
            return client.blob_bytes(reference, descriptor)
        return client.document(reference, descriptor)

    target, document = _document(blobs, client, reference, before)
    manifest, way = documents.follow(target, document, platform, read, what)
    config = documents.read_config(manifest, read)
    documents.check_platform(config, platform, what, explicit=explicit, observe=observe)
    return Found(target, _with_sizes(manifest, reference, client, observe), config, way)


def _document(
    blobs: BlobStore, client: Client, reference: Reference, before: BlobDigest | None
) -> tuple[BlobDigest, Index | Manifest]:
    """What the reference names now, from the store where the registry says that it is unchanged."""
    known = reference.digest or before
    if known is not None and blobs.has(known):
        digest = client.current_digest(reference)
        raw = None if digest is None else blobs.sound(digest, oci.DOCUMENT_LIMIT)
        if digest is not None and raw is not None:
            return digest, oci.parse_document(raw)
    found, raw = client.resolve_document(reference)
    return found.digest, oci.parse_document(raw, found.media_type)


def _with_sizes(
    manifest: Manifest, reference: Reference, client: Client, observe: Observer
) -> Manifest:
    """The manifest with what the registry says where a size of 0 cannot be right."""
    layers = []
    for layer in manifest.layers:
        size = layer.size
        if not size and not _is_of_nothing(layer.digest):
            size = client.blob_size(reference, layer)
            text = f"the manifest does not say the size of layer {layer.digest.short}: {size} bytes"
            observe(Notice("warning", text))
        layers.append(replace(layer, size=size))
    return replace(manifest, layers=tuple(layers))


def _is_of_nothing(blob: BlobDigest) -> bool:
    try:
        digests.verify("nothing", blob, 0, b"")
    except IntegrityError:
        return False
    return True
