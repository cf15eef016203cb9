"""Layers between their forms: a blob becomes tar and index, indexes become trees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit.errors import ArchiveError, IntegrityError
from layerkit.events import LayerProgress, Phase, ignore
from layerkit.layer import archive, compression, merge, toc
from layerkit.tree import Kind, empty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from layerkit.digest import BlobDigest, DiffID
    from layerkit.events import Observer
    from layerkit.layer.toc import Toc
    from layerkit.store.layers import LayerIngest
    from layerkit.store.store import Store
    from layerkit.tree import Tree

_CHUNK = 1 << 20


def unpack_blob(
    store: Store, blob: BlobDigest, diff_id: DiffID, observe: Observer = ignore
) -> None:
    """Make tar and index of a layer from its blob, unless they are here.

    Raises `IntegrityError` when the content is not what `diff_id` says or no layer can be (a name
    that leaves the root, an archive that is cut), naming the layer; then nothing of it stays.
    """
    with store.layers.ingest(diff_id) as transaction:
        if transaction is None:
            return
        try:
            for chunk in compression.inflate(_read(store.blobs.path(blob), blob, observe)):
                transaction.write(chunk)
            transaction.finish()
            index = _index(transaction)
        except ArchiveError as error:
            raise ArchiveError(f"bad layer {blob.short}: {error}") from None
        except IntegrityError as error:
            raise IntegrityError(f"bad layer {blob.short}: {error}") from None
        transaction.commit(toc.encode(index))


def _read(path: Path, blob: BlobDigest, observe: Observer) -> Iterator[bytes]:
    total = path.stat().st_size
    done = 0
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            done += len(chunk)
            observe(LayerProgress(blob, Phase.INDEX, done, total))


def _index(transaction: LayerIngest) -> Toc:
    warnings: list[str] = []
    entries = list(archive.read(transaction.read_at, warnings.append))
    return toc.Toc(entries, warnings)


def load_toc(store: Store, diff_id: DiffID) -> Toc:
    """The index of a layer that is here; made again from the tar when it is damaged or old."""
    try:
        return toc.decode(store.layers.read_toc(diff_id))
    except IntegrityError:
        with store.layers.tar(diff_id).open("rb") as tar:
            warnings: list[str] = []

            def read_at(offset: int, size: int) -> bytes:
                return os.pread(tar.fileno(), size, offset)

            index = toc.Toc(list(archive.read(read_at, warnings.append)), warnings)
        store.layers.replace_toc(diff_id, toc.encode(index))
        return index


def content_size(index: Toc) -> int:
    """The bytes of all files in one layer."""
    return sum(entry.size for entry in index.entries if entry.kind is Kind.FILE)


def stack(store: Store, diff_ids: Iterable[DiffID]) -> list[Tree]:
    """The tree after each layer, lowest first."""
    trees: list[Tree] = []
    for number, diff_id in enumerate(diff_ids):
        below = trees[-1] if trees else empty()
        trees.append(merge.apply(below, load_toc(store, diff_id).entries, number))
    return trees


def tree(store: Store, diff_ids: Sequence[DiffID]) -> Tree:
    """The tree that an image shows."""
    return stack(store, diff_ids)[-1] if diff_ids else empty()
