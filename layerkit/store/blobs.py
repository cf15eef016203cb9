"""Blobs by digest in an OCI image layout (image-spec image-layout.md), and how they come in."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from layerkit import digest as digests
from layerkit.errors import IntegrityError, NotFoundError
from layerkit.store import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layerkit.digest import BlobDigest
    from layerkit.store.ingest import Ingest

_JOURNAL_LIMIT = 64 << 20
"""Bytes; a journal has a line of at most 60 for each MiB, and one for each connection that ended."""


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

    def sound(self, digest: BlobDigest, limit: int) -> bytes | None:
        """As `read`; None for a blob that is missing or rotted. Raises `StoreError`."""
        try:
            return self.read(digest, limit)
        except (NotFoundError, IntegrityError):
            return None

    def put(self, data: bytes, digest: BlobDigest | None = None) -> BlobDigest:
        """Store a small blob under `digest`, which it was checked against, or its sha256 digest.

        One that is here and rotted is replaced.
        """
        digest = digest or digests.of_bytes(data)
        if self.sound(digest, len(data)) is None:
            with files.guarded("write blob"):
                self.path(digest).parent.mkdir(parents=True, exist_ok=True)
                files.write_whole(self.path(digest), data, self._ingest, 0o444)
        return digest

    def remove(self, digest: BlobDigest) -> None:
        """Remove the blob if it is here."""
        with files.guarded("remove blob"):
            files.remove_tree(self.path(digest), self._ingest)

    def arrived(self, digest: BlobDigest, size: int) -> int:
        """How many bytes of an unfinished download are recorded; nobody else's are trusted."""
        from layerkit.store import journal  # noqa: PLC0415  not to read, as all of a download
        from layerkit.store.spans import Spans  # noqa: PLC0415

        here = Spans()
        for extent in journal.parse(self._read_journal(digest), digest, size):
            here.add(extent.offset, extent.offset + extent.size)
        return here.count

    def promised(self, digest: BlobDigest) -> int | None:
        """The size of the blob that an unfinished download is of, if its journal says it."""
        from layerkit.store import journal  # noqa: PLC0415  as above

        return journal.promised(self._read_journal(digest), digest)

    def _read_journal(self, digest: BlobDigest) -> bytes:
        try:
            return files.read_regular(self._folder(digest) / "journal", _JOURNAL_LIMIT)
        except OSError:
            return b""

    def _folder(self, digest: BlobDigest) -> Path:
        return self._ingest / f"{digest.algorithm}-{digest.hex}"

    @contextlib.contextmanager
    def ingest(
        self, digest: BlobDigest, size: int, on_wait: Callable[[], None] | None = None
    ) -> Iterator[Ingest | None]:
        """The write transaction for one blob, or None when the blob is here already.

        One process at a time has it; another one waits (`on_wait` is called now and then) and then
        finds the blob, or goes on where the first one stopped. Leaving without `commit` keeps what
        came.
        """
        from layerkit.store.ingest import Ingest  # noqa: PLC0415  as above

        folder = self._folder(digest)
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
