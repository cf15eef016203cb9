"""Every byte of a blob is given to somebody, and to nobody twice unless a connection broke."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.registry.limits import Limits
from layerkit.registry.plan import Plan

LIMITS = Limits(
    extent=10, per_host=1, ranged_from=20, progress=5, floor=0, slow_after=5, slow_share=1 / 8
)


def take(plan, now=0.0):
    """The spans that may be asked for now."""
    found = []
    while (piece := plan.take(now)) is not None:
        found.append(piece)
    return found


def spans(pieces):
    """Where pieces begin and end."""
    return [(piece.start, piece.end) for piece in pieces]


def finish(plan, piece, now=1.0):
    """All of a piece comes."""
    plan.answered(piece, piece.start, piece.end)
    plan.advanced(piece, piece.end - piece.position, piece.end - piece.position)
    plan.finished(piece, now)


@pytest.mark.parametrize(
    ("size", "missing", "first"),
    [
        (0, [], []),
        (1, [(0, 1)], [(0, 1)]),
        (19, [(0, 19)], [(0, 19)]),
        (20, [(0, 20)], [(0, 10)]),
        (19, [(4, 19)], [(4, 13)]),
    ],
    ids=["D02-empty", "small", "just-below", "ranged", "resumed"],
)
def test_one_piece_first(size, missing, first):
    """D01, D03: a small blob is asked for whole, of a large or begun one a part; nobody else asks."""
    plan = Plan(size, missing, LIMITS)

    assert spans(take(plan)) == first
    assert plan.is_complete == (not missing)


def test_the_first_answer_lets_others_ask():
    """D01: pieces are disjoint and all of the blob."""
    plan = Plan(35, [(0, 35)], LIMITS)
    (probe,) = take(plan)
    assert plan.answered(probe, 0, 10)

    others = take(plan)

    assert spans([probe, *others]) == [(0, 10), (10, 20), (20, 30), (30, 35)]
    for piece in (probe, *others):
        finish(plan, piece)
    assert plan.is_complete


def test_pieces_of_a_smaller_blob_are_smaller():
    """D18: so that each connection has two, but not below a quarter of an extent."""
    limits = Limits(extent=16, per_host=4, ranged_from=1)

    steps = [Plan(size, [(0, size)], limits).take(0).end for size in (24, 48, 80, 128, 129, 1000)]

    assert steps == [4, 6, 10, 16, 16, 16]


def test_a_small_piece_says_nothing_of_the_usual_rate():
    """D16: its time is that of the request, not of its bytes."""
    plan = Plan(21, [(0, 21)], LIMITS)
    (probe,) = take(plan)
    plan.answered(probe, 0, 10)
    middle, last = take(plan)
    finish(plan, middle, 0.1)
    plan.answered(last, 20, 21)
    plan.advanced(last, 1, 1)
    plan.finished(last, 4.0)
    plan.advanced(probe, 1, 1)

    assert plan.slow(6.0) == [probe]


def test_a_registry_that_sends_all_is_asked_once():
    """D03: the one answer is read to its end, and nothing else is asked for."""
    plan = Plan(35, [(10, 35)], LIMITS)
    (probe,) = take(plan)

    assert plan.answered(probe, 0, 35)

    assert (probe.position, probe.end) == (0, 35)
    assert take(plan) == []
    finish(plan, probe)
    assert plan.is_complete


def test_ranges_that_stop_to_work_call_off_the_others():
    """D04: when an answer is the whole blob after all, it alone is read."""
    plan = Plan(35, [(0, 35)], LIMITS)
    (probe,) = take(plan)
    plan.answered(probe, 0, 10)
    others = take(plan)

    assert plan.answered(others[0], 0, 35)

    assert probe.is_cut
    assert all(piece.is_cut for piece in others[1:])
    assert not plan.answered(others[1], 20, 30)
    assert plan.running == (others[0],)


def test_less_than_asked_is_asked_again():
    """D08: the rest of a short answer is a piece of its own, and no failure."""
    plan = Plan(20, [(0, 20)], LIMITS)
    (probe,) = take(plan)
    plan.answered(probe, 0, 4)
    finish(plan, probe)

    rest = take(plan)

    assert spans(rest) == [(4, 10), (10, 20)]
    assert [piece.attempts for piece in rest] == [0, 0]


def test_a_broken_piece_goes_on_where_it_broke():
    """D11: after its pause; what came makes the failure not count."""
    plan = Plan(20, [(0, 20)], LIMITS)
    (probe,) = take(plan)
    plan.answered(probe, 0, 10)
    plan.advanced(probe, 5, 5)
    plan.failed(probe, 7.0)

    assert spans(take(plan, 6.9)) == [(10, 20)]
    assert plan.wakes() == 7.0
    (again,) = take(plan, 7.0)[:1]
    assert (again.start, again.attempts) == (5, 1)
    plan.answered(again, 5, 10)
    plan.advanced(again, 1, 1)
    plan.failed(again, 8.0)
    (third,) = [piece for piece in take(plan, 8.0) if piece.start == 6]
    assert third.attempts == 2


def test_a_slow_connection_is_cut():
    """D16: far slower than its peers for long enough; its rest is somebody else's."""
    plan = Plan(40, [(0, 40)], LIMITS)
    (probe,) = take(plan)
    plan.answered(probe, 0, 10)
    others = take(plan)
    finish(plan, probe, 1.0)
    for piece in others[:-1]:
        finish(plan, piece, 1.0)
    plan.answered(others[-1], 30, 40)
    plan.advanced(others[-1], 1, 1)

    assert plan.slow(4.9) == []
    assert plan.slow(5.0) == [others[-1]]
    assert spans(take(plan, 5.0)) == [(31, 40)]


@given(st.data())
def test_all_bytes_come_whatever_happens(data):
    """In any order of answers, failures and cuts, the blob is complete in the end."""
    size = data.draw(st.integers(0, 60))
    plan = Plan(size, [(0, size)] if size else [], LIMITS)
    here, now = set(), 0.0
    for _ in range(300):
        if plan.is_complete:
            break
        now += 1
        take(plan, now)
        piece = data.draw(st.sampled_from(plan.running))
        whole = data.draw(st.booleans()) and data.draw(st.booleans())
        plan.answered(piece, 0 if whole else piece.position, size if whole else piece.end)
        count = data.draw(st.integers(0, piece.end - piece.position))
        here.update(range(piece.position, piece.position + count))
        plan.advanced(piece, count, count)
        if piece.position == piece.end:
            plan.finished(piece, now)
        else:
            plan.failed(piece, now)
    assert not plan.is_complete or here == set(range(size))
