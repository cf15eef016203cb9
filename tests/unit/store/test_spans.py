"""Spans are the set of bytes that were added, whatever the order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from layerkit.store.spans import Spans

SIZE = 40
SPANS = st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)))


def of(spans):
    """The set of these spans, and the same as plain numbers."""
    found, numbers = Spans(), set()
    for start, end in spans:
        found.add(start, end)
        numbers.update(range(start, end))
    return found, numbers


@given(SPANS)
def test_spans_are_a_set_of_numbers(spans):
    """Count, frontier and spans are those of the plain set; spans neither touch nor overlap."""
    found, numbers = of(spans)

    assert {number for start, end in found for number in range(start, end)} == numbers
    assert found.count == len(numbers)
    assert found.frontier == next(n for n in range(SIZE + 2) if n not in numbers)
    ends = [number for span in found for number in span]
    assert ends == sorted(set(ends))


@given(SPANS, st.integers(0, SIZE), st.integers(0, SIZE))
def test_what_is_missing_is_the_rest(spans, start, end):
    """Of any span, exactly the numbers that are not in the set, in order."""
    found, numbers = of(spans)

    missing = found.missing(start, end)

    assert [n for first, last in missing for n in range(first, last)] == [
        n for n in range(start, end) if n not in numbers
    ]
