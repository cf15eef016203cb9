"""Archives of users may be compressed by what they like; what is broken is told."""

import bz2
import gzip
import lzma
import random

import pytest
import zstandard

from layerkit.errors import ArchiveError
from layerkit.layer import wrapping

DATA = random.Random(1).randbytes(100_000) + bytes(3 << 20)
PACKERS = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "": bytes,
}


def pieces(data, size):
    """The data in chunks of one size."""
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("size", [1 << 20, 4099])
def test_every_compression_is_undone(name, size):
    """Whatever it is and however it comes, the plain bytes come out."""
    packed = PACKERS[name](DATA)

    assert wrapping.kind(packed[: wrapping.SNIFF]) == name
    assert b"".join(wrapping.unwrap(pieces(packed, size))) == DATA


def test_one_byte_at_a_time():
    """The beginning is known also when it comes in crumbs."""
    for name, pack in PACKERS.items():
        assert b"".join(wrapping.unwrap(pieces(pack(b"abc"), 1))) == b"abc", name


@pytest.mark.parametrize("name", ["gzip", "zstd", ""])
def test_what_a_layer_may_be_stays_as_it_is(name):
    """Only bzip2 and xz are undone for a layer."""
    packed = PACKERS[name](DATA)

    assert wrapping.is_layer(packed[: wrapping.SNIFF])
    assert b"".join(wrapping.as_layer(pieces(packed, 5000))) == packed


@pytest.mark.parametrize("name", ["bzip2", "xz"])
def test_what_no_layer_may_be_becomes_plain(name):
    """A layer of bzip2 or xz would be one that no tool reads."""
    packed = PACKERS[name](DATA)

    assert not wrapping.is_layer(packed[: wrapping.SNIFF])
    assert b"".join(wrapping.as_layer(pieces(packed, 5000))) == DATA


@pytest.mark.parametrize("name", ["bzip2", "xz"])
@pytest.mark.parametrize("between", [b"", bytes(8)], ids=["together", "padded"])
def test_several_streams_are_one(name, between):
    """What parallel compressors write is read to its end, padding left out."""
    packed = PACKERS[name](b"one") + between + PACKERS[name](b"two") + between

    assert b"".join(wrapping.unwrap(pieces(packed, 7))) == b"onetwo"


@pytest.mark.parametrize("name", ["gzip", "zstd", "bzip2", "xz"])
def test_a_stream_that_is_cut_is_told(name):
    """The end of the file is not the end of the data."""
    packed = PACKERS[name](DATA)[:-8]

    with pytest.raises(ArchiveError, match=r"cut off|damaged"):
        list(wrapping.unwrap([packed]))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("bzip2", lambda data: data + b"junk" * 10),
        ("xz", lambda data: data + b"junk" * 10),
        ("bzip2", lambda data: data[:200] + b"\xff" * 20 + data[220:]),
        ("xz", lambda data: data[:200] + b"\xff" * 20 + data[220:]),
    ],
    ids=["bzip2 and junk", "xz and junk", "bzip2", "xz"],
)
def test_a_damaged_stream_is_told(name, damage):
    """The compression is named, and nothing but our own error comes out."""
    with pytest.raises(ArchiveError, match=f"damaged {name} stream"):
        list(wrapping.unwrap([damage(PACKERS[name](DATA))]))


def test_memory_stays_bounded():
    """However much a few bytes stand for, it comes in pieces of a MiB."""
    for name in ("bzip2", "xz"):
        packed = PACKERS[name](bytes(50 << 20))
        assert len(packed) < 100_000
        assert max(map(len, wrapping.unwrap([packed]))) <= 1 << 20


def test_nothing_stays_nothing():
    """An empty file is no compressed one."""
    assert list(wrapping.unwrap([])) == []
    assert wrapping.kind(b"") == ""
