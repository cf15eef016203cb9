"""What a name stands for in its registry: manifest and config of one platform's image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit import oci
from layerkit.ops import documents

if TYPE_CHECKING:
    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, ImageConfig, Manifest, Platform
    from layerkit.reference import Reference
    from layerkit.registry.client import Client
    from layerkit.store.blobs import BlobStore


@dataclass(frozen=True, slots=True)
class Found:
    """An image in a registry; `target` is the digest of what has the name, maybe an index."""

    target: BlobDigest
    manifest: Manifest
    config: ImageConfig


def resolve(
    blobs: BlobStore,
    client: Client,
    reference: Reference,
    *,
    platform: Platform,
    explicit: bool,
    observe: Observer,
) -> Found:
    """The image that the registry has under a name, its documents verified; nothing is kept.

    A config that is among `blobs` is not asked for. An image for another platform is refused where
    `platform` is `explicit`, else warned of. Raises as `ops.pull.pull` does.
    """
    what = reference.familiar

    def read(descriptor: Descriptor) -> bytes:
        if descriptor.media_type in oci.CONFIG_TYPES:
            if blobs.has(descriptor.digest):
                return blobs.read(descriptor.digest, oci.DOCUMENT_LIMIT)
            return client.blob_bytes(reference, descriptor)
        return client.document(reference, descriptor)

    found, raw = client.resolve_document(reference)
    document = oci.parse_document(raw, found.media_type)
    manifest = documents.choose(document, platform, read, what)
    config = documents.read_config(manifest, read)
    documents.check_platform(config, platform, what, explicit=explicit, observe=observe)
    return Found(found.digest, manifest, config)
