"""One blob on its way in: written in any order, read from its start on, named when it is right.

Writers (several threads, several connections) put bytes where they belong; one reader follows the
frontier, the end of what is there without a gap, and hashes what it gives on. So a blob is verified
and unpacked while its rest is still on its way, and what an earlier process left counts as what it
is: bytes that are read and hashed like all others.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from isal.isal_zlib import crc32  # fourteen times as fast as zlib's

from layerkit.digest import BlobDigest, Verifier
from layerkit.errors import IntegrityError, StoreError
from layerkit.store import files, journal
from layerkit.store.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from layerkit.store.spans import Span

EXTENT = 1 << 20
"""A finished extent is recorded after this many bytes; a kill loses less than one a writer."""
_EXTENT_LIMIT = 64 << 20
_CHUNK = 256 << 10


class Ingest:
    """The write transaction for one blob: `data` with the bytes, `journal` of what is whole.

    What an earlier try recorded is checked against its CRCs before it counts. Methods raise
    `StoreError`; `follow`, `receive` and `commit` raise `IntegrityError` for wrong content, and
    then keep nothing of it.
    """

    def __init__(self, folder: Path, target: Path, digest: BlobDigest, size: int) -> None:
        self._target = target
        self._digest = digest
        self._size = size
        self._path = folder / "data"
        self._journal_path = folder / "journal"
        self._here = Spans()
        self._taken = Spans()
        self._news = threading.Condition()
        self._failure: BaseException | None = None
        self._recorded = 0
        self.writers = 0
        """How many times somebody began to write here, an earlier process included."""
        self._verifier = self._new_verifier()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.ExitStack() as stack:
            self._data = os.open(self._path, flags, 0o600)
            stack.callback(os.close, self._data)
            self._journal = self._resume(folder)
            stack.callback(os.close, self._journal)
            self._close = stack.pop_all().close

    # -- for those who bring bytes --------------------------------------------------------------

    @property
    def received(self) -> int:
        """How many bytes are here."""
        with self._news:
            return self._here.count

    def missing(self) -> list[Span]:
        """What is not here yet, in order."""
        with self._news:
            return self._here.missing(0, self._size)

    @contextlib.contextmanager
    def writer(self, offset: int) -> Iterator[Writer]:
        """Takes bytes from `offset` on; what it took is recorded, also when it ends by an error."""
        with self._news:
            self.writers += 1
        writer = Writer(self._put, self._record, offset)
        try:
            yield writer
        finally:
            writer.record()

    def receive(self, chunks: Iterable[bytes]) -> Generator[bytes]:
        """Take the blob whole from one source, and give on what is hashed."""
        self.restart()
        with self.writer(0) as writer:
            for chunk in chunks:
                self._verify(chunk)
                writer.write(chunk)
                yield chunk

    def fail(self, error: BaseException) -> None:
        """Let `follow` raise `error` instead of waiting for what will not come."""
        with self._news:
            self._failure = self._failure or error
            self._news.notify_all()

    # -- for those who want bytes ---------------------------------------------------------------

    def follow(self) -> Iterator[bytes]:
        """The blob's bytes from where it was followed to, as they come; each one is hashed here."""
        while self._verifier.count < self._size:
            yield self._advance(self._wait())

    def _wait(self) -> int:
        """Until there is more than was hashed; where that ends."""
        with self._news:
            while self._here.frontier <= self._verifier.count:
                if self._failure is not None:
                    raise self._failure
                self._news.wait()
            return self._here.frontier

    def _advance(self, frontier: int) -> bytes:
        """Read and hash what is next of the bytes before the frontier."""
        at = self._verifier.count
        with files.guarded("read blob"):
            chunk = os.pread(self._data, min(_CHUNK, frontier - at), at)
        self._verify(chunk)
        return chunk

    def commit(self) -> None:
        """Check size and digest, of what was followed and of the rest, and give the blob its name.

        Nobody may be writing any more.
        """
        with self._all_or_nothing():
            while self._verifier.count < self._here.frontier:
                self._advance(self._here.frontier)
            self._verifier.finish()
        with files.guarded("write blob"):
            os.fsync(self._data)
            self._target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self._path, self._target)
            # Not before: killed in between, a read-only file could not be gone on with.
            os.fchmod(self._data, 0o444)
            files.sync_directory(self._target.parent)

    def restart(self) -> None:
        """Forget all that came; nobody may be writing."""
        with files.guarded("write to"), self._news:
            os.ftruncate(self._data, 0)
            os.ftruncate(self._journal, 0)
            os.write(self._journal, journal.header(self._digest, self._size))
            self._here, self._taken = Spans(), Spans()
            self._recorded = 0
            self._failure = None
        self.writers = 0
        self._verifier = self._new_verifier()

    def close(self) -> int:
        """Let go of the files, and say how many bytes the journal has."""
        self._close()
        self._data = self._journal = -1  # somebody late must not write to what is opened next
        return self._recorded

    # -- inside ---------------------------------------------------------------------------------

    def _new_verifier(self) -> Verifier:
        return Verifier(f"blob {self._digest}", self._digest, self._size)

    def _verify(self, chunk: bytes) -> None:
        with self._all_or_nothing():
            self._verifier.update(chunk)

    @contextlib.contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            self.restart()
            raise

    def _put(self, offset: int, chunk: bytes) -> list[Span]:
        """Write what of a chunk nobody wrote before; the spans that are.

        Never twice: what was followed, and so hashed, must stay as it is.
        """
        with self._news:
            gaps = self._taken.missing(offset, offset + len(chunk))
            self._taken.add(offset, offset + len(chunk))
        try:
            with files.guarded("write to"):
                for start, end in gaps:
                    view = memoryview(chunk)[start - offset : end - offset]
                    _pwrite_all(self._data, view, start)
        except StoreError as error:
            self.fail(error)
            raise
        with self._news:
            for start, end in gaps:
                self._here.add(start, end)
            self._news.notify_all()
        return gaps

    def _record(self, extent: journal.Extent) -> None:
        with self._news:
            os.write(self._journal, journal.line(extent))
            self._recorded += extent.size

    def _resume(self, folder: Path) -> int:
        """Take in the recorded extents that are sound; the open journal of them."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_APPEND | os.O_CLOEXEC
        opened = os.open(self._journal_path, flags, 0o600)
        recorded = os.pread(opened, os.fstat(opened).st_size, 0)
        sound = journal.header(self._digest, self._size)
        for extent in journal.parse(recorded, self._digest, self._size):
            if self._is_sound(extent):
                self._here.add(extent.offset, extent.offset + extent.size)
                self._taken.add(extent.offset, extent.offset + extent.size)
                sound += journal.line(extent)
        length = max((end for _, end in self._here), default=0)
        os.ftruncate(self._data, length)
        self._recorded = self._here.count
        self.writers = bool(self._recorded)
        if not recorded:
            os.write(opened, sound)
        elif recorded != sound:
            os.close(opened)
            files.write_whole(self._journal_path, sound, folder, 0o600)
            opened = os.open(self._journal_path, flags, 0o600)
        return opened

    def _is_sound(self, extent: journal.Extent) -> bool:
        if not 0 < extent.size <= _EXTENT_LIMIT:
            return False
        content = os.pread(self._data, extent.size, extent.offset)
        return len(content) == extent.size and crc32(content) == extent.crc


class Writer:
    """Puts bytes one after another into a blob on its way in, past those that are there."""

    def __init__(
        self,
        put: Callable[[int, bytes], list[Span]],
        record: Callable[[journal.Extent], None],
        offset: int,
    ) -> None:
        self._put = put
        self._record = record
        self.offset = offset
        """Where the next byte belongs."""
        self._start = self._end = offset
        self._crc = 0

    def write(self, chunk: bytes) -> int:
        """Take the next bytes; how many of them were news. Raises `StoreError`."""
        gaps = self._put(self.offset, chunk)
        for start, end in gaps:
            self._note(start, memoryview(chunk)[start - self.offset : end - self.offset])
        self.offset += len(chunk)
        return sum(end - start for start, end in gaps)

    def _note(self, start: int, piece: memoryview) -> None:
        if start != self._end:
            self.record()
            self._start = self._end = start
        self._crc = crc32(piece, self._crc)
        self._end += len(piece)
        if self._end - self._start >= EXTENT:
            self.record()

    def record(self) -> None:
        """Note in the journal what was taken since the last time."""
        if self._end > self._start:
            extent = journal.Extent(self._start, self._end - self._start, self._crc)
            with contextlib.suppress(OSError):  # a full disk: the piece is fetched again
                self._record(extent)
        self._start, self._crc = self._end, 0


def _pwrite_all(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written
