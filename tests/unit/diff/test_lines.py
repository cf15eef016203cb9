"""Unified diffs: as diff -u, shortest where that is cheap, and never wrong."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.diff import lines as text

LINES = st.lists(st.sampled_from("abc"), max_size=12)


def patched(old, new, pieces):
    """What the pieces make of `old`."""
    made, at = [], 0
    for piece in pieces:
        made += old[at : piece.start] + new[piece.begin : piece.stop]
        at = piece.end
    return made + old[at:]


@given(LINES, LINES)
def test_the_pieces_lead_from_one_text_to_the_other(old, new):
    """They are in order, and what is between them is equal."""
    pieces = text.changed(old, new)

    assert patched(old, new, pieces) == new
    assert bool(pieces) == (old != new)
    for one, other in itertools.pairwise(pieces):
        assert other.start - one.end == other.begin - one.stop > 0


@given(LINES, LINES)
def test_no_other_change_is_shorter(old, new):
    """As many lines stay as there can: the longest common subsequence."""
    table = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for x, mine in enumerate(old):
        for y, its in enumerate(new):
            table[x + 1][y + 1] = (
                table[x][y] + 1 if mine == its else max(table[x][y + 1], table[x + 1][y])
            )

    gone = sum(piece.end - piece.start for piece in text.changed(old, new))

    assert len(old) - gone == table[-1][-1]


@given(LINES, LINES)
def test_the_ranges_of_hunks_are_right(old, new):
    """Each hunk holds exactly the lines that its range promises."""
    one, other = ("".join(f"{line}\n" for line in lines) for lines in (old, new))

    for hunk in "\n".join(text.unified(one, other)).split("@@ -")[1:]:
        ranges, _, body = hunk.partition(" @@\n")
        for numbers, lines, marks in zip(ranges.split(" +"), (old, new), (" -", " +"), strict=True):
            first, _, count = numbers.partition(",")
            held = [line[1:] for line in body.splitlines() if line[0] in marks]
            start = int(first) - (count != "0")
            assert lines[start : start + int(count or 1)] == held


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("", "", []),
        ("a\n", "a\n", []),
        ("", "a\n", ["@@ -0,0 +1 @@", "+a"]),
        ("a\n", "", ["@@ -1 +0,0 @@", "-a"]),
        ("a\n", "a", ["@@ -1 +1 @@", "-a", "+a", "\\ No newline at end of file"]),
        ("a\r\n", "a\n", ["@@ -1 +1 @@", "-a\r", "+a"]),
        ("a\x0cb\n", "a\x0cc\n", ["@@ -1 +1 @@", "-a\x0cb", "+a\x0cc"]),
        ("\n\n", "\n", ["@@ -1,2 +1 @@", " ", "-"]),
    ],
)
def test_edges(old, new, wanted):
    """Empty texts, and lines whose end is missing or another one."""
    assert list(text.unified(old, new)) == wanted


def test_changes_far_apart_are_hunks_of_their_own():
    """Three lines around each; nearer ones share a hunk."""
    old = [str(number) for number in range(30)]
    new = [*old[:5], "x", *old[6:11], "y", *old[12:25], "z", *old[26:]]

    lines = list(text.unified("\n".join(old) + "\n", "\n".join(new) + "\n"))

    assert [line for line in lines if line[0] == "@"] == ["@@ -3,13 +3,13 @@", "@@ -23,7 +23,7 @@"]
    assert [line for line in lines if line[0] in "+-"] == ["-5", "+x", "-11", "+y", "-25", "+z"]


def test_a_search_that_would_take_too_long_is_given_up(monkeypatch):
    """What differs is then told as a whole, which is as true."""
    monkeypatch.setattr(text, "MOST_STEPS", 10)
    old = ["same", *(f"old {number}" for number in range(50)), "same"]
    new = ["same", *(f"new {number}" for number in range(40)), "same"]

    assert text.changed(old, new) == [text.Piece(1, 51, 1, 41)]
