"""The forward reader gives the same bytes as random access, as long as nobody goes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import layer_cases, tars
from support.listing import entries_of

from layerkit.errors import ArchiveError
from layerkit.layer import archive
from layerkit.layer.forward import LOOK_BACK, ForwardReader

DATA = bytes(range(256)) * 20


def chunks(data, size):
    """`data` in pieces of `size`."""
    return (data[at : at + size] for at in range(0, len(data), size))


@given(
    size=st.integers(1, 3000),
    steps=st.lists(st.tuples(st.integers(-LOOK_BACK, 1500), st.integers(0, 1500)), max_size=12),
)
def test_forward_reads_are_slices(size, steps):
    """Whatever the chunks, each read is the slice; one may go `LOOK_BACK` behind the last."""
    reader = ForwardReader(chunks(DATA, size))
    position = 0
    for step, length in steps:
        offset = max(0, position + step)
        assert reader.read_at(offset, length) == DATA[offset : offset + length]
        position = max(position, offset)


def test_skipped_bytes_are_not_kept():
    """Going far forward holds one chunk and the look-back, not what lies between."""
    reader = ForwardReader(bytes(1000) for _ in range(10_000))

    assert reader.read_at(9_000_000, 10) == bytes(10)
    assert len(reader._buffer) <= 1000 + LOOK_BACK + 1000
    assert not reader.reaches(0)
    with pytest.raises(ValueError, match="byte 5 is gone"):
        reader.read_at(5, 1)


def test_no_more_is_taken_than_asked_for():
    """The source is asked for the chunk with the wanted byte, and for none behind it."""
    source = iter([b"a" * 10] * 10)
    reader = ForwardReader(source)

    reader.read_at(12, 8)

    assert len(list(source)) == 8


def test_draining_takes_all_that_is_left():
    """After a drain the source is at its end, so whoever verifies it has seen all."""
    source = iter([b"a" * 10] * 10)
    reader = ForwardReader(source)
    reader.read_at(0, 5)

    reader.drain()

    assert next(source, None) is None
    assert reader.read_at(200, 1) == b""


@pytest.mark.parametrize("size", [1, 511, 512, 10_000])
@pytest.mark.parametrize(
    "tar",
    [
        layer_cases.B2,
        tars.archive(tars.file("a", b"x" * 700), end=b""),
        tars.archive(tars.file("a", b"x" * 700), end=b"")[: 512 + 700],
        tars.archive(tars.file("a", b"x" * 512), end=b""),
        tars.archive(tars.file("a", b"x"), *map(tars.directory, ("d/", "e/", "f/")), end=b""),
        tars.archive(tars.file("a", b"x" * 700), end=bytes(512)),
        tars.archive(tars.gnu_long_name("n/" * 150), tars.file("n", b"")),
        tars.archive(tars.gnu_sparse("s", [(0, 5), (9000, 5)], 20_000, b"0123456789")),
    ],
    ids=[
        "links",
        "no end",
        "no padding",
        "whole block",
        "folders last",
        "half an end",
        "long name",
        "sparse",
    ],
)
def test_archives_are_read_as_from_a_file(tar, size):
    """The tar reader finds the same entries in a stream, also when the archive ends early."""
    assert list(archive.read(ForwardReader(chunks(tar, size)).read_at, print)) == entries_of(tar)


@pytest.mark.parametrize("length", [100, 512 + 100, 512 + 699])
def test_a_cut_archive_is_refused_as_from_a_file(length):
    """An archive that ends inside a header or a file is an error in a stream, too."""
    tar = tars.archive(tars.file("a", b"x" * 700))[:length]

    with pytest.raises(ArchiveError, match="cut off"):
        list(archive.read(ForwardReader(chunks(tar, 50)).read_at, print))
