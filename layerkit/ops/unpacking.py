"""A layer's blob becomes tar and index."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit.errors import ArchiveError, IntegrityError
from layerkit.events import LayerProgress, Phase
from layerkit.layer import archive, compression, toc
from layerkit.snapshot.folders import open_all
from layerkit.store import files

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from layerkit.digest import BlobDigest, DiffID
    from layerkit.events import Observer
    from layerkit.oci import Descriptor
    from layerkit.store.store import Store

_CHUNK = 1 << 20


def unpack(
    store: Store,
    chunks: Iterable[bytes],
    layer: Descriptor,
    diff_id: DiffID,
    on_wait: Callable[[], None] | None = None,
) -> None:
    """Make tar and index of a layer from its blob's bytes; where they are here, check that they fit.

    `on_wait` is called now and then while another process makes them. Raises `IntegrityError` when the content is not what `diff_id` says or no layer can be (a name
    that leaves the root, an archive that is cut), naming the layer; then nothing of it stays.
    """
    inflated = compression.inflate(iter(chunks))
    ingest = store.layers.ingest(diff_id, on_wait, blob_size=layer.size)
    with ingest as transaction, _naming(layer.digest):
        if transaction is None:
            _verify(store, diff_id, inflated)
            return
        for chunk in inflated:
            transaction.write(chunk)
        transaction.finish()
        transaction.commit(_index(transaction.read_at, store.limits.entries))


@contextlib.contextmanager
def _naming(blob: BlobDigest) -> Iterator[None]:
    try:
        yield
    except ArchiveError as error:
        raise ArchiveError(f"bad layer {blob.short}: {error}", hint=error.hint) from None
    except IntegrityError as error:
        raise IntegrityError(f"bad layer {blob.short}: {error}", hint=error.hint) from None


def _verify(store: Store, diff_id: DiffID, chunks: Iterable[bytes]) -> None:
    with files.guarded("read layer"):
        size = store.layers.tar(diff_id).stat().st_size
    verifier = digests.Verifier(f"layer {diff_id} (unpacked)", diff_id, size)
    for chunk in chunks:
        verifier.update(chunk)
    verifier.finish()


def read_blob(store: Store, blob: BlobDigest, observe: Observer) -> Generator[bytes]:
    """The bytes of a blob that is here."""
    done = 0
    with open_all([store.blobs.path(blob)]) as (file,):
        total = os.fstat(file).st_size
        while chunk := _next(file):
            yield chunk
            done += len(chunk)
            observe(LayerProgress(blob, Phase.INDEX, done, total))


def _next(file: int) -> bytes:
    with files.guarded("read blob"):
        return os.read(file, _CHUNK)


def index_again(store: Store, diff_id: DiffID) -> bytes:
    """The index of a layer that is here, made from its tar."""
    with open_all([store.layers.tar(diff_id)]) as (tar,):

        def read_at(offset: int, size: int) -> bytes:
            return os.pread(tar, size, offset)

        return _index(read_at, store.limits.entries)


def _index(read_at: archive.ReadAt, limit: int) -> bytes:
    warnings: list[str] = []
    return toc.encode(archive.read(read_at, warnings.append, limit=limit), warnings)
