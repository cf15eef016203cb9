"""Where the content of files lies: in their layer's tar, as it is, or copied behind the metadata.

A file is one run of blocks of its tar. A sparse one is a table of chunks, all of one size, each of them
a run or a hole. What does not lie at whole blocks (sparse files may, and the end of a tar that was
cut) is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.snapshot.erofs.format import BLOCK, BLOCK_BITS, HOLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.tree import Entry

_MOST_CHUNKS = 1 << 20
"""Of one file: a table of 4 MiB."""


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes of a tar: `size` from `source` on, seen at `offset` of the file."""

    offset: int
    size: int
    source: int


def runs(entry: Entry) -> list[Run]:
    """The runs of a file in its tar; holes lie between those of a sparse one."""
    if entry.extents is None:
        return [Run(0, entry.size, entry.data)] if entry.size else []
    found, source = [], entry.data
    for extent in entry.extents:
        found.append(Run(extent.offset, extent.size, source))
        source += extent.size
    return found


def fits(entry: Entry, tar_size: int) -> bool:
    """Whether a file that is not sparse lies in whole blocks of a tar.

    A loop device leaves out the end of a tar that is no whole block.
    """
    return not entry.data % BLOCK and entry.data + entry.size <= tar_size - tar_size % BLOCK


@dataclass(frozen=True, slots=True)
class Chunks:
    """A sparse file in `count` chunks of `1 << bits` blocks."""

    bits: int
    count: int
    entry: Entry
    tar_size: int

    @property
    def size(self) -> int:
        """The bytes of a chunk."""
        return BLOCK << self.bits

    def is_aligned(self) -> bool:
        """Whether each chunk is a run of the tar or a hole."""
        return all(
            run.offset % self.size == 0
            and run.source % BLOCK == 0
            and (run.size % self.size == 0 or run.offset + run.size == self.entry.size)
            and run.source + run.size <= self.tar_size - self.tar_size % BLOCK
            for run in runs(self.entry)
        )

    def touched(self) -> list[int]:
        """The chunks with anything but a hole in them, in order."""
        found: dict[int, None] = {}
        for run in runs(self.entry):
            last = (run.offset + run.size - 1) // self.size
            found.update(dict.fromkeys(range(run.offset // self.size, last + 1)))
        return list(found)

    def in_tar(self, tar_block: int) -> list[int]:
        """The block of each chunk, where the tar begins at `tar_block`."""
        table = [HOLE] * self.count
        for run in runs(self.entry):
            first = run.offset // self.size
            for number in range(-(-run.size // self.size)):
                source = run.source + number * self.size
                table[first + number] = tar_block + (source >> BLOCK_BITS)
        return table

    def copied(self, begin: int) -> list[int]:
        """The block of each chunk, where those with content are copied behind each other."""
        table = [HOLE] * self.count
        for number, chunk in enumerate(self.touched()):
            table[chunk] = begin + (number << self.bits)
        return table

    def copies(self) -> Iterator[Run]:
        """What is to be copied: the offsets are those in the copy."""
        places = {chunk: number * self.size for number, chunk in enumerate(self.touched())}
        for run in runs(self.entry):
            done = 0
            while done < run.size:
                chunk, inside = divmod(run.offset + done, self.size)
                size = min(run.size - done, self.size - inside)
                yield Run(places[chunk] + inside, size, run.source + done)
                done += size


def chunks(entry: Entry, tar_size: int) -> Chunks:
    """A sparse file in chunks: as small as they may be, or larger where that copies nothing."""
    bits = 0
    while _count(entry, bits) > _MOST_CHUNKS:
        bits += 1
    best = Chunks(bits, _count(entry, bits), entry, tar_size)
    while best.is_aligned() and best.count > 1:
        larger = Chunks(best.bits + 1, _count(entry, best.bits + 1), entry, tar_size)
        if not larger.is_aligned():
            break
        best = larger
    return best


def _count(entry: Entry, bits: int) -> int:
    return -(-entry.size // (BLOCK << bits))
