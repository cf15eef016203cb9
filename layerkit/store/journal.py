"""The journal of an unfinished download: which extents of `data` are there, each with its CRC-32.

One line an extent, `OFFSET SIZE CRC LINECRC`, after a header line with digest and size; extents come
in any order. A line that was torn by a crash fails its own CRC and does not count. What the journal
says is never trusted: a resumed extent is read and checked again.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerkit.digest import BlobDigest

_VERSION = "layerkit-journal 1"


@dataclass(frozen=True, slots=True)
class Extent:
    """`size` bytes at `offset` that were written, with the CRC-32 of their content."""

    offset: int
    size: int
    crc: int


def header(digest: BlobDigest, size: int) -> bytes:
    """The first line of the journal of one blob."""
    return _line(f"{_VERSION} {digest} {size}")


def line(extent: Extent) -> bytes:
    """The line that records one finished extent."""
    return _line(f"{extent.offset} {extent.size} {extent.crc:08x}")


def promised(data: bytes, digest: BlobDigest) -> int | None:
    """The blob's size as its journal says it; None where the header is not whole or another's."""
    try:
        size = int(data.partition(b"\n")[0].split()[3])
    except (ValueError, IndexError):
        return None
    return size if data.startswith(header(digest, size)) else None


def parse(data: bytes, digest: BlobDigest, size: int) -> list[Extent]:
    """The extents recorded for this very blob, without lines that are not whole."""
    lines = data.splitlines(keepends=True)
    if not lines or lines[0] != header(digest, size):
        return []
    extents: list[Extent] = []
    for text in lines[1:]:
        extent = _extent(text)
        if extent is not None and 0 <= extent.offset <= extent.offset + extent.size <= size:
            extents.append(extent)
    return extents


def _line(text: str) -> bytes:
    return f"{text} {zlib.crc32(text.encode()):08x}\n".encode()


def _extent(text: bytes) -> Extent | None:
    fields = text.split()
    try:
        extent = Extent(int(fields[0]), int(fields[1]), int(fields[2], 16))
    except (ValueError, IndexError):
        return None
    return extent if line(extent) == text else None
