"""Random stacks of layers: a few names, so that layers meet, hide, replace and link each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from layerkit.tree import Entry, Kind
from support.model import Model, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

_CONTENT = 8
CONTENT = b"".join(b"%08d" % number for number in range(1000))
"""Stands for every layer's archive: no two files of one stack have the same bytes."""

_NAMES = st.sampled_from([b"a", b"b", b"c"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map(b"/".join)
_KINDS = st.sampled_from(
    [Kind.DIRECTORY] * 4
    + [Kind.FILE] * 3
    + [Kind.SYMLINK] * 3
    + [Kind.HARDLINK] * 3
    + [Kind.WHITEOUT] * 3
    + [Kind.OPAQUE] * 2
    + [Kind.FIFO, Kind.CHARACTER]
)
_STEPS = st.sampled_from([b"a", b"b", b"c", b"..", b"."])
_TARGETS = st.builds(
    lambda root, steps: root + b"/".join(steps),
    st.sampled_from([b"", b"", b"/"]),
    st.lists(_STEPS, min_size=1, max_size=3),
)


@st.composite
def entries(draw: DrawFn, numbers: Callable[[], int]) -> Entry:
    """One record of a layer, with a time and content that no other has."""
    kind = draw(_KINDS)
    path = draw(_PATHS)
    if kind in {Kind.DIRECTORY, Kind.OPAQUE} and draw(st.integers(0, 7)) == 0:
        path = b""
    if kind in {Kind.WHITEOUT, Kind.OPAQUE}:
        return Entry(path, kind)
    number = numbers()
    return Entry(
        path,
        kind,
        mode=draw(st.sampled_from([0o644, 0o700, 0o4755, 0])),
        uid=draw(st.sampled_from([0, 7])),
        gid=draw(st.sampled_from([0, 8])),
        seconds=number,
        nanos=number,
        size=_CONTENT if kind is Kind.FILE else 0,
        data=_CONTENT * number if kind is Kind.FILE else 0,
        link=_link(draw, kind),
        device=(1, 3) if kind is Kind.CHARACTER else (0, 0),
    )


def _link(draw: DrawFn, kind: Kind) -> bytes:
    if kind is Kind.SYMLINK:
        return draw(_TARGETS)
    return draw(_PATHS) if kind is Kind.HARDLINK else b""


@st.composite
def stacks(draw: DrawFn, *, refused: bool = True) -> list[list[Entry]]:
    """Layers, lowest first; without `refused` entries where that is asked for, else with some."""
    numbers = iter(range(1000))
    layer: SearchStrategy[list[Entry]] = st.lists(entries(lambda: next(numbers)), max_size=10)
    layers = draw(st.lists(layer, min_size=1, max_size=4))
    if refused and draw(st.integers(0, 3)) == 0:
        return layers
    return without_refused(layers)


def without_refused(layers: Sequence[Sequence[Entry]]) -> list[list[Entry]]:
    """The layers without the entries that could not be applied."""
    model, kept = Model(), []
    for layer in layers:
        model, good = _apply(model, list(layer))
        kept.append(good)
    return kept


def _apply(model: Model, layer: list[Entry]) -> tuple[Model, list[Entry]]:
    while True:
        attempt = model.copy()
        try:
            attempt.apply(layer)
        except Refused as refused:
            layer = [entry for entry in layer if entry is not refused.entry]
        else:
            return attempt, layer
