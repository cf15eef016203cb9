"""Layers between their forms: a blob becomes tar and index, indexes become trees."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, TypeAlias

from layerkit import digest as digests
from layerkit.errors import ArchiveError, IntegrityError
from layerkit.events import LayerProgress, Phase
from layerkit.layer import archive, compression, merge, toc
from layerkit.snapshot.folders import open_all
from layerkit.store import files
from layerkit.tree import Kind, empty

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from layerkit.digest import BlobDigest, DiffID
    from layerkit.events import Observer
    from layerkit.layer.toc import Toc
    from layerkit.oci import Descriptor
    from layerkit.store.store import Store
    from layerkit.tree import Tree

_CHUNK = 1 << 20

Known: TypeAlias = "dict[tuple[DiffID, ...], Tree]"
"""Trees by the layers they are made of, lowest first."""


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


def _index(read_at: archive.ReadAt, limit: int) -> bytes:
    warnings: list[str] = []
    return toc.encode(archive.read(read_at, warnings.append, limit=limit), warnings)


def load_toc(store: Store, diff_id: DiffID) -> Toc:
    """The index of a layer that is here; made again from the tar when it is damaged or old."""
    try:
        return toc.decode(store.layers.read_toc(diff_id))
    except IntegrityError:
        with open_all([store.layers.tar(diff_id)]) as (tar,):

            def read_at(offset: int, size: int) -> bytes:
                return os.pread(tar, size, offset)

            index = _index(read_at, store.limits.entries)
        store.layers.replace_toc(diff_id, index)
        return toc.decode(index)


def content_size(index: Toc) -> int:
    """The bytes of all files in one layer."""
    return sum(entry.size for entry in index.entries if entry.kind is Kind.FILE)


def stack(store: Store, diff_ids: Iterable[DiffID], known: Known | None = None) -> list[Tree]:
    """The tree after each layer, lowest first.

    What images have in common at the bottom is merged once, and so shared, where they share
    `known`.
    """
    known = {} if known is None else known
    trees: list[Tree] = []
    chain: tuple[DiffID, ...] = ()
    for number, diff_id in enumerate(diff_ids):
        chain = (*chain, diff_id)
        if chain not in known:
            below = trees[-1] if trees else empty()
            entries = load_toc(store, diff_id).entries
            implied = store.limits.implied_folders
            known[chain] = merge.apply(below, entries, number, implied=implied)
        trees.append(known[chain])
    return trees


def tree(store: Store, diff_ids: Sequence[DiffID]) -> Tree:
    """The tree that an image shows."""
    return stack(store, diff_ids)[-1] if diff_ids else empty()
