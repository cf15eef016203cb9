"""PAX extended headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tars

from layerkit.errors import ArchiveError
from layerkit.layer import pax

KEYS = st.binary(min_size=1, max_size=20).filter(lambda key: not set(b"=\0") & set(key))


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b"", []),
        (b"9 path=a\n", [(b"path", b"a")]),
        (b"8 path=\n", [(b"path", b"")]),
        (b"6 a=1\n6 a=2\n", [(b"a", b"1"), (b"a", b"2")]),
        (b"8 a=b=c\n", [(b"a", b"b=c")]),
        (b"8 a=b\nc\n", [(b"a", b"b\nc")]),
        (b"7 a=\0\0\n", [(b"a", b"\0\0")]),
        (b"008 a=b\n", [(b"a", b"b")]),
    ],
    ids=repr,
)
def test_records_are_read(body, records):
    """Records come in their order, with whatever bytes their values have."""
    assert pax.parse(body) == records


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"99 path=a\n", id="TF-13 longer than the header"),
        pytest.param(b"8 path=a\n", id="TF-13 shorter than it is"),
        pytest.param(b"9 pathaa\n", id="TF-13 no ="),
        pytest.param(b"xx path=a\n", id="TF-13 no number"),
        pytest.param(b"-9 path=a\n", id="TF-13 negative"),
        pytest.param(b"0 path=a\n", id="TF-13 length 0"),
        pytest.param(b"1 path=a\n", id="TF-13 length within the length"),
        pytest.param(b"2 path=a\n", id="TF-13 length of the length alone"),
        pytest.param(b"9 path=ab", id="TF-13 no newline"),
        pytest.param(b"9path=ab\n", id="no blank"),
        pytest.param(b" path=a\n", id="no length"),
        pytest.param(b"9 path=a\n\0", id="a NUL behind"),
        pytest.param(b"5 =1\n", id="no key"),
        pytest.param(b"7 a\0=1\n", id="NUL in the key"),
        pytest.param(b"9" * 21 + b" a=1\n", id="a length without end"),
        pytest.param("٩ path=a\n".encode(), id="digits of another script"),
    ],
)
def test_broken_records_are_refused(body):
    """TF-13: a body that is not records to its last byte is an error."""
    with pytest.raises(ArchiveError, match="invalid PAX record"):
        pax.parse(body)


def test_messages_stay_short():
    """A key as long as a header does not get into the message."""
    with pytest.raises(ArchiveError) as caught:
        pax.parse(tars._pax_record(b"\0" * 500_000, b""))

    assert len(str(caught.value)) < 300


@given(st.lists(st.tuples(KEYS, st.binary(max_size=120)), max_size=5))
def test_records_come_back(records):
    """What is written as records is read as it was, also where the length gets one digit more."""
    body = b"".join(tars._pax_record(key, value) for key, value in records)

    assert pax.parse(body) == records


@given(st.binary(max_size=60))
def test_any_body_is_records_or_an_error(body):
    """No body leads to anything but records and `ArchiveError`."""
    try:
        records = pax.parse(body)
    except ArchiveError:
        return
    assert sum(len(key) + len(value) for key, value in records) <= len(body)


@pytest.mark.parametrize(
    ("value", "number"),
    [(b"0", 0), (b"-1", -1), (b"007", 7), (b"9223372036854775807", 2**63 - 1)],
)
def test_integers_are_read(value, number):
    """A decimal number of at most 64 bits."""
    assert pax.integer(value, "uid") == number


@pytest.mark.parametrize(
    "value",
    [b"", b"x1", b"1x", b" 1", b"1 ", b"+1", b"1_0", b"1.0", b"0x1", b"1\n", b"9223372036854775808",
     b"9" * 20, "٣".encode()],
)  # fmt: skip
def test_other_integers_are_refused(value):
    """TF-15: anything else is an error that names the record."""
    with pytest.raises(ArchiveError, match="invalid PAX uid"):
        pax.integer(value, "uid")


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (b"5", (5, 0)),
        (b"5.", (5, 0)),
        (b"1.5", (1, 500_000_000)),
        (b"1.000000001", (1, 1)),
        (b"1.0000000019", (1, 1)),
        (b"-1", (-1, 0)),
        (b"-1.5", (-2, 500_000_000)),
        (b"-0.25", (-1, 750_000_000)),
        (b"-0", (0, 0)),
        (b"1600000000.123456789", (1_600_000_000, 123_456_789)),
        (b"17179869184", (2**34, 0)),
    ],
)
def test_times_are_read(value, time):
    """MD-18: seconds with a fraction, kept to the nanosecond, also before 1970."""
    assert pax.time(value, "mtime") == time


@pytest.mark.parametrize(
    "value", [b"", b"foo", b".5", b"-", b"1e9", b"1.5x", b"1.-5", b"--1", b" 1", b"1,5", b"9" * 19]
)
def test_other_times_are_refused(value):
    """TF-15: what is no time, or one in another age of the universe, is an error."""
    with pytest.raises(ArchiveError, match="invalid PAX mtime"):
        pax.time(value, "mtime")


@pytest.mark.parametrize(
    ("records", "found"),
    [
        pytest.param([(b"SCHILY.xattr.user.k", b"v")], {"user.k": b"v"}, id="XA-01"),
        pytest.param([(b"SCHILY.xattr.user.k", b"")], {"user.k": b""}, id="XA-04"),
        pytest.param(
            [(b"SCHILY.xattr.user.k", b"v"), (b"SCHILY.xattr.user.k", b"")],
            {"user.k": b""},
            id="XA-04 the last one is empty",
        ),
        pytest.param(
            [(b"SCHILY.xattr.user.k", b"1"), (b"SCHILY.xattr.user.k", b"2")],
            {"user.k": b"2"},
            id="the last one holds",
        ),
        pytest.param([(b"LIBARCHIVE.xattr.user.k", b"dmFs")], {}, id="XA-05"),
        pytest.param([(b"SCHILY.acl.access", b"user::rw-")], {}, id="XA-17"),
        pytest.param(
            [("SCHILY.xattr.user.é".encode(), b"\0\xff")], {"user.é": b"\0\xff"}, id="any value"
        ),
    ],
)
def test_xattrs_are_found(records, found):
    """Records `SCHILY.xattr.NAME` are extended attributes; other dialects' are ignored."""
    assert pax.xattrs(records) == found


def test_xattr_names_are_text():
    """An xattr whose name is not UTF-8 is an error: PAX keys are."""
    with pytest.raises(ArchiveError, match="its name is not UTF-8"):
        pax.xattrs([(b"SCHILY.xattr.user.\xff", b"v")])
