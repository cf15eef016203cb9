"""Random stacks of layers by number, fast enough for a hundred thousand, and what refutes one.

`support.stacks` does the like for hypothesis, which finds smaller examples and takes far longer.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from layerkit.tree import Entry, Kind
from support.stacks import CONTENT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Stack = list[list[Entry]]

SEED = 20260911
CONTENT_SIZE = 8
_NAMES = (b"a", b"b", b"c", b"d", b"e")
_STEPS = (*_NAMES, *_NAMES, b"..", b".")
_KINDS = (
    [Kind.DIRECTORY] * 5
    + [Kind.FILE] * 6
    + [Kind.SYMLINK] * 4
    + [Kind.HARDLINK] * 4
    + [Kind.WHITEOUT] * 4
    + [Kind.OPAQUE] * 2
    + [Kind.FIFO, Kind.CHARACTER]
)
_MODES = (0o644, 0o755, 0o700, 0o4755, 0o2775, 0o1777, 0)
_MARKS = (Kind.WHITEOUT, Kind.OPAQUE)
_XATTRS = ({}, {}, {}, {"trusted.a": b"1"}, {"trusted.a": b"2", "trusted.b": b"\0\xff"})
_LONGEST_LAYER = 12


def stack(number: int) -> Stack:
    """The stack of that number, lowest layer first; the same one every time."""
    return _Maker(random.Random(f"{SEED} {number}")).stack()


class _Maker:
    """Makes the entries of one stack; they speak often of what was there before."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._paths: list[bytes] = []
        self._contents = 0

    def stack(self) -> Stack:
        sizes = [self._chance.randint(1, _LONGEST_LAYER) for _ in range(self._chance.randint(2, 5))]
        return [[self._entry() for _ in range(size)] for size in sizes]

    def _entry(self) -> Entry:
        chance = self._chance
        kind = chance.choice(_KINDS)
        path = self._path(kind)
        if kind in _MARKS:
            return Entry(path, kind)
        number = self._contents
        self._contents += 1
        entry = Entry(
            path,
            kind,
            mode=chance.choice(_MODES),
            uid=chance.choice((0, 0, 7, 70_000)),
            gid=chance.choice((0, 0, 8)),
            seconds=chance.choice((number, 1_000_000_000 + number, -number)),
            nanos=number,
            size=CONTENT_SIZE if kind is Kind.FILE else 0,
            data=CONTENT_SIZE * number if kind is Kind.FILE else 0,
            link=self._link(kind),
            device=(1, 3) if kind is Kind.CHARACTER else (0, 0),
            xattrs=chance.choice(_XATTRS) if kind is not Kind.HARDLINK else {},
        )
        if kind is not Kind.DIRECTORY:
            self._paths.append(path)
        return entry

    def _path(self, kind: Kind) -> bytes:
        chance = self._chance
        if kind in {Kind.DIRECTORY, Kind.OPAQUE} and chance.randrange(12) == 0:
            return b""
        if kind is Kind.WHITEOUT and chance.randrange(2):
            return self._earlier()
        return b"/".join(chance.choices(_NAMES, k=chance.choice((1, 1, 2, 2, 3))))

    def _link(self, kind: Kind) -> bytes:
        chance = self._chance
        if kind is Kind.HARDLINK:
            return self._earlier()
        if kind is not Kind.SYMLINK:
            return b""
        root = chance.choice((b"", b"", b"/"))
        return root + b"/".join(chance.choices(_STEPS, k=chance.choice((1, 1, 2, 3))))

    def _earlier(self) -> bytes:
        """The path of something before, or of nothing."""
        return self._chance.choice(self._paths) if self._paths else b"none"


def smallest(layers: Stack, is_wrong: Callable[[Stack], bool]) -> Stack:
    """The stack without every entry and layer that it is wrong without, too."""
    for number in reversed(range(len(layers))):
        fewer = layers[:number] + layers[number + 1 :]
        if is_wrong(fewer):
            return smallest(fewer, is_wrong)
    for number, layer in enumerate(layers):
        for place in range(len(layer)):
            fewer = [*layers[:number], layer[:place] + layer[place + 1 :], *layers[number + 1 :]]
            if is_wrong(fewer):
                return smallest(fewer, is_wrong)
    return layers


def tars(layers: Sequence[object]) -> list[bytes]:
    """What stands for the layers' archives."""
    return [CONTENT] * len(layers)
