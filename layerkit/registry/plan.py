"""Who fetches which bytes of one blob next: a plan that is told what happened (pure).

The first piece is the probe: only its answer tells whether the registry sends parts. Until then
nobody else asks, since a registry that does not would send the whole blob to each.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.registry.limits import Limits

_RATES = 12
"""Finished pieces whose rates tell what is usual."""
_SMALLEST = 4
"""The least part of an extent that is a piece, and the least one whose rate tells something."""


@dataclass(slots=True, eq=False)
class Piece:
    """A part of a blob that one connection fetches: from `start` to `end`, now at `position`.

    It may be asked for from time `ready` on and was so at `begun`. `attempts` failed before it
    without progress, `waits` because the registry asked for a pause; `news` counts the bytes that
    were not here before. One that is cut is somebody else's now.
    """

    start: int
    end: int
    attempts: int = 0
    waits: int = 0
    ready: float = 0.0
    begun: float = 0.0
    position: int = field(init=False)
    news: int = 0
    is_cut: bool = False

    def __post_init__(self) -> None:
        self.position = self.start


class Plan:
    """What of one blob is to be fetched: times are seconds of any clock that does not go back."""

    def __init__(self, size: int, missing: Iterable[tuple[int, int]], limits: Limits) -> None:
        self._size = size
        self._limits = limits
        self._ranged = False
        self._whole = False
        self._rates: deque[float] = deque(maxlen=_RATES)
        self._running: list[Piece] = []
        gaps = list(missing)
        is_small = gaps == [(0, size)] and size < limits.ranged_from
        self._todo = deque([Piece(0, size)] if is_small and size else self._cut_up(gaps))

    def _cut_up(self, gaps: list[tuple[int, int]]) -> list[Piece]:
        """Pieces of an extent; smaller ones where not all connections would have two of them."""
        largest = self._limits.extent
        step = max(largest // _SMALLEST, min(largest, self._size // (2 * self._limits.per_host)))
        return [
            Piece(start, min(start + step, last))
            for first, last in gaps
            for start in range(first, last, step)
        ]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to fetch."""
        return not self._todo and not self._running

    @property
    def running(self) -> tuple[Piece, ...]:
        """The pieces that are being fetched."""
        return tuple(self._running)

    def take(self, now: float) -> Piece | None:
        """The piece to fetch next; None while there is none that may be asked for now."""
        if self._running and not self._ranged:
            return None
        for piece in self._todo:
            if piece.ready <= now:
                self._todo.remove(piece)
                self._running.append(piece)
                piece.begun = now
                return piece
        return None

    def wakes(self) -> float | None:
        """When a piece that waits may be asked for again; None if none waits."""
        return min((piece.ready for piece in self._todo), default=None)

    def is_whole(self, piece: Piece) -> bool:
        """Whether a piece is the whole blob, to be asked for without a range."""
        return (piece.position, piece.end) == (0, self._size)

    def answered(self, piece: Piece, offset: int, end: int) -> bool:
        """Take note of what is sent for a piece: the bytes from `offset` to `end`.

        A registry that starts elsewhere than asked sends all, so all else is called off. False for
        an answer nobody wants any more.
        """
        if piece.is_cut:
            return False
        if offset == piece.position and end <= piece.end and not self._whole:
            self._ranged = self._ranged or not self.is_whole(piece)
            if end < piece.end:  # a registry may send less than asked
                self._todo.appendleft(Piece(end, piece.end))
                piece.end = end
            return True
        self._whole, self._ranged = True, False
        for other in self._running:
            other.is_cut = other is not piece
        self._running = [piece]
        self._todo.clear()
        piece.start = piece.position = offset
        piece.end = self._size
        return True

    def advanced(self, piece: Piece, count: int, news: int) -> None:
        """So many bytes of a piece came, of which `news` were not here before."""
        piece.position += count
        piece.news += news
        if piece.news >= self._limits.progress:
            piece.attempts = piece.waits = 0

    def finished(self, piece: Piece, now: float) -> None:
        """A piece is through."""
        if not piece.is_cut:
            self._running.remove(piece)
            if piece.position - piece.start >= self._limits.extent // _SMALLEST:
                self._rates.append(_rate(piece, now))

    def failed(self, piece: Piece, ready: float, *, waits: bool = False) -> None:
        """A piece broke off; its rest is asked for again from time `ready` on.

        `waits` says that the registry asked for that pause.
        """
        if piece.is_cut:
            return
        piece.is_cut = True
        self._running.remove(piece)
        start = 0 if self._whole else piece.position
        attempts, pauses = piece.attempts + (not waits), piece.waits + waits
        if start < piece.end:
            self._todo.appendleft(Piece(start, piece.end, attempts, pauses, ready))

    def slow(self, now: float) -> list[Piece]:
        """Cut the pieces that are far slower than others, or than anybody can bear."""
        rates = [*self._rates, *(_rate(piece, now) for piece in self._running)]
        usual = median(rates) if len(rates) > 1 else 0.0
        bar = max(self._limits.floor, usual * self._limits.slow_share)
        found = [
            piece
            for piece in self._running
            if now - piece.begun >= self._limits.slow_after and _rate(piece, now) < bar
        ]
        for piece in found:
            self.failed(piece, now)
        return found


def _rate(piece: Piece, now: float) -> float:
    return (piece.position - piece.start) / max(now - piece.begun, 1e-3)
