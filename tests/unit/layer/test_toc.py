"""The index of a layer as bytes."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.errors import IntegrityError
from layerkit.layer import toc
from layerkit.layer.toc import Toc
from layerkit.tree import NO_XATTRS, Entry, Extent, Kind

SIZES = st.integers(0, 2**62)
ENTRIES = st.builds(
    Entry,
    path=st.binary(max_size=20),
    kind=st.sampled_from(Kind),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
    seconds=st.integers(-(2**63), 2**63 - 1),
    nanos=st.integers(0, 10**9 - 1),
    size=SIZES,
    data=SIZES,
    link=st.binary(max_size=20),
    device=st.tuples(st.integers(0, 4095), st.integers(0, 2**20 - 1)),
    xattrs=st.dictionaries(st.text(max_size=9), st.binary(max_size=9), max_size=3),
    extents=st.none() | st.lists(st.builds(Extent, SIZES, SIZES), max_size=3).map(tuple),
)
SOME = toc.encode([Entry(b"a", Kind.FILE, size=3, data=512)], ["left out"])


@given(st.lists(ENTRIES, max_size=4), st.lists(st.text(max_size=20), max_size=3))
def test_an_index_is_read_as_it_was_written(entries, warnings):
    """Every field of every entry, and every warning, comes back."""
    assert toc.decode(toc.encode(entries, warnings)) == Toc(entries, warnings)


def test_equal_indexes_have_equal_bytes():
    """The same entries are written the same way every time."""
    index = toc.decode(SOME)

    assert toc.encode(index.entries, index.warnings) == SOME


def test_warnings_may_come_while_entries_are_read():
    """An index is written from a reader that warns on its way."""
    warnings = []

    def entries():
        yield Entry(b"a", Kind.FILE)
        warnings.append("left out")

    assert toc.decode(toc.encode(entries(), warnings)).warnings == ["left out"]


@given(st.lists(ENTRIES, max_size=4))
def test_an_index_with_all_fields_written_is_read(entries):
    """That is how they were written first."""
    body = msgspec.msgpack.encode((entries, ["left out"]))

    assert toc.decode(_sealed(body)) == Toc(entries, ["left out"])


def test_entries_without_xattrs_share_that():
    """However many entries, what they all lack is there once."""
    index = toc.decode(toc.encode([Entry(b"%d" % number, Kind.FILE) for number in range(3)], []))

    assert {id(entry.xattrs) for entry in index.entries} == {id(NO_XATTRS)}


def test_a_cut_index_is_refused():
    """An index that ends too early is damaged, wherever it ends."""
    for size in range(len(SOME)):
        with pytest.raises(IntegrityError, match="layer index"):
            toc.decode(SOME[:size])


@given(st.integers(0, 8 * len(SOME) - 1))
def test_a_flipped_bit_is_seen(bit):
    """An index in which one bit changed is refused."""
    data = bytearray(SOME)
    data[bit // 8] ^= 1 << bit % 8

    with pytest.raises(IntegrityError, match="damaged layer index"):
        toc.decode(bytes(data))


def _sealed(body: bytes) -> bytes:
    return b"layerkit toc 2\n" + zlib.crc32(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(SOME.replace(b"toc 2", b"toc 3", 1), id="a later version"),
        pytest.param(b"PK\x03\x04", id="something else"),
        pytest.param(SOME + b"\0", id="more behind it"),
        pytest.param(_sealed(b""), id="no content"),
        pytest.param(_sealed(b"\xc1"), id="no MessagePack"),
        pytest.param(_sealed(msgspec.msgpack.encode([1, 2])), id="other content"),
        pytest.param(_sealed(msgspec.msgpack.encode([[[b"a", 99]], []])), id="an unknown kind"),
    ],
)
def test_other_bytes_are_no_index(data):
    """Another version, another format or another form is an `IntegrityError`: made again, then."""
    with pytest.raises(IntegrityError, match="layer index"):
        toc.decode(data)
