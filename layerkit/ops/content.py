"""The bytes of a file in a layer's tar, holes included, and whether two files hold the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit.errors import ArchiveError, NotFoundError
from layerkit.snapshot import beneath
from layerkit.store import files
from layerkit.tree import Extent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.layer.archive import ReadAt
    from layerkit.tree import Entry

CHUNK = 1 << 20
"""The most bytes of one piece."""


def runs(entry: Entry) -> Iterator[tuple[int, int, int]]:
    """A file in pieces: (offset in the file, bytes, offset in the tar or 0 for a hole)."""
    source = entry.data
    end = 0
    for run in _extents(entry):
        yield from _pieces(end, run.offset - end, 0)
        yield from _pieces(run.offset, run.size, source)
        source += run.size
        end = run.offset + run.size
    yield from _pieces(end, entry.size - end, 0)


def whole(entry: Entry, read_at: ReadAt) -> Iterator[bytes]:
    """All bytes of a file, holes as zeros; raises `ArchiveError` when the archive ends before."""
    for _, size, source in runs(entry):
        yield read(read_at, source, size) if source else bytes(size)


def stored(entry: Entry, read_at: ReadAt) -> Iterator[bytes]:
    """The bytes of a file that the archive has, so all but holes; raises as `whole`."""
    size = sum(run.size for run in _extents(entry))
    for _, length, source in _pieces(0, size, entry.data):
        yield read(read_at, source, length)


def _extents(entry: Entry) -> tuple[Extent, ...]:
    return (Extent(0, entry.size),) if entry.extents is None else entry.extents


def _pieces(offset: int, size: int, source: int) -> Iterator[tuple[int, int, int]]:
    for done in range(0, size, CHUNK):
        yield offset + done, min(CHUNK, size - done), source + done if source else 0


def read(read_at: ReadAt, offset: int, size: int) -> bytes:
    """Exactly so many bytes of an archive; raises `ArchiveError` when it ends before."""
    data = read_at(offset, size)
    if len(data) < size:
        raise ArchiveError(f"the archive is cut off after {offset + len(data)} bytes")
    return data


def of_file(folder: Path, path: bytes, name: str) -> Iterator[bytes]:
    """The bytes of a file below a directory; raises `NotFoundError` where it went away."""
    with files.guarded("read"):
        file = beneath.open_file(folder, path)
        if file is None:
            raise NotFoundError(f"{name} has no file /{os.fsdecode(path)} any more")
        try:
            while chunk := os.read(file, CHUNK):
                yield chunk
        finally:
            os.close(file)
