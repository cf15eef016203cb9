"""Blobs by digest in an OCI image layout (image-spec image-layout.md), and how they come in."""

from __future__ import annotations

import contextlib
import os
import zlib
from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit.digest import BlobDigest, Verifier
from layerkit.errors import IntegrityError, NotFoundError
from layerkit.store import files, journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXTENT = 4 << 20
"""A finished extent is recorded after this many bytes; a kill loses less than one."""
_EXTENT_LIMIT = 64 << 20


class BlobStore:
    """The folder `blobs/`: a name there means that size and digest were checked."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._ingest = root / "ingest"

    def path(self, digest: BlobDigest) -> Path:
        """Where the blob is, or would be."""
        return self._blobs / digest.algorithm / digest.hex

    def has(self, digest: BlobDigest) -> bool:
        """Whether the blob is here."""
        return self.path(digest).is_file()

    def read(self, digest: BlobDigest, limit: int) -> bytes:
        """A small blob, checked again; raises `NotFoundError`, or `IntegrityError` if it rotted."""
        try:
            with open(self.path(digest), "rb") as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            raise NotFoundError(f"blob {digest} is not in the store") from None
        except OSError as error:
            raise files.store_error("read blob", error) from error
        digests.verify(f"stored blob {digest}", digest, None, data)
        return data

    def put(self, data: bytes, digest: BlobDigest | None = None) -> BlobDigest:
        """Store a small blob under `digest`, which it was checked against, or its sha256 digest."""
        digest = digest or digests.of_bytes(data)
        if not self.has(digest):
            with files.guarded("write blob"):
                self.path(digest).parent.mkdir(parents=True, exist_ok=True)
                files.write_whole(self.path(digest), data, self._ingest, 0o444)
        return digest

    def remove(self, digest: BlobDigest) -> None:
        """Remove the blob if it is here."""
        with files.guarded("remove blob"):
            files.remove_tree(self.path(digest), self._ingest)

    @contextlib.contextmanager
    def ingest(
        self, digest: BlobDigest, size: int, on_wait: Callable[[], None] | None = None
    ) -> Iterator[Ingest | None]:
        """The write transaction for one blob, or None when the blob is here already.

        One process at a time has it; another one waits (`on_wait` is called) and then finds the
        blob, or goes on where the first one stopped. Leaving without `commit` keeps what came.
        """
        folder = self._ingest / f"{digest.algorithm}-{digest.hex}"
        lock = files.Lock(folder / "lock")
        with files.guarded("write to"):
            lock.acquire(on_wait)
        kept = 0
        try:
            if self.has(digest):
                yield None
            else:
                with files.guarded("write to"):
                    transaction = Ingest(folder, self.path(digest), digest, size)
                try:
                    yield transaction
                finally:
                    kept = transaction.close()
        finally:
            if not kept or self.has(digest):
                with contextlib.suppress(OSError):
                    files.remove_tree(folder, self._ingest)
            lock.release()


class Ingest:
    """One blob on its way in: `data` filled from the start, `journal` of what is whole.

    `offset` is where the next byte belongs: what an earlier try left is read, checked against its
    CRCs and hashed before it counts.
    """

    def __init__(self, folder: Path, target: Path, digest: BlobDigest, size: int) -> None:
        self._target = target
        self._digest = digest
        self._size = size
        self._verifier = Verifier(f"blob {digest}", digest, size)
        self._path = folder / "data"
        self._extent_start = self._extent_end = self._extent_crc = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        with contextlib.ExitStack() as stack:
            self._data = os.open(self._path, flags, 0o600)
            stack.callback(os.close, self._data)
            self._journal = os.open(folder / "journal", flags | os.O_APPEND, 0o600)
            stack.callback(os.close, self._journal)
            self._resume()
            self._close = stack.pop_all().close

    @property
    def offset(self) -> int:
        """How many bytes from the start are here."""
        return self._verifier.count

    def write(self, chunk: bytes) -> None:
        """Take the next bytes; raises `StoreError`, or `IntegrityError` beyond the promised size.

        Then nothing is kept, as in `commit`.
        """
        at = self.offset
        with self._all_or_nothing():
            self._verifier.update(chunk)
        with files.guarded("write to"):
            _pwrite_all(self._data, chunk, at)
            self._extent_crc = zlib.crc32(chunk, self._extent_crc)
            self._extent_end = self.offset
            if self._extent_end - self._extent_start >= EXTENT:
                self._record_extent()

    def restart(self) -> None:
        """Forget all that came, because the source starts over or sent something else."""
        with files.guarded("write to"):
            os.ftruncate(self._data, 0)
            os.ftruncate(self._journal, 0)
            os.write(self._journal, journal.header(self._digest, self._size))
        self._verifier = Verifier(f"blob {self._digest}", self._digest, self._size)
        self._extent_start = self._extent_end = self._extent_crc = 0

    def commit(self) -> None:
        """Check size and digest, and give the blob its name, durably.

        Raises `IntegrityError`, and then keeps nothing of the wrong content.
        """
        with self._all_or_nothing():
            self._verifier.finish()
        with files.guarded("write blob"):
            os.fsync(self._data)
            self._target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self._path, self._target)
            # Not before: killed in between, a read-only file could not be gone on with.
            os.fchmod(self._data, 0o444)
            files.sync_directory(self._target.parent)
        self._extent_start = self._extent_end

    def close(self) -> int:
        """Record what came since the last whole extent, let go of the files; the bytes recorded."""
        if self._extent_end > self._extent_start:
            with contextlib.suppress(OSError):  # a full disk: the piece is fetched again
                self._record_extent()
        self._close()
        return self._extent_start

    @contextlib.contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            self.restart()
            raise

    def _resume(self) -> None:
        """Go on behind the recorded extents that follow each other from the start and are sound."""
        length = os.fstat(self._journal).st_size
        recorded = os.pread(self._journal, length, 0)
        sound = journal.header(self._digest, self._size)
        if not recorded.startswith(sound):
            self.restart()
            return
        for extent in journal.parse(recorded, self._digest, self._size):
            if extent.offset != self.offset or not self._take(extent):
                break
            sound += journal.line(extent)
        self._extent_start = self._extent_end = self.offset
        os.ftruncate(self._journal, len(sound))
        os.ftruncate(self._data, self.offset)

    def _take(self, extent: journal.Extent) -> bool:
        """Count an extent of an earlier try in, if it is what the journal says."""
        if not 0 < extent.size <= _EXTENT_LIMIT:
            return False
        content = os.pread(self._data, extent.size, extent.offset)
        if len(content) != extent.size or zlib.crc32(content) != extent.crc:
            return False
        self._verifier.update(content)
        return True

    def _record_extent(self) -> None:
        size = self._extent_end - self._extent_start
        extent = journal.Extent(self._extent_start, size, self._extent_crc)
        os.write(self._journal, journal.line(extent))
        self._extent_start, self._extent_crc = self._extent_end, 0


def _pwrite_all(descriptor: int, chunk: bytes, offset: int) -> None:
    view = memoryview(chunk)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written
