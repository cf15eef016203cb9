"""The common end of `load`, `import` and `commit`: blobs from files of this machine become an image."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from layerkit.ops.install import install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from layerkit.events import Observer
    from layerkit.oci import Descriptor
    from layerkit.ops.install import NewImage
    from layerkit.store.ingest import Ingest
    from layerkit.store.records import ImageRecord
    from layerkit.store.store import Store

Open: TypeAlias = "Callable[[Descriptor], Iterable[bytes]]"
"""Gives the bytes of a layer's blob."""


def bring(store: Store, new: NewImage, open_layer: Open, observe: Observer) -> ImageRecord:
    """As `install`, but of an image that is broken nothing stays.

    Unlike with a pull there is nothing to go on with: its file is still where it was. Raises what
    `install` raises.
    """
    blobs = {new.manifest.descriptor.digest, new.manifest.config.digest, *new.way}
    blobs.update(layer.digest for layer in new.manifest.layers)
    with store.arrival():
        new_blobs = [digest for digest in blobs if not store.blobs.has(digest)]
        new_layers = [diff_id for diff_id in new.config.diff_ids if not store.layers.has(diff_id)]
        try:
            return install(store, new, _Files(open_layer), observe)
        except BaseException:
            store.discard(new_blobs, new_layers)
            raise


class _Files:
    """Blobs from files of this machine; see `arrival.Source`."""

    def __init__(self, open_layer: Open) -> None:
        self._open = open_layer

    @property
    def name(self) -> str:
        """The file, which the user has named."""
        return "the archive"

    @contextlib.contextmanager
    def blob(
        self, layer: Descriptor, transaction: Ingest, *, whole: bool
    ) -> Iterator[Iterator[bytes]]:
        """The bytes of a layer's blob; it is always `whole`."""
        del whole
        try:
            with contextlib.closing(transaction.receive(self._open(layer))) as chunks:
                yield chunks
        except BaseException:
            transaction.restart()
            raise

    def stop(self) -> None:
        """Nothing is waited for."""
