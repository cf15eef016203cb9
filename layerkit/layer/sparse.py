"""The four ways in which tar writes a sparse file, all read to extents (GNU tar manual, "Sparse").

Old GNU keeps the map in the header block and extension blocks; PAX 0.0 and 0.1 in records; PAX 1.0
in front of the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from layerkit.errors import ArchiveError
from layerkit.layer import header, pax
from layerkit.tree import Extent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Map: TypeAlias = tuple[Extent, ...]

EXTENT_LIMIT = 1 << 18
"""The most extents one file may have; a map of that many is already a few MiB of headers."""


def old_gnu(block: bytes, next_block: Callable[[], bytes]) -> tuple[Map, int]:
    """The map and the real size of an old GNU sparse header, with its extension blocks."""
    pairs = list(_pairs(block, 386, 4))
    extended = block[482]
    while extended:
        if len(pairs) > EXTENT_LIMIT:
            raise ArchiveError(f"sparse map of more than {EXTENT_LIMIT} extents")
        more = next_block()
        pairs.extend(_pairs(more, 0, 21))
        extended = more[504]
    real = header.number(block[483:495], "sparse size")
    return checked(pairs, real), real


def _pairs(block: bytes, start: int, count: int) -> Iterator[tuple[int, int]]:
    for at in range(start, start + 24 * count, 24):
        if block[at] == 0:
            return
        yield (
            header.number(block[at : at + 12], "sparse offset"),
            header.number(block[at + 12 : at + 24], "sparse length"),
        )


def pax_0(records: pax.Records) -> tuple[Map, int] | None:
    """The map and the real size of PAX format 0.0 or 0.1, None where the records have none."""
    values = dict(records)
    if b"GNU.sparse.map" in values:
        numbers = values[b"GNU.sparse.map"].split(b",") if values[b"GNU.sparse.map"] else []
    elif b"GNU.sparse.numblocks" in values:
        wanted = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
        found = [(key, value) for key, value in records if key in wanted]
        if any(key != wanted[i % 2] for i, (key, _) in enumerate(found)):
            raise ArchiveError("invalid sparse map: offsets and lengths do not alternate")
        numbers = [value for _, value in found]
    else:
        return None
    if 2 * pax.integer(values.get(b"GNU.sparse.numblocks", b"-1"), "sparse count") != len(numbers):
        raise ArchiveError(f"invalid sparse map: {len(numbers)} numbers, but another count")
    real = pax.integer(values.get(b"GNU.sparse.size", b""), "sparse size")
    return checked(_two_by_two(numbers), real), real


def pax_1(read: Callable[[int, int], bytes], start: int, end: int, real: int) -> tuple[Map, int]:
    """The map of PAX format 1.0 before the data in `start:end`, and where the data begins."""
    numbers: list[bytes] = []
    wanted, rest, position = 1, b"", start
    while len(numbers) < wanted:
        if position >= end:
            raise ArchiveError("invalid sparse map: it is longer than its file")
        *lines, rest = (rest + read(position, header.BLOCK)).split(b"\n")
        position += header.BLOCK
        numbers += lines
        if numbers:
            wanted = 1 + 2 * pax.integer(numbers[0], "sparse count")
        if not 0 < wanted <= 2 * EXTENT_LIMIT:
            raise ArchiveError(f"sparse map of more than {EXTENT_LIMIT} extents")
        # Behind the last line, the block is filled up with NULs.
        if len(numbers) < wanted and len(rest) > 20:  # noqa: PLR2004  the digits of 64 bits
            raise ArchiveError("invalid sparse map: a line without end")
    return checked(_two_by_two(numbers[1:wanted]), real), position


def _two_by_two(numbers: list[bytes]) -> list[tuple[int, int]]:
    values = [pax.integer(number, "sparse map") for number in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def checked(pairs: Iterable[tuple[int, int]], real: int) -> Map:
    """The extents in order, none overlapping, all within `real` bytes; empty ones left out."""
    if real < 0:
        raise ArchiveError(f"invalid sparse map: a file of {real} bytes")
    result: list[Extent] = []
    end = 0
    for offset, size in pairs:
        if offset < end or size < 0 or offset + size > real:
            raise ArchiveError(
                f"invalid sparse map: {size} bytes at {offset} of a {real}-byte file"
            )
        end = offset + size
        if size:
            result.append(Extent(offset, size))
    if len(result) > EXTENT_LIMIT:
        raise ArchiveError(f"sparse map of more than {EXTENT_LIMIT} extents")
    return tuple(result)
