"""What stopped and killed processes leave in a state directory."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit.digest import DiffID
from layerkit.store.ingest import EXTENT
from support.processes import child, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.digest import BlobDigest
    from layerkit.store.blobs import BlobStore
    from layerkit.store.layers import LayerStore

DAY = 86_400
SIZE = 3 * EXTENT


def blob(number: int = 0) -> tuple[BlobDigest, bytes]:
    """A blob of `SIZE` bytes, another one for each number."""
    data = random.Random(number).randbytes(SIZE)
    return digests.of_bytes(data), data


def leave_download(blobs: BlobStore, number: int = 0, length: int = 2 * EXTENT) -> BlobDigest:
    """Bring the first bytes of a blob in, and leave."""
    digest, data = blob(number)
    with blobs.ingest(digest, SIZE) as transaction:
        assert transaction is not None
        with transaction.writer(0) as writer:
            writer.write(data[:length])
    return digest


def leave_layer(layers: LayerStore, number: int = 0) -> str:
    """The name of what a process leaves that is killed while it unpacks a layer."""
    digest, data = blob(number)
    ready = layers.folder(DiffID(digest)).parent.parent / "ready"

    def work() -> None:
        with layers.ingest(DiffID(digest)) as transaction:
            assert transaction is not None
            transaction.write(data)
            ready.touch()
            until(lambda: False)

    with child(work):
        until(ready.exists)
    ready.unlink()
    return f"layer-{digest.hex}"


@contextmanager
def holding(blobs: BlobStore, digest: BlobDigest, flag: Path, size: int = SIZE) -> Iterator[None]:
    """Another process is at the download of a blob while the block runs."""

    def work() -> None:
        with blobs.ingest(digest, size):
            flag.touch()
            until(lambda: False)

    with child(work):
        until(flag.exists)
        yield
