"""The journal gives back what was recorded, up to the first line that is not whole."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit import digest as digests
from layerkit.store import journal
from layerkit.store.journal import Extent

DIGEST = digests.of_bytes(b"blob")
OTHER = digests.of_bytes(b"other")
SIZE = 10_000
EXTENTS = [Extent(0, 4096, 1), Extent(4096, 4096, 0xFFFFFFFF), Extent(8192, 1808, 0)]
GOOD = journal.header(DIGEST, SIZE) + b"".join(map(journal.line, EXTENTS))


@st.composite
def extents(draw):
    """Extents within `SIZE`, in any order."""
    offset = draw(st.integers(0, SIZE))
    return Extent(offset, draw(st.integers(0, SIZE - offset)), draw(st.integers(0, 2**32 - 1)))


@given(st.lists(extents()))
def test_what_was_recorded_comes_back(recorded):
    """Header and lines are read as the extents that were written."""
    data = journal.header(DIGEST, SIZE) + b"".join(map(journal.line, recorded))

    assert journal.parse(data, DIGEST, SIZE) == recorded


@given(st.integers(0, len(GOOD)))
def test_a_torn_journal_gives_its_whole_lines(length):
    """K04: whatever a crash left of the end, the lines before it count."""
    found = journal.parse(GOOD[:length], DIGEST, SIZE)

    whole = max(GOOD[:length].count(b"\n") - 1, 0)
    assert found == EXTENTS[:whole]


def line_of(number):
    """Where a line of `GOOD` begins and ends; 0 is the header."""
    lines = GOOD.splitlines(keepends=True)
    start = sum(map(len, lines[:number]))
    return start, start + len(lines[number])


def with_line(number, line):
    """`GOOD` with another line."""
    start, end = line_of(number)
    return GOOD[:start] + line + GOOD[end:]


WITHOUT_SECOND = [EXTENTS[0], *EXTENTS[2:]]


@pytest.mark.parametrize(
    ("data", "sound"),
    [
        pytest.param(GOOD, EXTENTS, id="sound"),
        pytest.param(b"", [], id="K04-empty"),
        pytest.param(b"\n", [], id="K04-blank"),
        pytest.param(bytes(200), [], id="K04-zeros"),
        pytest.param(with_line(2, b"garbage \xff\0\n"), WITHOUT_SECOND, id="K04-garbage"),
        pytest.param(with_line(2, bytes(30)), EXTENTS[:1], id="K04-zeroed-line"),
        pytest.param(with_line(2, b"\n"), WITHOUT_SECOND, id="K04-blank-line"),
        pytest.param(with_line(1, b"1" * 5000 + b" 1 1 1\n"), EXTENTS[1:], id="K04-endless-number"),
        pytest.param(with_line(0, journal.header(OTHER, SIZE)), [], id="K04-other-digest"),
        pytest.param(with_line(0, journal.header(DIGEST, SIZE + 1)), [], id="K04-other-size"),
        pytest.param(
            with_line(0, journal.header(DIGEST, SIZE).replace(b"journal 1", b"journal 2")),
            [],
            id="K04-unknown-version",
        ),
        pytest.param(GOOD.replace(b"\n", b"\r\n"), [], id="K04-other-line-ends"),
        pytest.param(
            with_line(2, journal.line(Extent(SIZE - 1, 2, 0))), WITHOUT_SECOND, id="beyond-the-size"
        ),
        pytest.param(
            with_line(2, journal.line(Extent(-2, 4, 0))), WITHOUT_SECOND, id="before-the-start"
        ),
        pytest.param(
            with_line(2, journal.line(Extent(8, -4, 0))), WITHOUT_SECOND, id="a-negative-size"
        ),
    ],
)
def test_a_damaged_journal_is_read_without_the_damage(data, sound):
    """K04: no damage is an error, and only lines that are whole count."""
    assert journal.parse(data, DIGEST, SIZE) == sound


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 7))
def test_a_flipped_bit_costs_its_line_and_no_other(place, bit):
    """Every line has its own checksum, so no changed number is ever taken."""
    damaged = bytearray(GOOD)
    damaged[place] ^= 1 << bit

    found = journal.parse(bytes(damaged), DIGEST, SIZE)

    line = GOOD[:place].count(b"\n")
    if line == 0:  # whose journal it is, nobody knows
        assert found == []
    else:
        # A broken end of a line makes one of two.
        lost = (
            EXTENTS[line - 1 : line + 1] if GOOD[place] == ord("\n") else EXTENTS[line - 1 : line]
        )
        assert found == [extent for extent in EXTENTS if extent not in lost]


@given(st.binary())
def test_noise_is_no_journal(data):
    """Any bytes are read without an error."""
    assert journal.parse(data, DIGEST, SIZE) == []


@given(st.binary())
def test_noise_behind_the_header_is_no_extent(data):
    """A sound header makes nothing of what follows it trusted."""
    assert journal.parse(journal.header(DIGEST, SIZE) + data, DIGEST, SIZE) == []


def with_header(text):
    """A journal whose header says this, with a sound checksum."""
    line = f"layerkit-journal 1 {text}"
    return f"{line} {zlib.crc32(line.encode()):08x}\n".encode()


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (GOOD, SIZE),
        (journal.header(DIGEST, 0), 0),
        (GOOD[:-1], SIZE),
        (journal.header(DIGEST, SIZE)[:-1], None),
        (journal.header(OTHER, SIZE), None),
        (with_header(f"{DIGEST} 0{SIZE}"), None),
        (with_header(f"{DIGEST} {'9' * 5000}"), None),
        (with_header(str(DIGEST)), None),
        (b"", None),
        (b"\n", None),
        (bytes(200), None),
    ],
    ids=[
        *("sound", "K04-nothing", "K04-torn-end", "K04-torn-header", "K04-other-digest"),
        *("K04-odd-number", "K04-endless-number", "K04-no-number"),
        *("K04-empty", "K04-blank", "K04-zeros"),
    ],
)
def test_a_journal_says_how_large_its_blob_is(data, size):
    """The size counts as far as the header is whole and of this very blob."""
    assert journal.promised(data, DIGEST) == size
