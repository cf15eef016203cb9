"""Which bytes of a blob are here: a set of disjoint spans (pure)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
"""The bytes from the first number up to, but without, the second one."""


class Spans:
    """A set of byte positions, kept as spans that neither touch nor overlap."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __iter__(self) -> zip[Span]:
        return zip(self._starts, self._ends, strict=True)

    def add(self, start: int, end: int) -> None:
        """Take in the bytes of one span."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)  # the first that touches or lies behind
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    @property
    def frontier(self) -> int:
        """How many bytes from the very start are here."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    @property
    def count(self) -> int:
        """How many bytes are here."""
        return sum(self._ends) - sum(self._starts)

    def missing(self, start: int, end: int) -> list[Span]:
        """What of one span is not here, in order."""
        gaps: list[Span] = []
        for number in range(bisect_right(self._ends, start), len(self._starts)):
            if self._starts[number] >= end:
                break
            if start < self._starts[number]:
                gaps.append((start, self._starts[number]))
            start = self._ends[number]
        if start < end:
            gaps.append((start, end))
        return gaps
