"""Pull: a name to an image in the store, every byte checked, the name given last."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit import oci
from layerkit.events import LayerProgress, Phase, Resolved, ignore
from layerkit.ops import documents
from layerkit.ops.install import install
from layerkit.ops.notices import tell_warnings
from layerkit.registry.download import Downloader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, Platform
    from layerkit.ops.home import Home
    from layerkit.reference import Reference
    from layerkit.registry.client import Client
    from layerkit.store.ingest import Ingest
    from layerkit.store.records import ImageRecord


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

    def read(descriptor: Descriptor) -> bytes:
        embedded = documents.embedded(descriptor, observe)
        if embedded is not None:
            return embedded
        if descriptor.media_type in oci.CONFIG_TYPES:
            if store.blobs.has(descriptor.digest):
                return store.blobs.read(descriptor.digest, oci.DOCUMENT_LIMIT)
            return client.blob_bytes(reference, descriptor)
        return client.document(reference, descriptor)

    found, raw = client.resolve_document(reference)
    document = oci.parse_document(raw, found.media_type)
    manifest = documents.choose(document, platform, read, what)
    config = documents.read_config(manifest, read)
    documents.check_platform(config, platform, what, explicit=explicit_platform, observe=observe)
    layers = tuple({layer.digest: layer.size for layer in manifest.layers}.items())
    observe(Resolved(what, found.digest, layers))
    name = reference.identity
    before = store.database.name(name)

    with Downloader(client, rate=rate) as downloader:
        source = _Registry(downloader, reference, observe)
        image = install(store, manifest, config, [(name, found.digest)], source, observe)
    tell_warnings(client, observe)
    updated = before is None or before.manifest != image.manifest
    return PullResult(name, found.digest, image, updated)


class _Registry:
    """Blobs from a registry; see `install.Source`."""

    def __init__(self, downloader: Downloader, reference: Reference, observe: Observer) -> None:
        self._downloader = downloader
        self._reference = reference
        self._observe = observe

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
