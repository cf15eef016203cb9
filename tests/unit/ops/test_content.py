"""A file's bytes are read from its layer in pieces, holes and all."""

from __future__ import annotations

import pytest
from support import tars
from support.listing import entries_of, read_at

from layerkit.errors import ArchiveError
from layerkit.ops import content

FILES = {
    "plain": (tars.file("x", b"hello"), b"hello", b"hello"),
    "empty": (tars.file("x", b""), b"", b""),
    "holes": (
        tars.gnu_sparse("x", [(2, 3), (9, 1)], 12, b"abcd"),
        b"\0\0abc\0\0\0\0d\0\0",
        b"abcd",
    ),
    "no hole at the ends": (tars.gnu_sparse("x", [(0, 1), (3, 1)], 4, b"ab"), b"a\0\0b", b"ab"),
    "nothing but a hole": (tars.gnu_sparse("x", [], 5, b""), bytes(5), b""),
    "more than a piece": (tars.file("x", b"ab" * content.CHUNK), *[b"ab" * content.CHUNK] * 2),
}


@pytest.mark.parametrize(("entry", "whole", "stored"), FILES.values(), ids=FILES.keys())
def test_a_file_is_read_whole_or_as_stored(entry, whole, stored):
    """Holes are zeros, or left out; no piece is larger than `CHUNK`."""
    tar = tars.archive(entry, tars.file("behind", b"not this"))
    found = entries_of(tar)[0]

    pieces = list(content.whole(found, read_at(tar)))

    assert b"".join(pieces) == whole
    assert max(map(len, pieces), default=0) <= content.CHUNK
    assert b"".join(content.stored(found, read_at(tar))) == stored


def test_runs_say_where_each_piece_lies():
    """Offset in the file, size, and offset in the archive, 0 for a hole."""
    (entry,) = entries_of(tars.archive(tars.gnu_sparse("x", [(2, 3), (9, 1)], 12, b"abcd")))
    data = entry.data

    assert list(content.runs(entry)) == [
        (0, 2, 0),
        (2, 3, data),
        (5, 4, 0),
        (9, 1, data + 3),
        (10, 2, 0),
    ]


@pytest.mark.parametrize("read", [content.whole, content.stored])
def test_a_file_that_is_cut_off_is_refused(read):
    """An archive that ends within the file is an error, never a shorter file."""
    tar = tars.archive(tars.file("x", b"hello"))
    (entry,) = entries_of(tar)

    with pytest.raises(ArchiveError, match="cut off after 515 bytes"):
        list(read(entry, read_at(tar[:515])))
