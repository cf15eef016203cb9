"""Text against text: the shortest change of lines (Myers 1986), as a unified diff; pure.

The work is bounded: where the shortest change would be a long one, the part that differs is told as
all old lines gone and all new ones come, which is as true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONTEXT = 3
MOST_STEPS = 400_000
"""As many comparisons of lines are worth a shorter change; some tenths of a second."""
_NO_NEWLINE = "\\ No newline at end of file"


class Piece(NamedTuple):
    """Lines `[start, end)` of the old text that became `[begin, stop)` of the new one."""

    start: int
    end: int
    begin: int
    stop: int


def unified(old: str, new: str) -> Iterator[str]:
    """The hunks of a unified diff, line by line; nothing where the texts are equal."""
    before, after = _lines(old), _lines(new)
    for group in _groups(changed(before, after)):
        yield from _hunk(group, before, after)


def changed(old: Sequence[str], new: Sequence[str]) -> list[Piece]:
    """The pieces that differ, in their order, with equal lines between them."""
    start = 0
    shorter = min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    before, after = old[start : len(old) - end], new[start : len(new) - end]
    if not before and not after:
        return []
    whole = [Piece(0, len(before), 0, len(after))]
    pieces = _shortest(before, after) if before and after else whole
    return [
        Piece(one + start, two + start, three + start, four + start)
        for one, two, three, four in pieces or whole
    ]


def _shortest(old: Sequence[str], new: Sequence[str]) -> list[Piece] | None:
    """The pieces of the shortest change; None where finding it takes too long."""
    ends = {1: 0}
    trace: list[dict[int, int]] = []
    steps = 0
    for distance in range(len(old) + len(new) + 1):
        trace.append(ends.copy())
        steps += distance
        for diagonal in range(-distance, distance + 1, 2):
            comes = _comes(ends, diagonal, distance)
            x = ends[diagonal + 1] if comes else ends[diagonal - 1] + 1
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y, steps = x + 1, y + 1, steps + 1
            ends[diagonal] = x
            if x >= len(old) and y >= len(new):
                return _pieces(_way_back(trace, len(old), len(new)))
        if steps > MOST_STEPS:
            break
    return None


def _comes(ends: dict[int, int], diagonal: int, distance: int) -> bool:
    """Whether a diagonal is entered by a line that came, not by one that went."""
    if diagonal in {-distance, distance}:
        return diagonal == -distance
    return ends[diagonal - 1] < ends[diagonal + 1]


def _way_back(trace: list[dict[int, int]], x: int, y: int) -> Iterator[Piece]:
    """The single lines that went or came, last first."""
    for distance in range(len(trace) - 1, 0, -1):
        ends, diagonal = trace[distance], x - y
        if _comes(ends, diagonal, distance):
            x = ends[diagonal + 1]
            y = x - diagonal - 1
            yield Piece(x, x, y, y + 1)
        else:
            x = ends[diagonal - 1]
            y = x - diagonal + 1
            yield Piece(x, x + 1, y, y)


def _pieces(steps: Iterator[Piece]) -> list[Piece]:
    """Steps, last first, joined where no equal line is between them."""
    pieces: list[Piece] = []
    for start, end, begin, stop in steps:
        if pieces and (end, stop) == (pieces[-1].start, pieces[-1].begin):
            pieces[-1] = Piece(start, pieces[-1].end, begin, pieces[-1].stop)
        else:
            pieces.append(Piece(start, end, begin, stop))
    return pieces[::-1]


def _groups(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Pieces whose lines around them touch."""
    group: list[Piece] = []
    for piece in pieces:
        if group and piece.start - group[-1].end > 2 * CONTEXT:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _hunk(group: list[Piece], old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    first, last = group[0], group[-1]
    lead = min(CONTEXT, first.start)
    tail = min(CONTEXT, len(old) - last.end)
    old_range = _range(first.start - lead, last.end + tail)
    new_range = _range(first.begin - lead, last.stop + tail)
    yield f"@@ -{old_range} +{new_range} @@"
    at = first.start - lead
    for piece in group:
        yield from _marked(" ", old[at : piece.start])
        yield from _marked("-", old[piece.start : piece.end])
        yield from _marked("+", new[piece.begin : piece.stop])
        at = piece.end
    yield from _marked(" ", old[at : at + tail])


def _range(start: int, end: int) -> str:
    """As diff -u writes it: the first line from 1, or the one before an empty range."""
    count = end - start
    if count == 1:
        return str(start + 1)
    return f"{start + 1 if count else start},{count}"


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield mark + line.removesuffix("\n")
        if not line.endswith("\n"):
            yield _NO_NEWLINE


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a newline ends one."""
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines
