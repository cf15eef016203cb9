"""Keys that detach, found in what is typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.sandbox.detach import CTRL_P_CTRL_Q, Keys

KEYS = st.lists(st.sampled_from(b"abc"), min_size=1, max_size=5).map(tuple)
TYPED = st.lists(st.binary(max_size=3) | st.sampled_from([b"a", b"ab", b"aba", b"c"]), max_size=12)


def feed(keys, *pieces):
    """What gets through of pieces until the keys are complete, and whether they are."""
    search = Keys(keys)
    passed = b""
    for piece in pieces:
        through, is_complete = search.feed(piece)
        passed += through
        if is_complete:
            return passed, True
    return passed, False


def expected(keys, typed):
    """The same by looking at all of it at once."""
    keys = bytes(keys)
    at = typed.find(keys)
    if at >= 0:
        return typed[:at], True
    held = next(n for n in range(len(keys) - 1, -1, -1) if typed.endswith(keys[:n]))
    return typed[: len(typed) - held], False


@given(keys=KEYS, pieces=TYPED)
def test_pieces_make_no_difference(keys, pieces):
    """However the bytes come, the first whole sequence ends it, and only its beginning is held."""
    assert feed(keys, *pieces) == expected(keys, b"".join(pieces))


@pytest.mark.parametrize(
    ("pieces", "passed", "is_complete"),
    [
        pytest.param([b"\x10\x11"], b"", True, id="RT-T04-one read"),
        pytest.param([b"\x10", b"\x11"], b"", True, id="RT-T04-two reads"),
        pytest.param([b"ls\n\x10\x11more"], b"ls\n", True, id="more behind it"),
        pytest.param([b"a\x10"], b"a", False, id="the first key alone waits"),
        pytest.param([b"\x10", b"b"], b"\x10b", False, id="and comes with the next one"),
        pytest.param([b"\x10\x10\x11"], b"\x10", True, id="the first key twice"),
        pytest.param([b"\x11\x10", b"", b"\x11"], b"\x11", True, id="nothing in between"),
    ],
)
def test_dockers_keys(pieces, passed, is_complete):
    """CTRL-P CTRL-Q leaves; CTRL-P is seen by the container when another key follows."""
    assert feed(CTRL_P_CTRL_Q, *pieces) == (passed, is_complete)


def test_a_beginning_inside_of_a_beginning_is_not_missed():
    """Bytes that are let go are looked at again: the sequence may begin among them."""
    assert feed(b"aab", b"aa", b"ab") == (b"a", True)
    assert feed(b"abac", b"aba", b"bac") == (b"ab", True)


def test_a_single_key():
    """It leaves at once."""
    assert feed(b"q", b"x", b"q") == (b"x", True)


def test_no_keys():
    """Nothing detaches, and nothing is held."""
    assert feed((), b"\x10\x11") == (b"\x10\x11", False)
