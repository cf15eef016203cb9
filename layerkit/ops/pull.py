"""Pull: a name to an image in the store, every byte checked, the name given last."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.events import LayerProgress, Phase, Resolved, ignore
from layerkit.ops.images import name_of
from layerkit.ops.install import NewImage, install
from layerkit.ops.notices import tell_warnings
from layerkit.ops.prune import prune_downloads
from layerkit.ops.resolve import resolve
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
    the store holds whole things only, and what arrived is not fetched again. At its end, downloads
    that nobody went on with for `prune.AGE` go.
    """
    store = home.store
    before = name_of(home, reference)
    found = resolve(
        store.blobs,
        client,
        reference,
        platform=platform,
        explicit=explicit_platform,
        observe=observe,
        before=before.target if before else None,
    )
    layers = tuple({layer.digest: layer.size for layer in found.manifest.layers}.items())
    observe(Resolved(reference.familiar, found.target, layers))
    name = reference.identity

    with store.arrival(), Downloader(client, rate=rate) as downloader:
        source = _Registry(downloader, reference, observe)
        new = NewImage(found.manifest, found.config, [(name, found.target)], found.way)
        image = install(store, new, source, observe)
    tell_warnings(client, observe)
    prune_downloads(store, time.time())
    updated = before is None or before.manifest != image.manifest
    return PullResult(name, found.target, image, updated)


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
