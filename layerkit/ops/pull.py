"""Pull: a name to an image in the store, every byte checked, the name given last."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit import oci
from layerkit.errors import IntegrityError, UnavailableError
from layerkit.events import LayerProgress, Phase, Resolved, ignore
from layerkit.ops import documents
from layerkit.ops.install import install
from layerkit.ops.notices import tell_warnings
from layerkit.registry import retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, Platform
    from layerkit.ops.home import Home
    from layerkit.reference import Reference
    from layerkit.registry.client import Client
    from layerkit.store.blobs import Ingest
    from layerkit.store.records import ImageRecord
    from layerkit.store.store import Store

_PROGRESS = 64 << 10
"""Bytes that a try must bring so that the next one counts as the first."""


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
    observe: Observer = ignore,
) -> PullResult:
    """Bring the image that `reference` names in the registry into the store.

    An index is followed to the manifest for `platform`; an image for another one is refused only
    with `explicit_platform`. Raises `RegistryError` and its kinds, `NotFoundError`,
    `IntegrityError` for anything that is not what its digest says, `StoreError`. Whatever happens,
    the store holds whole things only, and what arrived is not fetched again.
    """
    store = home.store
    what = reference.familiar

    def read(descriptor: Descriptor) -> bytes:
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

    def fetch(descriptor: Descriptor, check: Callable[[], None]) -> None:
        _Download(client, reference, descriptor, observe, check).into(store)

    image = install(store, manifest, config, [(name, found.digest)], fetch, observe)
    tell_warnings(client, observe)
    updated = before is None or before.manifest != image.manifest
    return PullResult(name, found.digest, image, updated)


class _Download:
    """One blob on its way from a registry into the store.

    `check` is called with every chunk and raises when the result is not wanted any more.
    """

    def __init__(
        self,
        client: Client,
        reference: Reference,
        descriptor: Descriptor,
        observe: Observer,
        check: Callable[[], None],
    ) -> None:
        self._client = client
        self._reference = reference
        self._descriptor = descriptor
        self._observe = observe
        self._check = check

    def into(self, store: Store) -> None:
        """Fetch the blob unless it is there; what came in pieces and is wrong gets one clean try."""
        with store.blobs.ingest(self._descriptor.digest, self._descriptor.size) as transaction:
            if transaction is None:
                return
            resumed = transaction.offset > 0
            tries = self._fill(transaction)
            try:
                transaction.commit()
            except IntegrityError:
                if not resumed and tries == 1:
                    raise
                # A part from before may be what is wrong; nothing of it is left now.
                self._fill(transaction)
                transaction.commit()

    def _fill(self, transaction: Ingest) -> int:
        """Receive all that is missing, and say in how many tries; some of them may bring nothing."""
        limits = self._client.limits
        attempt = tries = 0
        while transaction.offset < self._descriptor.size:
            start = transaction.offset
            tries += 1
            try:
                self._receive(transaction)
            except UnavailableError as error:
                attempt = 1 if transaction.offset - start >= _PROGRESS else attempt + 1
                pause = retry.wait(attempt, error.retry_after, limits, random.random())  # noqa: S311
                if pause is None:
                    raise
                time.sleep(pause)
        return tries

    def _receive(self, transaction: Ingest) -> None:
        blob, size = self._descriptor.digest, self._descriptor.size
        offset = transaction.offset
        with self._client.open_blob(self._reference, self._descriptor, offset) as stream:
            if stream.offset != offset:
                transaction.restart()
            for chunk in stream:
                self._check()
                transaction.write(chunk)
                self._observe(LayerProgress(blob, Phase.DOWNLOAD, transaction.offset, size))
