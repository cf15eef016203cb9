"""One tar header block."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tars

from layerkit.errors import ArchiveError
from layerkit.layer import header


def test_every_field_is_read():
    """A block gives its name, its numbers, its type, its link and its device."""
    block = tars.header(
        "c", b"3", link="l", mode=0o4755, uid=7, gid=8, size=5, mtime=9, device=(1, 3)
    )

    assert header.parse(block) == header.Header(b"c", 0o4755, 7, 8, 5, 9, b"3", b"l", (1, 3))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(b"0000644\0", 0o644, id="NUL behind"),
        pytest.param(b"000644 \0", 0o644, id="blank and NUL behind"),
        pytest.param(b"0777\0 \0\0", 0o777, id="NUL, then a blank"),
        pytest.param(b"   644 \0", 0o644, id="blanks in front"),
        pytest.param(b"\0\0\x00644\0\0", 0o644, id="NULs in front"),
        pytest.param(b"00000644", 0o644, id="no terminator"),
        pytest.param(b"77777777", 0o77777777, id="all digits"),
        pytest.param(b"0644\x00junk"[:8], 0o644, id="what is behind a NUL does not count"),
        pytest.param(b"        ", 0, id="MD-20 blank"),
        pytest.param(bytes(8), 0, id="MD-20 NUL"),
        pytest.param(b"\x80\0\0\0\0\0\0\x05", 5, id="TF-17 base 256"),
        pytest.param(b"\x81\0\0\0\0\0\0\x05", 2**56 + 5, id="TF-18 base 256, seven bits of 0x81"),
        pytest.param(b"\xff" * 8, -1, id="base 256, negative"),
        pytest.param(b"\xff\xff\xff\xff\xff\xff\xff\x9c", -100, id="MD-18 base 256"),
        pytest.param(b"\x80\0\0\0" + b"\x7f" + b"\xff" * 7, 2**63 - 1, id="largest"),
        pytest.param(b"777777777777", 8**12 - 1, id="twelve digits"),
    ],
)
def test_numbers_are_read(field, value):
    """TF-19: octal with any of the paddings in use, or GNU's base 256."""
    assert header.number(field, "size") == value


@pytest.mark.parametrize(
    "field",
    [
        b"0000008\0",
        b"-000001\0",
        b"+000001\0",
        b"0o00644\0",
        b"00_0644\0",
        b"06 44   ",
        b"0x1ff\0\0\0",
        b"1\xb2\0\0\0\0\0\0",
        b"\n000644\0",
    ],
)
def test_other_numbers_are_refused(field):
    """TF-19: what is no octal number is an error, not a guess as `int` would make."""
    with pytest.raises(ArchiveError, match="invalid size"):
        header.number(field, "size")


@pytest.mark.parametrize(
    "field",
    [b"\x80\0\0\0\x80" + bytes(7), b"\x81" + bytes(11), b"\xff" * 4 + bytes(8), b"\xbf" * 12],
)
def test_numbers_beyond_64_bits_are_refused(field):
    """Base 256 in a field of twelve bytes has room for more than any program can count."""
    with pytest.raises(ArchiveError, match="does not fit 64 bits"):
        header.number(field, "size")


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_numbers_come_back(value):
    """What the archive language writes, octal or base 256, is read as it was."""
    assert header.number(tars.number(value, 12), "size") == value


def with_sum(block: bytes, total: int) -> bytes:
    """The block with this checksum."""
    return block[:148] + b"%06o\0 " % total + block[156:]


def unsigned(block: bytes) -> int:
    """The sum of the bytes, the checksum itself as blanks."""
    return sum(block[:148]) + sum(block[156:]) + 8 * 32


def signed(block: bytes) -> int:
    """The same with each byte read as a signed number."""
    return unsigned(block) - 256 * sum(byte >= 128 for byte in block[:148] + block[156:])


@given(st.binary(min_size=512, max_size=512))
def test_both_checksums_are_accepted(random):
    """TF-28: the sum of all bytes, as POSIX has it, or of signed ones, as old tars made it."""
    block = tars.header(random[:99], b"0", patches={265: random[265:329]})

    for total in {unsigned(block), signed(block)}:
        assert header.parse(with_sum(block, total)).typeflag == b"0"


@pytest.mark.parametrize("difference", [-256, -1, 1, 2, 65521])
def test_a_wrong_checksum_is_refused(difference):
    """TF-27: any other sum is an error with what came and what was wanted."""
    block = tars.header("a", b"0")
    total = unsigned(block)

    with pytest.raises(ArchiveError) as caught:
        header.parse(with_sum(block, total + difference))

    assert str(caught.value) == (f"wrong header checksum: got {total}, wanted {total + difference}")


def test_the_sum_of_the_largest_block_is_exact():
    """A block of bytes 255 adds up beyond 16 bits without being wrapped."""
    block = b"\xff" * 512
    total = unsigned(block)
    assert total > 0xFFFF

    with pytest.raises(ArchiveError, match=f"got {total}, wanted 1"):
        header.parse(with_sum(block, 1))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        pytest.param({"prefix": b"pre/fix"}, b"pre/fix/f", id="TF-20"),
        pytest.param({"prefix": b"p" * 155}, b"p" * 155 + b"/f", id="TF-20 as long as can be"),
        pytest.param(
            {"prefix": b"pre", "magic": b"ustar\0\0\0"}, b"pre/f", id="POSIX without a version"
        ),
        pytest.param({"prefix": b"pre/fix", "magic": tars.V7}, b"f", id="TF-22 v7 has no prefix"),
        pytest.param(
            {"prefix": b"12574544345\x0012574544345\0", "magic": tars.GNU},
            b"f",
            id="PY-03 GNU has times there",
        ),
        pytest.param(
            {"prefix": b"\x80\0\0\0\0\0\0\0\0\0\0\x05", "magic": tars.GNU},
            b"f",
            id="GNU times in base 256",
        ),
        pytest.param(
            {"prefix": b"usr/share/doc", "magic": tars.GNU},
            b"usr/share/doc/f",
            id="a prefix under GNU's magic, as Go wrote it before 1.8",
        ),
        pytest.param(
            {"prefix": b"\x7fnot text \xff", "magic": tars.GNU}, b"f", id="neither times nor text"
        ),
        pytest.param(
            {"prefix": b"p" * 131 + b"12574544345\0" * 2, "patches": {508: b"tar\0"}},
            b"p" * 131 + b"/f",
            id="TF-42 star",
        ),
    ],
)
def test_names_have_their_prefix(fields, name):
    """A POSIX header's prefix stands before its name; other dialects have other things there."""
    assert header.parse(tars.header("f", b"0", **fields)).name == name


def test_a_name_may_fill_its_field():
    """A name of 100 bytes has no NUL behind it."""
    assert header.parse(tars.header("n" * 100, b"0")).name == b"n" * 100


@pytest.mark.parametrize("magic", [tars.USTAR, tars.GNU])
def test_devices_have_numbers(magic):
    """The device fields count for devices of POSIX and GNU headers."""
    block = tars.header("d", b"4", device=(2**20, 2**33), magic=magic)

    assert header.parse(block).device == (2**20, 2**33)


@pytest.mark.parametrize(
    "block",
    [
        tars.header("f", b"0", patches={329: b"junkjunk"}),
        tars.header("f", b"3", magic=tars.V7, patches={329: b"junkjunk"}),
    ],
    ids=["a file", "a v7 header"],
)
def test_device_fields_of_others_are_not_read(block):
    """What stands there for a file, or without a magic, does not matter."""
    assert header.parse(block).device == (0, 0)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"mode": b"junkjunk"}, "invalid mode"),
        ({"uid": b"junkjunk"}, "invalid uid"),
        ({"gid": b"junkjunk"}, "invalid gid"),
        ({"size": b"junkjunkjunk"}, "invalid size"),
        ({"size": -5}, "negative size -5"),
        ({"mtime": b"junkjunkjunk"}, "invalid mtime"),
        ({"device": (b"junkjunk", 0)}, "invalid device major"),
        ({"device": (0, b"junkjunk")}, "invalid device minor"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_broken_field_is_named(fields, why):
    """TF-16: an error says which field is not a number, or has one that cannot be."""
    with pytest.raises(ArchiveError, match=why):
        header.parse(tars.header("f", b"3", **fields))


def test_only_permission_bits_of_the_mode_count():
    """MD-13: some tars put the type of the file into the mode."""
    assert header.parse(tars.header("f", b"0", mode=0o104755)).mode == 0o4755
