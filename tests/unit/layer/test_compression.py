"""Compressed layers become tar bytes."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import zlib
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from support import tars

from layerkit.errors import ArchiveError
from layerkit.layer import compression

TAR = tars.archive(tars.file("a", b"A" * 600), tars.file("b", "BB"))
MORE = tars.archive(tars.file("c", bytes(range(256)) * 40))
CHUNK_LIMIT = 1 << 20
ZSTD_CHUNK_LIMIT = (64 << 20) + (128 << 10)
"""The most output that zstd can make of what is fed to it at once."""


def gz(data: bytes) -> bytes:
    """One gzip member."""
    return gzip.compress(data, mtime=0)


def zst(data: bytes, **options) -> bytes:
    """One zstd frame."""
    return zstandard.ZstdCompressor(**options).compress(data)


def skippable(data: bytes, number: int = 0) -> bytes:
    """A zstd frame that holds no content (RFC 8878, 3.1.2)."""
    return (0x184D2A50 + number).to_bytes(4, "little") + len(data).to_bytes(4, "little") + data


def gzip_header(flags: int, extra: bytes) -> bytes:
    """A gzip member of `TAR` whose header has these flags and fields (RFC 1952, 2.3)."""
    head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(5) + b"\xff" + extra
    if flags & 2:
        head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    return head + gz(TAR)[10:]


def inflated(blob: bytes, size: int | None = None) -> bytes:
    """What comes out when `blob` goes in, in chunks of `size`."""
    step = size or max(1, len(blob))
    return b"".join(compression.inflate(blob[at : at + step] for at in range(0, len(blob), step)))


GOOD = {
    "plain": (TAR, TAR),
    "gzip": (gz(TAR), TAR),
    "gzip stored": (gzip.compress(TAR, 0, mtime=0), TAR),
    "CZ-02 zeros behind": (gz(TAR) + bytes(100), TAR),
    "CZ-05 PY-12 two members": (gz(TAR) + gz(MORE), TAR + MORE),
    "CZ-08 zeros between": (gz(TAR) + bytes(10) + gz(MORE), TAR + MORE),
    "an empty member between": (gz(TAR) + gz(b"") + gz(MORE), TAR + MORE),
    "many members": (b"".join(gz(TAR[at : at + 7]) for at in range(0, len(TAR), 7)), TAR),
    "CZ-07 name": (gzip_header(8, b"layer.tar\0"), TAR),
    "CZ-07 extra": (gzip_header(4, b"\x05\0abcde"), TAR),
    "CZ-07 comment": (gzip_header(16, b"a comment\0"), TAR),
    "CZ-07 header checksum": (gzip_header(2, b""), TAR),
    "CZ-07 all": (gzip_header(30, b"\x05\0abcdename\0comment\0"), TAR),
    "CZ-07 long extra": (gzip_header(4, b"\xff\xff" + bytes(0xFFFF)), TAR),
    "zstd": (zst(TAR), TAR),
    "zstd two frames": (zst(TAR) + zst(MORE), TAR + MORE),
    "zstd many frames": (b"".join(zst(TAR[at : at + 7]) for at in range(0, len(TAR), 7)), TAR),
    "CZ-11 zstd skippable frames": (
        skippable(b"zstd:chunked") + zst(TAR) + skippable(b"", 15) + zst(MORE) + skippable(b"x"),
        TAR + MORE,
    ),
    "CZ-13 zstd without checksum": (zst(TAR, write_checksum=False), TAR),
    "CZ-13 zstd with checksum": (zst(TAR, write_checksum=True), TAR),
    "zstd without size": (zst(TAR, write_content_size=False), TAR),
    "zeros behind zstd": (zst(TAR) + bytes(7), TAR),
    "TE-10 nothing": (b"", b""),
    "TE-11 gzip of nothing": (gz(b""), b""),
    "zstd of nothing": (zst(b""), b""),
    "CZ-19 gzip in gzip": (gz(gz(TAR)), gz(TAR)),
    "CZ-19 zstd in gzip": (gz(zst(TAR)), zst(TAR)),
    "CZ-07 long name": (gzip_header(8, b"n" * 50_000 + b"\0"), TAR),
    "a short plain text": (b"\x1f", b"\x1f"),
    "zeros": (bytes(1024), bytes(1024)),
}


@pytest.mark.parametrize(("blob", "tar"), GOOD.values(), ids=GOOD)
def test_streams_are_known_by_their_first_bytes(blob, tar):
    """CZ-15: gzip, zstd and plain bytes need no label; all members and frames are one stream."""
    assert inflated(blob) == tar


@pytest.mark.parametrize("size", [1, 2, 5, 511, 513, 2048])
@pytest.mark.parametrize(("blob", "tar"), GOOD.values(), ids=GOOD)
def test_chunks_of_one_size_make_no_difference(blob, tar, size):
    """TE-13: also where each byte comes alone, the output is the same."""
    assert inflated(blob, size) == tar


@given(st.sampled_from(sorted(GOOD)), st.lists(st.integers(0, 3000), max_size=12))
def test_random_chunks_make_no_difference(name, cuts):
    """However the input is cut into chunks, empty ones included, the output is the same."""
    blob, tar = GOOD[name]
    borders = [0, *sorted(min(cut, len(blob)) for cut in cuts), len(blob)]
    chunks = [blob[start:end] for start, end in pairwise(borders)]

    assert b"".join(compression.inflate(chunks)) == tar


@pytest.mark.parametrize("beyond", range(-9, 10))
def test_output_of_just_a_full_chunk_is_whole(beyond):
    """A stream that ends about where an output chunk is full loses nothing."""
    data = bytes(2 * CHUNK_LIMIT + beyond)

    assert inflated(gz(data)) == data


BAD = {
    "CZ-03 PY-12 junk behind gzip": (gz(TAR) + b"junkjunk", "damaged gzip stream"),
    "zstd behind gzip": (gz(TAR) + zst(TAR), "damaged gzip stream"),
    "CZ-04 PY-12 gzip cut": (gz(TAR)[:-12], "the gzip stream is cut off"),
    "TE-15 gzip cut before its trailer": (gz(TAR)[:-8], "the gzip stream is cut off"),
    "TE-15 gzip cut in its trailer": (gz(TAR)[:-1], "the gzip stream is cut off"),
    "CZ-04 gzip header alone": (gz(TAR)[:10], "the gzip stream is cut off"),
    "CZ-04 second member cut": (gz(TAR) + gz(MORE)[:-5], "the gzip stream is cut off"),
    "CZ-04 second header cut": (gz(TAR) + gz(MORE)[:1], "the gzip stream is cut off"),
    "CZ-06 wrong CRC": (gz(TAR)[:-8] + bytes(4) + gz(TAR)[-4:], "damaged gzip stream"),
    "CZ-06 wrong length": (gz(TAR)[:-4] + bytes(4), "damaged gzip stream"),
    "CZ-06 flipped": (gz(MORE)[:30] + b"\xff\xff\xff" + gz(MORE)[33:], "gzip stream"),
    "an endless gzip header": (gzip_header(8, b"n" * 200_000 + b"\0"), "damaged gzip stream"),
    "wrong checksum of a gzip header": (
        gzip_header(2, b"")[:10] + b"xx" + gzip_header(2, b"")[12:],
        "damaged gzip stream",
    ),
    "unknown method": (b"\x1f\x8b\x07" + gz(TAR)[3:], "damaged gzip stream"),
    "CZ-12 zstd cut": (zst(TAR)[:-5], "the zstd stream is cut off"),
    "CZ-12 second frame cut": (zst(TAR) + zst(MORE)[:-5], "the zstd stream is cut off"),
    "CZ-12 skippable frame cut": (skippable(b"abc")[:-1], "the zstd stream is cut off"),
    "CZ-12 magic alone": (zst(TAR)[:4], "the zstd stream is cut off"),
    "CZ-13 zstd checksum wrong": (
        zst(TAR, write_checksum=True)[:-4] + b"xxxx",
        "damaged zstd stream",
    ),
    "junk behind zstd": (zst(TAR) + b"junkjunk", "damaged zstd stream"),
    "CZ-14 window of 256 MiB": (b"\x28\xb5\x2f\xfd\x00\x90\x01\0\0", "damaged zstd stream"),
    "CZ-16 bzip2": (bz2.compress(TAR), "unsupported compression bzip2"),
    "CZ-16 xz": (lzma.compress(TAR), "unsupported compression xz"),
    "CZ-16 lz4": (b"\x04\x22\x4d\x18" + TAR, "unsupported compression lz4"),
}


@pytest.mark.parametrize("size", [None, 1, 100])
@pytest.mark.parametrize(("blob", "why"), BAD.values(), ids=BAD)
def test_damaged_streams_are_refused(blob, why, size):
    """A stream that is cut off, damaged, or followed by something else is an error, by name."""
    with pytest.raises(ArchiveError, match=why):
        inflated(blob, size)


def test_a_window_of_128_mib_is_accepted():
    """CZ-14: what `zstd --long` makes by default can be read."""
    assert inflated(b"\x28\xb5\x2f\xfd\x00\x88\x01\0\0") == b""


@pytest.mark.parametrize("name", ["gzip", "gzip stored", "CZ-07 all", "zstd"])
def test_a_cut_is_seen_wherever_it_is(name):
    """No part of a member or frame passes for the whole."""
    blob, _ = GOOD[name]
    for cut in range(4, len(blob)):
        with pytest.raises(ArchiveError, match="stream is cut off"):
            inflated(blob[:cut])


@given(st.sampled_from(["gzip", "zstd"]), st.integers(0), st.integers(0, 7))
def test_a_flipped_bit_is_an_error_or_other_bytes(name, position, bit):
    """A damaged stream ends in `ArchiveError` or in bytes, which the diffID will not match."""
    blob = bytearray(GOOD[name][0])
    blob[position % len(blob)] ^= 1 << bit

    with contextlib.suppress(ArchiveError):
        inflated(bytes(blob))


def bomb(count: int) -> bytes:
    """A zstd frame of so many blocks of 4 bytes that stand for 128 KiB each (RFC 8878, 3.1.1)."""
    block = (1 << 1 | (128 << 10) << 3).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd\x00\x38" + block * count + b"\x01\0\0"


BOMBS = {
    "CZ-18 gzip": (gzip.compress(bytes(100 << 20), 9), 100 << 20, CHUNK_LIMIT),
    "CZ-18 gzip members": (gzip.compress(bytes(5 << 20), 9) * 20, 100 << 20, CHUNK_LIMIT),
    "CZ-18 zstd": (zst(bytes(100 << 20)), 100 << 20, ZSTD_CHUNK_LIMIT),
    "CZ-18 zstd at its worst": (bomb(1600), 200 << 20, ZSTD_CHUNK_LIMIT),
}


@pytest.mark.parametrize(("blob", "size", "limit"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_goes_off_in_small_pieces(blob, size, limit):
    """CZ-18: whatever the ratio, no piece of the output is larger than a bound."""
    lengths = [len(chunk) for chunk in compression.inflate([blob])]

    assert sum(lengths) == size
    assert max(lengths) <= limit


@pytest.mark.parametrize("blob", [gz(TAR), zst(TAR), TAR], ids=["gzip", "zstd", "plain"])
def test_input_is_taken_when_output_is_asked_for(blob):
    """CZ-18: nothing is read ahead, so whoever stops asking stops the bomb."""
    taken = []

    def source():
        for number in range(1000):
            taken.append(number)
            yield blob

    output = compression.inflate(source())
    before = len(taken)
    next(output)

    assert before <= 1
    assert len(taken) <= 2


@pytest.mark.parametrize(
    ("blob", "behind"), [(gz(TAR), [bytes(9)] * 3), (zst(TAR), [b""] * 3)], ids=["gzip", "zstd"]
)
def test_input_is_taken_to_its_end(blob, behind):
    """CZ-21: all of the blob goes by, padding too, so that a digest taken on the way is whole."""
    source = iter([blob, *behind])

    assert b"".join(compression.inflate(source)) == TAR
    assert list(source) == []
