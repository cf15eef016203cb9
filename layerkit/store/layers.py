"""Layers by diffID: the uncompressed tar, and its index beside it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from layerkit.digest import DiffID, Verifier
from layerkit.errors import NotFoundError
from layerkit.limits import DEFAULT
from layerkit.store import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layerkit.limits import Limits


class LayerStore:
    """The folder `layers/`: a name there means that the tar has this diffID and is indexed."""

    def __init__(self, root: Path, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self._layers = root / "layers"
        self._ingest = root / "ingest"

    def folder(self, diff_id: DiffID) -> Path:
        """Where the layer is, or would be."""
        return self._layers / diff_id.hex

    def tar(self, diff_id: DiffID) -> Path:
        """The layer's uncompressed tar."""
        return self.folder(diff_id) / "tar"

    def has(self, diff_id: DiffID) -> bool:
        """Whether the layer is here, checked and indexed."""
        return (self.folder(diff_id) / "toc").is_file()

    def read_toc(self, diff_id: DiffID) -> bytes:
        """The bytes of the index; raises `NotFoundError`."""
        try:
            return (self.folder(diff_id) / "toc").read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"layer {diff_id} is not in the store") from None
        except OSError as error:
            raise files.store_error("read layer", error) from error

    def replace_toc(self, diff_id: DiffID, toc: bytes) -> None:
        """Write the index of a layer that is here once more."""
        with files.guarded("write layer index"):
            files.write_whole(self.folder(diff_id) / "toc", toc, self._ingest, 0o444)

    def remove(self, diff_id: DiffID) -> None:
        """Remove the layer if it is here."""
        with files.guarded("remove layer"):
            files.remove_tree(self.folder(diff_id), self._ingest)

    @contextlib.contextmanager
    def ingest(
        self,
        diff_id: DiffID,
        on_wait: Callable[[], None] | None = None,
        *,
        blob_size: int | None = None,
    ) -> Iterator[LayerIngest | None]:
        """The write transaction for one layer, or None when it is here already.

        `blob_size` is that of the blob it is unpacked from, where there is one.

        One process at a time has it, another one waits (`on_wait` is called). Leaving without
        `commit` keeps nothing: a layer is cheap to make again from its blob.
        """
        folder = self._ingest / f"layer-{diff_id.hex}"
        with files.guarded("write to"):
            lock = files.Lock(folder / "lock")
            lock.acquire(on_wait)
        try:
            if self.has(diff_id):
                yield None
            else:
                with files.guarded("write to"):
                    files.remove_tree(folder / "new", self._ingest)  # of somebody who was killed
                    transaction = LayerIngest(
                        folder / "new", self.folder(diff_id), diff_id, self._limits, blob_size
                    )
                try:
                    yield transaction
                finally:
                    transaction.close()
        finally:
            with contextlib.suppress(OSError):
                files.remove_tree(folder, self._ingest)
            lock.release()


class LayerIngest:
    """One layer on its way in: the tar is written and hashed, then indexed, then named."""

    def __init__(
        self, folder: Path, target: Path, diff_id: DiffID, limits: Limits, blob_size: int | None
    ) -> None:
        self._folder = folder
        self._target = target
        self._limits = limits
        self._blob_size = blob_size
        self._verifier = Verifier(f"layer {diff_id} (unpacked)", diff_id, None)
        folder.mkdir(exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        self._tar = os.open(folder / "tar", flags, 0o400)
        self._room = files.Room(self._tar, limits.keep_free)

    @property
    def size(self) -> int:
        """How many bytes of the tar are here."""
        return self._verifier.count

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the tar; raises `ArchiveError` beyond the limits, `StoreError`."""
        self._verifier.update(chunk)
        self._limits.check_unpacked(self.size, self._blob_size)
        with files.guarded(f"write {self._folder.name} layer"):
            self._room.take(len(chunk))
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._tar, view) :]

    def finish(self) -> None:
        """Check that the tar has the promised diffID; raises `IntegrityError`."""
        self._verifier.finish()

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes of the tar that were written, fewer at its end."""
        return os.pread(self._tar, size, offset)

    def commit(self, toc: bytes) -> None:
        """Give the finished layer and its index their name, durably and at once."""
        with files.guarded("write layer"):
            os.fsync(self._tar)
            files.write_whole(self._folder / "toc", toc, self._folder, 0o444)
            self._target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self._folder, self._target)
            files.sync_directory(self._target.parent)

    def close(self) -> None:
        """Let go of the tar."""
        os.close(self._tar)
