"""Pull: a name to an image in the store, every byte checked, the name given last."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit import oci
from layerkit.errors import IntegrityError
from layerkit.events import LayerProgress, Notice, Phase, Resolved, ignore
from layerkit.ops import documents
from layerkit.ops.images import name_of
from layerkit.ops.install import install
from layerkit.ops.notices import tell_warnings
from layerkit.registry.download import Downloader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, Index, Manifest, Platform
    from layerkit.ops.home import Home
    from layerkit.reference import Reference
    from layerkit.registry.client import Client
    from layerkit.store.ingest import Ingest
    from layerkit.store.records import ImageRecord, NameRecord
    from layerkit.store.store import Store


@dataclass(frozen=True, slots=True)
class PullResult:
    """The image, the full `name` it has now, the digest the registry gave (`target`), and whether
    the name is new or points elsewhere than before.
    """

    name: str
    target: BlobDigest
    image: ImageRecord
    updated: bool


def pull(
    home: Home,
    reference: Reference,
    *,
    client: Client,
    platform: Platform,
    explicit_platform: bool = False,
    rate: float | None = None,
    observe: Observer = ignore,
) -> PullResult:
    """Bring the image that `reference` names in the registry into the store.

    An index is followed to the manifest for `platform`; an image for another one is refused only
    with `explicit_platform`. `rate` limits the download, in bytes a second. Raises `RegistryError` and its kinds, `NotFoundError`,
    `IntegrityError` for anything that is not what its digest says, `StoreError`. Whatever happens,
    the store holds whole things only, and what arrived is not fetched again.
    """
    store = home.store
    what = reference.familiar
    before = name_of(home, reference)

    def read(descriptor: Descriptor) -> bytes:
        embedded = documents.embedded(descriptor, observe)
        if embedded is not None:
            return embedded
        known = store.blobs.sound(descriptor.digest, oci.DOCUMENT_LIMIT)
        if known is not None and len(known) == descriptor.size:
            return known
        if descriptor.media_type in oci.CONFIG_TYPES:
            return client.blob_bytes(reference, descriptor)
        return client.document(reference, descriptor)

    target, document = _resolve(store, client, reference, before)
    manifest, way = documents.follow(target, document, platform, read, what)
    config = documents.read_config(manifest, read)
    documents.check_platform(config, platform, what, explicit=explicit_platform, observe=observe)
    manifest = _with_sizes(manifest, reference, client, observe)
    layers = tuple({layer.digest: layer.size for layer in manifest.layers}.items())
    observe(Resolved(what, target, layers))
    name = reference.identity

    with Downloader(client, rate=rate) as downloader:
        source = _Registry(downloader, reference, observe)
        image = install(store, manifest, config, [(name, target)], source, observe, way)
    tell_warnings(client, observe)
    updated = before is None or before.manifest != image.manifest
    return PullResult(name, target, image, updated)


def _resolve(
    store: Store, client: Client, reference: Reference, before: NameRecord | None
) -> tuple[BlobDigest, Index | Manifest]:
    """What the reference names now, from the store where the registry says that it is unchanged."""
    known = reference.digest or (before.target if before else None)
    if known is not None and store.blobs.has(known):
        digest = client.current_digest(reference)
        raw = None if digest is None else store.blobs.sound(digest, oci.DOCUMENT_LIMIT)
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


class _Registry:
    """Blobs from a registry; see `arrival.Source`."""

    def __init__(self, downloader: Downloader, reference: Reference, observe: Observer) -> None:
        self._downloader = downloader
        self._reference = reference
        self._observe = observe

    @property
    def name(self) -> str:
        """The registry."""
        return f"registry {self._reference.host}"

    @contextlib.contextmanager
    def blob(
        self, layer: Descriptor, transaction: Ingest, *, whole: bool
    ) -> Iterator[Iterator[bytes]]:
        """The bytes of a layer's blob, while they are fetched into `transaction`."""
        lock = threading.Lock()  # so that what is told never goes back

        def show() -> None:
            with lock:
                done = transaction.received
                self._observe(LayerProgress(layer.digest, Phase.DOWNLOAD, done, layer.size))

        with self._downloader.transfer(self._reference, layer, transaction, show, whole=whole):
            yield transaction.follow()

    def stop(self) -> None:
        """End all downloads."""
        self._downloader.close()
