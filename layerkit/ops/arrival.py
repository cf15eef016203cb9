"""One layer on its way into the store: its blob comes, and is verified and unpacked as it comes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from layerkit.errors import IntegrityError
from layerkit.events import LayerProgress, Phase
from layerkit.ops import unpacking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from layerkit.digest import DiffID
    from layerkit.events import Observer
    from layerkit.oci import Descriptor
    from layerkit.store.ingest import Ingest
    from layerkit.store.store import Store


class Source(Protocol):
    """Where the blobs of an image come from; used by several threads."""

    @property
    def name(self) -> str:
        """Who sends them, as messages about wrong bytes say it."""

    def blob(
        self, layer: Descriptor, transaction: Ingest, *, whole: bool
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of a layer's blob, as they get into the store.

        `whole` asks for them from one place and in one piece, as what came before was wrong.
        """

    def stop(self) -> None:
        """Let all that is waited for end now, by `CancelledError` or another one."""


class Arrival:
    """One layer on its way into the store; `check` raises when it is not wanted any more."""

    def __init__(
        self,
        store: Store,
        layer: Descriptor,
        diff_id: DiffID,
        source: Source,
        observe: Observer,
        check: Callable[[], None],
    ) -> None:
        self._store = store
        self._layer = layer
        self._diff_id = diff_id
        self._source = source
        self._observe = observe
        self._check = check

    def bring(self) -> None:
        """Have blob and layer in the store, verified; what came in pieces and is wrong gets one
        clean try.
        """
        blobs, blob, size = self._store.blobs, self._layer.digest, self._layer.size
        with blobs.ingest(blob, size, self._show_other) as transaction:
            if transaction is None:
                with contextlib.closing(
                    unpacking.read_blob(self._store, blob, self._observe)
                ) as chunks:
                    self._unpack(chunks)
            elif not self._receive(transaction, whole=False):
                self._receive(transaction, whole=True)

    def _receive(self, transaction: Ingest, *, whole: bool) -> bool:
        """Blob and layer from the source; False when the blob is wrong and one piece may not be."""
        trouble = None
        with self._source.blob(self._layer, transaction, whole=whole) as chunks:
            try:
                self._unpack(chunks)
            except IntegrityError as error:
                trouble = error
                with contextlib.suppress(IntegrityError):
                    for _ in chunks:  # to know whether it is the blob or what was made of it
                        self._check()
        pieces = transaction.writers
        try:
            transaction.commit()
        except IntegrityError as error:
            if whole or pieces <= 1:
                raise IntegrityError(f"{self._source.name}: {error}") from None
            return False
        if trouble is not None:
            raise trouble
        return True

    def _unpack(self, chunks: Iterator[bytes]) -> None:
        checked = self._checked(chunks)
        unpacking.unpack(self._store, checked, self._layer, self._diff_id, self._check)

    def _checked(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._check()
            yield chunk
        size = self._layer.size
        self._observe(LayerProgress(self._layer.digest, Phase.INDEX, size, size))

    def _show_other(self) -> None:
        """Somebody else fetches this blob: show how far they are."""
        self._check()
        blob, size = self._layer.digest, self._layer.size
        done = self._store.blobs.arrived(blob, size)
        self._observe(LayerProgress(blob, Phase.DOWNLOAD, done, size))
